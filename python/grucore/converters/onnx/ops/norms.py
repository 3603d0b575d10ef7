# SPDX-License-Identifier: Apache-2.0
"""Normalizations and softmax."""

from __future__ import annotations

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Operand, Unfit
from grucore.converters.trace.ops.norms import channelwise, group_norm, layer_norm, softmax
from grucore.converters.trace.ops.powers import rms_norm
from grucore.converters.trace.ops.views import axis_of

__all__ = ["NORMS"]


def _batch_norm(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    if node.get("training_mode", 0) or node.get("spatial", 1) != 1:
        raise Unfit("attribute training_mode is 1 or spatial 0, expected inference")
    if node.written > 1:
        raise Unfit(f"has {node.written} outputs, expected one as at inference")
    names = ("scale", "B", "mean", "var")
    arrays = [work.weights(x, name) for x, name in zip(operands[1:5], names, strict=True)]
    for name, array in zip(names, arrays, strict=True):
        if array.shape != arrays[0].shape or array.ndim != 1:
            raise Unfit(f"{name} has shape {array.shape}, expected {arrays[0].shape}")
    scale, shift, mean, variance = arrays
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    return channelwise(work, work.data(operands[0]), factor, shift - mean * factor)


def _layer_norm(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    if node.written > 1:
        raise Unfit("gives mean or deviation, which is not supported")
    axes = range(axis_of(node.get("axis", -1), data.rank), data.rank)
    shift = operands[2] if len(operands) > 2 else None
    return layer_norm(work, data, axes, operands[1], shift, node.get("epsilon", 1e-5))


def _rms_norm(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    axes = range(axis_of(node.get("axis", -1), data.rank), data.rank)
    scale = work.weights(operands[1], "scale")
    return rms_norm(work, data, axes, scale, node.get("epsilon", 1e-5))


def _group_norm(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """InstanceNormalization and GroupNormalization where all that is normalized is features."""
    data = work.data(operands[0])
    if data.rank < 2:
        raise Unfit(f"normalizes {data.text}, expected channels at axis 1")
    channels = data.index.shape[1]
    groups = int(node.get("num_groups", channels))
    # Until opset 20 one number for each group, then for each channel.
    expected = channels if work.opset >= 21 else groups
    arrays = []
    for operand, name in zip(operands[1:3], ("scale", "B"), strict=True):
        arrays.append(work.weights(operand, name).reshape(-1))
        if arrays[-1].size != expected:
            raise Unfit(f"{name} has {arrays[-1].size} numbers for {groups} groups")
    return group_norm(work, data, groups, arrays[0], arrays[1], node.get("epsilon", 1e-5))


def _softmax(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    axis = axis_of(node.get("axis", -1 if work.opset >= 13 else 1), data.rank)
    # Before opset 13 it went over all axes from this one on.
    axes = [axis] if work.opset >= 13 else list(range(axis, data.rank))
    return softmax(work, data, axes, logarithm=node.op == "LogSoftmax")


NORMS: Table = {
    "BatchNormalization": (_batch_norm, ("epsilon", "momentum", "spatial", "training_mode")),
    "LayerNormalization": (_layer_norm, ("axis", "epsilon", "stash_type")),
    "InstanceNormalization": (_group_norm, ("epsilon",)),
    "GroupNormalization": (_group_norm, ("epsilon", "num_groups", "stash_type")),
    "RMSNormalization": (_rms_norm, ("axis", "epsilon", "stash_type")),
    "Softmax": (_softmax, ("axis",)),
    "LogSoftmax": (_softmax, ("axis",)),
}
