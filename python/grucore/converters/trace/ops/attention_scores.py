# SPDX-License-Identifier: Apache-2.0
"""Scores of queries and keys, their softmax, and the sum of values by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    Axes,
    Data,
    Operand,
    Spread,
    Tracked,
    Unfit,
    WrongAxes,
    arrange,
    spread,
)
from grucore.converters.trace.memory import MEMORY, Memory, Scores
from grucore.converters.trace.ops.attention_layer import attending, behind
from grucore.converters.trace.ops.attention_maps import mapped
from grucore.converters.trace.ops.elementwise import broadcast
from grucore.converters.trace.trace import Trace
from grucore.graph.tensors import Array

__all__ = ["multiplied", "shared"]


def shared(x: Scores, axis: int) -> Scores:
    """The softmax over the frames of the memory."""
    if x.axes[axis] != MEMORY or x.are_shares:
        raise WrongAxes(f"goes over axis {axis} of {x.text}, expected the memory")
    return replace(x, are_shares=True)


def multiplied(trace: Trace, a: Operand, b: Operand) -> Tracked:
    """Matrices: queries times keys, or shares times values."""
    pair = (spread(a), spread(b))
    if min(x.rank for x in pair) < 2:
        raise WrongAxes(f"{pair[0].text} times {pair[1].text}")
    one, other = pair
    if isinstance(one, Memory) and isinstance(other, Spread):
        return mapped(trace, one, trace.weights(b, "the matrix"), None)
    if isinstance(one, Memory):  # the same the other way round
        return _turned(multiplied(trace, _turned(other), _turned(one)))
    if not isinstance(other, Memory):
        raise WrongAxes(f"multiplies {one.text} and {other.text}, which is no attention")
    if isinstance(one, Scores):
        return summed(trace, one, other)
    if isinstance(one, Data):
        return _scores(trace, one, other)
    raise Unfit(f"multiplies {one.text} and {other.text}, which is no attention")


def _turned(x: Tracked) -> Tracked:
    """The last two axes the other way round."""
    axes = (*x.axes[:-2], x.axes[-1], x.axes[-2])
    return x.moved(axes, x.index.swapaxes(-1, -2))


def _pairs(one: Tracked, other: Tracked, width: int) -> tuple[Axes, Array, Array, Array]:
    """Each row of the first with each column of the second: axes, pairs of their numbers, and the
    index of the pairs. ``width``: columns of features that the second has; 1 for a memory."""
    count = int(np.prod(one.index.shape[:-1]))
    left = Spread((*one.axes[:-2], one.axes[-2], FEATURES), arrange((*one.index.shape[:-1], 1)))
    columns = (*other.index.shape[:-2], 1, width)
    axes = (*other.axes[:-2], FEATURES, FEATURES)
    right = Spread(axes, arrange(columns))
    axes, (rows, places) = broadcast([left, right])
    together = rows.reshape(-1) + count * places.reshape(-1)
    pairs, index = np.unique(together, return_inverse=True)
    return axes, pairs % count, pairs // count, index.reshape(rows.shape)


def _scores(trace: Trace, query: Data, keys: Memory) -> Scores:
    """(..., queries, K) times (..., K, memory)."""
    if keys.axes[-1] != MEMORY or not keys.is_features(-2) or not query.is_features(-1):
        raise WrongAxes(f"multiplies {query.text} and {keys.text}")
    if keys.is_bent:
        raise Unfit("takes the tanh of a memory by itself: let the encoder do that")
    if keys.value is not None or keys.index.shape[-2] != query.index.shape[-1]:
        raise Unfit(f"multiplies {query.text} and {keys.text}, which is no attention")
    query = trace.whole(query)
    axes, rows, columns, index = _pairs(query, keys, 1)
    places = query.index.reshape(-1, query.index.shape[-1])[rows]
    made = keys.index.squeeze(-1).reshape(-1, keys.index.shape[-2])[columns]
    return Scores((*axes[:-1], MEMORY), index, keys.name, query.value, places, keys.weight[made])


def summed(trace: Trace, shares: Scores, values: Memory) -> Data:
    """(..., queries, memory) times (..., memory, width): the layer, and what comes after it."""
    if not shares.are_shares:
        raise Unfit("sums up a memory by scores of which no softmax was taken")
    if shares.axes[-1] != MEMORY or values.axes[-2] != MEMORY or not values.is_features(-1):
        raise WrongAxes(f"multiplies {shares.text} and {values.text}")
    if values.name != shares.name:
        raise Unfit(
            f"keys are made of {shares.name!r}, values of {values.name!r}: give both as one "
            "memory, side by side, and let the module take it apart"
        )
    if values.value is not None or values.is_bent:
        raise Unfit("sums up values that a query was added to, or the tanh was taken of")
    flat = shares.moved((*shares.axes[:-1], FEATURES), shares.index)
    width = values.index.shape[-1]
    axes, rows, columns, index = _pairs(flat, values, width)
    numbers = shares.index.reshape(-1)[rows]  # of the queries
    made = values.index.reshape(-1)[columns]  # rows of the values' weight
    used, heads = np.unique(numbers, return_inverse=True)
    gathered = attending(trace, shares, used)
    features = values.weight.shape[1]
    weight = np.zeros((len(made), len(used) * features))
    for place, (head, row) in enumerate(zip(heads, made, strict=True)):
        weight[place, head * features : (head + 1) * features] = values.weight[row]
    value, places = behind(trace, gathered, weight, values.bias[made])
    return Data(axes, places[index], value)
