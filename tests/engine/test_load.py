# SPDX-License-Identifier: Apache-2.0
"""Loading: paths, bytes, maps, instruction sets, and refusals that say where and why."""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import re
import stat
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore import _core
from grucore.fileformat import layout, write
from grucore.graph.graph import Graph
from grucore.graph.layers import Conv1d, Embedding
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype, Role
from models.quantized_models import requantized
from models.small_models import frames_graph


@pytest.fixture
def path(tmp_path: Path, frames_file: bytes) -> Path:
    place = tmp_path / "model.gru"
    place.write_bytes(frames_file)
    return place


def with_checksum(data: bytearray) -> bytes:
    struct.pack_into("<I", data, layout.CRC_OFFSET, layout.checksum(data))
    return bytes(data)


@pytest.mark.parametrize("kind", [str, Path, os.fsencode, bytes, bytearray, memoryview])
@pytest.mark.parametrize("map_it", [False, True])
def test_a_path_or_bytes(path: Path, frames_file: bytes, kind: Any, map_it: bool) -> None:
    if kind in (bytes, bytearray, memoryview):
        source = kind(frames_file)
        if map_it:
            with pytest.raises(
                ValueError, match="mmap=True maps a file: it needs a path, not bytes"
            ):
                grucore.load(source, mmap=True)
            return
    elif kind is os.fsencode:
        with pytest.raises(grucore.FormatError):  # bytes are contents, never a path
            grucore.load(os.fsencode(path))
        return
    else:
        source = kind(path)
    x = np.ones((4, 5), np.float32)
    expected = grucore.load(frames_file).run(x)
    assert np.array_equal(grucore.load(source, mmap=map_it).run(x), expected)


def test_bytes_need_no_alignment(frames_file: bytes) -> None:
    for shift in (1, 3, 32):
        view = memoryview(bytes(shift) + frames_file)[shift:]
        assert bytes(grucore.load(view)) == frames_file


def test_an_open_map_can_be_loaded(path: Path, frames_file: bytes) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert bytes(grucore.load(mapped)) == frames_file


def test_the_source_may_go_away(path: Path, frames_file: bytes) -> None:
    buffer = bytearray(frames_file)
    copied, read = grucore.load(buffer), grucore.load(path)
    expected = copied.run(np.ones((4, 5)))
    buffer[:] = bytes(len(buffer))
    path.unlink()
    assert np.array_equal(copied.run(np.ones((4, 5))), expected)
    assert np.array_equal(read.run(np.ones((4, 5))), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be removed there")
def test_a_map_outlives_its_name(path: Path) -> None:
    model = grucore.load(path, mmap=True)
    expected = model.run(np.ones((4, 5)))
    path.unlink()
    gc.collect()
    stream = model.stream()
    del model
    gc.collect()
    assert np.array_equal(stream.run(np.ones((4, 5))), expected)


def test_the_tables_of_a_mapped_file_are_read_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    table = rng.uniform(-1, 1, (7, 4)).astype(np.float32)
    weight = rng.uniform(-1, 1, (5, 3, 4)).astype(np.float32)
    ids, rows, y = Value("ids", 1, Dtype.INT32), Value("rows", 4), Value("y", 5)
    graph = Graph(
        values=(ids, rows, y),
        inputs=("ids",),
        outputs=("y",),
        nodes=(
            Embedding(name="table", inputs=("ids",), output="rows", table=table),
            Conv1d(
                name="conv",
                inputs=("rows",),
                output="y",
                weight=weight,
                bias=np.zeros(5, np.float32),
                before=2,
            ),
        ),
    )
    data = write(graph)
    place = tmp_path / "model.gru"
    place.write_bytes(data)
    expected = grucore.load(data).run([3, 6, 0])
    model = grucore.load(place, mmap=True)
    with place.open("r+b") as file:  # where its tables were
        file.write(b"\xff" * data.index(table[0].tobytes()))
    assert np.array_equal(model.run([3, 6, 0]), expected)
    assert [shape for _, shape, _ in model._states()] == [(2, 4)]
    with pytest.raises(ValueError, match="7"):
        model.run([7])


@pytest.mark.parametrize("source", [None, 3, 1.5, ["model.gru"], object()])
def test_what_is_neither_path_nor_bytes(source: Any) -> None:
    with pytest.raises(TypeError, match="a model is loaded from a path or from bytes, not"):
        grucore.load(source)


def test_a_strided_buffer_is_refused(frames_file: bytes) -> None:
    with pytest.raises(ValueError, match="do not lie in one piece"):
        grucore.load(memoryview(frames_file)[::2])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.gru"):
        grucore.load(tmp_path / "missing.gru")
    with pytest.raises((IsADirectoryError, PermissionError)):
        grucore.load(tmp_path)
    with pytest.raises(ValueError, match="null"):
        grucore.load("model\0.gru")


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFO there")
def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.gru"
    os.mkfifo(fifo)
    with pytest.raises(OSError, match=r"pipe\.gru: not a regular file; read it and load the bytes"):
        grucore.load(fifo)


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="permissions do not bind here",
)
def test_a_file_without_permission(path: Path) -> None:
    path.chmod(stat.S_IWUSR)
    with pytest.raises(PermissionError):
        grucore.load(path)


@pytest.mark.parametrize("map_it", [False, True])
def test_an_empty_file(tmp_path: Path, map_it: bool) -> None:
    place = tmp_path / "empty.gru"
    place.touch()
    with pytest.raises(grucore.FormatError, match=r"empty\.gru: byte 0x0: the file ends") as caught:
        grucore.load(place, mmap=map_it)
    assert (caught.value.status, caught.value.offset) == ("kTruncated", 0)


def test_a_huge_file_that_is_no_model_is_not_read(tmp_path: Path) -> None:
    place = tmp_path / "disk.img"
    with place.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(grucore.FormatError, match="kBadMagic"):
        grucore.load(place)


def test_a_refusal_says_where_what_and_why(tmp_path: Path, frames_file: bytes) -> None:
    data = bytearray(frames_file)
    struct.pack_into("<I", data, 24, 5000)
    place = tmp_path / "model.gru"
    place.write_bytes(with_checksum(data))
    with pytest.raises(grucore.FormatError) as caught:
        grucore.load(place)
    assert str(caught.value) == (
        f"{place}: byte 0x18: a count is out of bounds: found 5000, expected at most 4096 "
        "(kCountOutOfBounds)"
    )
    assert (caught.value.status, caught.value.offset) == ("kCountOutOfBounds", 0x18)
    assert isinstance(caught.value, ValueError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.status) == (str(caught.value), "kCountOutOfBounds")


def test_a_refusal_names_the_node(frames_file: bytes) -> None:
    data = bytearray(frames_file)
    cell = (
        640 + 4 * 3
    )  # the words start there: inputs, outputs, what the node reads, its attributes
    assert struct.unpack_from("<7I", data, 640) == (0, 2, 0, 0, 0, 0, 1)
    struct.pack_into("<I", data, cell, 9)
    with pytest.raises(grucore.FormatError, match=r"found 9, .*\(kBadAttribute, node 'gru.l0'\)"):
        grucore.load(with_checksum(data))


def test_a_refusal_names_the_tensor(frames_file: bytes) -> None:
    data = bytearray(frames_file)
    struct.pack_into("<f", data, len(data) - 64, float("nan"))  # the last tensor is linear's weight
    with pytest.raises(
        grucore.FormatError, match=r"found 0x7fc00000 \(kNonfiniteWeight.*, tensor wei"
    ):
        grucore.load(with_checksum(data))


def test_every_role_has_its_name_in_a_refusal(rng: np.random.Generator) -> None:
    graph = requantized(rng, frames_graph(), [(Dtype.INT8, 16)], ranged=False)
    data = bytearray(write(graph))
    values, nodes = struct.unpack_from("<2I", data, 24)
    tensors = layout.aligned(layout.aligned(64 + 32 * values) + 64 * nodes)
    places = {}
    for at in range(tensors, len(data), 64):
        role = struct.unpack_from("<I", data, at)[0]
        if role not in list(Role):
            break
        places[Role(role)] = at
    assert Role.WEIGHT_IH_SCALE in places
    for role, at in places.items():
        changed = bytearray(data)
        struct.pack_into("<I", changed, at + 4, 9)
        with pytest.raises(grucore.UnsupportedError) as caught:
            grucore.load(with_checksum(changed))
        assert str(caught.value).endswith(f", tensor {role.name.lower()})")
        assert ", node '" in str(caught.value)


def test_a_flipped_bit_is_a_checksum(frames_file: bytes) -> None:
    data = bytearray(frames_file)
    data[-70] ^= 4
    with pytest.raises(grucore.FormatError, match=r"<bytes>: byte 0xc: .*\(kBadChecksum\)"):
        grucore.load(data)


def test_a_newer_version_is_unsupported(frames_file: bytes) -> None:
    data = bytearray(frames_file)
    struct.pack_into("<I", data, 8, 2)
    with pytest.raises(grucore.UnsupportedError, match="found 2, expected at most 1") as caught:
        grucore.load(with_checksum(data))
    assert caught.value.status == "kNewerVersion"


def test_every_prefix_is_refused(frames_file: bytes) -> None:
    for length in range(len(frames_file)):
        with pytest.raises(grucore.FormatError, match=r"kTruncated|kBadMagic"):
            grucore.load(frames_file[:length])


def test_isas_are_named_best_first() -> None:
    isas = grucore.supported_isas()
    assert {"scalar", "scalar_muladd"} <= set(isas)
    assert isas[-1] == "scalar_muladd"


@pytest.mark.parametrize("isa", ["avx", "AVX2", "best", " scalar"])
def test_an_unknown_isa_is_an_error_never_a_fallback(
    frames_file: bytes, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = f"isa '{isa}' is not supported by this machine and this build: choose from .*scalar"
    with pytest.raises(grucore.UnsupportedError, match=message):
        grucore.load(frames_file, isa=isa)
    monkeypatch.setenv("GRUCORE_ISA", isa)
    with pytest.raises(grucore.UnsupportedError, match=message):
        grucore.load(frames_file)


def test_the_environment_forces_an_isa_and_the_argument_wins(
    frames_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRUCORE_ISA", "scalar_muladd")
    model = grucore.load(frames_file)
    assert (model.isa, model.numerics) == ("scalar_muladd", "muladd")
    assert grucore.load(frames_file, isa="scalar").isa == "scalar"
    monkeypatch.setenv("GRUCORE_ISA", "")
    assert grucore.load(frames_file).isa == grucore.supported_isas()[0]


def test_every_status_has_its_error() -> None:
    rows = _core._status_table()
    assert rows[0] == ("kOk", "None", "ok")
    assert len({name for name, _, _ in rows}) == len(rows)
    assert {error for _, error, _ in rows[1:]} == {"Format", "Unsupported", "Value"}
    assert all(meaning for _, _, meaning in rows)
    listed = Path(__file__).parents[2] / "cpp/include/grucore/status.inc"
    if listed.exists():
        lines = listed.read_text().splitlines()
        names = [re.match(r"GRUCORE_STATUS\((\w+),", line) for line in lines]
        assert [name for name, _, _ in rows] == [match[1] for match in names if match]


def test_errors_have_their_bases() -> None:
    for error, base in {
        grucore.FormatError: ValueError,
        grucore.ConversionError: ValueError,
        grucore.StreamBusyError: RuntimeError,
        grucore.NonFiniteError: ArithmeticError,
        grucore.UnsupportedError: Exception,
    }.items():
        assert issubclass(error, grucore.GrucoreError)
        assert issubclass(error, base)
        assert error.__module__ == "grucore"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_loads_that_fail_leak_nothing(tmp_path: Path) -> None:
    data = bytearray(write(frames_graph(64, 128, 16)))
    data[-1] ^= 1
    place = tmp_path / "model.gru"
    place.write_bytes(data)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    for warm in (True, False):
        before = resident()
        for _ in range(200):
            for map_it in (False, True):
                with pytest.raises(grucore.GrucoreError):
                    grucore.load(place, mmap=map_it)
        if not warm:
            assert resident() - before < len(data) * 20
