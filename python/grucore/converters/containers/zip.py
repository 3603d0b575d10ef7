# SPDX-License-Identifier: Apache-2.0
"""The guards of every zip archive that a converter opens."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from grucore._core import ConversionError
from grucore.converters.containers.budget import Budget

__all__ = ["DAMAGED", "checked_entries", "open_archive", "read_entry"]

ENCRYPTED = 0x1
ENTRY_START = b"PK\x01\x02"  # of an entry in the archive's directory
MAX_ENTRIES = 1 << 17
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# Exceptions of zipfile for archives that are damaged.
DAMAGED = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, struct.error, zlib.error),
    *(ValueError, LookupError, OSError, EOFError, OverflowError),
)


def open_archive(data: bytes) -> zipfile.ZipFile:
    """The archive in these bytes, which takes half a kilobyte of memory for each entry."""
    count = data.count(ENTRY_START)
    if count > MAX_ENTRIES:
        raise ConversionError(f"the archive has {count} entries, expected at most {MAX_ENTRIES}")
    return zipfile.ZipFile(io.BytesIO(data))


def checked_entries(archive: zipfile.ZipFile, file_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name; raises `ConversionError` for tricks with names, twins and sizes."""
    entries: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in archive.infolist():
        name = info.filename
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
            raise ConversionError(f"the archive has an entry outside of itself: {name!r}")
        if name in entries:
            raise ConversionError(f"the archive has two entries {name!r}")
        if info.flag_bits & ENCRYPTED:
            raise ConversionError(f"entry {name!r} is encrypted")
        total += info.compress_size
        entries[name] = info
    if total > file_bytes:
        raise ConversionError(f"the entries take {total} bytes of a file of {file_bytes}")
    return entries


def read_entry(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, most: int | None = None
) -> bytes:
    """The bytes of an entry, stored or deflated, of at most ``most`` bytes.

    Raises `ConversionError` for one with which the archive unfolds into more than ``budget``.
    """
    name, size = info.filename, info.file_size
    if info.compress_type not in METHODS:
        raise ConversionError(f"entry {name!r} has compression {info.compress_type}")
    if most is not None and size > most:
        raise ConversionError(f"entry {name!r} has {size} bytes, expected at most {most}")
    budget.take(size, f"entry {name!r}")
    with archive.open(info) as stream:
        content = stream.read(size + 1)
    if len(content) != size:
        raise ConversionError(f"entry {name!r} has another size than the archive says, {size}")
    return content
