# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch over all features of a frame: norms, softmax, gates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.elementwise import binary
from grucore.converters.torch.ops.products import constant_of
from grucore.converters.torch.ops.views import axis_of
from grucore.converters.torch.walk.axes import Flow, Unfit, WrongAxes
from grucore.converters.torch.walk.walk import Arguments, Walk, op, rounded
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    LayerNorm,
    Operation,
    Softmax,
)

__all__: list[str] = []


@op("layer_norm.default", "native_layer_norm.default")
def _layer_norm(walk: Walk, a: Arguments) -> Any:
    flow: Flow = a["input"].simple()
    shape = list(a["normalized_shape"])
    axes = range(flow.rank - len(shape), flow.rank)
    if not all(flow.feature_axis(axis) for axis in axes) or math.prod(shape) != flow.index.size:
        raise Unfit(
            f"it normalizes {shape} of {walk.shape(flow)}, expected all features of a frame"
        )
    scale, shift = a.get("weight"), a.get("bias")
    ones, zeros = np.ones(flow.index.size), np.zeros(flow.index.size)
    out = walk.add(
        LayerNorm,
        [walk.ordered(flow)],
        name=walk.name(),
        scale=rounded(ones if scale is None else constant_of(scale, "weight").reshape(-1)),
        shift=rounded(zeros if shift is None else constant_of(shift, "bias").reshape(-1)),
        epsilon=float(a.get("eps", 1e-5)),
    )
    result = walk.same_axes(flow, out)
    is_native = walk.node is not None and walk.node.op.startswith("aten.native")
    return (result, None, None) if is_native else result


@op(
    *("batch_norm.default", "_native_batch_norm_legit_no_training.default"),
    *("native_batch_norm.default", "_batch_norm_no_update.default"),
)
def _batch_norm(walk: Walk, a: Arguments) -> Any:
    if a.get("training", a.get("train", False)):
        raise Unfit("it normalizes by the batch itself: call eval() before the export")
    flow: Flow = a["input"].simple()
    mean, variance = a.get("running_mean"), a.get("running_var")
    if mean is None or variance is None:
        raise Unfit("it has no running mean and variance")
    mean, variance = constant_of(mean, "mean"), constant_of(variance, "variance")
    if flow.rank < 2 or not flow.feature_axis(1):
        raise WrongAxes("its axis 1 holds no features")
    if not flow.plain:
        raise Unfit(walk.padding_text(flow))
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + float(a.get("eps", 1e-5)))
    weight, bias = a.get("weight"), a.get("bias")
    if weight is not None:
        scale = scale * constant_of(weight, "weight")
    shift = -mean.astype(np.float64) * scale
    if bias is not None:
        shift = shift + constant_of(bias, "bias")
    spread = [1] * flow.index.ndim
    spread[flow.place(1)] = -1
    scales, shifts = (
        rounded(np.broadcast_to(each.reshape(spread), flow.index.shape).reshape(-1))
        for each in (scale, shift)
    )
    value = walk.ordered(flow)
    out = walk.add(Affine, [value], name=walk.name(), scale=scales, shift=shifts)
    result = walk.same_axes(flow, out)
    is_native = walk.node is not None and "native" in walk.node.op
    return (result, None, None) if is_native else result


@op("softmax.int", "_softmax.default", "log_softmax.int", "_log_softmax.default")
def _softmax(walk: Walk, a: Arguments) -> Any:
    flow: Flow = a["self"].simple()
    axis = axis_of(a["dim"], flow.rank)
    if not flow.feature_axis(axis) or flow.extent(axis) != flow.index.size:
        raise Unfit(f"over axis {axis} of {walk.shape(flow)}, expected all features of a frame")
    logarithm = walk.node is not None and "log" in walk.node.op
    out = walk.add(Softmax, [walk.ordered(flow)], name=walk.name(), logarithm=logarithm)
    return walk.same_axes(flow, out)


@op("glu.default")
def _glu(walk: Walk, a: Arguments) -> Any:
    flow: Flow = a["self"].simple()
    axis = axis_of(a.get("dim", -1), flow.rank)
    if not flow.feature_axis(axis) or flow.extent(axis) % 2:
        raise Unfit(f"over axis {axis} of {walk.shape(flow)}, expected an even number of features")
    halves = np.split(flow.index, 2, axis=flow.place(axis))
    axes = (*flow.axes[:axis], (flow.extent(axis) // 2,), *flow.axes[axis + 1 :])
    one, other = (replace(flow, axes=axes, index=half) for half in halves)
    gate = walk.add(
        Activate, [walk.ordered(other)], name=walk.name("gate"), activation=Activation.SIGMOID
    )
    return binary(walk, one, walk.same_axes(other, gate), Operation.MULTIPLY)
