# SPDX-License-Identifier: Apache-2.0
"""Dense layers and convolutions over time as functions of C."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from grucore.export.layers.windows import Window
from grucore.export.packing import PANEL, interleaved, padded_rows
from grucore.export.products import activated, panels_of, quantized
from grucore.export.unit import Call, lines
from grucore.graph.layers import Conv1d, Dense
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized, Weight

__all__ = ["write_conv1d", "write_dense"]


def write_dense(call: Call) -> None:
    """One product, then the activation."""
    node = cast(Dense, call.node)
    rows = len(node.weight)
    bias = call.unit.constant(f"{call.name}.bias", interleaved(node.bias, 1, (0,)))
    product = panels_of(call.unit, f"{call.name}.weight", "x", node.weight)
    name = call.function(
        "float *y, const float *x",
        "uint32_t i;",
        product.declare,
        product.prepare("x", fixed=node.input_range),
        f"GC_COPY(y, {bias}, sizeof {bias});",
        product.multiply("y", "x", padded_rows(rows) // PANEL),
        f"for (i = 0; i < {rows}; ++i) y[i] = gc_flush({activated(node.activation, 'y[i]')});",
    )
    call.step(f"{name}({call.target}, {call.sources[0]});")


def write_conv1d(call: Call) -> None:
    """Tap after tap, oldest first: each one goes on with the chains of the last."""
    node = cast(Conv1d, call.node)
    window = Window(call, node.taps, node.dilation, call.reads[0].features)
    declare, start, taps = _by_rows(call, node) if node.groups > 1 else _by_panels(call, node)
    rows = len(node.weight)
    name = call.function(
        window.parameters,
        "uint32_t i;",
        window.declare,
        declare,
        start,
        window.each_tap(*taps),
        f"for (i = 0; i < {rows}; ++i) y[i] = gc_flush({activated(node.activation, 'y[i]')});",
    )
    window.step(name)


def _taps_below(weight: Weight) -> Weight:
    """(rows, taps, k) to (taps x rows, k): the matrices of the taps one below the other."""
    if not isinstance(weight, Quantized):
        return weight.swapaxes(0, 1).reshape(-1, weight.shape[-1])
    rows, taps, inner = weight.shape
    values = weight.values.swapaxes(0, 1).reshape(-1, inner)
    if weight.dtype is Dtype.INT8:
        scale = np.tile(weight.scale, taps)
    else:
        scale = weight.scale.reshape(rows, taps, -1).swapaxes(0, 1).reshape(taps * rows, -1)
    return replace(weight, values=values, scale=scale)


def _by_panels(call: Call, node: Conv1d) -> tuple[str, str, tuple[str, ...]]:
    """Declarations, what comes before the taps, and what a tap does with its ``frame``."""
    unit, panels = call.unit, padded_rows(len(node.weight)) // PANEL
    bias = unit.constant(f"{call.name}.bias", interleaved(node.bias, 1, (0,)))
    weight = _taps_below(node.weight)
    if node.taps > 1:
        # Panels of one tap together: every tap is a matrix of whole panels.
        rows = padded_rows(len(node.weight))
        weight = _padded_matrices(weight, node.taps, rows)
    repeats = isinstance(weight, Quantized) and weight.dtype is Dtype.INT8
    product = panels_of(
        unit, f"{call.name}.weight", "x", weight, shared_scale=panels * PANEL * repeats
    )
    index = "tap" if node.dilation * (node.taps - 1) else ""
    return (
        product.declare,
        f"GC_COPY(y, {bias}, sizeof {bias});",
        (
            product.prepare("frame", fixed=node.input_range),
            product.multiply("y", "frame", panels, index),
        ),
    )


def _padded_matrices(weight: Weight, count: int, rows: int) -> Weight:
    """So many matrices, each with rows of zeros up to that number."""

    def padded(array: np.ndarray) -> np.ndarray:
        matrices = array.reshape(count, -1, *array.shape[1:])
        padding = ((0, 0), (0, rows - matrices.shape[1]), *((0, 0),) * (array.ndim - 1))
        return np.pad(matrices, padding).reshape(count * rows, *array.shape[1:])

    if not isinstance(weight, Quantized):
        return padded(weight)
    return replace(weight, values=padded(weight.values), scale=padded(weight.scale))


def _by_rows(call: Call, node: Conv1d) -> tuple[str, str, tuple[str, ...]]:
    """The same of several groups, which have few rows and inputs: row after row, nothing padded."""
    unit, rows, inner = call.unit, len(node.weight) // node.groups, int(node.weight.shape[2])
    bias = unit.constant(f"{call.name}.bias", node.bias)
    weight = _taps_below(node.weight)
    is_ringed = node.dilation * (node.taps - 1) > 0

    def place(step: int) -> str:
        """Address of the weights of group i, at this tap; ``step``: elements of a row."""
        tap = f" + {len(node.weight) * step} * tap" if is_ringed else ""
        return f"{tap} + {rows * step} * i"

    frame, y = f"frame + {inner} * i", f"y + {rows} * i"
    declare = quantize = ""
    if isinstance(weight, Quantized):
        padded = -(-inner // 4) * 4
        declare = f"int16_t GC_ALIGN q[{padded}];\nfloat s;"
        scale_of = quantized(weight, "q", frame, inner, padded, fixed=node.input_range)
        quantize = f"s = {scale_of};"
        data = unit.constant(f"{call.name}.weight", weight.values)
        if weight.dtype is Dtype.INT8:  # scales are the same for all taps
            scale = unit.constant(f"{call.name}.weight_scale", weight.scale[: len(node.weight)])
            scale_at, kernel = f"{scale} + {rows} * i", "gc_rows_i8"
        else:
            scale = unit.constant(f"{call.name}.weight_scale", weight.scale.view(np.uint16))
            scale_at, kernel = f"{scale}{place(weight.scale.shape[1])}", "gc_rows_i4"
        product = f"{kernel}({y}, {data}{place(inner)}, {scale_at}, q, s, {inner}, {rows});"
    else:
        is_half = weight.dtype == Dtype.FLOAT16.numpy
        array = np.ascontiguousarray(weight)
        data = unit.constant(f"{call.name}.weight", array.view(np.uint16) if is_half else array)
        kernel = "gc_rows_f16" if is_half else "gc_rows_f32"
        product = f"{kernel}({y}, {data}{place(inner)}, {frame}, {inner}, {rows});"
    loop = f"for (i = 0; i < {node.groups}; ++i) {{\n{lines(quantize, product)}}}"
    return declare, f"GC_COPY(y, {bias}, sizeof {bias});", (loop,)
