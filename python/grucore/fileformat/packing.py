# SPDX-License-Identifier: Apache-2.0
"""The layouts of docs/format.md: from logical arrays to the kernels' order and back."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from grucore.graph.tensors import Array, Dtype, Layout, Slot

__all__ = [
    "PANEL_ROWS",
    "byte_of",
    "pack",
    "pack_panel16",
    "packed_size",
    "padded_width",
    "panel_columns",
    "panel_order",
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


def panel_order(gates: int, rows: int) -> Array:
    """The rows of a matrix (gates * rows, k) in the order in which `panel16` has them."""
    number = np.arange(gates * rows).reshape(gates, rows)
    panels = [number[:, first : first + present].reshape(-1) for first, present, _ in _panels(rows)]
    return np.concatenate(panels)


def padded_width(columns: int) -> int:
    """Elements that a row of the `rows` layout takes."""
    return -(-columns // PANEL_ROWS) * PANEL_ROWS


def packed_size(gates: int, rows: int, columns: int) -> int:
    """Elements of the packed matrix, padding rows included."""
    return gates * columns * (-(-rows // LANES) * LANES)


def panel_columns(slot: Slot) -> int:
    """Elements of a row in `panel16`: those of each tap fill whole groups."""
    taps, columns = _taps_and_columns(slot)
    return taps * -(-columns // slot.dtype.group) * slot.dtype.group


def _taps_and_columns(slot: Slot) -> tuple[int, int]:
    """A bias has one column; only the weights of a convolution have taps as an axis."""
    taps, columns = (1, 1, *slot.shape[1:])[-2:]
    return taps, columns


def pack_panel16(matrix: Array, gates: int, group: int = 1) -> Array:
    """(gates * rows, columns), gate after gate, to one dimension; padding rows are zero.

    ``group`` columns, which divide their number, stay side by side.
    """
    columns = matrix.shape[1]
    logical = matrix.reshape(gates, -1, columns // group, group)
    rows = logical.shape[1]
    packed = np.zeros(packed_size(gates, rows, columns), matrix.dtype)
    for first, present, panel in _panel_views(packed, gates, rows, columns, group):
        panel[:, :, :present] = logical[:, first : first + present].transpose(2, 0, 1, 3)
    return packed


def unpack_panel16(packed: Array, gates: int, rows: int, columns: int, group: int = 1) -> Array:
    """The inverse: (gates * rows, columns)."""
    logical = np.empty((gates, rows, columns // group, group), packed.dtype)
    for first, present, panel in _panel_views(packed, gates, rows, columns, group):
        logical[:, first : first + present] = panel[:, :, :present].transpose(1, 2, 0, 3)
    return logical.reshape(gates * rows, columns)


def _panel_views(
    packed: Array, gates: int, rows: int, columns: int, group: int
) -> Iterator[tuple[int, int, Array]]:
    """First row, rows that are there, and the panel (groups of columns, gates, width, group)."""
    for first, present, width in _panels(rows):
        start = gates * first * columns
        panel = packed[start : start + gates * width * columns]
        yield first, present, panel.reshape(columns // group, gates, width, group)


def pack(slot: Slot, array: Array) -> Array:
    """The elements of a tensor one after the other as they stand in the file; int4 as bytes."""
    elements = _pack_elements(slot, array)
    return _as_nibbles(elements) if slot.dtype is Dtype.INT4 else elements


def unpack(slot: Slot, stored: Array) -> tuple[Array, int | None]:
    """The inverse: the tensor, and the index of the first padding element set, or None."""
    elements = _of_nibbles(stored) if slot.dtype is Dtype.INT4 else stored
    if slot.layout is Layout.PANEL16:
        logical = _unpack_panels(slot, elements)
    elif slot.layout is Layout.ROWS:
        logical = elements.reshape(slot.shape[0], -1)[:, : slot.shape[1]]
    else:
        logical = elements.reshape(slot.shape)
    return logical, _first_padding_set(slot, elements)


def _pack_elements(slot: Slot, array: Array) -> Array:
    if slot.layout is Layout.PANEL16:
        taps, columns = _taps_and_columns(slot)
        rows, group = slot.shape[0], slot.dtype.group
        padding = panel_columns(slot) // taps - columns
        padded = np.pad(array.reshape(rows, taps, columns), ((0, 0), (0, 0), (0, padding)))
        matrices = np.split(padded.reshape(rows, -1), slot.groups)
        return np.concatenate([pack_panel16(matrix, slot.gates, group) for matrix in matrices])
    if slot.layout is Layout.ROWS:
        padding = padded_width(slot.shape[1]) - slot.shape[1]
        return np.pad(array, ((0, 0), (0, padding))).reshape(-1)
    return array.reshape(-1)


def _unpack_panels(slot: Slot, elements: Array) -> Array:
    taps, columns = _taps_and_columns(slot)
    rows = slot.shape[0] // (slot.gates * slot.groups)
    matrices = [
        unpack_panel16(packed, slot.gates, rows, panel_columns(slot), slot.dtype.group)
        for packed in np.split(elements, slot.groups)
    ]
    padded = np.concatenate(matrices).reshape(slot.shape[0], taps, -1)
    return padded[:, :, :columns].reshape(slot.shape)


def _first_padding_set(slot: Slot, elements: Array) -> int | None:
    if elements.size == math.prod(slot.shape):
        return None
    is_padding = ~_pack_elements(slot, np.ones(slot.shape, bool))
    # By bits, so that a negative zero does not pass.
    found = np.flatnonzero(is_padding & (elements.view(f"u{elements.itemsize}") != 0))
    return int(found[0]) if len(found) else None


def _as_nibbles(elements: Array) -> Array:
    """Byte j of each eight elements holds element j in its low half, 4 + j in its high half."""
    octets = elements.view(np.uint8).reshape(-1, 2, 4) & 0xF
    return np.asarray(octets[:, 0] | octets[:, 1] << 4).reshape(-1)


def _of_nibbles(octets: Array) -> Array:
    pairs = octets.view(np.int8).reshape(-1, 1, 4)
    # Shifted up and down again, a half keeps its sign.
    return np.concatenate([(pairs << 4) >> 4, pairs >> 4], axis=1).reshape(-1)


def byte_of(slot: Slot, index: int) -> int:
    """The byte, from the start of the tensor, in which an element stands."""
    if slot.dtype is Dtype.INT4:
        return index // 8 * 4 + index % 4
    return index * slot.dtype.numpy.itemsize
