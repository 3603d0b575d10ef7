# SPDX-License-Identifier: Apache-2.0
"""How much memory a model may ask for: a few kilobytes of file could name values of gigabytes."""

from __future__ import annotations

import os

from grucore._core import UnsupportedError
from grucore.runtime.loaded import Loaded

__all__ = ["check_memory"]

# Upper bound of bytes per row and frame; every real model stays below.
ROW_BYTES = 1 << 28
ROW_BYTES_PER_FILE_BYTE = 64


def check_memory(model: Loaded, rows: int, block: int) -> None:
    """Refuse a stream that the system would rather end the process for than provide.

    Raises UnsupportedError where the file asks for more than its size can explain, MemoryError
    where rows or frames do for more than the machine has.
    """
    wanted = model._stream_bytes(rows, block)
    if wanted <= ROW_BYTES:
        return
    alone = model._stream_bytes(1, 1)
    most = ROW_BYTES + ROW_BYTES_PER_FILE_BYTE * model.nbytes
    if alone > most:
        raise UnsupportedError(
            f"the model's values take {alone} bytes for one row and one frame, expected at most "
            f"{most} for a file of {model.nbytes}"
        )
    there = _machine_bytes()
    if there is not None and wanted > there:
        raise MemoryError(
            f"{rows} rows by {block} frames at a time take {wanted} bytes of memory, this machine "
            f"has {there}"
        )


def _machine_bytes() -> int | None:
    """The memory of the machine, where the system says it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
