# SPDX-License-Identifier: Apache-2.0
"""Operators over a whole axis: normalizations, softmax, mean and maximum over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore.converters.onnx.ops.elementwise import affine, spread_over
from grucore.converters.onnx.ops.pieces import normal
from grucore.converters.onnx.ops.reductions import pooled
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Data, Operand
from grucore.converters.onnx.state.context import Work
from grucore.graph.layers import Concat, LayerNorm, Softmax
from grucore.graph.tensors import Array

__all__ = ["NORMS"]

Operands = Sequence[Operand | None]
MAX_BLOCKS = 64


def _batch_norm(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    if node.get("training_mode", 0) or node.get("spatial", 1) != 1:
        raise node.refuse("attribute training_mode is 1 or spatial 0, expected inference")
    if node.written > 1:
        raise node.refuse(f"has {node.written} outputs, expected one as at inference")
    if len(data.axes) < 2 or data.axes[1] is not Axis.FEATURES:
        raise node.refuse(f"X is {data.text}, expected features at axis 1")
    names = ("scale", "B", "mean", "var")
    scale, shift, mean, variance = (
        work.weights(node, operand, name)
        for operand, name in zip(operands[1:5], names, strict=True)
    )
    channels = data.index.shape[1]
    for name, array in zip(names, (scale, shift, mean, variance), strict=True):
        if array.shape != (channels,):
            raise node.refuse(f"{name} has shape {array.shape}, expected {(channels,)}")
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    shape = [1] * len(data.axes)
    shape[1] = channels
    scales = np.broadcast_to(factor.reshape(shape), data.index.shape).reshape(-1)
    offset = shift - mean * factor
    shifts = np.broadcast_to(offset.reshape(shape), data.index.shape).reshape(-1)
    return [affine(work, node, data, scales, shifts)]


def _layer_norm(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    if node.written > 1:
        raise node.refuse("gives mean or deviation, which is not supported")
    rank = len(data.axes)
    axes = list(range(normal(node, node.get("axis", -1), rank), rank))
    if any(data.axes[axis] is not Axis.FEATURES for axis in axes):
        raise node.refuse(f"goes over axes {axes} of {data.text}, expected features")
    found, scale = spread_over(work, node, data, operands[1], "Scale")
    shift = np.zeros_like(scale)
    if len(operands) > 2 and operands[2] is not None:
        found, shift = spread_over(work, node, data, operands[2], "B")
    if found.index.shape != data.index.shape:
        raise node.refuse(f"Scale or B are wider than {data.text}")
    return [_in_blocks(work, node, data, axes, scale, shift)]


def _in_blocks(
    work: Work, node: OnnxNode, data: Data, axes: Sequence[int], scale: Array, shift: Array
) -> Data:
    """The features normalized along some axes, for each place of the others by itself.

    ``scale`` and ``shift`` have a number for each feature, in C order.
    """
    shape = data.index.shape
    size = int(np.prod([shape[axis] for axis in axes]))
    epsilon = node.get("epsilon", 1e-5)
    if size == data.index.size:
        return _normalized(work, node, data, scale, shift, epsilon)
    if data.index.size // size > MAX_BLOCKS:
        raise node.refuse(f"normalizes {data.index.size // size} groups, at most {MAX_BLOCKS}")
    last = range(-len(axes), 0)
    places, scales, shifts = (
        np.moveaxis(array.reshape(shape), axes, last).reshape(-1, size)
        for array in (data.index, scale, shift)
    )
    parts = []
    for index, one, other in zip(places, scales, shifts, strict=True):
        part = Data((Axis.FEATURES,), index, data.value)
        parts.append(_normalized(work, node, part, one, other, epsilon).value)
    joined = work.builder.add(Concat, f"{node.name or 'layer_norm'}.groups", parts)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    turned = np.arange(joined.features).reshape([shape[axis] for axis in (*others, *axes)])
    return Data(data.axes, np.moveaxis(turned, last, axes), joined)


def _group_norm(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    """InstanceNormalization and GroupNormalization where all that is normalized is features."""
    assert operands[0] is not None
    data = work.data(node, operands[0])
    if len(data.axes) < 2 or any(axis is not Axis.FEATURES for axis in data.axes[1:]):
        raise node.refuse(f"normalizes {data.text} over time as well, expected features alone")
    shape = data.index.shape
    groups = int(node.get("num_groups", shape[1]))
    if groups < 1 or shape[1] % groups or data.padding != (0, 0):
        raise node.refuse(f"has {groups} groups of {shape[1]} channels")
    grouped = (shape[0], groups, shape[1] // groups, *shape[2:])
    numbers = []
    for operand, name in zip(operands[1:3], ("scale", "B"), strict=True):
        array = work.weights(node, operand, name).reshape(-1)
        # Until opset 20 one number for each group, then for each channel.
        per_channel = array.size == shape[1] and (groups == shape[1] or work.opset >= 21)
        if not per_channel and (array.size != groups or work.opset >= 21):
            raise node.refuse(f"{name} has {array.size} numbers for {groups} groups")
        lead = grouped[1:3] if per_channel else (groups, 1)
        wide = array.reshape(1, *lead, *(1,) * (len(shape) - 2))
        numbers.append(np.broadcast_to(wide, grouped).reshape(-1))
    kinds = (data.axes[0], *(Axis.FEATURES,) * (len(grouped) - 1))
    inner = data.moved(kinds, data.index.reshape(grouped))
    result = _in_blocks(work, node, inner, range(2, len(grouped)), *numbers)
    return [result.moved(data.axes, result.index.reshape(shape))]


def _normalized(
    work: Work, node: OnnxNode, data: Data, scale: Array, shift: Array, epsilon: float
) -> Data:
    value = work.builder.add(
        LayerNorm,
        node.name or "layer_norm",
        [work.features(node, data)],
        scale=scale,
        shift=shift,
        epsilon=float(epsilon),
    )
    return work.fresh(data, value)


def _check_jointly(node: OnnxNode, data: Data, axes: Sequence[int]) -> None:
    """The axes are all features that there are."""
    ours = all(data.axes[axis] is Axis.FEATURES for axis in axes)
    size = int(np.prod([data.index.shape[axis] for axis in axes]))
    if not ours or size != data.index.size:
        raise node.refuse(f"goes over axes {list(axes)} of {data.text}, expected all features")


def _softmax(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    rank = len(data.axes)
    axis = normal(node, node.get("axis", -1 if work.opset >= 13 else 1), rank)
    # Before opset 13 it went over all axes from this one on.
    _check_jointly(node, data, [axis] if work.opset >= 13 else list(range(axis, rank)))
    value = work.builder.add(
        Softmax,
        node.name or "softmax",
        [work.features(node, data)],
        logarithm=node.op == "LogSoftmax",
    )
    return [work.fresh(data, value)]


def _global(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    return [pooled(work, node, data, list(range(2, len(data.axes))), keep=True)]


NORMS = {
    "BatchNormalization": (
        _batch_norm,
        ("epsilon", "momentum", "spatial", "training_mode"),
    ),
    "LayerNormalization": (_layer_norm, ("axis", "epsilon", "stash_type")),
    "InstanceNormalization": (_group_norm, ("epsilon",)),
    "GroupNormalization": (_group_norm, ("epsilon", "num_groups", "stash_type")),
    "Softmax": (_softmax, ("axis",)),
    "LogSoftmax": (_softmax, ("axis",)),
    "GlobalAveragePool": (_global, ()),
    "GlobalMaxPool": (_global, ()),
}
