# SPDX-License-Identifier: Apache-2.0
"""Operations element by element: activations, arithmetic of two values or with constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    Axes,
    Axis,
    Data,
    Operand,
    Spread,
    Tracked,
    Unfit,
    arrange,
    spread,
)
from grucore.converters.trace.ops.spectra import summed
from grucore.converters.trace.trace import Trace
from grucore.graph.layers import Activate, Activation, Affine, Binary, Operation
from grucore.graph.tensors import Array

__all__ = [
    "ABSOLUTE",
    "activated",
    "affine",
    "alike",
    "arithmetic",
    "binary",
    "broadcast",
    "celu",
    "clipped",
    "extreme",
    "log_sigmoid",
    "mish",
    "prelu",
    "scaled",
    "selu",
    "soft_shrink",
    "softplus",
    "softsign",
    "spread_over",
    "tanh_shrink",
    "threshold",
]

ABSOLUTE = Activation.leaky_relu(-1.0)
GELU_SLOPES = (0.5**0.5, 0.70703125, 1 / 1.4140625)  # and what half precision makes of it
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
OPERATIONS = {"add": Operation.ADD, "sub": Operation.SUBTRACT, "mul": Operation.MULTIPLY}


def activated(
    trace: Trace, x: Operand | None, kind: Activation, slope: Array | None = None, suffix: str = ""
) -> Data:
    """An activation; ``slope`` has a number for each feature in C order."""
    data = trace.data(x)
    value = trace.ordered(data)
    return trace.fresh(data, trace.add(Activate, [value], suffix, activation=kind, slope=slope))


def prelu(trace: Trace, x: Operand | None, slope: Operand | None) -> Data:
    """Below zero times a slope, which broadcasts against the tensor."""
    data, slopes = spread_over(trace, trace.data(x), slope, "slope")
    if slopes.size and (slopes == slopes[0]).all():
        return activated(trace, data, Activation.leaky_relu(float(slopes[0])))
    return activated(trace, data, Activation.leaky_relu(0.0), slopes)


def clipped(trace: Trace, x: Operand | None, least: float, most: float) -> Data:
    """No less and no more than two numbers."""
    return activated(trace, x, Activation.clip(least, most))


def selu(
    trace: Trace, x: Operand | None, alpha: float = SELU_ALPHA, gamma: float = SELU_SCALE
) -> Data:
    """``gamma`` times the elu of ``alpha``."""
    return scaled(trace, activated(trace, x, Activation.elu(alpha)), gamma)


def celu(trace: Trace, x: Operand | None, alpha: float) -> Data:
    """``alpha`` times the elu of ``x / alpha``."""
    if alpha == 1:
        return activated(trace, x, Activation.elu(1.0))
    if alpha <= 0:
        raise Unfit(f"celu with alpha {alpha}, expected a number above 0")
    inner = scaled(trace, trace.data(x), 1 / alpha)
    return scaled(trace, activated(trace, inner, Activation.elu(1.0)), alpha)


def softplus(trace: Trace, x: Operand | None, beta: float = 1.0) -> Data:
    """``log(1 + exp(beta x)) / beta``."""
    if beta == 1:
        return activated(trace, x, Activation.SOFTPLUS)
    if beta == 0:
        raise Unfit("softplus with beta 0")
    inner = scaled(trace, trace.data(x), beta)
    return scaled(trace, activated(trace, inner, Activation.SOFTPLUS), 1 / beta)


def threshold(trace: Trace, x: Operand | None, bound: float, value: float) -> Data:
    """The value where x is not above the bound: a step, unless both are the same number."""
    if bound != value:
        raise Unfit(f"jumps to {value} at {bound}, expected the same number")
    if bound == 0:
        return activated(trace, x, Activation.RELU)
    return clipped(trace, x, bound, math.inf)


def log_sigmoid(trace: Trace, x: Operand | None) -> Data:
    """-softplus(-x)."""
    turned = activated(trace, scaled(trace, trace.data(x), -1.0), Activation.SOFTPLUS)
    return scaled(trace, turned, -1.0)


def mish(trace: Trace, x: Operand | None) -> Data:
    """x tanh(softplus(x))."""
    data = trace.data(x)
    factor = activated(trace, activated(trace, data, Activation.SOFTPLUS), Activation.TANH)
    return binary(trace, data, factor, Operation.MULTIPLY)


def tanh_shrink(trace: Trace, x: Operand | None) -> Data:
    """x - tanh(x)."""
    data = trace.data(x)
    return binary(trace, data, activated(trace, data, Activation.TANH), Operation.SUBTRACT)


def soft_shrink(trace: Trace, x: Operand | None, bound: float = 0.5) -> Data:
    """x less what of it lies within a bound."""
    data = trace.data(x)
    return binary(trace, data, clipped(trace, data, -bound, bound), Operation.SUBTRACT)


def affine(trace: Trace, x: Data, scale: Array, shift: Array) -> Data:
    """``scale`` times the data plus ``shift``, numbers in the order of its features."""
    value = trace.ordered(x)
    return trace.fresh(x, trace.add(Affine, [value], scale=scale, shift=shift))


def scaled(trace: Trace, x: Data, scale: float, shift: float = 0.0) -> Data:
    """One number times the data, plus another."""
    size = x.index.size
    return affine(trace, x, np.full(size, float(scale)), np.full(size, float(shift)))


def broadcast(tensors: Sequence[Tracked]) -> tuple[Axes, list[Array]]:
    """The axes that the tensors have together, and their indices at all its features."""
    rank = max(x.rank for x in tensors)
    texts = " with ".join(x.text for x in tensors)
    axes: list[Axis] = []
    padded = [
        (
            (FEATURES,) * (rank - x.rank) + x.axes,
            x.index.reshape((1,) * (rank - x.rank) + x.index.shape),
        )
        for x in tensors
    ]
    for place in range(rank):
        kinds = {kinds[place] for kinds, _ in padded} - {FEATURES}
        # A constant or a lone row has no such axis: it must be of size 1 there.
        wide = any(k[place] == FEATURES and i.shape[place] > 1 for k, i in padded)
        if len(kinds) > 1 or (kinds and wide):
            raise Unfit(f"combines {texts}")
        axes.append(kinds.pop() if kinds else FEATURES)
    outer = [part for axis in axes for part in axis.outer]
    if len(set(outer)) < len(outer):
        raise Unfit(f"combines {texts}")
    try:
        indices = np.broadcast_arrays(*(index for _, index in padded))
    except ValueError:
        raise Unfit(f"combines {texts}, whose features do not fit") from None
    return tuple(axes), list(indices)


def spread_over(trace: Trace, x: Data, operand: Operand | None, what: str) -> tuple[Data, Array]:
    """A constant with a number for each feature of the data, which may become more by it."""
    if not isinstance(operand, Spread):
        array = trace.weights(operand, what)
        operand = spread(alike(trace, x, array))
    axes, (index, numbers) = broadcast([x, operand])
    return x.moved(axes, index), numbers.reshape(-1).astype(np.float64)


def alike(trace: Trace, x: Data, array: Array) -> Array:
    """A constant with rows for a fixed batch or time, all of them the same, as one row."""
    lead = x.rank - array.ndim
    for place in range(array.ndim):
        at = place + lead
        if at < 0 or x.is_features(at) or array.shape[place] == 1:
            continue
        first = array.take([0], axis=place)
        if array.shape[place] == trace.size(x, at):
            if (array != first).any():
                raise Unfit(f"a constant of shape {array.shape} that differs along {x.axes[at]}")
            array = first
    return array


def arithmetic(trace: Trace, a: Operand | None, b: Operand | None, word: str) -> Data:
    """Two tensors added ("add"), subtracted ("sub"), multiplied ("mul") or divided ("div")."""
    is_first = isinstance(a, Tracked) and not isinstance(a, Spread)
    if is_first and isinstance(b, Tracked) and not isinstance(b, Spread):
        if word == "div":
            found = softsign(trace, trace.data(a), trace.data(b))
            if found is None:
                raise Unfit("divides a value by a value, which is not supported")
            return found
        gelu = _gelu(trace, trace.data(a), trace.data(b)) if word == "mul" else None
        return gelu or binary(trace, trace.data(a), trace.data(b), OPERATIONS[word])
    x, other = (a, b) if is_first else (b, a)
    data, numbers = spread_over(trace, trace.data(x), other, "the constant")
    ones, none = np.ones_like(numbers), np.zeros_like(numbers)
    if word == "add":
        return affine(trace, data, ones, numbers)
    if word == "sub":
        return affine(trace, data, *((ones, -numbers) if is_first else (-ones, numbers)))
    if word == "mul":
        return affine(trace, data, numbers, none)
    if not is_first:
        raise Unfit("divides by a value that the model computes")
    if (numbers == 0).any():
        raise Unfit("divides by 0")
    return affine(trace, data, 1 / numbers, none)


def binary(trace: Trace, a: Data, b: Data, operation: Operation) -> Data:
    """Two values element by element; features of extent 1 are repeated."""
    a, b = trace.level([a, b])
    trace.check_alike([a, b], "combines")
    axes, indices = broadcast([a, b])
    values = [trace.ordered(x.moved(axes, index)) for x, index in zip((a, b), indices, strict=True)]
    if operation is Operation.ADD:
        value = summed(trace, values)
    else:
        value = trace.add(Binary, values, operation=operation)
    return replace(a, axes=axes, index=arrange(indices[0].shape), value=value)


def softsign(trace: Trace, a: Data, b: Data) -> Data | None:
    """x / (1 + |x|), as softsign is written; None: it is another quotient."""
    nodes = {node.output: node for node in trace.builder.nodes}
    total = nodes.get(b.value.name)
    size = nodes.get(total.inputs[0]) if isinstance(total, Affine) else None
    if (
        isinstance(total, Affine)
        and isinstance(size, Activate)
        and bool((total.scale == 1).all() and (total.shift == 1).all())
        and size.activation == ABSOLUTE
        and size.slope is None
        and size.inputs[0] == trace.ordered(a).name
        and a.axes == b.axes
        and b.in_order
    ):
        return activated(trace, a, Activation.SOFTSIGN)
    return None


def _gelu(trace: Trace, a: Data, b: Data) -> Data | None:
    """x (1 + erf(x / sqrt(2))), times any number, as gelu is written; None: another product."""
    if not trace.errors or a.axes != b.axes or not (a.in_order and b.in_order):
        return None
    for one, other in ((a, b), (b, a)):
        name, scale, shift = _line(trace, other.value.name)
        within = trace.errors.get(name)
        if within is None or not math.isclose(scale, shift, rel_tol=1e-6):
            continue
        inner, slope, offset = _line(trace, within)
        root, factor, rest = _line(trace, one.value.name)
        near = any(math.isclose(slope, each, rel_tol=1e-6) for each in GELU_SLOPES)
        if root == inner and offset == rest == 0 and near:
            value = next(each for each in trace.builder.values if each.name == root)
            found = activated(trace, trace.fresh(a, value), Activation.GELU)
            times = 2 * factor * scale
            return found if times == 1 else scaled(trace, found, times)
    return None


def _line(trace: Trace, name: str) -> tuple[str, float, float]:
    """The value that another is made of by numbers alone, ``scale`` times it plus ``shift``."""
    makers = {node.output: node for node in trace.builder.nodes}
    scale, shift = 1.0, 0.0
    while isinstance(node := makers.get(name), Affine):
        if np.ptp(node.scale) or np.ptp(node.shift):
            break
        scale, shift = scale * float(node.scale[0]), scale * float(node.shift[0]) + shift
        name = node.inputs[0]
    return name, scale, shift


def extreme(trace: Trace, a: Operand | None, b: Operand | None, operation: Operation) -> Data:
    """The greater or the lesser of two values, or of a value and one number."""
    if isinstance(a, Tracked) and isinstance(b, Tracked):
        return binary(trace, trace.data(a), trace.data(b), operation)
    x, other = (a, b) if isinstance(a, Tracked) else (b, a)
    array = trace.weights(other, "the second value")
    if array.size == 0 or (array != array.reshape(-1)[0]).any():
        raise Unfit(f"a bound of shape {array.shape}, expected one number")
    bound = float(array.reshape(-1)[0])
    if operation is Operation.MAXIMUM and bound == 0:
        return activated(trace, x, Activation.RELU)
    ends = (bound, math.inf) if operation is Operation.MAXIMUM else (-math.inf, bound)
    return clipped(trace, x, *ends)
