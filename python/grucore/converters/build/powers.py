# SPDX-License-Identifier: Apache-2.0
"""Powers, roots and quotients of computed values, as logarithms and exponentials.

The logarithm of a negative number is NaN, as its root is; 1 / x of one is a number, so that a
quotient needs to know that what divides is nowhere negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Binary,
    Concat,
    Dense,
    Filterbank,
    Flip,
    LayerNorm,
    Operation,
    Pool,
    Pool1d,
    Rfft,
    Select,
    Softmax,
    Spectrum,
    Take,
)
from grucore.graph.node import Node, Value
from grucore.graph.tensors import Array

__all__ = ["Add", "by_root_of_squares", "is_nowhere_negative", "logarithm", "power", "quotient"]

Add: TypeAlias = Callable[..., Value]
"""Adds a layer: kind, inputs, name=, and the layer's own arguments; gives the value it writes."""

MOST_MULTIPLIED = 8
_LEAST = {
    **dict.fromkeys((ActivationCode.RELU, ActivationCode.SIGMOID, ActivationCode.EXP), 0.0),
    **dict.fromkeys((ActivationCode.SOFTPLUS, ActivationCode.HARD_SIGMOID), 0.0),
    **dict.fromkeys((ActivationCode.TANH, ActivationCode.SOFTSIGN), -1.0),
}


def logarithm(add: Add, name: str, x: Value, factor: float = 1.0) -> Value:
    """``factor log(x)``: of 0 infinite, of less NaN."""
    return add(Activate, [x], name=name, activation=Activation.log(-math.inf, factor))


def power(add: Add, name: str, x: Value, exponent: float) -> Value:
    """``x ** exponent``; of a negative x NaN, unless the exponent is whole, from 1 to 8.

    With an exponent below 0, x must be nowhere negative.
    """
    if exponent in range(1, MOST_MULTIPLIED + 1):
        result = x
        for _ in range(int(exponent) - 1):
            result = add(Binary, [result, x], name=name, operation=Operation.MULTIPLY)
        return result
    logs = logarithm(add, f"{name}.log", x, exponent)
    return add(Activate, [logs], name=name, activation=Activation.EXP)


def quotient(add: Add, name: str, one: Value, other: Value) -> Value:
    """``one / other``, where the other is nowhere negative."""
    inverse = power(add, f"{name}.inverse", other, -1.0)
    return add(Binary, [one, inverse], name=name, operation=Operation.MULTIPLY)


def by_root_of_squares(add: Add, name: str, x: Value, scale: Array, epsilon: float) -> Value:
    """``scale * x / sqrt(mean(x^2) + epsilon)``, ``scale`` (features,).

    A LayerNorm of x beside -x: their mean is 0, and their variance the mean of x^2.
    """
    size = x.features
    minus = add(Affine, [x], name=f"{name}.minus", scale=np.full(size, -1.0), shift=np.zeros(size))
    both = add(Concat, [x, minus], name=f"{name}.both")
    normed = add(
        LayerNorm,
        [both],
        name=f"{name}.norm",
        scale=np.tile(scale, 2).astype(np.float32),
        shift=np.zeros(2 * size, np.float32),
        epsilon=epsilon,
    )
    return add(Select, [normed], name=name, index=np.arange(size, dtype=np.int32))


def is_nowhere_negative(nodes: Sequence[Node], value: Value) -> bool:
    """True if the layers that make a value can give nothing below 0."""
    return _Bounds(nodes).least(value.name) >= 0


class _Bounds:
    """Numbers below which no feature of a value is."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = {node.output: node for node in nodes}
        self._known: dict[str, float] = {}

    def least(self, name: str) -> float:
        if name not in self._known:
            self._known[name] = -math.inf  # while it is looked for: it may be read by itself
            node = self._nodes.get(name)
            found = -math.inf if node is None else self._of(node)
            self._known[name] = -math.inf if math.isnan(found) else found
        return self._known[name]

    def _of(self, node: Node) -> float:
        inputs = [self.least(name) for name in node.inputs]
        if isinstance(node, Activate):
            return -math.inf if node.slope is not None else _activated(node.activation, inputs[0])
        if isinstance(node, Binary):
            return _of_two(node, inputs[0], inputs[1])
        if isinstance(node, Affine):
            return _scaled(node.scale, node.shift, inputs[0])
        if isinstance(node, Dense):
            if node.activation.code is not ActivationCode.LINEAR:
                return _activated(node.activation, -math.inf)
            weight = np.asarray(node.weight, np.float64)  # a converter makes no others
            if (weight < 0).any():
                return -math.inf
            return _scaled(weight.sum(1), node.bias, inputs[0])
        if isinstance(node, Rfft):
            return -math.inf if node.spectrum is Spectrum.COMPLEX else 0.0
        if isinstance(node, Filterbank):
            return 0.0 if (node.weight >= 0).all() and inputs[0] >= 0 else -math.inf
        if isinstance(node, Softmax):
            return -math.inf if node.logarithm else 0.0
        if isinstance(node, Concat | Select | Take | Pool | Pool1d | Flip):
            return min(inputs)
        return -math.inf


def _activated(activation: Activation, least: float) -> float:
    if activation.code is ActivationCode.CLIP:
        return max(activation.alpha, min(least, activation.beta))
    if activation.code is ActivationCode.LEAKY_RELU and activation.alpha <= 0:
        return max(0.0, least)
    if activation.code is ActivationCode.LINEAR:
        return least
    return _LEAST.get(activation.code, -math.inf)


def _of_two(node: Binary, one: float, other: float) -> float:
    if node.operation is Operation.ADD:
        return one + other
    if node.operation is Operation.MAXIMUM:
        return max(one, other)
    if node.operation is Operation.MINIMUM:
        return min(one, other)
    if node.operation is Operation.MULTIPLY:
        if node.inputs[0] == node.inputs[1]:
            return 0.0
        return 0.0 if min(one, other) >= 0 else -math.inf
    return -math.inf


def _scaled(scale: Any, shift: Any, least: float) -> float:
    """The least value of ``scale * x + shift``, where x is at least so large."""
    if np.asarray(scale).min(initial=math.inf) < 0:
        return -math.inf
    # A scale of 0 leaves nothing of x, however small that may be.
    with np.errstate(invalid="ignore"):
        lowest = np.where(np.asarray(scale) == 0, 0.0, np.asarray(scale, np.float64) * least)
    return float((lowest + np.asarray(shift, np.float64)).min(initial=math.inf))
