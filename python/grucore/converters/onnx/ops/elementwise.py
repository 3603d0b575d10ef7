# SPDX-License-Identifier: Apache-2.0
"""Operators on single numbers: activations, arithmetic of two values or with constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axes, Axis, Constant, Data, Operand, Spread, Tracked
from grucore.converters.onnx.state.context import Work, arrange
from grucore.graph.layers import Activate, Activation, Affine, Binary, Operation
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["ELEMENTWISE", "affine", "broadcast", "spread_over"]

Operands = Sequence[Operand | None]


def _activate(work: Work, node: OnnxNode, operand: Operand | None, kind: Activation) -> Data:
    assert operand is not None
    data = work.data(node, operand)
    value = work.features(node, data)
    return work.fresh(
        data, work.builder.add(Activate, node.name or node.op, [value], activation=kind)
    )


def _plain(kind: Activation) -> Callable[[Work, OnnxNode, Operands], list[Operand]]:
    return lambda work, node, operands: [_activate(work, node, operands[0], kind)]


def _leaky_relu(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    kind = Activation.leaky_relu(node.get("alpha", 0.01))
    return [_activate(work, node, operands[0], kind)]


def _elu(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    return [_activate(work, node, operands[0], Activation.elu(node.get("alpha", 1.0)))]


def _selu(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    alpha = node.get("alpha", 1.67326319217681884765625)
    gamma = node.get("gamma", 1.05070102214813232421875)
    inner = _activate(work, node, operands[0], Activation.elu(alpha))
    scale = np.full(inner.value.features, gamma)
    return [affine(work, node, inner, scale, np.zeros_like(scale))]


def _hard_sigmoid(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    kind = Activation.hard_sigmoid(node.get("alpha", 0.2), node.get("beta", 0.5))
    return [_activate(work, node, operands[0], kind)]


def _gelu(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    kinds = {"none": Activation.GELU, "tanh": Activation.GELU_TANH}
    approximate = node.get("approximate", "none")
    if approximate not in kinds:
        raise node.refuse(f"attribute approximate is {approximate!r}, expected none or tanh")
    return [_activate(work, node, operands[0], kinds[approximate])]


def _swish(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    if node.get("alpha", 1.0) != 1.0:
        raise node.refuse(f"attribute alpha is {node.get('alpha', 1.0)}, expected 1")
    return [_activate(work, node, operands[0], Activation.SILU)]


def _clip(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    limits = []
    for place, (name, default) in enumerate((("min", -math.inf), ("max", math.inf)), start=1):
        limit = node.get(name, None)
        if limit is None and len(operands) > place and operands[place] is not None:
            array = work.weights(node, operands[place], name)
            if array.size != 1:
                raise node.refuse(f"{name} has {array.size} numbers, expected one")
            limit = float(array.reshape(-1)[0])
        limits.append(default if limit is None else limit)
    return [_activate(work, node, operands[0], Activation.clip(*limits))]


def _extreme(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    """Min or Max of two values, or of a value and one number."""
    if len(operands) != 2:
        raise node.refuse(f"reads {len(operands)} values, expected two")
    if isinstance(operands[0], Data) and isinstance(operands[1], Data):
        return [_of_two(work, node, operands[0], operands[1])]
    x, other = operands if isinstance(operands[0], Data) else (operands[1], operands[0])
    array = work.weights(node, other, "the second value")
    if array.size != 1:
        raise node.refuse(f"the constant has {array.size} numbers, expected one")
    limit = float(array.reshape(-1)[0])
    kind = (
        Activation.clip(limit, math.inf) if node.op == "Max" else Activation.clip(-math.inf, limit)
    )
    if node.op == "Max" and limit == 0:
        kind = Activation.RELU
    return [_activate(work, node, x, kind)]


def _prelu(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    data, slope = spread_over(work, node, data, operands[1], "slope")
    value = work.features(node, data)
    kind = Activation.leaky_relu(0)
    added = work.builder.add(Activate, node.name or "prelu", [value], activation=kind, slope=slope)
    return [work.fresh(data, added)]


def broadcast(node: OnnxNode, operands: Sequence[Tracked]) -> tuple[Axes, list[Array]]:
    """The axes that the operands have together, and their indices at all its features."""
    rank = max(len(operand.axes) for operand in operands)
    axes: list[Axis] = []
    padded = [
        (
            (Axis.FEATURES,) * (rank - len(operand.axes)) + operand.axes,
            operand.index.reshape((1,) * (rank - len(operand.axes)) + operand.index.shape),
        )
        for operand in operands
    ]
    for place in range(rank):
        kinds = {kinds[place] for kinds, _ in padded}
        kinds.discard(Axis.FEATURES)
        # A constant or a lone row has no such axis: it must be of size 1 there.
        wide = any(k[place] is Axis.FEATURES and i.shape[place] > 1 for k, i in padded)
        if len(kinds) > 1 or (kinds and wide):
            raise node.refuse(f"combines {' with '.join(operand.text for operand in operands)}")
        axes.append(kinds.pop() if kinds else Axis.FEATURES)
    for operand in operands:
        for axis in operand.axes:
            if axis is not Axis.FEATURES and axes.count(axis) > 1:
                raise node.refuse(f"combines {' with '.join(o.text for o in operands)}")
    try:
        indices = np.broadcast_arrays(*(index for _, index in padded))
    except ValueError:
        shapes = " with ".join(operand.text for operand in operands)
        raise node.refuse(f"combines {shapes}, whose features do not fit") from None
    return tuple(axes), list(indices)


def spread_over(
    work: Work, node: OnnxNode, data: Data, operand: Operand | None, what: str
) -> tuple[Data, Array]:
    """A constant with a number for each feature of the data, which may become more by it."""
    if isinstance(operand, Spread):
        constant: Tracked = operand
    else:
        array = work.weights(node, operand, what)
        axes = (Axis.FEATURES,) * array.ndim
        constant = Spread(axes, _alike(work, data, array))
    axes, (index, numbers) = broadcast(node, [data, constant])
    return data.moved(axes, index), numbers.reshape(-1).astype(np.float64)


def _alike(work: Work, data: Data, array: Array) -> Array:
    """A constant with rows for a fixed batch or time, all of them the same, as one row."""
    lead = len(data.axes) - array.ndim
    for place in range(array.ndim):
        at = place + lead
        if at < 0 or data.axes[at] is Axis.FEATURES or array.shape[place] == 1:
            continue
        first = array.take([0], axis=place)
        if array.shape[place] == work.size(data, at) and (array == first).all():
            array = first
    return array


def affine(work: Work, node: OnnxNode, data: Data, scale: Array, shift: Array) -> Data:
    """``scale`` times the data plus ``shift``, in the order of its features."""
    value = work.features(node, data)
    added = work.builder.add(Affine, node.name or node.op, [value], scale=scale, shift=shift)
    return work.fresh(data, added)


def _binary(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    a, b = operands[0], operands[1]
    if isinstance(a, Data) and isinstance(b, Data):
        return [_of_two(work, node, a, b)]
    data, other = (a, b) if isinstance(a, Data) else (b, a)
    if not isinstance(data, Data):
        raise node.refuse("reads no value that the model computes")
    data, numbers = spread_over(work, node, data, other, "the constant")
    if isinstance(other, Constant) and other.array.size == 1:
        _check_not_frames(work, node, float(numbers[0]))
    ones, none = np.ones_like(numbers), np.zeros_like(numbers)
    is_first = data is not None and isinstance(a, Data)
    if node.op == "Add":
        return [affine(work, node, data, ones, numbers)]
    if node.op == "Sub":
        scale, shift = (ones, -numbers) if is_first else (-ones, numbers)
        return [affine(work, node, data, scale, shift)]
    if node.op == "Mul":
        return [affine(work, node, data, numbers, none)]
    if not is_first:
        raise node.refuse("divides by a value that the model computes")
    if (numbers == 0).any():
        raise node.refuse("divides by 0")
    return [affine(work, node, data, 1 / numbers, none)]


def _check_not_frames(work: Work, node: OnnxNode, number: float) -> None:
    """Refuse a number that an exporter may have made of the frames that the file fixes."""
    frames = work.frames or 0
    if frames > 2 and node.op in ("Mul", "Div") and number in (frames, np.float32(1 / frames)):
        raise node.refuse(
            f"the constant {number:g} goes with the {frames} frames that the file fixes, and may "
            "be another at any other number. Export with a dynamic size of time"
        )


def _of_two(work: Work, node: OnnxNode, a: Data, b: Data) -> Data:
    operations = {
        "Add": Operation.ADD,
        "Sub": Operation.SUBTRACT,
        "Mul": Operation.MULTIPLY,
        "Max": Operation.MAXIMUM,
        "Min": Operation.MINIMUM,
    }
    if node.op not in operations:
        raise node.refuse("divides one value by another, which is not supported")
    if a.value.clock != b.value.clock:
        message = f"combines {a.text} with {b.text}"
        raise node.refuse(f"{message}, of different rates: per frame, per sequence or strided")
    axes, indices = broadcast(node, [a, b])
    values: list[Value] = []
    for data, index in zip((a, b), indices, strict=True):
        values.append(work.features(node, data.moved(axes, index)))
    added = work.builder.add(Binary, node.name or node.op, values, operation=operations[node.op])
    return Data(axes, arrange(axes, indices[0].shape), added)


def _negative(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    ones = np.ones(data.index.size)
    return [affine(work, node, data, -ones, 0 * ones)]


def _absolute(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    """The larger of a value and its negative."""
    assert operands[0] is not None
    data = work.data(node, operands[0])
    (negative,) = _negative(work, node, operands)
    assert isinstance(negative, Data)
    values = [work.features(node, data), work.features(node, negative)]
    added = work.builder.add(Binary, node.name or "abs", values, operation=Operation.MAXIMUM)
    return [work.fresh(data, added)]


def _power(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    exponent = np.asarray(work.constant(node, operands[1], "the exponent"))
    if exponent.size != 1 or exponent.reshape(-1)[0] not in range(1, 9):
        raise node.refuse(f"the exponent is {exponent.tolist()}, expected one whole number, 1 to 8")
    result = data
    for _ in range(int(exponent.reshape(-1)[0]) - 1):
        values = [work.features(node, result), work.features(node, data)]
        added = work.builder.add(Binary, node.name or "power", values, operation=Operation.MULTIPLY)
        result = work.fresh(data, added)
    return [result]


def _sum(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    total = operands[0]
    for operand in operands[1:]:
        step = OnnxNode("Add", node.name, node.inputs, node.outputs)
        (total,) = _binary(work, step, [total, operand])
    return [total or Constant(np.zeros(1))]


ELEMENTWISE = {
    "Relu": (_plain(Activation.RELU), ()),
    "Sigmoid": (_plain(Activation.SIGMOID), ()),
    "Tanh": (_plain(Activation.TANH), ()),
    "Softsign": (_plain(Activation.SOFTSIGN), ()),
    "Softplus": (_plain(Activation.SOFTPLUS), ()),
    "HardSwish": (_plain(Activation.HARD_SWISH), ()),
    "Exp": (_plain(Activation.EXP), ()),
    "LeakyRelu": (_leaky_relu, ("alpha",)),
    "Elu": (_elu, ("alpha",)),
    "Selu": (_selu, ("alpha", "gamma")),
    "HardSigmoid": (_hard_sigmoid, ("alpha", "beta")),
    "Gelu": (_gelu, ("approximate",)),
    "Swish": (_swish, ("alpha",)),
    "Clip": (_clip, ("min", "max")),
    "Min": (_extreme, ()),
    "Max": (_extreme, ()),
    "PRelu": (_prelu, ()),
    "Add": (_binary, ()),
    "Sub": (_binary, ()),
    "Mul": (_binary, ()),
    "Div": (_binary, ()),
    "Neg": (_negative, ()),
    "Abs": (_absolute, ()),
    "Pow": (_power, ()),
    "Sum": (_sum, ()),
}
