# SPDX-License-Identifier: Apache-2.0
"""The order in which exported code reads weights: panels of four rows, one after the other.

In a panel, for each input: the four rows' weights (float32, float16); for int8, for each eight
inputs the eight weights of row 0, those of row 1, and so on; the last four inputs of a panel may be
a group of four; for int4, for each eight inputs four bytes of each row, byte j with element j in
its low half and element 4 + j in its high half. Rows and inputs past the end are zero. Scales:
of int8 one for each row; of int4, for each 32 inputs the four rows' scales, float16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grucore.graph.tensors import Dtype
from grucore.graph.weights import INT4_INPUTS, Quantized, Weight

__all__ = ["PANEL", "Panels", "interleaved", "pack", "padded_rows"]

PANEL = 4

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Panels:
    """A packed matrix: what stands in flash, and how far one panel is from the next."""

    data: Array
    scale: Array | None  # int8: float32; int4: float16 as uint16
    inputs: int  # as the kernels count them: padded
    data_step: int  # elements of a panel
    scale_step: int


def padded_rows(rows: int) -> int:
    """Rows of whole panels."""
    return -(-rows // PANEL) * PANEL


def _padded(array: Array, rows: int) -> Array:
    """The array with zeros up to so many rows."""
    return np.pad(array, ((0, rows - len(array)), *((0, 0),) * (array.ndim - 1)))


def interleaved(array: Array, gates: int, order: tuple[int, ...]) -> Array:
    """Rows of ``gates`` matrices, one below the other, as panels that take turns.

    The first panel of gate ``order[0]``, that of ``order[1]`` and so on, then the second ones.
    """
    matrices = np.split(array, gates)
    units = padded_rows(len(matrices[0]))
    padded = [_padded(matrices[gate], units) for gate in order]
    stacked = np.stack(padded).reshape(len(order), units // PANEL, PANEL, *array.shape[1:])
    return stacked.swapaxes(0, 1).reshape(len(order) * units, *array.shape[1:])


def pack(weight: Weight, *, gates: int = 1, order: tuple[int, ...] = (0,)) -> Panels:
    """Weights (gates x rows, inputs), of any kind."""
    if not isinstance(weight, Quantized):
        return _pack_floats(interleaved(weight, gates, order))
    values = interleaved(weight.values, gates, order)
    scale = interleaved(weight.scale, gates, order)
    return _pack_int8(values, scale) if weight.dtype is Dtype.INT8 else _pack_int4(values, scale)


def _pack_floats(rows: Array) -> Panels:
    inputs = rows.shape[1]
    panels = np.ascontiguousarray(rows.reshape(-1, PANEL, inputs).swapaxes(1, 2)).reshape(-1)
    data = panels.view(np.uint16) if panels.dtype == np.float16 else panels.astype(np.float32)
    return Panels(data, None, inputs, PANEL * inputs, 0)


def _pack_int8(values: Array, scale: Array) -> Panels:
    inputs = -(-values.shape[1] // 4) * 4
    padded = np.pad(values, ((0, 0), (0, inputs - values.shape[1])))
    panels = padded.reshape(-1, PANEL, inputs)
    whole = inputs // 8 * 8
    groups = panels[:, :, :whole].reshape(len(panels), PANEL, -1, 8).swapaxes(1, 2)
    parts = [groups.reshape(len(panels), -1), panels[:, :, whole:].reshape(len(panels), -1)]
    data = np.concatenate(parts, axis=1).reshape(-1)
    return Panels(data, scale.astype(np.float32), inputs, PANEL * inputs, PANEL)


def _pack_int4(values: Array, scale: Array) -> Panels:
    inputs = -(-values.shape[1] // 8) * 8
    padded = np.pad(values, ((0, 0), (0, inputs - values.shape[1])))
    octets = padded.reshape(-1, PANEL, inputs // 8, 2, 4).view(np.uint8) & 0xF
    nibbles = octets[..., 0, :] | octets[..., 1, :] << 4
    data = nibbles.swapaxes(1, 2).reshape(-1)
    groups = -(-values.shape[1] // INT4_INPUTS)
    scales = scale.reshape(-1, PANEL, groups).swapaxes(1, 2).astype(np.float16)
    flat = np.ascontiguousarray(scales).reshape(-1).view(np.uint16)
    return Panels(data, flat, inputs, PANEL * inputs // 2, PANEL * groups)
