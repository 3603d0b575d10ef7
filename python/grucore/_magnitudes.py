# SPDX-License-Identifier: Apache-2.0
"""How large the sums inside a graph can become: the proof's bound grows with them."""

from __future__ import annotations

import math

import numpy as np

from grucore.ir import Graph
from grucore.layers import (
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Binary,
    Conv1d,
    Dense,
    Embedding,
    Gru,
    LayerNorm,
    Operation,
    Pool1d,
    Pooling,
    Softmax,
)
from grucore.node import Array, Node
from grucore.weights import as_float64

__all__ = ["largest_sum"]

MOST = float(1 << 24)
BOUNDED = (
    ActivationCode.SIGMOID,
    ActivationCode.TANH,
    ActivationCode.HARD_SIGMOID,
    ActivationCode.SOFTSIGN,
)


def largest_sum(graph: Graph, largest_input: float) -> float:
    """The largest sum of absolute values of terms that enters an activation, at most.

    Or what later products make of the error of an earlier one: errors of features are taken as
    independent, so that a row of weights multiplies them by the root of its sum of squares. What
    recurrent weights do to an error from frame to frame counts with their norm.
    """
    size = dict.fromkeys(graph.inputs, largest_input)
    carried = dict.fromkeys(graph.inputs, 0.0)
    for node in graph.nodes:
        total, written = _sizes(node, [size[name] for name in node.inputs])
        size[node.output] = min(written, MOST)
        if isinstance(node, Gru):
            total *= max(1.0, _norm(as_float64(node.weight_hh)))
        before = max(carried[name] for name in node.inputs)
        carried[node.output] = min(max(total, before * max(1.0, _gain(node))), MOST)
    return max(carried.values())


def _norm(matrix: Array) -> float:
    """The spectral norm, by a few steps of power iteration."""
    vector, length = np.full(matrix.shape[1], matrix.shape[1] ** -0.5), 0.0
    for _ in range(12):
        vector = matrix.T @ (matrix @ vector)
        length = float(np.linalg.norm(vector))
        if not length:
            return 0.0
        vector = vector / length
    return math.sqrt(length)


def _gain(node: Node) -> float:
    """What a layer multiplies independent errors of its input by, at most."""
    if isinstance(node, Dense | Conv1d):
        matrix = _matrix(node)
        return float(np.sqrt((matrix**2).sum(axis=1)).max())
    return float(np.abs(node.scale).max()) if isinstance(node, Affine) else 1.0


def _sizes(node: Node, incoming: list[float]) -> tuple[float, float]:
    """The largest sum in a node, 0 if it makes none, and the largest number that it writes."""
    x = incoming[0]
    match node:
        case Gru():
            state = _bound(node.activation, math.inf)
            # A linear or relu candidate has no bound: what the weights do to 1 is a measure.
            state = state if math.isfinite(state) else max(1.0, x)
            rows = _rows(as_float64(node.weight_ih)) * x
            rows += _rows(as_float64(node.weight_hh)) * state
            total = float((rows + np.abs(node.bias[: len(rows)])).max())
            return total, state
        case Dense() | Conv1d():
            rows = _rows(_matrix(node)) * x + np.abs(node.bias)
            total = float(rows.max())
            written = _bound(node.activation, total)
            return max(total, written), written
        case Affine():
            total = float((np.abs(node.scale) * x + np.abs(node.shift)).max())
            return total, total
        case LayerNorm():
            most = math.sqrt(len(node.scale))
            written = float((np.abs(node.scale) * most + np.abs(node.shift)).max())
            # Where features are nearly equal, an error of x is divided by the root of epsilon.
            steepest = float(np.abs(node.scale).max()) / math.sqrt(max(node.epsilon, 1e-8))
            return max(written, steepest * x), written
        case Binary():
            if node.operation in (Operation.MAXIMUM, Operation.MINIMUM):
                return 0.0, max(incoming)
            product = node.operation is Operation.MULTIPLY
            total = incoming[0] * incoming[1] if product else incoming[0] + incoming[1]
            return total, total
        case Pool1d():
            return x if node.pooling is Pooling.MEAN else 0.0, x
        case Embedding():
            return 0.0, float(np.abs(as_float64(node.table)).max(initial=0.0))
        case Activate():
            steep = 1.0 if node.slope is None else float(np.abs(node.slope).max(initial=1.0))
            written = _bound(node.activation, max(1.0, steep) * x)
            return written, written
        case Softmax():
            return 0.0, x if node.logarithm else 1.0
        case _:
            return 0.0, max(incoming)


def _matrix(node: Dense | Conv1d) -> Array:
    return as_float64(node.weight).reshape(len(node.weight), -1)


def _rows(matrix: Array) -> Array:
    rows: Array = np.abs(matrix).sum(axis=1)
    return rows


def _bound(activation: Activation, x: float) -> float:
    """The largest that an activation gives of numbers up to ``x``."""
    if activation.code in BOUNDED:
        return 1.0
    if activation.code is ActivationCode.EXP:
        return math.exp(min(x, 80.0))
    return max(1.0, abs(activation.alpha)) * x
