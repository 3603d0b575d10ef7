# SPDX-License-Identifier: Apache-2.0
"""The bytes of an HDF5 file, read by a cursor that counts what it reads."""

from __future__ import annotations

from grucore._core import ConversionError
from grucore.converters.containers.budget import Budget

__all__ = ["START", "Cursor", "Image"]

START = b"\x89HDF\r\n\x1a\n"
# Structures may overlap and be read again by each that points at them.
STRUCTURE_FACTOR, STRUCTURE_FLOOR, STRUCTURE_MOST = 32, 1 << 20, 1 << 26


class Image:
    """A file: its bytes, how wide its addresses are, and what it may still cost to read."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data, self.budget = memoryview(data), budget
        self.offset_size = self.length_size = 8
        self._left = min(STRUCTURE_MOST, STRUCTURE_FLOOR + STRUCTURE_FACTOR * len(data))

    def cursor(self, at: int, size: int) -> Cursor:
        """Reads these bytes of structure; raises `ConversionError` where the file lacks them."""
        self._left -= size
        if self._left < 0:
            raise ConversionError("the HDF5 file is damaged: its structures refer to each other")
        if at < 0 or size < 0 or at + size > len(self.data):
            raise ConversionError(f"the HDF5 file is damaged: it has no {size} bytes at {at}")
        return Cursor(self, at, at + size)

    def bytes_at(self, at: int, size: int, what: str) -> memoryview:
        """Numbers, which are not counted as structure."""
        if at + size > len(self.data):
            raise ConversionError(
                f"{what} is damaged: it has {size} bytes at {at} of a file of {len(self.data)}"
            )
        return self.data[at : at + size]

    def undefined(self, address: int) -> bool:
        """True if an address says that nothing is there."""
        return address == (1 << 8 * self.offset_size) - 1


class Cursor:
    """A place within a part of the file."""

    def __init__(self, image: Image, at: int, end: int) -> None:
        self.image, self.at, self.end = image, at, end

    @property
    def left(self) -> int:
        """Bytes up to the end of the part."""
        return self.end - self.at

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size < 0 or size > self.left:
            raise ConversionError(
                f"the HDF5 file is damaged: {size} bytes are expected at {self.at}, where a "
                f"structure has {self.left}"
            )
        self.at += size
        return bytes(self.image.data[self.at - size : self.at])

    def part(self, size: int) -> Cursor:
        """A cursor over the next bytes, which this one steps over."""
        start = self.at
        self.take(size)
        return Cursor(self.image, start, start + size)

    def number(self, size: int) -> int:
        """An unsigned number of so many bytes."""
        return int.from_bytes(self.take(size), "little")

    def address(self) -> int:
        """A place in the file."""
        return self.number(self.image.offset_size)

    def length(self) -> int:
        """A number of bytes."""
        return self.number(self.image.length_size)

    def expect(self, mark: bytes) -> None:
        """Step over a mark that must be here."""
        found = self.take(len(mark))
        if found != mark:
            raise ConversionError(
                f"the HDF5 file is damaged: {found!r} at {self.at - len(mark)}, expected {mark!r}"
            )
