# SPDX-License-Identifier: Apache-2.0
"""The `panel16` layout of docs/format.md: from logical matrices to the kernels' order and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grucore.node import Array

__all__ = ["PANEL_ROWS", "pack_panel16", "packed_size", "unpack_panel16"]

PANEL_ROWS = 16
LANES = 4  # the last panel's width is a multiple of it


def _panels(rows: int) -> Iterator[tuple[int, int, int]]:
    """First row, rows that are there, and width of each panel."""
    for first in range(0, rows, PANEL_ROWS):
        present = min(PANEL_ROWS, rows - first)
        yield first, present, -(-present // LANES) * LANES


def packed_size(gates: int, rows: int, columns: int) -> int:
    """Elements of the packed matrix, padding rows included."""
    return gates * columns * (-(-rows // LANES) * LANES)


def pack_panel16(matrix: Array, gates: int) -> Array:
    """(gates * rows, columns), gate after gate, to one dimension; padding rows are zero."""
    logical = matrix.reshape(gates, -1, matrix.shape[1])
    rows, columns = logical.shape[1:]
    packed = np.zeros(packed_size(gates, rows, columns), matrix.dtype)
    for first, present, width in _panels(rows):
        start = gates * first * columns
        panel = packed[start : start + gates * width * columns].reshape(columns, gates, width)
        panel[:, :, :present] = logical[:, first : first + present].transpose(2, 0, 1)
    return packed


def unpack_panel16(packed: Array, gates: int, rows: int, columns: int) -> tuple[Array, int | None]:
    """The inverse: (gates * rows, columns), and the index of the first padding bit set, or None."""
    logical = np.empty((gates, rows, columns), packed.dtype)
    dirty: int | None = None
    for first, present, width in _panels(rows):
        start = gates * first * columns
        panel = packed[start : start + gates * width * columns].reshape(columns, gates, width)
        logical[:, first : first + present] = panel[:, :, :present].transpose(1, 2, 0)
        if present < width:
            # By bits, so that a negative zero does not pass.
            padding = np.ascontiguousarray(panel[:, :, present:]).view(np.uint8)
            found = np.argwhere(padding.reshape(columns, gates, width - present, -1).any(axis=3))
            if len(found):
                column, gate, row = (int(index) for index in found[0])
                dirty = start + (column * gates + gate) * width + present + row
    return logical.reshape(gates * rows, columns), dirty
