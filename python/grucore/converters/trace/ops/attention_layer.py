# SPDX-License-Identifier: Apache-2.0
"""The layer that attends, and the products around it.

Heads of the layer share keys and values, which are the memory itself. So a linear map that makes
keys goes into the query, and one that makes values behind the output: the sum of the shares is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore.converters.trace.axes import (
    Unfit,
)
from grucore.converters.trace.memory import Scores
from grucore.converters.trace.trace import MAX_FOLDED, Trace
from grucore.graph.layers import Activation, Attention, Dense
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["attending", "behind", "composed"]


def attending(trace: Trace, x: Scores, used: Array) -> Value:
    """The attention of these queries over the memory as it comes in."""
    features = int(x.keys.shape[2])
    sizes = {"frames": trace.extent("memory", x), "features": features, "width": features}
    if x.bent is not None and x.vector is not None:
        if len(used) > 1:
            raise Unfit(f"has {len(used)} additive heads, expected 1")
        vector = x.vector[used[0]]
        rows = np.flatnonzero(vector)
        places = np.asarray(x.bent.places)[rows]
        if (places < 0).any() or x.bent.value is None:
            raise Unfit("takes the tanh of a memory without a query")
        query = trace.picked(x.bent.value, places)
        settings = {"weight": x.bent.weight[rows], "bias": x.bent.bias[rows], **sizes}
        return _added(trace, query, x, {"vector": vector[rows], **settings})
    width = x.queries.shape[1]
    keys = x.keys[used]
    straight = len(used) == 1 and width <= features
    if straight and np.array_equal(keys[0], np.eye(features)[:width]):
        query = trace.picked(x.value, x.queries[used])
    else:
        weight = np.zeros((len(used), features, x.value.features))
        for head, number in enumerate(used):
            for place, key in zip(x.queries[number], keys[head], strict=True):
                weight[head, :, place] += key
        query = composed(trace, x.value, weight.reshape(-1, x.value.features), "query")
    return _added(trace, query, x, {"heads": len(used), **sizes})


def _added(trace: Trace, query: Value, x: Scores, settings: Mapping[str, Any]) -> Value:
    """The layer, called as the module that it stands in, or as the memory."""
    called = trace.name().rpartition(".")[0] or x.name
    value = trace.add(Attention, [query], called=called, scale=x.scale, **settings)
    trace.memories[trace.layer_of(value)] = x.name
    return value


def composed(trace: Trace, value: Value, weight: Array, suffix: str) -> Value:
    """A product, together with the one before it where that is a plain one."""
    bias = np.zeros(len(weight))
    before = {node.output: node for node in trace.builder.nodes}.get(value.name)
    if isinstance(before, Dense) and before.activation == Activation.LINEAR:
        first = np.asarray(before.weight, np.float64)
        values = {each.name: each for each in trace.builder.values}
        value, bias, weight = values[before.inputs[0]], weight @ before.bias, weight @ first
    if weight.size > MAX_FOLDED:
        raise Unfit(f"is a product of {weight.shape[1]} by {weight.shape[0]}: too large")
    return trace.add(Dense, [value], suffix, weight=weight, bias=bias)


def behind(trace: Trace, value: Value, weight: Array, bias: Array) -> tuple[Value, Array]:
    """A product, or where it only picks features, their places."""
    picks = (weight != 0).sum(axis=1)
    if not bias.any() and (picks == 1).all() and set(weight[weight != 0].tolist()) == {1.0}:
        return value, weight.argmax(axis=1)
    if weight.size > MAX_FOLDED:
        raise Unfit(f"is a product of {weight.shape[1]} by {weight.shape[0]}: too large")
    value = trace.add(Dense, [value], "values", weight=weight, bias=bias)
    return value, np.arange(value.features)
