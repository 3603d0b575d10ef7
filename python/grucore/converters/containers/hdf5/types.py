# SPDX-License-Identifier: Apache-2.0
"""HDF5's types and shapes, as far as numbers and texts go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.hdf5.image import Cursor

__all__ = ["Datatype", "Shape", "read_shape", "read_type"]

MAX_AXES = 32
CLASSES = (
    *("integers", "floats", "times", "texts", "bit fields", "opaque bytes", "compounds"),
    *("references", "an enumeration", "values of any length", "arrays"),
)
# Exponent's place and size, mantissa's place and size, bias: of the floats that numpy has.
FLOATS = {2: (10, 5, 0, 10, 15), 4: (23, 8, 0, 23, 127), 8: (52, 11, 0, 52, 1023)}
FIXED, FLOAT, TEXT, OPAQUE, ENUMERATION, ANY_LENGTH = 0, 1, 3, 5, 8, 9
BOOL = (b"FALSE", b"TRUE")


@dataclass(frozen=True)
class Datatype:
    """``dtype``: numpy's, of numbers. ``padding``: how a text ends; ``free``: of any length."""

    name: str
    size: int
    dtype: np.dtype[np.generic] | None = None
    padding: int | None = None
    free: bool = False

    @property
    def is_text(self) -> bool:
        """True if the elements are texts."""
        return self.padding is not None


@dataclass(frozen=True)
class Shape:
    """Extents; None where there is no value at all."""

    extents: tuple[int, ...] | None

    @property
    def count(self) -> int:
        """The number of elements."""
        return 0 if self.extents is None else math.prod(self.extents)


def read_shape(cursor: Cursor) -> Shape:
    """A dataspace message."""
    version, rank, flags = cursor.number(1), cursor.number(1), cursor.number(1)
    if version not in (1, 2) or rank > MAX_AXES:
        raise ConversionError(f"the HDF5 file is damaged: a shape of {rank} axes")
    if version == 1:
        cursor.take(5)
    elif cursor.number(1) == 2:
        return Shape(None)
    extents = tuple(cursor.length() for _ in range(rank))
    if flags & 1:
        cursor.take(rank * cursor.image.length_size)
    return Shape(extents)


def read_type(cursor: Cursor) -> Datatype:
    """A datatype message; one of neither numbers nor texts has its class as its name."""
    kind = cursor.number(1)
    bits, size = cursor.number(3), cursor.number(4)
    version, kind = kind >> 4, kind & 15
    if not 1 <= version <= 4 or not size:
        raise ConversionError("the HDF5 file is damaged: a type that no version has")
    order = ">" if bits & 1 else "<"
    name = CLASSES[kind] if kind < len(CLASSES) else f"type {kind}"
    if kind == FIXED:
        if cursor.number(2) or cursor.number(2) != 8 * size or size not in (1, 2, 4, 8):
            return Datatype(f"{name} of odd sizes", size)
        code = f"{'i' if bits & 8 else 'u'}{size}"
        return Datatype(code, size, np.dtype(order + code))
    if kind == FLOAT:
        place, precision = cursor.number(2), cursor.number(2)
        parts = (*(cursor.number(1) for _ in range(4)), cursor.number(4))
        if place or precision != 8 * size or bits & 0x40 or FLOATS.get(size) != parts:
            return Datatype(f"{name} of {size} bytes, which no framework has", size)
        return Datatype(f"f{size}", size, np.dtype(f"{order}f{size}"))
    if kind == TEXT:
        return Datatype(name, size, padding=bits & 15)
    if kind == OPAQUE:
        return Datatype(f"V{size}", size, np.dtype(f"V{size}"))
    if kind == ENUMERATION:
        return _enumeration(cursor, bits, size)
    if kind == ANY_LENGTH and bits & 15 == 1:
        return Datatype(name, size, padding=0, free=True)
    return Datatype(name, size)


def _enumeration(cursor: Cursor, bits: int, size: int) -> Datatype:
    """Booleans are an enumeration of FALSE and TRUE, as h5py writes them."""
    base = read_type(cursor)
    content = cursor.take(cursor.left)
    is_bool = size == 1 and bits & 0xFFFF == 2 and all(name in content for name in BOOL)
    return (
        Datatype("bool", 1, np.dtype(bool))
        if is_bool and base.dtype
        else Datatype("an enumeration", size)
    )
