# SPDX-License-Identifier: Apache-2.0
"""Sums, means and extremes over features or time, and Einsum with constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    TIME,
    Data,
    Operand,
    Tracked,
    Unfit,
    WrongAxes,
    arrange,
)
from grucore.converters.trace.ops.elementwise import binary, scaled
from grucore.converters.trace.ops.over_time import last, running, weighed
from grucore.converters.trace.ops.spectra import summed
from grucore.converters.trace.ops.views import transposed, unsqueezed
from grucore.converters.trace.trace import MAX_FOLDED, Trace, padding_text
from grucore.graph.layers import (
    ArgMax,
    Binary,
    Concat,
    Dense,
    Operation,
    Pool,
    Pooling,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["accumulated", "arg_max", "einsum", "pooled", "reduced", "without"]

OPERATIONS = {
    "max": Operation.MAXIMUM,
    "min": Operation.MINIMUM,
    "mean": Operation.ADD,
    "sum": Operation.ADD,
}
FEW = 8  # terms that are added pair by pair, more by a product


def reduced(trace: Trace, x: Operand | None, axes: Sequence[int], kind: str, *, keep: bool) -> Data:
    """The "sum", "mean", "max" or "min" over these axes, of features, time or both."""
    data = trace.data(x)
    if any(data.axes[axis] not in (TIME, FEATURES) for axis in axes):
        why = f"goes over axes {list(axes)} of {data.text}, expected time or features"
        if kind == "max" and any(data.axes[axis] == TIME for axis in axes):
            why += " (top_db? The loudest number is known at the end alone: set it to None)"
        raise Unfit(why)
    over = [axis for axis in axes if data.is_features(axis)]
    # Over features first: the mean of means is that of all, whatever the order.
    if prod(data.index.shape[axis] for axis in over) > 1:
        data = _over_features(trace, data, over, kind)
    if len(over) < len(axes):
        data = pooled(trace, data, axes, kind)
    return data if keep else without(data, axes)


def without(x: Data, axes: Sequence[int]) -> Data:
    """Without axes of size 1."""
    kept = tuple(axis for place, axis in enumerate(x.axes) if place not in axes)
    return x.moved(kept, x.index.squeeze(tuple(axes)))


def _over_features(trace: Trace, x: Data, axes: Sequence[int], kind: str) -> Data:
    """One number in place of all along these axes of features, which stay with size 1."""
    shape = tuple(1 if place in axes else size for place, size in enumerate(x.index.shape))
    count, width = prod(x.index.shape[axis] for axis in axes), prod(shape)
    places = np.moveaxis(x.index, axes, range(len(axes))).reshape(count, width)
    operation = OPERATIONS[kind]
    if not x.is_plain:
        raise Unfit(padding_text(x))
    if operation is Operation.ADD and (count > FEW or width == 1):
        share = 1 / count if kind == "mean" else 1.0
        weight = np.tile(share * np.eye(width), (1, count))
        value = _product(trace, x, places, weight)
        return replace(x, index=arrange(shape), value=value)
    value, index = x.value, places
    while len(index) > 1:
        half = len(index) // 2
        pair = [trace.picked(value, index[start : start + half]) for start in (0, half)]
        if operation is Operation.ADD:
            joined = [summed(trace, pair)]
        else:
            joined = [trace.add(Binary, pair, operation=operation)]
        if len(index) % 2:
            joined.append(trace.picked(value, index[-1:]))
        value = joined[0] if len(joined) == 1 else trace.add(Concat, joined)
        index = np.arange(value.features).reshape(-1, width)
    result = replace(x, index=arrange(shape), value=value)
    return scaled(trace, result, 1 / count) if kind == "mean" else result


def _product(trace: Trace, x: Data, index: Array, weight: Array) -> Value:
    """The features at these places times a matrix (outputs, places)."""
    if weight.size > MAX_FOLDED:
        raise Unfit(f"is a product of {weight.shape[1]} by {weight.shape[0]}: too large")
    source = trace.picked(x.value, index)
    return trace.add(Dense, [source], weight=weight, bias=np.zeros(len(weight)))


def pooled(trace: Trace, x: Data, axes: Sequence[int], kind: str) -> Data:
    """Mean, sum, maximum or minimum over all frames; all of ``axes`` have size 1 then."""
    times = [axis for axis in axes if x.axes[axis] == TIME]
    lone = all(
        x.is_features(axis) and x.index.shape[axis] == 1 for axis in axes if axis not in times
    )
    if len(times) != 1 or not lone:
        raise Unfit(f"goes over axes {list(axes)} of {x.text}, expected time alone")
    if kind == "min":  # the largest of what is negated
        return scaled(trace, pooled(trace, scaled(trace, x, -1.0), axes, "max"), -1.0)
    if not x.is_plain:
        raise Unfit(padding_text(x))
    if kind == "sum":
        value = weighed(trace, x.value) or last(trace, running(trace, x.value))
    else:
        pooling = Pooling.MEAN if kind == "mean" else Pooling.MAXIMUM
        value = trace.add(Pool, [x.value], pooling=pooling)
    kinds = tuple(FEATURES if axis in axes else each for axis, each in enumerate(x.axes))
    return replace(x, axes=kinds, value=value)


def accumulated(trace: Trace, x: Operand | None, axis: int) -> Data:
    """For each frame the sum of all up to it; of features each with those before it."""
    data = trace.data(x)
    if not data.is_plain:
        raise Unfit(padding_text(data))
    if data.is_features(axis):
        size, width = data.index.shape[axis], data.index.size
        places = np.moveaxis(data.index, axis, 0).reshape(-1)
        weight = np.kron(np.tri(size), np.eye(width // size))
        value = _product(trace, data, places, weight)
        shape = data.index.shape
        turned = arrange((size, *shape[:axis], *shape[axis + 1 :]))
        return replace(data, index=np.moveaxis(turned, 0, axis), value=value)
    if data.axes[axis] != TIME:
        raise Unfit(f"adds up along axis {axis} of {data.text}, expected time or features")
    return replace(data, value=running(trace, data.value))


def einsum(trace: Trace, equation: str, operands: Sequence[Operand]) -> Data:
    """A value and constants, a product with the matrix that the equation means; or two values."""
    inputs, result = _labels(equation, len(operands))
    computed = [place for place, each in enumerate(operands) if isinstance(each, Tracked)]
    if len(computed) == len(operands) == 2:
        return _of_two(trace, [trace.data(each) for each in operands], inputs, result)
    if len(computed) != 1:
        raise Unfit("multiplies more than two values that the model computes")
    (place,) = computed
    data = trace.data(operands[place])
    labels = inputs.pop(place)
    if len(labels) != data.rank or len(set(labels)) < len(labels):
        raise WrongAxes(f"reads {data.text} as {labels!r}")
    if not data.is_plain:
        raise Unfit(padding_text(data))
    others = [each for i, each in enumerate(operands) if i != place]
    numbers = [trace.weights(each, "a factor") for each in others]
    kinds = dict(zip(labels, data.axes, strict=True))
    outer = {label for label, axis in kinds.items() if axis != FEATURES}
    if any(kinds[label].is_mixed for label in outer):
        raise Unfit(f"reads {data.text}, whose features are merged with batch or time")
    if outer - set(result) or any(outer & set(each) for each in inputs):
        raise WrongAxes(f"goes over batch or time of {data.text}, expected features alone")
    inner = "".join(label for label in labels if label not in outer)
    wanted = "".join(label for label in result if label not in outer)
    sizes = tuple(data.index.shape[labels.index(label)] for label in inner)
    found = dict(zip(inner, sizes, strict=True))
    for each, array in zip(inputs, numbers, strict=True):
        if len(each) != array.ndim or any(
            found.setdefault(label, size) != size
            for label, size in zip(each, array.shape, strict=True)
        ):
            raise WrongAxes(f"reads {data.text} and constants of other sizes")
    missing = [label for label in wanted if label not in found]
    if missing:
        raise Unfit(f"writes {missing[0]!r}, which it does not read")
    width = prod(sizes)
    if width * prod(found.values()) > MAX_FOLDED:
        raise Unfit(f"is a product of {width} features: too large")
    free = next(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in "".join([labels, *inputs]))
    whole = ",".join([free + inner, *inputs]) + "->" + free + wanted
    unit = np.eye(width).reshape(width, *sizes)
    weight = np.einsum(whole, unit, *numbers, optimize=True).reshape(width, -1).T
    axes = tuple(kinds.get(label, FEATURES) for label in result)
    shape = tuple(1 if label in outer else found[label] for label in result)
    order = [labels.index(label) for label in labels if label in outer]
    order += [labels.index(label) for label in inner]
    value = _product(trace, data, data.index.transpose(order), weight)
    return replace(data, axes=axes, index=arrange(shape), value=value)


def _of_two(trace: Trace, pair: Sequence[Data], inputs: Sequence[str], result: str) -> Data:
    """Two values: their product, and its sums over what the result has not."""
    in_frame = not any(x.has(TIME) or trace.per_sequence(x) for x in pair)
    if in_frame or trace.may_attend or any(trace.is_still(x) for x in pair):
        raise Unfit("multiplies two values of one frame, or an input that comes once (attention?)")
    letters = "".join(dict.fromkeys("".join([result, *inputs])))
    wide = []
    for x, labels in zip(pair, inputs, strict=True):
        if len(labels) != x.rank or len(set(labels)) < len(labels):
            raise WrongAxes(f"reads {x.text} as {labels!r}")
        order = [labels.index(label) for label in letters if label in labels]
        missing = [place for place, label in enumerate(letters) if label not in labels]
        wide.append(trace.data(unsqueezed(transposed(x, order), missing)))
    times = {tuple(axis == TIME for axis in x.axes) for x in wide if x.has(TIME)}
    if len(times) > 1:
        raise Unfit(
            "multiplies each frame of a sequence by each frame of one: attention over the "
            "sequence itself, which no layer has"
        )
    product = binary(trace, wide[0], wide[1], Operation.MULTIPLY)
    return reduced(trace, product, range(len(result), len(letters)), "sum", keep=False)


def _labels(equation: str, count: int) -> tuple[list[str], str]:
    """The letters of each operand, and of the result."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if not arrow:
        result = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    letters = "".join([*inputs, result])
    if len(inputs) != count or not letters.isalpha() or len(set(result)) < len(result):
        raise Unfit(f"the equation is {equation!r}, expected letters for each axis")
    return inputs, result


def arg_max(trace: Trace, x: Data, axis: int, *, keep: bool) -> Data:
    """The place of the largest feature along an axis, as an id."""
    if not x.is_features(axis):
        raise Unfit(f"looks for the largest along axis {axis} of {x.text}, expected features")
    moved = np.moveaxis(x.index, axis, -1)
    value = trace.ordered(x.moved(x.axes, moved))
    ids = trace.add(ArgMax, [value], groups=value.features // moved.shape[-1])
    shape = [size for place, size in enumerate(x.index.shape) if place != axis]
    axes = x.axes[:axis] + x.axes[axis + 1 :]
    if keep:
        shape.insert(axis, 1)
        axes = x.axes
    return replace(x, axes=axes, index=arrange(shape), value=ids)
