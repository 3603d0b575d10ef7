# SPDX-License-Identifier: Apache-2.0
"""Sums over the frames of a sequence as they are known at each of them: variances, and values that
are weighed by a softmax over time. A model that takes their last frame streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grucore.converters.build.powers import logarithm, power
from grucore.converters.trace.axes import Data, Unfit
from grucore.converters.trace.sizes import Unit
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Dense,
    Expand,
    Operation,
    Pool,
    Pooling,
    Position,
    Select,
    Take,
)
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array, Dtype

__all__ = ["frames_in", "last", "running", "shares", "varying", "weighed"]

LOWEST = -3e38  # below all scores, and no infinity, of which a difference would be no number


def running(trace: Trace, x: Value) -> Value:
    """For each frame the sum of all up to it."""
    before = trace.builder.delay(trace.name("before"), x.features, like=x)
    total = trace.builder.add(Binary, trace.name("total"), [x, before], operation=Operation.ADD)
    trace.builder.feed_back(before, total)
    return total


def last(trace: Trace, x: Value) -> Value:
    """The value at the end of the sequence."""
    return trace.add(Take, [x], "last", position=Position.LAST)


def _two(trace: Trace, one: Value, operation: Operation, other: Value) -> Value:
    return trace.add(Binary, [one, other], operation=operation)


def _counted(trace: Trace, x: Value) -> Value:
    """How many frames of a value there are up to each."""
    none = np.zeros((1, x.features))
    return running(trace, trace.add(Dense, [x], "one", weight=none, bias=np.ones(1)))


def frames_in(trace: Trace, size: Unit) -> Data:
    """A size that the source leaves open as a number of each sequence: a multiple of its frames,
    and more or less."""
    for x in trace.builder.values:
        timed = x.dtype is Dtype.FLOAT32 and x.rate is not Rate.SEQUENCE
        if timed and trace.extent_of(x) == replace(size, coefficient=1, offset=0):
            least = 1 - size.offset // size.coefficient  # frames with which it is above 0
            trace.shortest = max(trace.shortest, least)
            count = last(trace, _counted(trace, x))
            scale, shift = (np.full(1, float(n)) for n in (size.coefficient, size.offset))
            value = trace.add(Affine, [count], "size", scale=scale, shift=shift)
            return Data((), np.zeros((), np.int64), value)
    raise Unfit(f"computes with the size {size}, expected one of frames")


def varying(trace: Trace, x: Value, correction: float) -> Value:
    """The variance over all frames, by the recurrence of B. P. Welford (1962): each frame moves the
    mean by its share of the difference, and adds its differences to the old and the new mean."""
    count = _counted(trace, x)
    share = power(trace.put, trace.name("share"), count, -1.0)
    mean = trace.builder.delay(trace.name("mean"), x.features, like=x)
    away = _two(trace, x, Operation.SUBTRACT, mean)
    wide = trace.picked(share, np.zeros(x.features, np.int64))
    moved = _two(trace, mean, Operation.ADD, _two(trace, away, Operation.MULTIPLY, wide))
    trace.builder.feed_back(mean, moved)
    rest = _two(trace, x, Operation.SUBTRACT, moved)
    squares = last(trace, running(trace, _two(trace, away, Operation.MULTIPLY, rest)))
    shift = np.full(1, -float(correction))
    free = trace.add(Affine, [last(trace, count)], "free", scale=np.ones(1), shift=shift)
    share = power(trace.put, trace.name("inverse"), free, -1.0)
    trace.shortest = max(trace.shortest, int(correction) + 1)
    return _two(trace, squares, Operation.MULTIPLY, trace.picked(share, np.zeros(x.features)))


def shares(trace: Trace, x: Data, *, logarithm_of: bool) -> Data:
    """The softmax over all frames, or its logarithm, at each of them; `weighed` needs no such."""
    if not x.is_plain:
        raise Unfit(padding_text(x))
    scores = trace.ordered(x)

    def everywhere(value: Value) -> Value:
        return trace.add(Expand, [scores, value], "expand")

    most = everywhere(trace.add(Pool, [scores], "most", pooling=Pooling.MAXIMUM))
    less = _two(trace, scores, Operation.SUBTRACT, most)
    powers = trace.add(Activate, [less], activation=Activation.EXP)
    total = last(trace, running(trace, powers))
    if logarithm_of:
        logs = everywhere(logarithm(trace.put, trace.name("log"), total))
        return trace.fresh(x, _two(trace, less, Operation.SUBTRACT, logs))
    inverse = everywhere(power(trace.put, trace.name("inverse"), total, -1.0))
    found = _two(trace, powers, Operation.MULTIPLY, inverse)
    trace.shares[found.name] = scores
    return trace.fresh(x, found)


def weighed(trace: Trace, product: Value) -> Value | None:
    """The sum over all frames of a value times a softmax over them; None: of something else.

    At each frame the sums are those of exponentials of what the largest score so far is more, as in
    M. Milakov and N. Gimelshein, Online normalizer calculation for softmax (2018).
    """
    node = trace.builder.maker(product)
    if not isinstance(node, Binary) or node.operation is not Operation.MULTIPLY:
        return None
    values = {value.name: value for value in trace.builder.values}
    for own, other in (node.inputs, node.inputs[::-1]):
        base, places = _picked(trace, values[own])
        if base.name in trace.shares:
            return _weighed(trace, trace.shares[base.name], places, values[other])
    return None


def _picked(trace: Trace, value: Value) -> tuple[Value, Array]:
    """The value that features are selected of, and their places in it."""
    node = trace.builder.maker(value)
    if not isinstance(node, Select):
        return value, np.arange(value.features)
    (base,) = (each for each in trace.builder.values if each.name == node.inputs[0])
    return base, node.index


def _weighed(trace: Trace, scores: Value, places: Array, x: Value) -> Value:
    lowest = np.full(scores.features, LOWEST)
    before = trace.builder.delay(trace.name("most"), scores.features, lowest, like=scores)
    most = _two(trace, scores, Operation.MAXIMUM, before)
    trace.builder.feed_back(before, most)
    less = [_two(trace, each, Operation.SUBTRACT, most) for each in (before, scores)]
    old, new = (trace.add(Activate, [each], activation=Activation.EXP) for each in less)

    def summed(kept: Value, added: Value) -> Value:
        # With the compensation of W. Kahan (1965): there may be thousands of frames.
        so_far, lost = (
            trace.builder.delay(trace.name(word), added.features, like=x)
            for word in ("sum", "lost")
        )
        old, less = (_two(trace, each, Operation.MULTIPLY, kept) for each in (so_far, lost))
        more = _two(trace, added, Operation.SUBTRACT, less)
        total = _two(trace, old, Operation.ADD, more)
        came = _two(trace, total, Operation.SUBTRACT, old)
        trace.builder.feed_back(so_far, total)
        trace.builder.feed_back(lost, _two(trace, came, Operation.SUBTRACT, more))
        return last(trace, total)

    wide_old, wide_new = (trace.picked(each, places) for each in (old, new))
    sums = summed(wide_old, _two(trace, wide_new, Operation.MULTIPLY, x))
    inverse = power(trace.put, trace.name("inverse"), summed(old, new), -1.0)
    return _two(trace, sums, Operation.MULTIPLY, trace.picked(inverse, places))
