# SPDX-License-Identifier: Apache-2.0
"""How a `.gru` file is refused: the Python error of a `grucore::Status`, with the byte offset."""

from __future__ import annotations

from typing import NoReturn

from grucore._core import FormatError, UnsupportedError

__all__ = ["check_zero", "refuse"]

UNSUPPORTED = {"kNewerVersion", "kUnknownKind", "kUnknownDtype", "kUnknownLayout", "kUnknownRole"}


def refuse(status: str, offset: int, message: str) -> NoReturn:
    """Raise `UnsupportedError` for what a later release may read, `FormatError` for the rest."""
    error = UnsupportedError if status in UNSUPPORTED else FormatError
    raise error(f"byte {offset:#x}: {message} ({status})")


def check_zero(data: bytes, start: int, end: int) -> None:
    """Refuse the first byte of [start, end) that is not zero."""
    padding = data[start:end]
    used = padding.lstrip(b"\0")
    if used:
        place = end - len(used)
        refuse("kReservedNotZero", place, f"padding has the byte {used[0]:#04x}, expected zero")
