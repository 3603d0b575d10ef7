# SPDX-License-Identifier: Apache-2.0
"""Reads `.npz` and `.npy` as numpy writes them: plain numbers, and never a pickle.

numpy's own reader takes memory on the word of a header; this one looks at the file's size first.
"""

from __future__ import annotations

import ast
import zipfile
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.budget import Budget
from grucore.converters.containers.zip import DAMAGED, checked_entries, read_entry
from grucore.graph.tensors import Array

__all__ = ["NPY_START", "load_npy", "load_npz"]

NPY_START = b"\x93NUMPY"
MAX_HEADER = 1 << 20
MAX_AXES = 8
MAX_ARRAYS = 1 << 16
# A dtype is a byte order and one of these: a kind with its size.
CODES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
OBJECTS = (
    "which are pickled Python objects and never loaded: np.savez('model.npz', **{name: "
    "tensor.numpy() for name, tensor in state_dict.items()}) writes plain arrays"
)


def load_npz(archive: zipfile.ZipFile, file_bytes: int) -> dict[str, Array]:
    """The arrays of an archive by name, in its order; raises `ConversionError`."""
    try:
        entries = checked_entries(archive, file_bytes)
        if len(entries) > MAX_ARRAYS:
            raise ConversionError(f"{len(entries)} arrays, expected at most {MAX_ARRAYS}")
        budget = Budget(file_bytes)
        found: dict[str, Array] = {}
        for entry, info in entries.items():
            name = entry.removesuffix(".npy")
            found[name] = _one_array(read_entry(archive, info, budget), name)
        return found
    except ConversionError:
        raise
    except DAMAGED as error:
        raise ConversionError(f"the .npz archive is damaged: {error}") from None


def load_npy(data: bytes) -> dict[str, Array]:
    """The fields of a structured array by name: a plain one has no names, and is refused."""
    descr, is_fortran, shape, start = _header(data, "the .npy file")
    if not isinstance(descr, list):
        _code(descr, "the .npy file")
        raise ConversionError(
            f"one array of shape {shape} without a name, expected several by name: np.savez "
            "('model.npz', **arrays) writes such a file"
        )
    if shape not in ((), (1,)) or is_fortran or len(descr) > MAX_ARRAYS:
        raise ConversionError(f"a structured array of shape {shape}, expected one record")
    found: dict[str, Array] = {}
    for field in descr:
        if not isinstance(field, tuple) or len(field) not in (2, 3) or field[0] in found:
            raise ConversionError("a structured array with fields that numpy does not write")
        name = field[0]
        if not isinstance(name, str):
            raise ConversionError("a structured array with titles, expected names alone")
        kind = _code(field[1], name)
        extents = _shape(field[2] if len(field) == 3 else (), name)
        size = _bytes_of(extents, kind)
        found[name] = _view(data[start : start + size], kind, extents, name)
        start += size
    if start != len(data):
        raise ConversionError(f"{len(data)} bytes, of which the fields take {start}")
    return found


def _one_array(data: bytes, name: str) -> Array:
    descr, is_fortran, shape, start = _header(data, name)
    if isinstance(descr, list):
        raise ConversionError(f"{name} is a structured array, expected numbers")
    kind = _code(descr, name)
    array = _view(data[start:], kind, shape[::-1] if is_fortran else shape, name)
    return array.T if is_fortran else array


def _view(data: bytes, kind: np.dtype[Any], shape: tuple[int, ...], name: str) -> Array:
    if len(data) != _bytes_of(shape, kind):
        wanted = _bytes_of(shape, kind)
        raise ConversionError(f"{name} has {len(data)} bytes, expected {wanted} for shape {shape}")
    array = np.frombuffer(data, kind).reshape(shape)
    return array.astype(kind.newbyteorder("="), copy=False)


def _bytes_of(shape: tuple[int, ...], kind: np.dtype[Any]) -> int:
    size = kind.itemsize
    for extent in shape:
        size *= extent
    return size


def _header(data: bytes, name: str) -> tuple[Any, bool, tuple[int, ...], int]:
    """dtype as text or fields, whether the order is Fortran's, shape, and where bytes begin."""
    if not data.startswith(NPY_START) or data[6:7] not in (b"\1", b"\2", b"\3"):
        raise ConversionError(f"{name} is no array of numpy's")
    width = 2 if data[6] == 1 else 4
    start = 8 + width
    size = int.from_bytes(data[8:start], "little")
    text = data[start : start + size]
    if size > MAX_HEADER or len(text) != size:
        raise ConversionError(f"{name} is damaged: a header of {size} bytes")
    try:
        found = ast.literal_eval(text.decode("latin-1" if data[6] < 3 else "utf-8").strip())
    except (ValueError, SyntaxError, RecursionError, TypeError):
        found = None
    except MemoryError as error:
        if "stack" not in str(error):  # of the parser, which has no error of its own
            raise
        found = None
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise ConversionError(f"{name} is damaged: its header is none of numpy's")
    return (
        found["descr"],
        found["fortran_order"] is True,
        _shape(found["shape"], name),
        start + size,
    )


def _shape(found: Any, name: str) -> tuple[int, ...]:
    extents = found if isinstance(found, tuple) else (found,)
    if len(extents) > MAX_AXES or not all(_is_extent(extent) for extent in extents):
        raise ConversionError(f"{name} has a shape that no tensor has")
    return tuple(extents)


def _is_extent(extent: object) -> bool:
    return isinstance(extent, int) and not isinstance(extent, bool) and 0 <= extent < 1 << 40


def _code(descr: Any, name: str) -> np.dtype[Any]:
    if descr in ("|O", "O", "<O", ">O"):
        raise ConversionError(f"{name} holds an array of dtype object, {OBJECTS}")
    if not isinstance(descr, str) or descr[:1] not in "<>|=" or descr[1:] not in CODES:
        raise ConversionError(f"{name} has dtype {str(descr)[:40]}, expected real numbers")
    return np.dtype(descr)
