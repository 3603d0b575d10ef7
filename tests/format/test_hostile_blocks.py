# SPDX-License-Identifier: Apache-2.0
"""Every field of weights in blocks that is wrong is refused, by reader and engine alike."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

import grucore
from format.test_hostile_files import resealed
from format.test_hostile_quantized import places, refused
from grucore import fileformat
from grucore.graph.layers import Gru
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized
from models.chain import Chain

ROWS, INPUTS = 3 * 8, 12
STRIPS = ROWS // 8
BOTH = (fileformat.read, grucore.load)


def matrix(rows: int, inputs: int, blocks: list[tuple[int, int]]) -> Quantized:
    """Ones in the blocks (strip, four inputs)."""
    values = np.zeros((rows, inputs), np.int8)
    for strip, four in blocks:
        values[8 * strip : 8 * strip + 8, 4 * four : 4 * four + 4] = 1
    return Quantized(values, np.ones(rows, np.float32), Dtype.INT8, 8, in_blocks=True)


def file_of(blocks: list[tuple[int, int]]) -> tuple[bytes, int, int]:
    """A gru whose weight_ih has these blocks: the file, its record, its bytes."""
    chain = Chain(Value("x", INPUTS))
    chain.add(
        Gru,
        weight_ih=matrix(ROWS, INPUTS, blocks),
        weight_hh=matrix(ROWS, 8, [(0, 1)]),
        bias=np.zeros(32, np.float32),
    )
    graph = chain.graph()
    data = fileformat.write(graph)
    place = places(graph, data)["gru.weight_ih"]
    return data, place.record, place.data


# Blocks 0 and 2 of the first strip, none of the second, 1 of the third.
FILE, RECORD, DATA = file_of([(0, 0), (0, 2), (2, 1)])
FOURS = DATA + 4 * STRIPS
BLOCKS = DATA + 64

Change = tuple[int, bytes]


def u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def u16(number: int) -> bytes:
    return struct.pack("<H", number)


CHANGES: dict[str, tuple[Change, str, int]] = {
    "float32": ((RECORD + 4, u32(0)), "kUnknownLayout", RECORD + 8),
    "int4": ((RECORD + 4, u32(4)), "kUnknownLayout", RECORD + 8),
    "no gates": ((RECORD + 32, u32(0)), "kBadShape", RECORD + 32),
    "five gates": ((RECORD + 32, u32(5)), "kBadShape", RECORD + 32),
    "another number of gates": ((RECORD + 32, u32(1)), "kBadShape", RECORD + 32),
    "inputs by eights": ((RECORD + 36, u32(8)), "kBadShape", RECORD + 36),
    "no activations": ((RECORD + 44, u32(0)), "kBadShape", RECORD + 44),
    "three axes": ((RECORD + 12, u32(3, ROWS, 1, INPUTS)), "kBadShape", RECORD + 12),
    "rows that are not whole strips": ((RECORD + 16, u32(ROWS - 1)), "kBadShape", RECORD + 16),
    "inputs that are not whole fours": ((RECORD + 20, u32(INPUTS - 1)), "kBadShape", RECORD + 20),
    "more inputs than places count": ((RECORD + 20, u32(1 << 19)), "kBadShape", RECORD + 20),
    "more blocks than there can be": ((RECORD + 40, u32(10)), "kBadShape", RECORD + 40),
    "more blocks than bytes": ((RECORD + 40, u32(4)), "kBadShape", RECORD + 56),
    "a strip that ends before the one before": ((DATA + 4, u32(1)), "kBadIndex", DATA + 4),
    "a strip past the last block": ((DATA, u32(4)), "kBadIndex", DATA),
    "a last strip short of the blocks": ((DATA + 8, u32(2)), "kBadIndex", DATA + 8),
    "a place past the inputs": ((FOURS + 2, u16(3)), "kBadIndex", FOURS + 2),
    "the same place twice": ((FOURS + 2, u16(0)), "kBadIndex", FOURS + 2),
    "places that descend": ((FOURS, u16(2)), "kBadIndex", FOURS + 2),
    "a place behind the last": ((FOURS + 6, u16(1)), "kReservedNotZero", FOURS + 6),
    "a block of zeros": ((BLOCKS + 32, bytes(32)), "kBadIndex", BLOCKS + 32),
    "-128": ((BLOCKS + 70, b"\x80"), "kNonfiniteWeight", BLOCKS + 70),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field(name: str) -> None:
    (place, content), status, offset = CHANGES[name]
    file = bytearray(FILE)
    file[place : place + len(content)] = content
    said = refused(resealed(file), status, BOTH)
    assert said.startswith(f"byte {offset:#x}: "), said


def test_any_byte(rng: np.random.Generator) -> None:
    """Each byte of the tensor, changed: reader and engine take it both or refuse it both."""
    end = BLOCKS + 3 * 32
    for place in [*range(RECORD, RECORD + 64), *range(DATA, end)]:
        for byte in {0, 1, 0x80, 0xFF, int(rng.integers(256))}:
            file = bytearray(FILE)
            file[place] = byte
            data = resealed(file)
            outcomes = [_outcome(reader, data) for reader in BOTH]
            assert outcomes[0] == outcomes[1], (place, byte, outcomes)


def _outcome(reader: Callable[[bytes], object], data: bytes) -> str:
    try:
        reader(data)
    except (grucore.FormatError, grucore.UnsupportedError) as error:
        return type(error).__name__
    return "taken"


def test_a_matrix_of_no_blocks_and_of_all() -> None:
    for blocks in ([], [(strip, four) for strip in range(3) for four in range(3)]):
        data, _, _ = file_of(blocks)
        assert grucore.load(data).run(np.ones((4, INPUTS), np.float32)).shape == (4, 8)
        assert fileformat.write(fileformat.read(data)) == data
