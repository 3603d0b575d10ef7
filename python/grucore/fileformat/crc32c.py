# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (Castagnoli) in numpy: many lanes at once, joined by shifts over GF(2)."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["crc32c"]

Words = npt.NDArray[np.uint32]

POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41 with its bits reversed
MASK = 0xFFFFFFFF
PIECE_WORDS = 1 << 20  # larger messages go in pieces, so that no buffer grows with the file
PIECE_LANES = 1 << 12
BITS = np.arange(32, dtype=np.uint32)


@cache
def _byte_table() -> Words:
    table: Words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (table & np.uint32(1)) * np.uint32(POLYNOMIAL)
    return table


@cache
def _word_tables() -> tuple[Words, Words]:
    # A register goes through four zero bytes at once, its low and its high half by a table each.
    half: Words = np.arange(65536, dtype=np.uint32)
    low, high = half, half << np.uint32(16)
    for _ in range(4):
        low = _byte_table()[low & 0xFF] ^ (low >> np.uint32(8))
        high = _byte_table()[high & 0xFF] ^ (high >> np.uint32(8))
    return low, high


def _through_word(register: Words) -> Words:
    low, high = _word_tables()
    return np.asarray(low[register & 0xFFFF] ^ high[register >> 16])


@cache
def _shift(words: int) -> Words:
    """The matrix, 32 columns, that takes a register through so many zero words (a power of two)."""
    if words == 1:
        return _through_word(np.uint32(1) << BITS)
    half = _shift(words // 2)
    return _apply(half, half)


def _apply(matrix: Words, register: Words) -> Words:
    """The matrix over GF(2) times every register."""
    bits = (register[:, None] >> BITS) & 1
    return np.asarray(np.bitwise_xor.reduce(bits * matrix, axis=1))


def _register(message: Words, lanes: int) -> Words:
    """The register (1,), from zero, after a message of 2^n words that is cut into 2^m lanes."""
    steps = message.size // lanes
    register = np.zeros(lanes, np.uint32)
    for column in np.ascontiguousarray(message.reshape(lanes, steps).T):
        register = _through_word(register ^ column)
    while register.size > 1:
        register = _apply(_shift(steps), register[0::2]) ^ register[1::2]
        steps *= 2
    return register


def _start(octets: npt.NDArray[np.uint8]) -> Words:
    """The register (1,) after the first octets: at least four, fewer than a piece."""
    bits = (octets.size - 1).bit_length()
    # Zeros in front leave a register of zero as it is; the initial value is the same as an xor
    # with the message's own first four octets.
    padded = np.zeros(1 << bits, np.uint8)
    first = padded.size - octets.size
    padded[first:] = octets
    padded[first : first + 4] ^= 0xFF
    return _register(padded.view("<u4"), 1 << (bits - 2) * 2 // 3)


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The CRC-32C of the bytes, as docs/format.md defines it."""
    octets = np.frombuffer(data, np.uint8)
    if octets.size < 4:
        short = MASK
        for octet in octets.tolist():
            short = int(_byte_table()[(short ^ octet) & 0xFF]) ^ (short >> 8)
        return short ^ MASK
    size = 4 * PIECE_WORDS
    first = octets.size % size
    if first < 4:
        first += size
    register = _start(octets[:first])
    for place in range(first, octets.size, size):
        piece = octets[place : place + size].view("<u4")
        register = _apply(_shift(PIECE_WORDS), register) ^ _register(piece, PIECE_LANES)
    return int(register[0]) ^ MASK
