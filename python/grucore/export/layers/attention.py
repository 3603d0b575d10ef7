# SPDX-License-Identifier: Apache-2.0
"""Attention over a memory as functions of C: the caller writes memory and length into the state."""

from __future__ import annotations

from typing import cast

import numpy as np

from grucore.export.literals import float_text
from grucore.export.packing import PANEL, interleaved, padded_rows
from grucore.export.products import panels_of
from grucore.export.unit import Call, lines
from grucore.graph.layers import Attention

__all__ = ["write_attention"]


def write_attention(call: Call) -> None:
    """Scores of one head after the other, then the values by their softmax.

    Additive keys are made when they are first needed: ``keys_made`` of the state says how many
    are, and whoever writes another memory sets it to 0.
    """
    node, unit = cast(Attention, call.node), call.unit
    start = node.initial_state
    initial = "" if start is None else unit.constant(f"{call.name}.initial", start.ravel())
    memory = unit.state(f"{call.name}.memory", node.frames * node.features, initial=initial)
    whole = "" if start is None else float_text(node.frames)
    length = unit.state(f"{call.name}.length", 0, initial=whole)
    scores = unit.state(f"{call.name}.scores", node.frames)
    width, made = call.reads[0].features // node.heads, ""
    score = f"gc_dot(x + {width} * h, {memory} + {node.features} * j, {width})"
    if node.weight is not None:
        stride = padded_rows(width)
        keys = unit.state(f"{call.name}.keys", node.frames * stride)
        made = _keys(call, node, memory, keys)
        vector = unit.constant(f"{call.name}.vector", np.asarray(node.vector))
        score = f"gc_additive(x, {keys} + {stride} * j, {vector}, {width})"
    weigh = f"gc_weigh(y + {node.width} * h, {scores}, {memory} + {node.features - node.width}"
    body = lines(
        f"for (j = 0; j < n; ++j) {scores}[j] = {float_text(node.scale)} * {score};",
        f"{weigh}, {node.features}, {node.width}, n);",
    )
    name = call.function(
        "gc_state *st, float *y, const float *x",
        f"const uint32_t n = gc_counted({length}, {node.frames});",
        "uint32_t h, j;",
        made,
        f"for (h = 0; h < {node.heads}; ++h) {{\n{body}}}",
    )
    call.step(f"{name}(st, {call.target}, {call.sources[0]});")


def _keys(call: Call, node: Attention, memory: str, keys: str) -> str:
    """Statements that make those keys which are not there yet."""
    unit, stride = call.unit, padded_rows(len(np.asarray(node.weight)))
    made = unit.state(f"{call.name}.keys_made", 0, "uint32_t")
    bias = unit.constant(f"{call.name}.bias", interleaved(np.asarray(node.bias), 1, (0,)))
    product = panels_of(unit, f"{call.name}.weight", "x", np.asarray(node.weight))
    body = lines(
        f"float *key = {keys} + {stride} * {made};",
        f"const float *frame = {memory} + {node.features} * {made};",
        f"GC_COPY(key, {bias}, sizeof {bias});",
        product.multiply("key", "frame", stride // PANEL),
        f"gc_flushed(key, key, {stride});",
    )
    return f"for (; {made} < n; ++{made}) {{\n{body}}}"
