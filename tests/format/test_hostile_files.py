# SPDX-License-Identifier: Apache-2.0
"""Every damaged or hostile .gru file is refused, by reader and engine, with its status."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.fileformat.layout import aligned, checksum
from grucore.graph.graph import Graph, TestVector
from grucore.graph.layers import Activate, Activation, Conv1d, Embedding, Select
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from models.chain import Chain
from models.layer_models import KIND_NAMES, make
from models.small_models import frames_graph


def resealed(file: bytearray) -> bytes:
    """The bytes with a checksum that fits them."""
    struct.pack_into("<I", file, 12, checksum(file))
    return bytes(file)


def tiny() -> Graph:
    """The smallest file with all sections."""
    graph = frames_graph(features=2, hidden_size=3, out=1)
    vector = TestVector((np.ones((2, 2), np.float32),), (np.zeros((2, 1), np.float32),))
    return replace(graph, metadata={"producer": "test"}, test=vector)


TINY = fileformat.write(tiny())
VALUES, NODES, TENSORS = 64, 192, 320  # three values, two nodes, then seven tensors
WORDS = TENSORS + 7 * 64
NAMES = WORDS + 64
METADATA = NAMES + 64
DATA = METADATA + 64


def test_the_offsets_above_are_those_of_the_file() -> None:
    assert struct.unpack_from("<3I", TINY, 24) == (3, 2, 7)
    assert TINY[NAMES : NAMES + 20] == b"xgru.l0.outygru.l0li"
    assert TINY[METADATA : METADATA + 2] == b'{"'
    assert struct.unpack_from("<Q", TINY, TENSORS + 48) == (DATA,)


def test_truncation_at_every_byte() -> None:
    for length in range(len(TINY)):
        with pytest.raises(grucore.FormatError, match=r"\(k(Truncated|BadLength)\)"):
            fileformat.read(TINY[:length])
        with pytest.raises(grucore.FormatError):
            grucore.load(TINY[:length])


def test_bytes_after_the_end() -> None:
    for more in (b"\0", bytes(64), TINY):
        with pytest.raises(grucore.FormatError, match="kBadLength"):
            fileformat.read(TINY + more)


def test_every_single_bit() -> None:
    damaged = bytearray(TINY)
    for place in range(len(TINY)):
        for bit in range(8):
            damaged[place] ^= 1 << bit
            with pytest.raises(grucore.FormatError):
                fileformat.read(damaged)
            damaged[place] ^= 1 << bit
    assert bytes(damaged) == TINY


def u32(offset: int, value: int) -> Callable[[bytearray], None]:
    return lambda file: struct.pack_into("<I", file, offset, value)


def u64(offset: int, value: int) -> Callable[[bytearray], None]:
    return lambda file: struct.pack_into("<Q", file, offset, value)


def add(offset: int, amount: int) -> Callable[[bytearray], None]:
    def change(file: bytearray) -> None:
        (old,) = struct.unpack_from("<Q", file, offset)
        struct.pack_into("<Q", file, offset, (old + amount) % 2**64)

    return change


def octets(offset: int, content: bytes) -> Callable[[bytearray], None]:
    return lambda file: file.__setitem__(slice(offset, offset + len(content)), content)


SECOND = TENSORS + 64
TEST_INPUT = TENSORS + 5 * 64

# The change, the status, and the offset where the reader sees it (None: not pinned down).
HOSTILE: dict[str, tuple[Callable[[bytearray], None], str, int | None]] = {
    "magic": (octets(0, b"GRU\x89"), "kBadMagic", 0),
    "swapped magic": (octets(0, TINY[:8][::-1]), "kBadMagic", 0),
    "version 0": (u32(8, 0), "kNewerVersion", 8),
    "version 2": (u32(8, 2), "kNewerVersion", 8),
    "length not a multiple": (u64(16, len(TINY) - 1), "kBadLength", 16),
    "length short": (u64(16, len(TINY) - 64), "kBadLength", 16),
    "length long": (u64(16, len(TINY) + 64), "kTruncated", len(TINY)),
    "length 2^64 - 64": (u64(16, 2**64 - 64), "kBadLength", 16),
    "no values": (u32(24, 0), "kCountOutOfBounds", 24),
    "too many values": (u32(24, 4097), "kCountOutOfBounds", 24),
    "values beyond the file": (u32(24, 4096), "kTruncated", None),
    "no nodes": (u32(28, 0), "kCountOutOfBounds", 28),
    "too many nodes": (u32(28, 2**32 - 1), "kCountOutOfBounds", 28),
    "too many tensors": (u32(32, 65537), "kCountOutOfBounds", 32),
    "no inputs": (u32(36, 0), "kCountOutOfBounds", 36),
    "too many inputs": (u32(36, 65), "kCountOutOfBounds", 36),
    "no outputs": (u32(40, 0), "kCountOutOfBounds", 40),
    "too many words": (u32(44, 2**20 + 1), "kCountOutOfBounds", 44),
    "words beyond the file": (u32(44, 2**20), "kTruncated", None),
    "a word less": (u32(44, 15), "kBadIndex", None),
    "too many name bytes": (u32(48, 2**31), "kCountOutOfBounds", 48),
    "too much metadata": (u32(52, 2**26 + 1), "kCountOutOfBounds", 52),
    "reserved header": (octets(63, b"\1"), "kReservedNotZero", None),
    "padding after names": (octets(NAMES + 63, b"\1"), "kReservedNotZero", NAMES + 63),
    "padding after metadata": (octets(METADATA + 63, b"\1"), "kReservedNotZero", METADATA + 63),
    "padding at the end": (octets(len(TINY) - 1, b"\1"), "kReservedNotZero", len(TINY) - 1),
    "empty value name": (u32(VALUES, 0), "kBadName", VALUES),
    "overlong value name": (u32(VALUES, 256), "kBadName", VALUES),
    "names overrun": (u32(VALUES, 200), "kBadName", None),
    "control character": (octets(NAMES, b"\n"), "kBadName", NAMES),
    "delete character": (octets(NAMES, b"\x7f"), "kBadName", NAMES),
    "no features": (u32(VALUES + 4, 0), "kBadValue", VALUES + 4),
    "too many features": (u32(VALUES + 4, 2**20 + 1), "kBadValue", VALUES + 4),
    "value dtype": (u32(VALUES + 8, 2), "kBadValue", VALUES + 8),
    "value rate": (u32(VALUES + 12, 3), "kBadValue", VALUES + 12),
    "value period": (u32(VALUES + 16, 2), "kBadValue", VALUES + 16),
    "period 0": (u32(VALUES + 16, 0), "kBadValue", VALUES + 16),
    "input with a skip": (u32(VALUES + 20, 1), "kBadValue", None),
    "skip": (u32(VALUES + 32 + 20, 2**20 + 1), "kBadValue", VALUES + 52),
    "reserved value": (octets(VALUES + 31, b"\1"), "kReservedNotZero", None),
    "node kind": (u32(NODES, 99), "kUnknownKind", NODES),
    "node kind 0": (u32(NODES, 0), "kUnknownKind", NODES),
    "empty node name": (u32(NODES + 4, 0), "kBadName", NODES + 4),
    "no node inputs": (u32(NODES + 8, 0), "kCountOutOfBounds", NODES + 8),
    "65 node inputs": (u32(NODES + 8, 65), "kCountOutOfBounds", NODES + 8),
    "node output": (u32(NODES + 12, 3), "kBadIndex", NODES + 12),
    "65 attributes": (u32(NODES + 16, 65), "kCountOutOfBounds", NODES + 16),
    "65 node tensors": (u32(NODES + 20, 65), "kCountOutOfBounds", NODES + 20),
    "a tensor less": (u32(NODES + 20, 2), "kMissingTensor", None),
    "reserved node": (octets(NODES + 63, b"\1"), "kReservedNotZero", None),
    "input index": (u32(WORDS, 3), "kBadIndex", WORDS),
    "output index": (u32(WORDS + 4, 2**32 - 1), "kBadIndex", WORDS + 4),
    "read before it is written": (u32(WORDS + 8, 2), "kBadOrder", WORDS + 8),
    "reads itself (a cycle)": (u32(WORDS + 8, 1), "kBadOrder", WORDS + 8),
    "written twice": (u32(NODES + 64 + 12, 1), "kValueNotWritten", NODES + 64 + 12),
    "an input is written": (u32(NODES + 12, 0), "kValueNotWritten", NODES + 12),
    "cell": (u32(WORDS + 12, 2), "kBadAttribute", WORDS + 12),
    "direction": (u32(WORDS + 16, 2), "kBadAttribute", WORDS + 16),
    "output of masked frames": (u32(WORDS + 20, 1), "kBadAttribute", WORDS + 20),
    "activation of the gates": (u32(WORDS + 24, 8), "kBadAttribute", WORDS + 24),
    "alpha of a sigmoid": (u32(WORDS + 28, 1), "kBadAttribute", WORDS + 28),
    "infinite alpha": (
        octets(WORDS + 24, struct.pack("<If", 5, np.inf)),
        "kBadAttribute",
        WORDS + 28,
    ),
    "activation of n": (u32(WORDS + 36, 9), "kBadAttribute", WORDS + 36),
    "activation of dense": (u32(WORDS + 52, 17), "kBadAttribute", WORDS + 52),
    "role": (u32(TENSORS, 77), "kUnknownRole", TENSORS),
    "a role twice": (u32(SECOND, 1), "kMissingTensor", SECOND),
    "next tensor dtype": (u32(TENSORS + 4, 5), "kUnknownDtype", TENSORS + 4),
    "tensor dtype": (u32(TENSORS + 4, 99), "kUnknownDtype", TENSORS + 4),
    "tensor dtype int32": (u32(TENSORS + 4, 1), "kUnknownDtype", TENSORS + 4),
    "layout reserved": (u32(TENSORS + 8, 4), "kUnknownLayout", TENSORS + 8),
    "layout": (u32(TENSORS + 8, 0), "kUnknownLayout", TENSORS + 8),
    "rank 0": (u32(TENSORS + 12, 0), "kBadShape", TENSORS + 12),
    "rank 5": (u32(TENSORS + 12, 5), "kBadShape", TENSORS + 12),
    "rank 1": (u32(TENSORS + 12, 1), "kReservedNotZero", TENSORS + 20),
    "rank 3": (u32(TENSORS + 12, 3), "kBadShape", TENSORS + 24),
    "extent 0": (u32(TENSORS + 16, 0), "kBadShape", TENSORS + 16),
    "extent 2^31": (u32(TENSORS + 20, 2**31), "kBadShape", None),
    "shape wraps to a small one": (octets(TENSORS + 16, b"\0\0\0\x80" * 2), "kBadShape", None),
    "an extent beyond rank": (u32(TENSORS + 24, 1), "kReservedNotZero", TENSORS + 24),
    "no gates": (u32(TENSORS + 32, 0), "kBadShape", TENSORS + 32),
    "gates": (u32(TENSORS + 32, 1), "kBadShape", None),
    "group": (u32(TENSORS + 36, 4), "kBadShape", TENSORS + 36),
    "one group": (u32(TENSORS + 40, 1), "kBadShape", TENSORS + 40),
    "groups": (u32(TENSORS + 40, 3), "kBadShape", None),
    "unused parameter": (u32(TENSORS + 44, 1), "kReservedNotZero", None),
    "offset misaligned": (add(TENSORS + 48, 4), "kMisalignedTensor", TENSORS + 48),
    "offset overlaps the tables": (add(TENSORS + 48, -64), "kOverlappingTensor", TENSORS + 48),
    "offset overlaps": (add(SECOND + 48, -64), "kOverlappingTensor", SECOND + 48),
    "offset leaves a gap": (add(SECOND + 48, 64), "kGap", SECOND + 48),
    "offset 2^64 - 64": (u64(SECOND + 48, 2**64 - 64), "kGap", SECOND + 48),
    "bytes": (add(TENSORS + 56, 4), "kBadShape", TENSORS + 56),
    "bytes 2^64 - 1": (u64(TENSORS + 56, 2**64 - 1), "kBadShape", TENSORS + 56),
    "not a number": (octets(DATA, struct.pack("<f", np.nan)), "kNonfiniteWeight", DATA),
    "infinite": (octets(DATA + 8, struct.pack("<f", -np.inf)), "kNonfiniteWeight", DATA + 8),
    "denormal": (u32(DATA, 1), "kNonfiniteWeight", DATA),
    "test role": (u32(TEST_INPUT, 65), "kUnknownRole", TEST_INPUT),
    "test features": (octets(TEST_INPUT + 16, struct.pack("<2I", 4, 1)), "kBadShape", None),
}

# Fields that the reader checks and the engine lets pass, since it never looks at them.
READER_ONLY: dict[str, tuple[Callable[[bytearray], None], str, int | None]] = {
    "names not UTF-8": (octets(NAMES, b"\xff"), "kBadName", NAMES),
    "padding row": (octets(DATA + 12, struct.pack("<f", -0.0)), "kReservedNotZero", DATA + 12),
}


UNSUPPORTED = ("kNewerVersion", "kUnknownKind", "kUnknownDtype", "kUnknownLayout", "kUnknownRole")


@pytest.mark.parametrize("name", HOSTILE | READER_ONLY)
def test_hostile_field_with_a_good_checksum(name: str) -> None:
    change, status, offset = (HOSTILE | READER_ONLY)[name]
    file = bytearray(TINY)
    change(file)
    error = grucore.UnsupportedError if status in UNSUPPORTED else grucore.FormatError
    data = resealed(file)
    with pytest.raises(error) as refusal:
        fileformat.read(data)
    assert f"({status})" in str(refusal.value)
    if offset is not None:
        assert str(refusal.value).startswith(f"byte {offset:#x}: ")
    if name in HOSTILE:
        with pytest.raises(error, match=status):
            grucore.load(data)


def test_the_other_cell() -> None:
    """It has other tensors: the reader counts them, the engine looks at their shapes."""
    file = bytearray(TINY)
    u32(WORDS + 12, 1)(file)
    for reader, status in ((fileformat.read, "kMissingTensor"), (grucore.load, "kBadShape")):
        with pytest.raises(grucore.FormatError, match=status):
            reader(resealed(file))


def test_reader_and_engine_agree_on_every_word() -> None:
    """Every 32-bit field of the tables set to extremes: both refuse, by the same class, or none."""
    for offset in range(24, DATA, 4):
        for value in (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1):
            file = bytearray(TINY)
            struct.pack_into("<I", file, offset, value)
            data = resealed(file)
            outcomes = []
            for reader in (fileformat.read, grucore.load):
                try:
                    reader(data)
                    outcomes.append("")
                except grucore.GrucoreError as error:
                    outcomes.append(type(error).__name__)
            if NAMES <= offset < DATA:
                continue  # UTF-8 and JSON are the matter of the reader alone
            assert outcomes[0] == outcomes[1], (hex(offset), value)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_reader_and_engine_agree_on_every_word_of_a_kind(kind: str) -> None:
    """Every word of the tables but the header's: both refuse, or none."""
    data = fileformat.write(make(kind, 3))
    values, nodes, tensors, _, _, words = struct.unpack_from("<6I", data, 24)
    start = aligned(aligned(64 + 32 * values) + 64 * nodes)
    stop = aligned(start + 64 * tensors) + 4 * words
    for offset in range(64, stop, 4):
        (old,) = struct.unpack_from("<I", data, offset)
        for value in {0, 1, 2, 3, old + 1, 2**31, 0x7F800000} - {old}:
            file = bytearray(data)
            struct.pack_into("<I", file, offset, value % 2**32)
            resealed_file = resealed(file)
            refused = []
            for reader in (fileformat.read, grucore.load):
                try:
                    reader(resealed_file)
                    refused.append(False)
                except grucore.GrucoreError:
                    refused.append(True)
            assert refused[0] == refused[1], (hex(offset), hex(value))


def layers_graph() -> Graph:
    """A leaky relu with slopes (node 0), a selection (1), an embedding (2), a convolution (3)."""
    chain = Chain(Value("x", 4), Value("ids", 1, Dtype.INT32))
    x, ids = chain.values.values()
    slope = np.full(4, 0.5, np.float32)
    first = chain.add(Activate, x, activation=Activation.leaky_relu(0), slope=slope)
    second = chain.add(Select, first, index=np.array([0, 3, 1], np.int32))
    third = chain.add(Embedding, ids, table=np.ones((2, 3), np.float32))
    weight, bias = np.ones((4, 2, 2), np.float32), np.ones(4, np.float32)
    fourth = chain.add(Conv1d, x, weight=weight, bias=bias, groups=2, before=1)
    return chain.graph(second, third, fourth)


LAYERS = fileformat.write(layers_graph())
# Two inputs, three outputs; then of each node what it reads, and its attributes.
LAYER_WORDS = aligned(aligned(aligned(64 + 32 * 6) + 64 * 4) + 64 * 5)
SLOPE, CONV = LAYER_WORDS + 4 * 6, LAYER_WORDS + 4 * 12
LAYER_TENSORS = aligned(64 + 32 * 6) + 64 * 4  # slope, index, table, bias, weight
INDEX, TABLE, CONV_BIAS = (LAYER_TENSORS + 64 * place for place in (1, 2, 3))
INDEX_DATA = struct.unpack_from("<Q", LAYERS, INDEX + 48)[0]

LAYERS_HOSTILE: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "a slope without leaky relu": (u32(SLOPE, 1), "kBadAttribute"),
    "an index out of range": (u32(INDEX_DATA + 4, 4), "kBadIndex"),
    "a negative index": (u32(INDEX_DATA + 4, 2**32 - 1), "kBadIndex"),
    "a table of ints": (u32(TABLE + 4, 1), "kUnknownDtype"),
    "a table in row order": (u32(TABLE + 8, 1), "kBadShape"),
    "no taps": (u32(CONV, 0), "kBadAttribute"),
    "taps": (u32(CONV, 3), "kBadShape"),
    "no dilation": (u32(CONV + 4, 0), "kBadAttribute"),
    "dilation": (u32(CONV + 4, 2), "kBadShape"),
    "too long a reach": (octets(CONV, struct.pack("<2I", 65536, 65536)), "kBadAttribute"),
    "no stride": (u32(CONV + 8, 0), "kBadAttribute"),
    "stride": (u32(CONV + 8, 2), "kBadShape"),
    "no groups": (u32(CONV + 12, 0), "kBadAttribute"),
    "groups that do not divide": (u32(CONV + 12, 3), "kBadShape"),
    "other groups": (u32(CONV + 12, 1), "kBadShape"),
    "too much before": (u32(CONV + 16, 2), "kBadAttribute"),
    "before and after": (u32(CONV + 20, 1), "kBadAttribute"),
    "groups of the bias": (u32(CONV_BIAS + 40, 4), "kBadShape"),
}


@pytest.mark.parametrize("name", LAYERS_HOSTILE)
def test_hostile_layers(name: str) -> None:
    change, status = LAYERS_HOSTILE[name]
    file = bytearray(LAYERS)
    change(file)
    data = resealed(file)
    for reader in (fileformat.read, grucore.load):
        with pytest.raises(grucore.GrucoreError, match=status):
            reader(data)


def test_metadata_that_is_no_object() -> None:
    for text in (b"[1]" + b" " * 16, b'{"producer":"tes\xff"}', b"{" * 19):
        file = bytearray(TINY)
        file[METADATA : METADATA + 19] = text.ljust(19)[:19]
        with pytest.raises(grucore.FormatError, match="metadata is not a JSON object"):
            fileformat.read(resealed(file))
