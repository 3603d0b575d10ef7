# SPDX-License-Identifier: Apache-2.0
"""The numbers of HDF5's datasets: in one piece, or in chunks that filters have been over."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.budget import inflated
from grucore.converters.containers.hdf5.groups import old_heap, text_in_heap, tree_leaves
from grucore.converters.containers.hdf5.headers import Message
from grucore.converters.containers.hdf5.image import Cursor, Image
from grucore.converters.containers.hdf5.types import Shape, read_shape, read_type
from grucore.graph.tensors import Array

__all__ = ["is_dataset", "read_dataset"]

SHAPE, TYPE, EXTERNAL, LAYOUT, PIPELINE = 0x01, 0x03, 0x07, 0x08, 0x0B
COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = range(4)
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
MAX_RATIO = 1000
MAX_ELEMENTS = 1 << 48  # where one extent is 0, the others say nothing of bytes


@dataclass(frozen=True)
class _Chunk:
    corner: tuple[int, ...]
    at: int
    size: int
    skipped: int  # a bit for each filter that was left out


def is_dataset(found: Sequence[Message]) -> bool:
    """True if these are the messages of a dataset."""
    return any(message.kind == LAYOUT for message in found)


def read_dataset(image: Image, found: Sequence[Message], path: str) -> Array:
    """The array of a dataset; raises `ConversionError` for what is not numbers in this file."""
    what = f"dataset {path!r}"
    parts = {message.kind: message for message in found}
    if EXTERNAL in parts:
        raise ConversionError(f"{what} lies in another file, {_outside(parts[EXTERNAL], image)}")
    layout = parts[LAYOUT].cursor(image)
    version, kind = layout.number(1), -1
    rank = layout.number(1) if version < 3 else 0
    kind = layout.number(1)
    if version > 4 or kind > VIRTUAL:
        raise ConversionError(
            f"{what} has a layout of version {version} (libver='latest'), which cannot be read: "
            "copy it into a new file with h5py, whose usual format can"
        )
    if kind == VIRTUAL:
        raise ConversionError(f"{what} is virtual: its numbers lie elsewhere")
    if SHAPE not in parts or TYPE not in parts:
        raise ConversionError(f"{what} has no shape or no type")
    datatype = read_type(parts[TYPE].cursor(image))
    if datatype.dtype is None:
        raise ConversionError(f"{what} holds {datatype.name}, expected numbers")
    shape = read_shape(parts[SHAPE].cursor(image))
    if shape.extents is None:
        raise ConversionError(f"{what} has no shape")
    reader = _Reader(image, what, shape, np.dtype(datatype.dtype))
    if PIPELINE in parts:
        reader.filters = _pipeline(parts[PIPELINE].cursor(image), what)
    if version < 3:
        return reader.old(layout, kind, rank)
    match kind:
        case 0:
            return reader.compact(layout, layout.number(2))
        case 1:
            return reader.whole(layout.address(), layout.length())
    if version == 3:
        rank = layout.number(1)
        tree = layout.address()
        return reader.chunked(tree, [layout.number(4) for _ in range(rank)])
    return reader.new_chunked(layout)


def _outside(message: Message, image: Image) -> str:
    cursor = message.cursor(image)
    cursor.take(8)
    heap = old_heap(image, cursor.address())
    return text_in_heap(heap, cursor.length())


def _pipeline(cursor: Cursor, what: str) -> list[int]:
    version, count = cursor.number(1), cursor.number(1)
    if version == 1:
        cursor.take(6)
    filters = []
    for _ in range(count):
        code = cursor.number(2)
        name = cursor.number(2) if version == 1 or code >= 256 else 0
        cursor.take(2)
        values = cursor.number(2)
        cursor.take(name + 4 * values + (4 if version == 1 and values % 2 else 0))
        if code not in FILTERS:
            known = ", ".join(FILTERS.values())
            raise ConversionError(f"{what} has filter {code}, expected {known}")
        filters.append(code)
    return filters


class _Reader:
    """One dataset: checks sizes before it takes memory."""

    def __init__(self, image: Image, what: str, shape: Shape, dtype: np.dtype[np.generic]) -> None:
        assert shape.extents is not None
        self.image, self.what = image, what
        self.extents, self.dtype = shape.extents, dtype
        if math.prod(max(extent, 1) for extent in self.extents) > MAX_ELEMENTS:
            raise ConversionError(f"{what} has shape {self.extents}, which no array has")
        self.bytes = math.prod(self.extents) * dtype.itemsize
        self.filters: list[int] = []

    def old(self, layout: Cursor, kind: int, rank: int) -> Array:
        layout.take(5)
        address = layout.address() if kind != COMPACT else 0
        extents = [layout.number(4) for _ in range(rank)]
        if kind == COMPACT:
            return self.compact(layout, layout.number(4))
        if kind == CONTIGUOUS:
            stored = 0 if self.image.undefined(address) else math.prod(extents)
            return self.whole(address, stored)
        return self.chunked(address, extents)

    def compact(self, layout: Cursor, size: int) -> Array:
        self._count(self.bytes, size)
        return np.frombuffer(layout.take(size)[: self.bytes], self.dtype).reshape(self.extents)

    def whole(self, address: int, size: int) -> Array:
        self._count(self.bytes, 0 if self.image.undefined(address) else size)
        content = self.image.bytes_at(address, self.bytes, self.what) if self.bytes else b""
        return np.frombuffer(content, self.dtype).reshape(self.extents)

    def _count(self, needed: int, stored: int, ratio: int = 1, chunk: object = None) -> None:
        if needed > ratio * stored:
            raise ConversionError(
                f"{self.what} has shape {self.extents} and chunks {chunk}, "
                f"{needed} bytes, but the file stores {stored} for it"
            )
        self.image.budget.take(needed, self.what)

    def chunked(self, tree: int, extents: list[int]) -> Array:
        *chunk, width = extents or [0]
        self._check_chunk(chunk, width)
        chunks = []
        if not self.image.undefined(tree):
            key_size = 8 + 8 * (len(chunk) + 1)
            for key, at in tree_leaves(self.image, tree, 1, key_size):
                words = [
                    int.from_bytes(key[place : place + 8], "little")
                    for place in range(8, key_size - 8, 8)
                ]
                size, skipped = (int.from_bytes(key[i : i + 4], "little") for i in (0, 4))
                chunks.append(_Chunk(tuple(words), at, size, skipped))
        return self._joined(chunk, chunks)

    def new_chunked(self, layout: Cursor) -> Array:
        """Chunks of the newer layouts, of which only one chunk and implicit places are read."""
        flags, rank, wide = layout.number(1), layout.number(1), layout.number(1)
        *chunk, width = [layout.number(wide) for _ in range(rank)] or [0]
        self._check_chunk(chunk, width)
        index = layout.number(1)
        single, implicit = index == 1, index == 2
        if not single and not implicit:
            raise ConversionError(
                f"{self.what} keeps its chunks in a way of libver='latest' that cannot be read: "
                "copy it into a new file with h5py"
            )
        size, skipped = math.prod(chunk) * width, 0
        if single and flags & 2:
            size, skipped = layout.length(), layout.number(4)
        address = layout.address()
        if self.image.undefined(address):
            return self._joined(chunk, [])
        corners = self._corners(chunk, self.bytes) if implicit else [(0,) * len(chunk)]
        places = (address + number * size for number in itertools.count())
        return self._joined(
            chunk,
            [_Chunk(at, place, size, skipped) for at, place in zip(corners, places, strict=False)],
        )

    def _check_chunk(self, chunk: Sequence[int], width: int) -> None:
        if len(chunk) != len(self.extents) or width != self.dtype.itemsize or 0 in chunk:
            raise ConversionError(
                f"{self.what} is damaged: chunks {tuple(chunk)} of {width} bytes for shape "
                f"{self.extents} of {self.dtype}"
            )

    def _corners(self, chunk: Sequence[int], stored: int) -> list[tuple[int, ...]]:
        counts = [-(-extent // step) for extent, step in zip(self.extents, chunk, strict=True)]
        if math.prod(counts) > stored:
            self._count(self.bytes, 0, chunk=tuple(chunk))
        ranges = (range(0, n * step, step) for n, step in zip(counts, chunk, strict=True))
        return list(itertools.product(*ranges))

    def _joined(self, chunk: list[int], chunks: Sequence[_Chunk]) -> Array:
        stored = sum(each.size for each in chunks)
        # A chunk is decoded as a whole, and may be larger than what there is of the dataset.
        piece = math.prod(chunk) * self.dtype.itemsize
        self._count(max(self.bytes, piece), stored, MAX_RATIO, tuple(chunk))
        corners = set(self._corners(chunk, stored))
        if {each.corner for each in chunks} != corners or len(chunks) != len(corners):
            raise ConversionError(
                f"{self.what} is damaged: {len(chunks)} chunks, expected one at each of "
                f"{len(corners)} places"
            )
        result = np.empty(self.extents, self.dtype)
        for each in chunks:
            # Every chunk is counted: one that sticks out is larger than its part of the dataset.
            self.image.budget.take(piece, self.what)
            found = np.frombuffer(self._decoded(each, piece), self.dtype).reshape(chunk)
            inside = tuple(
                slice(at, min(at + step, extent))
                for at, step, extent in zip(each.corner, chunk, self.extents, strict=True)
            )
            result[inside] = found[tuple(slice(0, part.stop - part.start) for part in inside)]
        return result

    def _decoded(self, chunk: _Chunk, size: int) -> bytes:
        content: bytes | memoryview = self.image.bytes_at(chunk.at, chunk.size, self.what)
        sums = [place for place, code in enumerate(self.filters) if code == 3]
        for place in reversed(range(len(self.filters))):
            if chunk.skipped >> place & 1:
                continue
            match self.filters[place]:
                case 1:
                    behind = sum(4 for each in sums if each < place)
                    content = inflated(content, size + behind, self.what)
                case 2:
                    count = len(content) // self.dtype.itemsize
                    planes = np.frombuffer(content, np.uint8)[: count * self.dtype.itemsize]
                    rest = bytes(content[planes.size :])
                    content = planes.reshape(self.dtype.itemsize, count).T.tobytes() + rest
                case 3:
                    content = _checked(bytes(content), self.what)
        if len(content) != size:
            raise ConversionError(
                f"{self.what} is damaged: a chunk of {len(content)} bytes, expected {size}"
            )
        return bytes(content)


def _checked(content: bytes, what: str) -> bytes:
    """Without the four bytes of Fletcher's sum behind it, once they are right."""
    content, expected = content[:-4], int.from_bytes(content[-4:], "little")
    padded = np.frombuffer(content + b"\0" * (len(content) % 2), ">u2").astype(np.uint64)
    weights = np.arange(padded.size, 0, -1, dtype=np.uint64) % np.uint64(65535)
    first = int(padded.sum()) % 65535
    second = int((padded * weights % np.uint64(65535)).sum()) % 65535
    if (first, second) != ((expected & 0xFFFF) % 65535, (expected >> 16) % 65535):
        raise ConversionError(f"{what} is damaged: the sum of a chunk is not what the file says")
    return content
