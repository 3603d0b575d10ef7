# SPDX-License-Identifier: Apache-2.0
"""Roots, logarithms, powers and quotients of values; norms and variances that are made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grucore.converters.build.powers import (
    by_root_of_squares,
    is_nowhere_negative,
    logarithm,
    power,
)
from grucore.converters.trace.axes import TIME, Data, Operand, Tracked, Unfit
from grucore.converters.trace.ops.elementwise import (
    ABSOLUTE,
    activated,
    arithmetic,
    binary,
    clipped,
    scaled,
    softsign,
)
from grucore.converters.trace.ops.over_time import varying
from grucore.converters.trace.ops.reduce import pooled, reduced, without
from grucore.converters.trace.ops.spectra import rooted, squared
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Activation, Operation
from grucore.graph.tensors import Array

__all__ = [
    "EXPONENTS",
    "LOGARITHMS",
    "cosine",
    "divided",
    "error_function",
    "log_sum_exp",
    "logged",
    "normalized",
    "normed",
    "raised",
    "rms_norm",
    "variance",
]

LOGARITHMS = {"log": 1.0, "log2": 1 / math.log(2), "log10": 1 / math.log(10)}
STEEP = 1e38  # times any number that is not 0, a sigmoid made of lines is 0 or 1
SMALLEST = 1e-30  # in place of the square of 0, which nothing can be divided by
EXPONENTS = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0}


def logged(trace: Trace, x: Operand | None, word: str) -> Data:
    """The logarithm ("log", "log2", "log10"), or that of one more ("log1p")."""
    data = trace.data(x)
    if word == "log1p":
        return activated(trace, data, Activation.log1p(-math.inf))
    value = logarithm(trace.put, trace.name(), trace.ordered(data), LOGARITHMS[word])
    return trace.fresh(data, value)


def raised(trace: Trace, x: Operand | None, exponent: float) -> Data:
    """A value to a power; see `build.powers.power`. With a whole one below 0 of any sign."""
    data = trace.data(x)
    of_spectrum = {2.0: squared, 0.5: rooted}.get(exponent)
    bins = None if of_spectrum is None else of_spectrum(trace, data.value)
    if bins is not None:
        return replace(data, value=bins)
    value = trace.ordered(data)
    if exponent == 0:
        raise Unfit("the exponent is 0")
    if exponent >= 0 or exponent % 1 or is_nowhere_negative(trace.builder.nodes, value):
        return trace.fresh(data, power(trace.put, trace.name(), value, exponent))
    size = activated(trace, data, ABSOLUTE, suffix="size")
    found = trace.fresh(size, power(trace.put, trace.name(), size.value, exponent))
    if exponent % 2 == 0:
        return found
    step = activated(trace, data, Activation.hard_sigmoid(STEEP, 1.0), suffix="step")
    return binary(trace, found, scaled(trace, step, 2.0, -1.0), Operation.MULTIPLY)


def divided(trace: Trace, a: Operand | None, b: Operand | None) -> Data:
    """The quotient of two values, or of a value and a constant."""
    if not isinstance(b, Data):
        return arithmetic(trace, a, b, "div")
    found = softsign(trace, a, b) if isinstance(a, Data) else None
    return arithmetic(trace, a, raised(trace, b, -1.0), "mul") if found is None else found


def normed(trace: Trace, x: Data, axes: Sequence[int], order: float, *, keep: bool) -> Data:
    """The norm of order 1 or 2 over axes of features."""
    _check_features(x, axes)
    if order not in (1, 2):
        raise Unfit(f"a norm of order {order}, expected 1 or 2")
    terms = raised(trace, x, 2.0) if order == 2 else activated(trace, x, ABSOLUTE)
    total = reduced(trace, terms, axes, "sum", keep=keep)
    return raised(trace, total, 0.5) if order == 2 else total


def normalized(trace: Trace, x: Data, axes: Sequence[int], order: float, epsilon: float) -> Data:
    """A vector divided by its norm, or by ``epsilon`` where that is more."""
    size = clipped(trace, normed(trace, x, axes, order, keep=True), epsilon, math.inf)
    return divided(trace, x, size)


def cosine(trace: Trace, a: Data, b: Operand, axis: int, epsilon: float) -> Data:
    """The cosine of the angle between two vectors; ``b`` may be constants.

    ``axis`` is counted from the end: either may have fewer axes.
    """
    if isinstance(b, Data):
        other: Operand = normalized(trace, b, [axis + b.rank], 2, epsilon)
    else:
        numbers = trace.weights(b, "the second value")
        sizes = np.sqrt((numbers**2).sum(axis=axis, keepdims=True))
        other = numbers / np.maximum(sizes, epsilon)
    own = normalized(trace, a, [axis + a.rank], 2, epsilon)
    product = arithmetic(trace, own, other, "mul")
    return reduced(trace, product, [axis + product.rank], "sum", keep=False)


def error_function(trace: Trace, x: Operand | None) -> Data:
    """erf(x): with u = sqrt(2) x, the sum of gelu(u) and gelu(-u) is u erf(x).

    A product with it may be gelu itself: see `elementwise.arithmetic`.
    """
    data = trace.data(x)
    wide = scaled(trace, clipped(trace, data, -4.0, 4.0), math.sqrt(2))  # erf(4) rounds to 1
    sides = [activated(trace, scaled(trace, wide, factor), Activation.GELU) for factor in (1, -1)]
    product = binary(trace, sides[0], sides[1], Operation.ADD)
    squares = clipped(trace, raised(trace, wide, 2.0), SMALLEST, math.inf)
    share = binary(trace, wide, raised(trace, squares, -1.0), Operation.MULTIPLY)
    found = binary(trace, product, share, Operation.MULTIPLY)
    trace.errors[found.value.name] = trace.ordered(data).name
    return found


def variance(
    trace: Trace, x: Data, axes: Sequence[int], correction: float, *, root: bool, keep: bool
) -> Data:
    """The variance over axes of features or over time, or its root, the deviation."""
    if [x.axes[axis] for axis in axes] == [TIME]:
        if not x.is_plain:
            raise Unfit(padding_text(x))
        found = replace(pooled(trace, x, axes, "mean"), value=varying(trace, x.value, correction))
        found = raised(trace, found, 0.5) if root else found
        return found if keep else without(found, axes)
    _check_features(x, axes)
    count = math.prod(x.index.shape[axis] for axis in axes)
    if count <= correction:
        raise Unfit(f"the variance of {count} features, expected more than {correction}")
    mean = reduced(trace, x, axes, "mean", keep=True)
    squares = raised(trace, binary(trace, x, mean, Operation.SUBTRACT), 2.0)
    total = scaled(trace, reduced(trace, squares, axes, "sum", keep=keep), 1 / (count - correction))
    return raised(trace, total, 0.5) if root else total


def _check_features(x: Tracked, axes: Sequence[int]) -> None:
    if any(not x.is_features(axis) for axis in axes):
        raise Unfit(f"goes over axes {list(axes)} of {x.text}, expected features")


def log_sum_exp(trace: Trace, x: Data, axes: Sequence[int], *, keep: bool) -> Data:
    """The logarithm of the sum of exponentials, which are those of what the largest is less."""
    most = reduced(trace, x, axes, "max", keep=True)
    powers = activated(trace, binary(trace, x, most, Operation.SUBTRACT), Activation.EXP)
    total = logged(trace, reduced(trace, powers, axes, "sum", keep=True), "log")
    found = binary(trace, total, most, Operation.ADD)
    return found if keep else without(found, axes)


def rms_norm(
    trace: Trace, x: Data, axes: Sequence[int], scale: Array | None, epsilon: float
) -> Data:
    """``x / sqrt(mean(x^2) + epsilon)`` times a scale; the mean is that of all features."""
    _check_features(x, axes)
    if x.index.size != math.prod(x.index.shape[axis] for axis in axes):
        raise Unfit(f"goes over axes {list(axes)} of {x.text}, expected all features of a frame")
    size = x.index.size
    factors = np.ones(size) if scale is None else np.broadcast_to(scale.reshape(-1), (size,))
    value = by_root_of_squares(trace.put, trace.name(), trace.ordered(x), factors, float(epsilon))
    return trace.fresh(x, value)
