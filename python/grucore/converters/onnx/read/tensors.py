# SPDX-License-Identifier: Apache-2.0
"""Tensors of an ONNX file as arrays: sizes are checked before anything is made of them."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.bfloat16 import bfloat16_to_float32
from grucore.graph.tensors import Array

__all__ = ["DTYPES", "External", "array_of", "external_folder"]

External = Callable[[str, int, int | None], bytes]
"""Gives the bytes of (location, offset, length)."""

# Number of the type in TensorProto: its numpy dtype, and the field that holds it unless raw.
DTYPES = {
    1: ("float32", "<f4", "float_data"),
    2: ("uint8", "u1", "int32_data"),
    3: ("int8", "i1", "int32_data"),
    4: ("uint16", "<u2", "int32_data"),
    5: ("int16", "<i2", "int32_data"),
    6: ("int32", "<i4", "int32_data"),
    7: ("int64", "<i8", "int64_data"),
    9: ("bool", "?", "int32_data"),
    10: ("float16", "<f2", "int32_data"),
    11: ("float64", "<f8", "double_data"),
    12: ("uint32", "<u4", "uint64_data"),
    13: ("uint64", "<u8", "uint64_data"),
    16: ("bfloat16", "<u2", "int32_data"),
}
FIELDS = (
    "float_data",
    "int32_data",
    "string_data",
    "int64_data",
    "double_data",
    "uint64_data",
)
MAX_RANK = 8
MAX_ELEMENTS = 1 << 31
MAX_EXTERNAL = 1 << 32  # bytes of a file
TIMES_READ = 4
EXTERNAL = 1  # TensorProto.data_location
EXTERNAL_KEYS = ("location", "offset", "length", "checksum")


def array_of(tensor: Any, name: str, external: External) -> Array:
    """The array of a TensorProto; bfloat16 as float32. Raises `ConversionError` by its name."""
    shape = tuple(int(size) for size in tensor.dims)
    what = f"tensor {name!r}"
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise ConversionError(f"{what} has shape {shape}, expected up to {MAX_RANK} sizes >= 0")
    count = math.prod(shape)
    if count > MAX_ELEMENTS:
        raise ConversionError(f"{what} has shape {shape}, expected at most {MAX_ELEMENTS} elements")
    if tensor.data_type not in DTYPES:
        raise ConversionError(f"{what} has ONNX data type {tensor.data_type}, expected numbers")
    if tensor.HasField("segment"):
        raise ConversionError(f"{what} is a segment of a tensor, expected a whole one")
    dtype_name, dtype, field = DTYPES[tensor.data_type]
    kind = np.dtype(dtype)
    filled = [other for other in FIELDS if len(getattr(tensor, other))]
    is_external = tensor.data_location == EXTERNAL
    if len(tensor.external_data) and not is_external:
        raise ConversionError(f"{what} has external data, but says that it has none")
    if len(filled) + tensor.HasField("raw_data") + is_external > 1:
        raise ConversionError(f"{what} has its numbers twice: {', '.join(filled) or 'raw'} and raw")
    if filled and filled != [field]:
        raise ConversionError(f"{what} of {dtype_name} has {filled[0]}, expected {field}")
    if filled:
        array = _typed(getattr(tensor, field), kind, dtype_name, what, count)
    else:
        raw = _external(tensor, external, what, count * kind.itemsize)
        if not is_external:
            raw = tensor.raw_data
        if len(raw) != count * kind.itemsize:
            message = f"{what} has {len(raw)} bytes, expected {count * kind.itemsize}"
            raise ConversionError(f"{message} for {dtype_name} {shape}")
        array = np.frombuffer(raw, kind)
    if dtype_name == "bfloat16":
        array = bfloat16_to_float32(array)
    return array.reshape(shape)


def _typed(numbers: Any, kind: np.dtype[Any], dtype_name: str, what: str, count: int) -> Array:
    if len(numbers) != count:
        raise ConversionError(f"{what} has {len(numbers)} numbers, expected {count}")
    wide = np.array(numbers)
    if dtype_name in ("float16", "bfloat16"):
        # Their bits stand in integers.
        if ((wide < 0) | (wide > 0xFFFF)).any():
            raise ConversionError(f"{what} of {dtype_name} has bits outside of 16")
        return wide.astype("<u2").view(kind)
    narrow = wide.astype(kind)
    if kind.kind in "iub" and (narrow != wide).any():
        raise ConversionError(f"{what} has numbers outside of {dtype_name}")
    return narrow


def _external(tensor: Any, external: External, what: str, size: int) -> bytes:
    if tensor.data_location != EXTERNAL:
        return b""
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in EXTERNAL_KEYS:
            raise ConversionError(f"{what} has external data with an unknown key {entry.key!r}")
        if entry.key in entries:
            raise ConversionError(f"{what} has external data with {entry.key!r} twice")
        if not isinstance(entry.value, str):  # bytes that are no UTF-8
            raise ConversionError(f"{what} has external data whose {entry.key} is no text")
        entries[entry.key] = entry.value
    numbers = {}
    for key in ("offset", "length"):
        text = entries.get(key, "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise ConversionError(f"{what} has external data with {key} {text!r}")
        numbers[key] = int(text) if text else None
    if numbers["length"] is not None and numbers["length"] != size:
        message = f"{what} has external data with length {numbers['length']}"
        raise ConversionError(f"{message}, expected {size}")
    try:
        return external(entries.get("location", ""), numbers["offset"] or 0, size)
    except ConversionError as error:
        raise ConversionError(f"{what}: {error}") from None


def external_folder(folder: Path | None) -> External:
    """A reader of external data in this folder, and nowhere else; None: there is none."""

    taken: dict[str, int] = {}

    def read(location: str, offset: int, length: int | None) -> bytes:
        if folder is None:
            raise ConversionError("its numbers are in another file: give the path of the model")
        with os.fdopen(_open(folder, location), "rb") as file:
            found = os.fstat(file.fileno())
            # A hard link may lead anywhere, as a symbolic one.
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise ConversionError(f"external data {location!r} is not a plain file")
            size = found.st_size - offset if length is None else length
            if offset > found.st_size or size > found.st_size - offset:
                message = f"external data {location!r} has {found.st_size} bytes"
                raise ConversionError(f"{message}, expected {size} from {offset} on")
            # Tied weights may share their place, but not a thousand times.
            taken[location] = taken.get(location, 0) + size
            if found.st_size > MAX_EXTERNAL or taken[location] > TIMES_READ * found.st_size:
                message = f"external data {location!r} has {found.st_size} bytes"
                wanted = f"{taken[location]} are asked for in all"
                raise ConversionError(f"{message}, of which {wanted}: too many")
            file.seek(offset)
            return file.read(size)

    return read


def _open(folder: Path, location: str) -> int:
    """Open a file below the folder without following a link."""
    parts = PurePosixPath(location).parts
    foreign = set(location) & set("\\:\0")
    if not parts or location.startswith("/") or ".." in parts or foreign or len(parts) > 8:
        raise ConversionError(f"external data {location!r} is not a path inside the folder")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        if os.open not in os.supports_dir_fd:
            target = folder.joinpath(*parts)
            if target.resolve() != folder.resolve().joinpath(*parts):
                raise ConversionError(f"external data {location!r} leads through a link")
            return os.open(target, flags)
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for part in parts[:-1]:
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            finally:
                os.close(at)
            at = below
        try:
            return os.open(parts[-1], flags, dir_fd=at)
        finally:
            os.close(at)
    except OSError as error:
        raise ConversionError(f"external data {location!r}: {error.strerror}") from None
