# SPDX-License-Identifier: Apache-2.0
"""The bytes that a file may unfold into: one count for all of its archives, chunks and texts."""

from __future__ import annotations

import zlib

from grucore._core import ConversionError

__all__ = ["Budget", "inflated"]

FACTOR = 16  # of the file's size; trained weights shrink by less than 2, pruned ones by 10
FLOOR = 1 << 26  # bytes that any file may take


class Budget:
    """Bytes that are left to a file of this size."""

    def __init__(self, file_bytes: int) -> None:
        self.most = self.left = max(FLOOR, FACTOR * file_bytes)

    def take(self, size: int, what: str) -> None:
        """Count bytes before memory is asked for them; raises `ConversionError` that names them."""
        self.left -= size
        if self.left < 0:
            raise ConversionError(
                f"{what} has {size} bytes, with which the file unfolds into more than {self.most}, "
                "far larger than the file: store it without compression"
            )


def inflated(packed: bytes | memoryview, size: int, what: str) -> bytes:
    """The ``size`` bytes of a zlib stream; raises `ConversionError` for any other number of them.

    Memory is bounded by ``size``, which the caller has counted.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise ConversionError(f"{what} is damaged: {error}") from None
    if len(content) != size or not stream.eof:
        raise ConversionError(f"{what} has another size than the file says, {size} bytes")
    return content
