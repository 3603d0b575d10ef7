# SPDX-License-Identifier: Apache-2.0
"""Texts among the attributes of HDF5's objects, and the heap that those of any length lie in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grucore._core import ConversionError
from grucore.converters.containers.hdf5.headers import Message
from grucore.converters.containers.hdf5.image import Cursor, Image
from grucore.converters.containers.hdf5.types import Datatype, Shape, read_shape, read_type

__all__ = ["Attribute", "Heaps", "attributes", "texts_of"]

ATTRIBUTE, ATTRIBUTE_INFO = 0x0C, 0x15
SPACES = 2  # how a text may be padded
MAX_TEXTS = 1 << 20


@dataclass(frozen=True)
class Attribute:
    """Its type and shape, and where its value stands."""

    datatype: Datatype
    shape: Shape
    at: int
    size: int


class Heaps:
    """The file's global heaps, each read once."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._known: dict[int, dict[int, tuple[int, int]]] = {}

    def text(self, address: int, index: int, size: int, what: str) -> bytes:
        """An object of a heap, of which ``size`` bytes are meant."""
        heap = self._known.get(address)
        if heap is None:
            heap = self._known[address] = self._read(address)
        if index not in heap or size > heap[index][1]:
            raise ConversionError(f"{what} is damaged: no {size} bytes of object {index}")
        self._image.budget.take(size, what)
        return bytes(self._image.data[heap[index][0] : heap[index][0] + size])

    def _read(self, address: int) -> dict[int, tuple[int, int]]:
        """The place and size of each object by its index; every one moves on by at least a head."""
        image = self._image
        head = 8 + image.length_size
        cursor = image.cursor(address, head)
        cursor.expect(b"GCOL\x01")
        cursor.take(3)
        size = cursor.length()
        # The objects alone are structure; their texts are counted when they are read.
        if address + size > len(image.data):
            raise ConversionError(f"the HDF5 file is damaged: a heap of {size} bytes at {address}")
        found: dict[int, tuple[int, int]] = {}
        at, end = address + head, address + size
        while at + head <= end:
            cursor = image.cursor(at, head)
            index = cursor.number(2)
            cursor.take(6)
            size = cursor.length()
            if index == 0:  # free space, up to the end
                if size != end - at:
                    raise ConversionError(
                        f"the HDF5 file is damaged: {size} bytes of free space at {at}, where a "
                        f"heap has {end - at}"
                    )
                break
            at += head
            if at + size > end or index in found:
                raise ConversionError(f"the HDF5 file is damaged: object {index} of a heap at {at}")
            found[index] = (at, size)
            at += -(-size // 8) * 8
        return found


def attributes(image: Image, found: Sequence[Message], path: str) -> dict[str, Attribute]:
    """The attributes of an object by name."""
    result: dict[str, Attribute] = {}
    for message in found:
        if message.kind == ATTRIBUTE:
            name, attribute = _read(message.cursor(image))
            if name in result:
                raise ConversionError(f"{path!r} has two attributes {name[:60]!r}")
            result[name] = attribute
        elif message.kind == ATTRIBUTE_INFO:
            cursor = message.cursor(image)
            cursor.take(1)
            if cursor.number(1) & 1:
                cursor.take(2)
            if not image.undefined(cursor.address()):
                raise ConversionError(
                    f"{path!r} keeps its attributes in a fractal heap (libver='latest'), which "
                    "cannot be read: copy the groups into a new file with h5py"
                )
    return result


def _read(cursor: Cursor) -> tuple[str, Attribute]:
    version, flags = cursor.number(1), cursor.number(1)
    if version not in (1, 2, 3) or (version > 1 and flags):
        raise ConversionError(f"the HDF5 file has an attribute of version {version}, flags {flags}")
    sizes = [cursor.number(2) for _ in range(3)]
    if version == 3:
        cursor.take(1)
    step = 8 if version == 1 else 1
    name, datatype, shape = (cursor.part(-(-size // step) * step) for size in sizes)
    text = name.take(sizes[0]).split(b"\0")[0].decode("utf-8", "replace")
    return text, Attribute(read_type(datatype), read_shape(shape), cursor.at, cursor.left)


def texts_of(image: Image, heaps: Heaps, attribute: Attribute, what: str) -> list[str]:
    """The texts of an attribute; none of one without elements."""
    count, datatype = attribute.shape.count, attribute.datatype
    if not count:
        return []
    if not datatype.is_text:
        raise ConversionError(f"{what} is no text but {datatype.name}")
    if count > MAX_TEXTS:
        raise ConversionError(f"{what} has shape {attribute.shape.extents}")
    cursor = image.cursor(attribute.at, attribute.size).part(count * datatype.size)
    result = []
    for _ in range(count):
        element = cursor.part(datatype.size)
        if datatype.free:
            size = element.number(4)
            content = b""
            if size:
                content = heaps.text(element.address(), element.number(4), size, what)
        else:
            content = element.take(datatype.size)
        content = content.split(b"\0")[0] if datatype.padding == 0 else content.rstrip(b"\0")
        content = content.rstrip(b" ") if datatype.padding == SPACES else content
        result.append(content.decode("utf-8", "replace"))
    return result
