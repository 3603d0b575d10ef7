# SPDX-License-Identifier: Apache-2.0
"""Attention of one query per frame over a memory, to the bit."""

from __future__ import annotations

import numpy as np

from grucore.graph.layers import Attention
from oracle.exact.call import Call, Result
from oracle.exact.features import PARTS, joined, softmax
from oracle.exact.functions import Floats, flush, tanh
from oracle.exact.products import chained, multiply, stored

__all__ = ["attention"]


def attention(node: Attention, call: Call) -> Result:
    """The layer's output and its states, which it leaves as they are."""
    (x,) = call.sources
    memory, length = _held(node, call, len(x))
    result = np.zeros((*x.shape[:2], node.heads * node.width), np.float32)
    for row, at in enumerate(call.at):
        count = _counted(float(length[row, 0]), node.frames)
        if count and at.any():
            result[row, at] = _attended(node, x[row, at], memory[row, :count], call.numerics)
    return result, (memory, length)


def _held(node: Attention, call: Call, rows: int) -> tuple[Floats, Floats]:
    memory, length = call.states
    if memory is None:
        memory = np.zeros((node.frames, node.features), np.float32)
        if node.initial_state is not None:
            memory = stored(node.initial_state)
    if length is None:
        length = np.array([0 if node.initial_state is None else node.frames], np.float32)
    return (
        np.broadcast_to(memory, (rows, node.frames, node.features)).copy(),
        np.broadcast_to(length, (rows, 1)).copy(),
    )


def _counted(length: float, frames: int) -> int:
    if not length >= 1:
        return 0
    return frames if length >= frames else int(length)


def _attended(node: Attention, query: Floats, memory: Floats, numerics: str) -> Floats:
    """The result of the queries (N, heads * K) of one row."""
    if node.weight is None:
        keys = memory[:, : query.shape[1] // node.heads]
    else:
        assert node.bias is not None
        start = np.broadcast_to(stored(node.bias), (len(memory), len(node.bias)))
        keys = flush(multiply(start, node.weight, memory, numerics))
    values = memory[:, memory.shape[1] - node.width :]
    parts = []
    for head in np.split(query, node.heads, axis=1):
        shares = softmax(_scores(node, head, keys, numerics), logarithm=False)
        gathered = np.zeros((len(head), node.width), np.float32)
        for frame, value in enumerate(values):
            gathered = chained(gathered, shares[:, frame, None], value[None], numerics)
        parts.append(flush(gathered))
    return np.concatenate(parts, axis=1)


def _scores(node: Attention, query: Floats, keys: Floats, numerics: str) -> Floats:
    """(N, frames): sixteen chains of each, joined."""
    a, b = np.broadcast_arrays(query[:, None], keys[None])
    if node.vector is not None:
        a, b = np.broadcast_arrays(stored(node.vector), flush(tanh(a + b)))
    count = a.shape[-1]
    sums = np.zeros((a.shape[0] * a.shape[1], PARTS), np.float32)
    a, b = (np.pad(x.reshape(-1, count), ((0, 0), (0, -count % PARTS))) for x in (a, b))
    for first in range(0, count, PARTS):
        part = slice(first, first + PARTS)
        sums = chained(sums, a[:, part], b[:, part], numerics)
    return np.float32(node.scale) * joined(sums).reshape(len(query), len(keys))
