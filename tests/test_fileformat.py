# SPDX-License-Identifier: Apache-2.0
"""The .gru file: what is written is read back, and every damaged or hostile file is refused."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grucore
from grucore import fileformat
from grucore.fileformat.crc32c import crc32c
from grucore.ir import Cell, Graph, TestVector, Value
from small_models import GRAPHS, bidirectional_graph, frames_graph, gru, last_graph


def same_graph(one: Graph, other: Graph) -> bool:
    """Whether all fields are equal, arrays by bits."""
    if (one.values, one.inputs, one.outputs) != (other.values, other.inputs, other.outputs):
        return False
    if dict(one.metadata) != dict(other.metadata) or len(one.nodes) != len(other.nodes):
        return False
    for a, b in zip(one.nodes, other.nodes, strict=True):
        fields = [(x.name, x.inputs, x.output, x.attributes, type(x)) for x in (a, b)]
        if fields[0] != fields[1]:
            return False
        if [t.tobytes() for t in a.tensors().values()] != [
            t.tobytes() for t in b.tensors().values()
        ]:
            return False
    tests = [
        None if g.test is None else [t.tobytes() for t in (*g.test.inputs, *g.test.outputs)]
        for g in (one, other)
    ]
    return tests[0] == tests[1]


def resealed(file: bytearray) -> bytes:
    """The bytes with a checksum that fits them."""
    file[12:16] = bytes(4)
    struct.pack_into("<I", file, 12, crc32c(file))
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


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_round_trip(name: str) -> None:
    graph = GRAPHS[name]()
    file = fileformat.write(graph)
    assert len(file) % 64 == 0
    assert same_graph(fileformat.read(file), graph)
    assert fileformat.write(fileformat.read(file)) == file


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cell=st.sampled_from(Cell),
    reverse=st.booleans(),
    name=st.text(st.characters(min_codepoint=0x20, exclude_characters="\x7f"), min_size=1).filter(
        lambda text: len(text.encode()) < 250
    ),
    metadata=st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
    frames=st.integers(0, 3),
)
def test_any_graph_survives(
    sizes: tuple[int, int],
    cell: Cell,
    reverse: bool,
    name: str,
    metadata: dict[str, object],
    frames: int,
) -> None:
    rng = np.random.default_rng(0)
    node = gru(rng, name, ("x", sizes[0]), sizes[1], cell=cell, reverse=reverse)
    graph = Graph(
        values=(Value("x", sizes[0]), Value(node.output, sizes[1])),
        inputs=("x",),
        outputs=(node.output,),
        nodes=(node,),
        metadata=metadata,
        test=TestVector(
            (np.ones((frames, sizes[0]), np.float32),),
            (np.ones((frames, sizes[1]), np.float32),),
        )
        if frames
        else None,
    )
    file = fileformat.write(graph)
    assert same_graph(fileformat.read(file), graph)
    assert grucore.load(file).nbytes == len(file)


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

# What is changed, the status, and the offset where the reader sees it (None: not pinned down).
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
    "a word more": (u32(44, 10), "kGap", None),
    "too many name bytes": (u32(48, 2**31), "kCountOutOfBounds", 48),
    "too much metadata": (u32(52, 2**26 + 1), "kCountOutOfBounds", 52),
    "reserved header": (octets(63, b"\1"), "kReservedNotZero", None),
    "padding after words": (octets(WORDS + 63, b"\1"), "kReservedNotZero", WORDS + 63),
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
    "activation of the gates": (u32(WORDS + 20, 2), "kBadAttribute", WORDS + 20),
    "activation of n": (u32(WORDS + 24, 9), "kBadAttribute", WORDS + 24),
    "activation of dense": (u32(WORDS + 32, 4), "kBadAttribute", WORDS + 32),
    "the other cell": (u32(WORDS + 12, 1), "kMissingTensor", None),
    "role": (u32(TENSORS, 77), "kUnknownRole", TENSORS),
    "a role twice": (u32(SECOND, 1), "kMissingTensor", SECOND),
    "tensor dtype float16": (u32(TENSORS + 4, 2), "kUnknownDtype", TENSORS + 4),
    "tensor dtype": (u32(TENSORS + 4, 99), "kUnknownDtype", TENSORS + 4),
    "tensor dtype int32": (u32(TENSORS + 4, 1), "kUnknownDtype", TENSORS + 4),
    "layout reserved": (u32(TENSORS + 8, 3), "kUnknownLayout", TENSORS + 8),
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
    "test role": (u32(TEST_INPUT, 65), "kUnknownRole", TEST_INPUT),
    "test features": (octets(TEST_INPUT + 16, struct.pack("<2I", 4, 1)), "kBadShape", None),
}

# What the reader checks and the engine, which never looks at it or need not, lets pass.
READER_ONLY: dict[str, tuple[Callable[[bytearray], None], str, int | None]] = {
    "names not UTF-8": (octets(NAMES, b"\xff"), "kBadName", NAMES),
    "denormal": (u32(DATA, 1), "kNonfiniteWeight", DATA),
    "padding row": (octets(DATA + 12, struct.pack("<f", -0.0)), "kReservedNotZero", DATA + 12),
}


@pytest.mark.parametrize("name", HOSTILE | READER_ONLY)
def test_hostile_field_with_a_good_checksum(name: str) -> None:
    change, status, offset = (HOSTILE | READER_ONLY)[name]
    file = bytearray(TINY)
    change(file)
    unsupported = status in ("kNewerVersion", *(f"kUnknown{x}" for x in UNKNOWN))
    error = grucore.UnsupportedError if unsupported else grucore.FormatError
    data = resealed(file)
    with pytest.raises(error) as refusal:
        fileformat.read(data)
    assert f"({status})" in str(refusal.value)
    if offset is not None:
        assert str(refusal.value).startswith(f"byte {offset:#x}: ")
    if name in HOSTILE:
        with pytest.raises(error, match=status):
            grucore.load(data)


UNKNOWN = ("Kind", "Dtype", "Layout", "Role")


# Names and metadata apart, where UTF-8 and JSON are the reader's matter: activations of the gates.
ENGINE_LETS_PASS = {(WORDS + 20, 0), (WORDS + 24, 0)}


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
            if NAMES <= offset < DATA or (offset, value) in ENGINE_LETS_PASS:
                continue
            assert outcomes[0] == outcomes[1], (hex(offset), value)


def test_metadata_that_is_no_object() -> None:
    for text in (b"[1]" + b" " * 16, b'{"producer":"tes\xff"}', b"{" * 19):
        file = bytearray(TINY)
        file[METADATA : METADATA + 19] = text.ljust(19)[:19]
        with pytest.raises(grucore.FormatError, match="metadata is not a JSON object"):
            fileformat.read(resealed(file))


def test_writer_zeroes_denormal_weights_and_says_so() -> None:
    graph = frames_graph(features=2, hidden_size=3, out=1)
    weight = graph.nodes[0].tensors()[1].copy()  # type: ignore[index]
    weight[0, 0], weight[1, 1] = 1e-40, -1e-45
    nodes = (replace(graph.nodes[0], weight_ih=weight), *graph.nodes[1:])
    once = fileformat.read(fileformat.write(replace(graph, nodes=nodes)))
    assert once.metadata["denormal_weights_zeroed"] == 2
    assert np.count_nonzero(once.nodes[0].tensors()[1] == 0) == 2  # type: ignore[index]
    assert fileformat.read(fileformat.write(once)).metadata == once.metadata


def test_writer_names_the_tensor_that_is_not_finite() -> None:
    graph = frames_graph()
    bias = graph.nodes[1].tensors()[4].copy()  # type: ignore[index]
    bias[2] = np.inf
    nodes = (graph.nodes[0], replace(graph.nodes[1], bias=bias))
    with pytest.raises(grucore.ConversionError, match=r"linear\.bias has 1 infinite .* \(2,\)"):
        fileformat.write(replace(graph, nodes=nodes))


def _broken_graphs() -> dict[str, tuple[Graph, str]]:
    graph, last = frames_graph(), last_graph()
    first = graph.nodes[0]
    return {
        "shape": (
            replace(graph, values=(Value("x", 6), *graph.values[1:])),
            r"gru\.l0\.weight_ih has shape \(21, 5\), expected \(21, 6\)",
        ),
        "order": (replace(graph, nodes=graph.nodes[::-1]), "which no earlier node writes"),
        "unknown output": (replace(graph, outputs=("z",)), "output 'z' is not among the values"),
        "nobody writes": (
            replace(graph, values=(*graph.values, Value("z", 1))),
            "value 'z' is neither",
        ),
        "two values": (replace(graph, values=(*graph.values, Value("x", 1))), "called 'x'"),
        "name": (replace(graph, nodes=(replace(first, name="a\n"), *graph.nodes[1:])), "control"),
        "rate": (
            replace(last, values=(*last.values[:2], Value("last", 7), *last.values[3:])),
            "node 'take': value 'last' has rate FRAME",
        ),
        "metadata": (replace(graph, metadata={"a": float("nan")}), "cannot be written as JSON"),
        "float64": (
            replace(graph, nodes=(replace(first, bias=first.bias.astype(float)), graph.nodes[1])),
            "dtype float64",
        ),
    }


@pytest.mark.parametrize("name", sorted(_broken_graphs()))
def test_broken_graphs_are_not_written(name: str) -> None:
    graph, message = _broken_graphs()[name]
    with pytest.raises(grucore.ConversionError, match=message):
        fileformat.write(graph)


def test_counts_of_a_graph() -> None:
    graph = bidirectional_graph(features=5, hidden_size=7)
    assert graph.multiply_adds_per_frame == 2 * 3 * 7 * (5 + 7)
    assert graph.parameter_count == 2 * (21 * 5 + 21 * 7 + 28)
    assert graph.parameter_bytes == 4 * graph.parameter_count
    assert not graph.streamable
    assert graph.first_unstreamable is graph.nodes[1]
    # The output layer of this one runs once per sequence, not once per frame.
    assert last_graph().multiply_adds_per_frame == 3 * 7 * (5 + 7)
    assert grucore.load(fileformat.write(graph)) is not None


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 63, 64, 1000, 4099])
def test_crc32c_against_one_bit_at_a_time(size: int, rng: np.random.Generator) -> None:
    message = rng.bytes(size)
    register = 0xFFFFFFFF
    for octet in message:
        register ^= octet
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    assert crc32c(message) == register ^ 0xFFFFFFFF


def test_crc32c_of_large_messages_in_pieces(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crc32c(b"123456789") == 0xE3069283
    message = rng.bytes(300_001)
    whole = crc32c(message)
    monkeypatch.setattr("grucore.fileformat.crc32c.PIECE_WORDS", 1 << 14)
    assert crc32c(message) == whole


def test_save_replaces_the_file_or_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.gru"
    fileformat.save(path, b"old")
    fileformat.save(path, b"new")
    assert path.read_bytes() == b"new"

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        fileformat.save(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are those of POSIX")
def test_save_follows_links_and_keeps_modes(tmp_path: Path) -> None:
    path, link = tmp_path / "model.gru", tmp_path / "link.gru"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    fileformat.save(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
