# SPDX-License-Identifier: Apache-2.0
"""The layouts of docs/format.md: from logical arrays to the kernels' order and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grucore.node import Array, Layout, Slot

__all__ = [
    "PANEL_ROWS",
    "pack",
    "pack_panel16",
    "packed_size",
    "padded_width",
    "unpack",
    "unpack_panel16",
]

PANEL_ROWS = 16
LANES = 4  # the last panel's width is a multiple of it


def _panels(rows: int) -> Iterator[tuple[int, int, int]]:
    """First row, rows that are there, and width of each panel."""
    for first in range(0, rows, PANEL_ROWS):
        present = min(PANEL_ROWS, rows - first)
        yield first, present, -(-present // LANES) * LANES


def padded_width(columns: int) -> int:
    """Elements that a row of the `rows` layout takes."""
    return -(-columns // PANEL_ROWS) * PANEL_ROWS


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


def pack(slot: Slot, array: Array) -> Array:
    """The elements of a tensor, one after the other as they stand in the file."""
    if slot.layout is Layout.PANEL16:
        matrices = np.split(array.reshape(slot.shape[0], -1), slot.groups)
        return np.concatenate([pack_panel16(matrix, slot.gates) for matrix in matrices])
    if slot.layout is Layout.ROWS:
        padding = padded_width(slot.shape[1]) - slot.shape[1]
        return np.pad(array, ((0, 0), (0, padding))).reshape(-1)
    return array.reshape(-1)


def unpack(slot: Slot, stored: Array) -> tuple[Array, int | None]:
    """The inverse: the tensor, and the index of the first padding element set, or None."""
    if slot.layout is Layout.PANEL16:
        return _unpack_groups(slot, stored)
    if slot.layout is Layout.ROWS:
        return _unpack_rows(slot, stored)
    return stored.reshape(slot.shape), None


def _unpack_groups(slot: Slot, stored: Array) -> tuple[Array, int | None]:
    columns = slot.shape[1] if len(slot.shape) > 1 else 1
    rows = slot.shape[0] // (slot.gates * slot.groups)
    matrices, dirty = [], None
    for group, packed in enumerate(np.split(stored, slot.groups)):
        matrix, place = unpack_panel16(packed, slot.gates, rows, columns)
        matrices.append(matrix)
        if dirty is None and place is not None:
            dirty = group * packed.size + place
    return np.concatenate(matrices).reshape(slot.shape), dirty


def _unpack_rows(slot: Slot, stored: Array) -> tuple[Array, int | None]:
    rows, columns = slot.shape
    padded = stored.reshape(rows, -1)
    # By bits, so that a negative zero does not pass.
    found = np.argwhere(padded.view(f"u{padded.itemsize}")[:, columns:])
    dirty = int(found[0, 0]) * padded.shape[1] + columns + int(found[0, 1]) if len(found) else None
    return padded[:, :columns], dirty
