# SPDX-License-Identifier: Apache-2.0
"""HDF5's superblock and object headers: the messages of each object."""

from __future__ import annotations

from dataclasses import dataclass

from grucore._core import ConversionError
from grucore.converters.containers.hdf5.image import START, Cursor, Image

__all__ = ["Message", "messages", "root_address"]

CONTINUATION = 0x10
SHARED = 0x02  # of a message's flags
MAX_MESSAGES = 1 << 16
OLD_PREFIX, NEW_PREFIX = 16, 6


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an object header: its type, and where its content stands."""

    kind: int
    at: int
    size: int

    def cursor(self, image: Image) -> Cursor:
        """Reads the content."""
        return image.cursor(self.at, self.size)


def root_address(image: Image) -> int:
    """The address of the root group's header; sets how wide addresses are."""
    cursor = image.cursor(0, min(len(image.data), 128))
    cursor.expect(START)
    version = cursor.number(1)
    if version > 3:
        raise ConversionError(f"the HDF5 file has version {version}, expected 0 to 3")
    if version < 2:
        cursor.take(4)
    image.offset_size, image.length_size = cursor.number(1), cursor.number(1)
    if image.offset_size not in (4, 8) or image.length_size not in (4, 8):
        raise ConversionError(
            f"the HDF5 file is damaged: addresses of {image.offset_size} and lengths of "
            f"{image.length_size} bytes, expected 4 or 8"
        )
    cursor.take({0: 9, 1: 13}.get(version, 1))
    base = cursor.address()
    cursor.address()  # of free space, or of the superblock's extension
    end = cursor.address()
    if base:
        raise ConversionError(f"the HDF5 file begins at byte {base} of itself, expected 0")
    if end > len(image.data):
        raise ConversionError(
            f"the HDF5 file is damaged: it says it has {end} bytes, but has {len(image.data)}"
        )
    if version < 2:
        cursor.address()  # of the driver's block
        cursor.address()  # of the root group's name
    return cursor.address()


def messages(image: Image, address: int) -> list[Message]:
    """The messages of an object, over all parts of its header."""
    new = image.cursor(address, NEW_PREFIX)
    if new.take(4) == b"OHDR":
        return _Header(image, new=True).read_new(address)
    return _Header(image, new=False).read_old(address)


class _Header:
    def __init__(self, image: Image, *, new: bool) -> None:
        self._image, self._new = image, new
        self._found: list[Message] = []
        self._parts: list[tuple[int, int]] = []
        self._ordered = False

    def read_old(self, address: int) -> list[Message]:
        cursor = self._image.cursor(address, OLD_PREFIX)
        cursor.expect(b"\x01")
        cursor.take(1)
        count = cursor.number(2)
        cursor.take(4)
        self._parts.append((address + OLD_PREFIX, cursor.number(4)))
        return self._read(count)

    def read_new(self, address: int) -> list[Message]:
        cursor = self._image.cursor(address, min(64, len(self._image.data) - address))
        cursor.expect(b"OHDR\x02")
        flags = cursor.number(1)
        cursor.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        size = cursor.number(1 << (flags & 3))
        self._ordered = bool(flags & 0x04)
        self._parts.append((cursor.at, size))
        return self._read(MAX_MESSAGES)

    def _read(self, count: int) -> list[Message]:
        seen: set[tuple[int, int]] = set()
        # Parts are found while others are read.
        for at, size in self._parts:
            if (at, size) in seen:
                raise ConversionError(f"the HDF5 file is damaged: a header repeats itself at {at}")
            seen.add((at, size))
            self._read_part(self._image.cursor(at, size), count)
        return self._found

    def _read_part(self, cursor: Cursor, count: int) -> None:
        prefix = (6 if self._ordered else 4) if self._new else 8
        while cursor.left >= prefix and len(self._found) < count:
            kind = cursor.number(1 if self._new else 2)
            size = cursor.number(2)
            flags = cursor.number(1)
            cursor.take(prefix - (4 if self._new else 5))
            message = Message(kind, cursor.at, size)
            content = cursor.part(size)
            self._found.append(message)
            if flags & SHARED:
                raise ConversionError(
                    f"the HDF5 file has a shared message at {message.at}, which Keras never "
                    "writes: copy its objects into a new file with h5py"
                )
            if kind == CONTINUATION:
                self._continue(content.address(), content.length())

    def _continue(self, at: int, size: int) -> None:
        if self._new:
            self._image.cursor(at, 4).expect(b"OCHK")
            at, size = at + 4, size - 8  # without mark and checksum
        self._parts.append((at, size))
