# SPDX-License-Identifier: Apache-2.0
"""Sums, means and extremes over features or time, and Einsum with constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from grucore.converters.onnx.ops.elementwise import affine
from grucore.converters.onnx.ops.pieces import axes_of
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Data, Operand
from grucore.converters.onnx.state.context import MAX_FOLDED, Work, arrange
from grucore.graph.layers import Binary, Concat, Dense, Operation, Pool, Pooling
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["REDUCTIONS", "pooled"]

Operands = Sequence[Operand | None]
OPERATIONS = {
    "ReduceMax": Operation.MAXIMUM,
    "ReduceMin": Operation.MINIMUM,
    "ReduceMean": Operation.ADD,
    "ReduceSum": Operation.ADD,
}
FEW = 8  # terms that are added pair by pair, more by a product


def _reduce(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    axes = axes_of(node, operands, 1, len(data.axes))
    if axes is None:
        if node.get("noop_with_empty_axes", 0):
            return [data]
        axes = list(range(len(data.axes)))
    keep = bool(node.get("keepdims", 1))
    others = [a for a in axes if data.axes[a] not in (Axis.TIME, Axis.FEATURES)]
    if others:
        raise node.refuse(f"goes over axes {axes} of {data.text}, expected time or features")
    over = [axis for axis in axes if data.axes[axis] is Axis.FEATURES]
    if prod(data.index.shape[axis] for axis in over) > 1:
        data = _over_features(work, node, data, over)
    if len(over) < len(axes):
        return [pooled(work, node, data, axes, keep=keep)]
    return [data if keep else _without(data, axes)]


def _without(data: Data, axes: Sequence[int]) -> Data:
    """Without axes of size 1."""
    kept = tuple(axis for place, axis in enumerate(data.axes) if place not in axes)
    return data.moved(kept, data.index.squeeze(tuple(axes)))


def _over_features(work: Work, node: OnnxNode, data: Data, axes: Sequence[int]) -> Data:
    """One number in place of all along these axes of features, which stay with size 1."""
    shape = tuple(1 if i in axes else size for i, size in enumerate(data.index.shape))
    count, width = prod(data.index.shape[axis] for axis in axes), prod(shape)
    places = np.moveaxis(data.index, axes, range(len(axes))).reshape(count, width)
    operation = OPERATIONS[node.op]
    name = node.name or node.op
    if count > FEW and operation is Operation.ADD:
        share = 1 / count if node.op == "ReduceMean" else 1.0
        weight = np.tile(share * np.eye(width), (1, count))
        return Data(
            data.axes, arrange(data.axes, shape), _product(work, node, data, places, weight)
        )
    value, index = data.value, places
    while len(index) > 1:
        half = len(index) // 2
        pair = [work.picked(value, index[start : start + half], name) for start in (0, half)]
        joined = [work.builder.add(Binary, name, pair, operation=operation)]
        if len(index) % 2:
            joined.append(work.picked(value, index[-1:], name))
        value = joined[0] if len(joined) == 1 else work.builder.add(Concat, name, joined)
        index = np.arange(value.features).reshape(-1, width)
    result = Data(data.axes, arrange(data.axes, shape), value)
    if node.op == "ReduceMean":
        return affine(work, node, result, np.full(width, 1 / count), np.zeros(width))
    return result


def _product(work: Work, node: OnnxNode, data: Data, index: Array, weight: Array) -> Value:
    """The features at these places times a matrix (outputs, places)."""
    if weight.size > MAX_FOLDED:
        raise node.refuse(f"is a product of {weight.shape[1]} by {weight.shape[0]}: too large")
    source = work.picked(data.value, index, node.name or node.op)
    bias = np.zeros(len(weight))
    return work.builder.add(Dense, node.name or node.op, [source], weight=weight, bias=bias)


def pooled(work: Work, node: OnnxNode, data: Data, axes: Sequence[int], *, keep: bool) -> Data:
    """Mean, maximum or minimum over all frames; other axes of ``axes`` have size 1."""
    times = [axis for axis in axes if data.axes[axis] is Axis.TIME]
    lone = all(
        data.axes[axis] is Axis.FEATURES and data.index.shape[axis] == 1
        for axis in axes
        if axis not in times
    )
    if len(times) != 1 or not lone:
        raise node.refuse(f"goes over axes {list(axes)} of {data.text}, expected time alone")
    if "Sum" in node.op:
        raise node.refuse(
            "adds up all frames, which grows with their number and is not supported: take the mean"
        )
    pooling = Pooling.MEAN if "Mean" in node.op or "Average" in node.op else Pooling.MAXIMUM
    negative = np.full(data.index.size, -1.0)
    if "Min" in node.op:  # the largest of what is negated
        data = affine(work, node, data, negative, 0 * negative)
    value = work.builder.add(
        Pool, node.name or "pool", [work.features(node, data)], pooling=pooling
    )
    kinds = [Axis.FEATURES if axis in axes else kind for axis, kind in enumerate(data.axes)]
    places = [axis for axis in range(len(kinds)) if keep or axis not in axes]
    shape = tuple(data.index.shape[axis] for axis in places)
    kept = tuple(kinds[axis] for axis in places)
    result = Data(kept, arrange(kept, shape), value)
    return affine(work, node, result, negative, 0 * negative) if "Min" in node.op else result


def _einsum(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    """A value and constants: a product with the matrix that the equation means."""
    inputs, result = _labels(node, len(operands))
    computed = [place for place, each in enumerate(operands) if isinstance(each, Data)]
    if len(computed) != 1:
        raise node.refuse("multiplies values that the model computes (attention?)")
    (place,) = computed
    data = operands[place]
    assert isinstance(data, Data)
    labels = inputs.pop(place)
    if len(labels) != len(data.axes) or len(set(labels)) < len(labels):
        raise node.contradict(f"reads {data.text} as {labels!r}")
    others = [each for i, each in enumerate(operands) if i != place]
    numbers = [work.weights(node, each, "a factor") for each in others]
    kinds = dict(zip(labels, data.axes, strict=True))
    outer = {label for label, axis in kinds.items() if axis is not Axis.FEATURES}
    if outer - set(result) or any(outer & set(each) for each in inputs):
        raise node.contradict(f"goes over batch or time of {data.text}, expected features alone")
    inner = "".join(label for label in labels if label not in outer)
    wanted = "".join(label for label in result if label not in outer)
    sizes = tuple(data.index.shape[labels.index(label)] for label in inner)
    found = dict(zip(inner, sizes, strict=True))
    for each, array in zip(inputs, numbers, strict=True):
        if len(each) != array.ndim or any(
            found.setdefault(label, size) != size
            for label, size in zip(each, array.shape, strict=True)
        ):
            raise node.contradict(f"reads {data.text} and constants of other sizes")
    missing = [label for label in wanted if label not in found]
    if missing:
        raise node.refuse(f"writes {missing[0]!r}, which it does not read")
    width = prod(sizes)
    if width * prod(found.values()) > MAX_FOLDED:
        raise node.refuse(f"is a product of {width} features: too large")
    free = next(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in "".join([labels, *inputs]))
    equation = ",".join([free + inner, *inputs]) + "->" + free + wanted
    unit = np.eye(width).reshape(width, *sizes)
    weight = np.einsum(equation, unit, *numbers, optimize=True).reshape(width, -1).T
    axes = tuple(kinds[label] if label in outer else Axis.FEATURES for label in result)
    shape = tuple(1 if label in outer else found[label] for label in result)
    order = [labels.index(label) for label in labels if label in outer]
    order += [labels.index(label) for label in inner]
    index = data.index.transpose(order)
    return [Data(axes, arrange(axes, shape), _product(work, node, data, index, weight))]


def _labels(node: OnnxNode, count: int) -> tuple[list[str], str]:
    """The letters of each operand, and of the result."""
    equation = str(node.get("equation", "")).replace(" ", "")
    left, arrow, result = equation.partition("->")
    inputs = left.split(",")
    if not arrow:
        result = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    letters = "".join([*inputs, result])
    if len(inputs) != count or not letters.isalpha() or len(set(result)) < len(result):
        raise node.refuse(f"attribute equation is {equation!r}, expected letters for each axis")
    return inputs, result


REDUCED = ("axes", "keepdims", "noop_with_empty_axes")
REDUCTIONS = {
    **{name: (_reduce, REDUCED) for name in OPERATIONS},
    "Einsum": (_einsum, ("equation",)),
}
