# SPDX-License-Identifier: Apache-2.0
"""Norms, softmax and gates: over all features of a frame, or over groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.trace.axes import FEATURES, TIME, Data, Operand, Unfit, WrongAxes, arrange
from grucore.converters.trace.ops.elementwise import (
    activated,
    affine,
    binary,
    scaled,
    spread_over,
)
from grucore.converters.trace.ops.over_time import shares
from grucore.converters.trace.ops.powers import raised, variance
from grucore.converters.trace.ops.reduce import reduced
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Activation, Concat, LayerNorm, Operation, Softmax
from grucore.graph.node import Node
from grucore.graph.tensors import Array

__all__ = ["channelwise", "gated", "group_norm", "layer_norm", "softmax"]

MAX_BLOCKS = 64
NUMBERS = ("scale", "shift")


def channelwise(trace: Trace, x: Data, scale: Array, shift: Array) -> Data:
    """A scale and a shift for each row of axis 1: a batch norm at inference."""
    if x.rank < 2 or not x.is_features(1):
        raise WrongAxes(f"X is {x.text}, expected features at axis 1")
    if scale.shape != (x.index.shape[1],):
        raise Unfit(f"{len(scale)} channels, expected {x.index.shape[1]}")
    shape = [1] * x.rank
    shape[1] = len(scale)
    scales, shifts = (
        np.broadcast_to(each.reshape(shape), x.index.shape).reshape(-1) for each in (scale, shift)
    )
    return affine(trace, x, scales, shifts)


def layer_norm(
    trace: Trace,
    x: Data,
    axes: Sequence[int],
    scale: Operand | None,
    shift: Operand | None,
    epsilon: float,
) -> Data:
    """The features normalized along some axes, for each place of the others by itself."""
    if any(not x.is_features(axis) for axis in axes):
        raise Unfit(f"goes over axes {list(axes)} of {x.text}, expected features")
    numbers = []
    for operand, what, fill in ((scale, "scale", 1.0), (shift, "shift", 0.0)):
        found, array = x, np.full(x.index.size, fill)
        if operand is not None:
            found, array = spread_over(trace, x, operand, what)
        if found.index.shape != x.index.shape:
            raise Unfit(f"its {what} is wider than {x.text}")
        numbers.append(array)
    return _in_blocks(trace, x, axes, LayerNorm, *numbers, epsilon=float(epsilon))


def _in_blocks(
    trace: Trace, x: Data, axes: Sequence[int], kind: type[Node], *numbers: Array, **given: Any
) -> Data:
    """A layer of this kind for each place of the other axes.

    ``numbers``: a scale and a shift with a number for each feature, in C order, or nothing.
    """
    shape = x.index.shape
    size = int(np.prod([shape[axis] for axis in axes]))
    if not x.is_plain:
        raise Unfit(padding_text(x))
    if size == x.index.size:
        given |= zip(NUMBERS, numbers, strict=False)
        return trace.fresh(x, trace.add(kind, [trace.ordered(x)], **given))
    if x.index.size // size > MAX_BLOCKS:
        raise Unfit(f"normalizes {x.index.size // size} groups, at most {MAX_BLOCKS}")
    last = range(-len(axes), 0)
    places, *rows = (
        np.moveaxis(array.reshape(shape), axes, last).reshape(-1, size)
        for array in (x.index, *numbers)
    )
    parts = [
        trace.add(
            kind,
            [trace.picked(x.value, index)],
            **given | {name: row[place] for name, row in zip(NUMBERS, rows, strict=False)},
        )
        for place, index in enumerate(places)
    ]
    joined = trace.add(Concat, parts, "groups")
    others = [axis for axis in range(len(shape)) if axis not in axes]
    turned = arrange([shape[axis] for axis in (*others, *axes)])
    return replace(x, index=np.moveaxis(turned, last, axes), value=joined)


def group_norm(
    trace: Trace, x: Data, groups: int, scale: Array, shift: Array, epsilon: float
) -> Data:
    """Axis 1 in groups, each normalized over all its features; ``scale`` and ``shift`` have a
    number for each channel, or one for each group."""
    shape = x.index.shape
    if x.rank < 2 or groups < 1 or shape[1] % groups or not x.is_features(1):
        raise Unfit(f"has {groups} groups of axis 1 of {x.text}")
    grouped = (shape[0], groups, shape[1] // groups, *shape[2:])
    if TIME in x.axes:
        axes = (*x.axes[:2], FEATURES, *x.axes[2:])
        inner = _normed_over_time(trace, x.moved(axes, x.index.reshape(grouped)), float(epsilon))
        found = inner.moved(x.axes, inner.index.reshape(shape))
        per = shape[1] // scale.size if groups in (scale.size, shift.size) else 1
        return channelwise(trace, found, np.repeat(scale, per), np.repeat(shift, per))
    if any(axis != FEATURES for axis in x.axes[1:]):
        raise Unfit(f"normalizes {x.text}, expected features and time")
    numbers = []
    for array in (scale, shift):
        lead = grouped[1:3] if array.size == shape[1] else (groups, 1)
        if array.size not in (groups, shape[1]):
            raise Unfit(f"a scale of {array.size} numbers for {groups} groups")
        wide = array.reshape(1, *lead, *(1,) * (len(shape) - 2))
        numbers.append(np.broadcast_to(wide, grouped).reshape(-1))
    kinds = (x.axes[0], *(FEATURES,) * (len(grouped) - 1))
    inner = x.moved(kinds, x.index.reshape(grouped))
    last, epsilon = range(2, len(grouped)), float(epsilon)
    result = _in_blocks(trace, inner, last, LayerNorm, *numbers, epsilon=epsilon)
    return result.moved(x.axes, result.index.reshape(shape))


def _normed_over_time(trace: Trace, x: Data, epsilon: float) -> Data:
    """Each place of axis 1 normalized over all frames, and over the features of later axes."""
    time = [x.axes.index(TIME)]
    others = [axis for axis in range(2, x.rank) if axis not in time]
    means = reduced(trace, x, time, "mean", keep=True)
    spread = variance(trace, x, time, 0, root=False, keep=True)
    mean = reduced(trace, means, others, "mean", keep=True)
    if others and x.index.size > x.index.shape[1]:
        apart = raised(trace, binary(trace, means, mean, Operation.SUBTRACT), 2.0)
        spread = binary(trace, spread, apart, Operation.ADD)
        spread = reduced(trace, spread, others, "mean", keep=True)
    share = raised(trace, scaled(trace, spread, 1.0, epsilon), -0.5)
    away = binary(trace, x, mean, Operation.SUBTRACT)
    return binary(trace, away, share, Operation.MULTIPLY)


def softmax(trace: Trace, x: Data, axes: Sequence[int], *, logarithm: bool) -> Data:
    """The softmax, or its logarithm, over axes of features, for each place of the others; or over
    time."""
    wide = [axis for axis in axes if not x.is_features(axis) or x.index.shape[axis] > 1]
    if [x.axes[axis] for axis in wide] == [TIME]:
        return shares(trace, x, logarithm_of=logarithm)
    if any(not x.is_features(axis) for axis in axes):
        raise Unfit(f"goes over axes {list(axes)} of {x.text}, expected features or time")
    return _in_blocks(trace, x, axes, Softmax, logarithm=logarithm)


def gated(trace: Trace, x: Data, axis: int) -> Data:
    """The first half of an axis times the sigmoid of the other half."""
    if not x.is_features(axis) or x.index.shape[axis] % 2:
        raise Unfit(f"goes over axis {axis} of {x.text}, expected an even number of features")
    one, other = (x.moved(x.axes, half) for half in np.split(x.index, 2, axis))
    gate = activated(trace, other, Activation.SIGMOID, suffix="gate")
    return binary(trace, one, gate, Operation.MULTIPLY)
