# SPDX-License-Identifier: Apache-2.0
"""Layers that bring features together or apart as lines of C: concat, binary, select, embedding."""

from __future__ import annotations

from typing import cast

import numpy as np

from grucore.export.unit import Call, lines
from grucore.graph.layers import Binary, Embedding, Operation, Select
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized

__all__ = ["write_arg_max", "write_binary", "write_concat", "write_embedding", "write_select"]

_OPERATIONS = {
    Operation.ADD: "a[i] + b[i]",
    Operation.SUBTRACT: "a[i] - b[i]",
    Operation.MULTIPLY: "a[i] * b[i]",
    Operation.MAXIMUM: "a[i] > b[i] || a[i] != a[i] ? a[i] : b[i]",
    Operation.MINIMUM: "a[i] < b[i] || a[i] != a[i] ? a[i] : b[i]",
}


def write_concat(call: Call) -> None:
    """Values side by side."""
    column = 0
    for value, source in zip(call.reads, call.sources, strict=True):
        call.step(f"GC_COPY({call.target} + {column}, {source}, {4 * value.features});")
        column += value.features


def write_binary(call: Call) -> None:
    """Two values."""
    node = cast(Binary, call.node)
    call.each_feature("const float *a, const float *b", f"gc_flush({_OPERATIONS[node.operation]})")


def write_select(call: Call) -> None:
    """Features by index."""
    index = cast(Select, call.node).index
    array = index.astype(np.uint16 if call.reads[0].features <= 1 << 16 else np.int32)
    name = call.unit.constant(f"{call.name}.index", array)
    c_type = "float" if call.writes.dtype is Dtype.FLOAT32 else "int32_t"
    function = call.function(
        f"{c_type} *y, const {c_type} *x",
        "uint32_t i;",
        f"for (i = 0; i < {len(index)}; ++i) y[i] = x[{name}[i]];",
    )
    call.step(f"{function}({call.target}, {call.sources[0]});")


def write_arg_max(call: Call) -> None:
    """The place of the largest feature of each group."""
    count = call.writes.features
    size = call.reads[0].features // count
    search = lines(
        "uint32_t best = 0;",
        f"for (j = 1; j < {size} && x[best] == x[best]; ++j) if (!(x[j] <= x[best])) best = j;",
        "y[i] = (int32_t)best;",
    )
    name = call.function(
        "int32_t *y, const float *x",
        "uint32_t i, j;",
        f"for (i = 0; i < {count}; ++i, x += {size}) {{\n{search}}}",
    )
    call.step(f"{name}({call.target}, {call.sources[0]});")


def write_embedding(call: Call) -> None:
    """Rows of a table by id; zeros for a foreign one."""
    table = cast(Embedding, call.node).table
    ids, width = table.shape
    if isinstance(table, Quantized):
        data = call.unit.constant(f"{call.name}.table", table.values)
        scale = call.unit.constant(f"{call.name}.table_scale", table.scale)
        number = f"gc_flush((float){data}[{width} * id + j] * {scale}[id])"
    elif table.dtype == Dtype.FLOAT16.numpy:
        data = call.unit.constant(f"{call.name}.table", np.ascontiguousarray(table).view(np.uint16))
        number = f"gc_half({data}[{width} * id + j])"
    else:
        data = call.unit.constant(f"{call.name}.table", table)
        number = f"{data}[{width} * id + j]"
    row = lines(
        "const uint32_t id = (uint32_t)x[i];",
        f"for (j = 0; j < {width}; ++j, ++y) *y = id < {ids}u ? {number} : 0.0f;",
    )
    name = call.function(
        "float *y, const int32_t *x",
        "uint32_t i, j;",
        f"for (i = 0; i < {call.reads[0].features}; ++i) {{\n{row}}}",
    )
    call.step(f"{name}({call.target}, {call.sources[0]});")
