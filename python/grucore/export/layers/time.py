# SPDX-License-Identifier: Apache-2.0
"""Layers over time without weights as functions of C: take, pool, pool1d, mask, delay."""

from __future__ import annotations

from typing import cast

import numpy as np

from grucore.export.layers.windows import Window
from grucore.export.literals import float_text
from grucore.export.unit import Call, lines
from grucore.graph.layers import Delay, Mask, Pool, Pool1d, Pooling, Position, Take
from grucore.graph.node import float32_of
from grucore.graph.tensors import Dtype

__all__ = ["write_delay", "write_mask", "write_pool", "write_pool1d", "write_take"]


def _c_type(dtype: Dtype) -> str:
    return "float" if dtype is Dtype.FLOAT32 else "int32_t"


def write_take(call: Call) -> None:
    """The newest frame so far, or the first."""
    node, count = cast(Take, call.node), call.writes.features
    c_type, size = _c_type(call.writes.dtype), 4 * call.writes.features
    always = call.unit.condition(call.reads[0]) == ""
    if node.position is Position.LAST and always:
        call.step(f"GC_COPY({call.target}, {call.sources[0]}, {size});")
        return
    frame = call.unit.state(f"{call.name}.frame", count, c_type)
    take = f"GC_COPY({frame}, {call.sources[0]}, {size});"
    if node.position is Position.FIRST:
        taken = call.unit.state(f"{call.name}.taken", 0, "uint32_t")
        take = f"if (!{taken}) {take}"
        call.step(take, call.reads[0])
        call.step(f"{taken} = 1;", call.reads[0])
    else:
        call.step(take, call.reads[0])
    call.step(f"GC_COPY({call.target}, {frame}, {size});")


def write_pool(call: Call) -> None:
    """The mean or the maximum of the frames so far."""
    node, count = cast(Pool, call.node), call.writes.features
    best = call.unit.state(f"{call.name}.frames", count)
    seen = call.unit.state(f"{call.name}.count", 0, "uint32_t")
    if node.pooling is Pooling.MAXIMUM:
        join = f"{best}[i] = !{seen} || x[i] > {best}[i] || x[i] != x[i] ? x[i] : {best}[i];"
    else:
        join = f"{best}[i] = gc_flush({best}[i] + x[i]);"
    is_masked = len(call.reads) > 1
    add = call.function(
        f"gc_state *st, const float *x{', const int32_t *mask' * is_masked}",
        "uint32_t i;",
        "if (!mask[0]) return;" if is_masked else "",
        f"for (i = 0; i < {count}; ++i) {join}",
        f"if ({seen} != 0xffffffffu) ++{seen};",
    )
    call.step(f"{add}({', '.join(['st', *call.sources])});", call.reads[0])
    if node.pooling is Pooling.MAXIMUM:
        call.step(f"GC_COPY({call.target}, {best}, {4 * count});")
        return
    give = call.function(
        "const gc_state *st, float *y",
        f"const float count = {seen} ? (float){seen} : 1.0f;",
        "uint32_t i;",
        f"for (i = 0; i < {count}; ++i) y[i] = gc_flush({best}[i] / count);",
    )
    call.step(f"{give}(st, {call.target});")


def write_pool1d(call: Call) -> None:
    """The mean or the maximum of a window."""
    node, count = cast(Pool1d, call.node), call.writes.features
    window = Window(call, node.taps, 1, count)
    is_mean = node.pooling is Pooling.MEAN
    most = "y[i] > frame[i] || y[i] != y[i] ? y[i] : frame[i]"
    joined = f"gc_flush({'y[i] + frame[i]' if is_mean else most})"
    if not window.reach:
        taps = f"for (i = 0; i < {count}; ++i) y[i] = frame[i];"
    else:
        taps = f"for (i = 0; i < {count}; ++i) y[i] = tap ? {joined} : frame[i];"
    divide = f"for (i = 0; i < {count}; ++i) y[i] = gc_flush(y[i] / {float_text(node.taps)});"
    name = call.function(
        window.parameters,
        "uint32_t i;",
        window.declare,
        window.each_tap(taps),
        divide if is_mean else "",
    )
    window.step(name)


def write_delay(call: Call) -> None:
    """A ring of frames: the oldest one goes out, and the newest one comes to its place.

    It comes in after all nodes: some of them may write it.
    """
    node, count = cast(Delay, call.node), call.writes.features
    start, c_type = node.initial_state, _c_type(call.writes.dtype)
    if start is not None and call.writes.dtype is Dtype.INT32:
        start = start.astype(np.int32)  # whole numbers stand in the file for ids
    initial = "" if start is None else call.unit.constant(f"{call.name}.initial", start.ravel())
    slot = call.unit.state(f"{call.name}.x", node.frames * count, c_type, initial=initial)
    if node.frames > 1:
        place = call.unit.state(f"{call.name}.place", 0, "uint32_t")
        slot = f"{slot} + {count} * {place}"
    call.step(f"GC_COPY({call.target}, {slot}, {4 * count});")
    call.last_step(f"GC_COPY({slot}, {call.sources[0]}, {4 * count});")
    if node.frames > 1:
        call.last_step(f"if (++{place} == {node.frames}) {place} = 0;")


def write_mask(call: Call) -> None:
    """1 where some feature differs from a number."""
    node, value = cast(Mask, call.node), call.reads[0]
    if value.dtype is Dtype.FLOAT32:
        c_type, number = "float", float_text(float32_of(node.attributes[0]))
    else:
        c_type, number = "uint32_t", f"{node.attributes[0]}u"
    read = "x[i]" if c_type == "float" else "(uint32_t)x[i]"
    differs = lines(f"if ({read} != {number}) y[0] = 1;")
    name = call.function(
        f"int32_t *y, const {_c_type(value.dtype)} *x",
        "uint32_t i;",
        "y[0] = 0;",
        f"for (i = 0; i < {value.features}; ++i) {{\n{differs}}}",
    )
    call.step(f"{name}({call.target}, {call.sources[0]});")
