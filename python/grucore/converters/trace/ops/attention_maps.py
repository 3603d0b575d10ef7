# SPDX-License-Identifier: Apache-2.0
"""Linear maps of a memory, and queries that are added to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import (
    Data,
    Operand,
    Tracked,
    Unfit,
    WrongAxes,
    arrange,
    spread,
)
from grucore.converters.trace.memory import MEMORY, Memory, Scores
from grucore.converters.trace.ops.attention_layer import composed
from grucore.converters.trace.ops.elementwise import broadcast
from grucore.converters.trace.trace import Trace
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["bent", "combined", "joined", "mapped"]


def mapped(trace: Trace, x: Memory, matrix: Array, bias: Array | None) -> Tracked:
    """The last axis times a matrix (in, out), plus a bias (out,)."""
    if matrix.ndim != 2 or not x.is_features(-1) or x.index.shape[-1] != len(matrix):
        raise WrongAxes(f"{x.text} times a matrix of shape {matrix.shape}")
    rows = x.index.reshape(-1, len(matrix))
    if x.is_bent:
        return _additive(x, rows, matrix)
    wide = matrix.astype(np.float64)
    shift = np.zeros(wide.shape[1]) if bias is None else bias.astype(np.float64)
    weight = np.einsum("rif,io->rof", x.weight[rows], wide).reshape(-1, x.weight.shape[1])
    moved = (x.bias[rows] @ wide + shift).reshape(-1)
    index = arrange((*x.index.shape[:-1], wide.shape[1]))
    found = replace(x, index=index, weight=weight, bias=moved)
    if x.value is None or x.places is None:
        return found
    value = _of_query(trace, x.value, x.places[rows], wide)
    return replace(found, value=value, places=np.arange(value.features))


def _of_query(trace: Trace, value: Value, places: Array, matrix: Array) -> Value:
    """The product of a matrix with the features at these places (rows, in), -1 for none."""
    weight = np.zeros((len(places), matrix.shape[1], value.features))
    for row, each in enumerate(places):
        for place, factors in zip(each, matrix, strict=True):
            if place >= 0:
                weight[row, :, place] += factors
    return composed(trace, value, weight.reshape(-1, value.features), "query")


def _additive(x: Memory, rows: Array, matrix: Array) -> Scores:
    """The scores of Bahdanau: a vector times the tanh of query plus key."""
    if x.value is None:
        raise Unfit("takes the tanh of a memory by itself: let the encoder do that")
    count, width = len(rows), matrix.shape[1]
    vector = np.zeros((count, width, len(x.weight)))
    for number, each in enumerate(rows):
        vector[number, :, each] += matrix.astype(np.float64)
    index = arrange((*x.index.shape[:-1], width))
    none = np.zeros((count * width, 0), np.int64)
    keys = np.zeros((count * width, 0, x.weight.shape[1]))
    flat = vector.reshape(-1, len(x.weight))
    return Scores(x.axes, index, x.name, x.value, none, keys, bent=x, vector=flat)


def bent(x: Memory) -> Memory:
    """The tanh."""
    if x.is_bent:
        raise Unfit("takes the tanh twice")
    return replace(x, is_bent=True)


def combined(trace: Trace, a: Operand, b: Operand, word: str) -> Tracked:
    """A memory plus a query or numbers; scores times a number."""
    if word == "add" and (isinstance(b, Memory) and not isinstance(a, Memory)):
        a, b = b, a
    if isinstance(a, Memory) and not a.is_bent:
        if word == "add" and isinstance(b, Data):
            return _met(trace, a, b)
        if word == "add" and isinstance(b, Memory):
            return _sum(a, b)
        if not isinstance(b, Tracked):
            axes, (rows, numbers) = broadcast([a, spread(b)])
            flat, factors = rows.reshape(-1), numbers.reshape(-1).astype(np.float64)
            ones, none = np.ones(len(factors)), np.zeros(len(factors))
            scale, shift = {
                "add": (ones, factors),
                "sub": (ones, -factors),
                "mul": (factors, none),
                "div": (1 / factors, none) if factors.all() else (none, none),
            }[word]
            if a.value is None:
                weight, bias = a.weight[flat] * scale[:, None], a.bias[flat] * scale + shift
                return replace(a, axes=axes, index=arrange(rows.shape), weight=weight, bias=bias)
    if isinstance(a, Tracked) and not isinstance(a, Scores) and isinstance(b, Scores):
        a, b = b, a
    if isinstance(b, Scores) and not isinstance(a, Tracked) and word == "mul":
        a, b = b, a
    if isinstance(a, Scores) and not a.are_shares and not isinstance(b, Tracked):
        numbers = np.unique(np.asarray(b, np.float64))
        if len(numbers) == 1 and word in ("mul", "div") and numbers[0] != 0:
            factor = float(numbers[0])
            return replace(a, scale=a.scale * factor if word == "mul" else a.scale / factor)
        if len(numbers) == 1 and word in ("add", "sub") and np.isfinite(numbers[0]):
            return a  # the same for all frames, which a softmax does not see
    texts = " and ".join(spread(x).text for x in (a, b))
    raise Unfit(f"combines {texts}, which is no attention that a layer has")


def _without_copies(trace: Trace, x: Data, like: Memory) -> Data:
    """A query that was repeated for each frame of the memory, once."""
    rank = like.rank - x.rank
    for place, axis in enumerate(like.axes):
        at = place - rank
        if axis != MEMORY or at < 0 or not x.is_features(at) or x.index.shape[at] == 1:
            continue
        first = x.index.take([0], at)
        if x.index.shape[at] == trace.extent("memory", like) and (x.index == first).all():
            x = x.moved(x.axes, first)
    return x


def _met(trace: Trace, memory: Memory, query: Data) -> Memory:
    """A memory plus a query."""
    if memory.value is not None:
        raise Unfit("adds two queries to a memory")
    query = trace.whole(_without_copies(trace, query, memory))
    axes, (rows, places) = broadcast([memory, query])
    flat = rows.reshape(-1)
    return replace(
        memory,
        axes=axes,
        index=arrange(rows.shape),
        weight=memory.weight[flat],
        bias=memory.bias[flat],
        value=query.value,
        places=places.reshape(-1),
    )


def _sum(a: Memory, b: Memory) -> Memory:
    """The sum of two values that were made of one memory."""
    if a.name != b.name or b.is_bent or (a.value is not None and b.value is not None):
        raise Unfit(f"adds what is made of {a.name!r} and of {b.name!r}")
    axes, (one, other) = broadcast([a, b])
    first, second = one.reshape(-1), other.reshape(-1)
    source, rows = (a, first) if a.value is not None else (b, second)
    return replace(
        source,
        axes=axes,
        index=arrange(one.shape),
        weight=a.weight[first] + b.weight[second],
        bias=a.bias[first] + b.bias[second],
        places=None if source.places is None else source.places[rows],
    )


def joined(trace: Trace, operands: Sequence[Operand], axis: int) -> Memory:
    """A memory and queries that are repeated for each of its frames, side by side."""
    memory = next(x for x in operands if isinstance(x, Memory))
    pieces: list[Memory] = []
    for x in operands:
        if isinstance(x, Memory) and x.name == memory.name and not x.is_bent:
            pieces.append(x)
            continue
        if not isinstance(x, Data):
            raise Unfit(f"joins {spread(x).text} to the memory {memory.name!r}")
        nothing = np.zeros((1, memory.weight.shape[1]))
        one = memory.index.take([0], axis)
        flat = replace(memory, index=np.zeros_like(one), weight=nothing, bias=np.zeros(1))
        pieces.append(_met(trace, flat, x))
    if not pieces[0].is_features(axis):
        raise Unfit(f"joins along axis {axis} of {memory.text}, expected features")
    values = {x.value.name: x.value for x in pieces if x.value is not None}
    if len(values) > 1 or any(x.axes != pieces[0].axes for x in pieces):
        raise Unfit(f"joins several queries to the memory {memory.name!r}: join these first")
    starts = np.cumsum([0, *(len(x.weight) for x in pieces)])
    index = [x.index + start for x, start in zip(pieces, starts, strict=False)]
    places = [
        np.full(len(x.weight), -1) if x.places is None else np.asarray(x.places) for x in pieces
    ]
    return replace(
        memory,
        axes=pieces[0].axes,
        index=np.concatenate(index, axis),
        weight=np.concatenate([x.weight for x in pieces]),
        bias=np.concatenate([x.bias for x in pieces]),
        value=next(iter(values.values()), None),
        places=np.concatenate(places) if values else None,
    )
