# SPDX-License-Identifier: Apache-2.0
"""Our HDF5 reader: what h5py writes and reads, and structures that refer to themselves."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grucore import ConversionError
from grucore.converters.containers.hdf5.file import Hdf5, open_hdf5
from grucore.converters.keras import convert as converter
from models.readers import keras_source
from oracle.oracles import oracle

h5py = oracle("h5py")

GOLDEN = Path(__file__).parents[2] / "golden" / "keras"
FILES = sorted(path for path in GOLDEN.iterdir() if path.suffix in (".keras", ".h5"))
SECONDS = 5.0  # of a file of some kilobytes, on a busy machine


def content_of(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            data = archive.read("model.weights.h5")
    return data


def agree(data: bytes) -> int:
    """Compare everything that h5py finds with ours: how many things there were."""
    ours, paths, compared = open_hdf5(data), [], 0

    def visit(path: str, found: Any) -> None:
        nonlocal compared
        for name, value in found.attrs.items():
            compared += _same_texts(ours, path, name, value)
        if isinstance(found, h5py.Dataset):
            paths.append(path)
            array, expected = ours.array(path), found[()]
            assert array.dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(array, expected)
            compared += 1
        else:
            assert ours.names(path) == list(found)

    with h5py.File(io.BytesIO(data)) as file:
        visit("", file)
        file.visititems(visit)
    assert sorted(ours.datasets()) == sorted(paths)
    return compared


def _same_texts(ours: Hdf5, path: str, name: str, value: Any) -> int:
    if isinstance(value, str | bytes):
        assert ours.text(path, name) == (value.decode() if isinstance(value, bytes) else value)
    elif isinstance(value, np.ndarray) and (value.dtype.kind in "SO" or value.size == 0):
        texts = [each.decode() if isinstance(each, bytes) else each for each in value.reshape(-1)]
        assert ours.texts(path, name) == texts
    else:
        return 0
    return 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_golden_files_as_h5py_reads_them(path: Path) -> None:
    assert agree(content_of(path)) > 5


def everything(libver: str) -> bytes:
    """Numbers of every type, in pieces and chunks, with every filter, and texts of every kind."""
    target, generator = io.BytesIO(), np.random.default_rng(0)
    with h5py.File(target, "w", libver=(libver, "latest")) as file:
        group = file.create_group("a/b/c")
        for dtype in ("f4", ">f4", "f2", "f8", "i4", ">i8", "u1"):
            group.create_dataset(dtype, data=(generator.normal(size=(5, 7)) * 50).astype(dtype))
        numbers = generator.normal(size=(5, 7)).astype("f4")
        for place, options in enumerate(
            (
                {"chunks": (2, 3)},
                {"chunks": (5, 7), "compression": 4},
                {"chunks": (2, 3), "compression": 9, "shuffle": True},
                {"chunks": (3, 2), "shuffle": True, "fletcher32": True},
                {"chunks": (3, 2), "shuffle": True, "fletcher32": True, "compression": 1},
            )
        ):
            if libver != "v110" or place == 1:  # later ones index chunks in other ways
                file.create_group(f"chunks{place}").create_dataset("x", data=numbers, **options)
        last = file.create_dataset("empty", data=np.zeros((0, 3), "f4"))
        last.attrs["text"], last.attrs["none"] = "text", np.array([])
        last.attrs["free"], last.attrs["fixed"] = ["a", "bc"], np.array([b"a", b"bcd"])
        if libver == "earliest":
            for number in range(200):
                group.create_dataset(f"more{number}", data=np.float32(number))
            file.attrs["long"], file.attrs["many"] = "ü" * 200_000, [b"abc"] * 3000
    return target.getvalue()


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110"])
def test_formats_of_the_library(libver: str) -> None:
    assert agree(everything(libver)) >= 13


def test_a_wrong_sum_and_a_truncated_chunk_are_damage() -> None:
    data = bytearray(everything("earliest"))
    with h5py.File(io.BytesIO(bytes(data))) as file:
        at = file["chunks3/x"].id.get_chunk_info(0).byte_offset
        deflated = file["chunks1/x"].id.get_chunk_info(0).byte_offset
    data[at] ^= 1
    with pytest.raises(ConversionError, match="'chunks3/x' is damaged: the sum of a chunk"):
        open_hdf5(bytes(data)).array("chunks3/x")
    data[deflated + 20 : deflated + 40] = bytes(20)
    with pytest.raises(ConversionError, match=r"'chunks1/x' (is damaged|has another size)"):
        open_hdf5(bytes(data)).array("chunks1/x")


def test_what_the_newest_format_alone_has_is_refused_with_a_way_out() -> None:
    target = io.BytesIO()
    with h5py.File(target, "w", libver="latest") as file:
        for number in range(40):
            file.create_dataset(f"x{number}", data=np.zeros(3))
    with pytest.raises(ConversionError, match=r"fractal heap.*copy the groups into a new file"):
        list(open_hdf5(target.getvalue()).datasets())


def put(data: bytes, at: int, *numbers: int) -> bytes:
    new = struct.pack(f"<{len(numbers)}Q", *numbers)
    return data[:at] + new + data[at + len(new) :]


def refused(data: bytes, reason: str) -> None:
    started = time.process_time()
    with pytest.raises(ConversionError, match=reason):
        converter.graph_of_source(keras_source(data, "x.h5"))
    assert time.process_time() - started < SECONDS


LEGACY = (GOLDEN / "keras2_layout.h5").read_bytes()


def test_free_space_of_no_bytes() -> None:
    """HDF5's own library reads such a heap for ever, and no signal ends it."""
    heap = LEGACY.index(b"GCOL")
    at, end = heap + 16, heap + struct.unpack_from("<Q", LEGACY, heap + 8)[0]
    while struct.unpack_from("<H", LEGACY, at)[0]:
        at += 16 + -(-struct.unpack_from("<Q", LEGACY, at + 8)[0] // 8) * 8
    assert at < end
    refused(put(LEGACY, at + 8, 0), "0 bytes of free space")
    refused(put(LEGACY, at + 8, 2**62), "bytes of free space")
    refused(put(LEGACY, heap + 24, 2**63), "object 1 of a heap")
    refused(put(LEGACY, heap + 8, 2**40), "a heap of 1099511627776 bytes")


def test_trees_and_headers_that_point_at_themselves() -> None:
    trees = [at for at in range(len(LEGACY)) if LEGACY[at : at + 4] == b"TREE"]
    for at in trees:
        inner = LEGACY[: at + 5] + b"\x01" + LEGACY[at + 6 :]  # a node above others
        refused(put(inner, at + 32, at), "points at itself|of level 1")
    header = struct.unpack_from("<Q", LEGACY, 64)[0]
    loop = struct.pack("<HHBxxxQQ", 0x10, 16, 0, header + 16, 24)
    endless = LEGACY[: header + 2] + b"\xff\xff" + LEGACY[header + 4 : header + 16]
    refused(endless + loop + LEGACY[header + 40 :], "a header repeats itself|damaged")


def test_sizes_that_no_file_has() -> None:
    for at in range(0, len(LEGACY) - 8, 8):
        for number in (2**40, 2**63, 2**64 - 2):
            started = time.process_time()
            try:
                converter.graph_of_source(keras_source(put(LEGACY, at, number), "x.h5"))
            except ConversionError:
                pass
            else:
                assert put(LEGACY, at, number) != LEGACY
            assert time.process_time() - started < SECONDS
