# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch over all features, or over time: norms, softmax, gates, pools."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.elementwise import binary
from grucore.converters.torch.ops.products import constant_of, product
from grucore.converters.torch.ops.views import axis_of
from grucore.converters.torch.walk.axes import TIME, Flow, Unfit, WrongAxes
from grucore.converters.torch.walk.walk import Arguments, Walk, op, rounded
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    LayerNorm,
    Operation,
    Pool,
    Pooling,
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


@op(
    "mean.dim",
    "amax.default",
    "max.dim",
    "adaptive_avg_pool1d.default",
    "adaptive_max_pool1d.default",
)
def _pool(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    kind = walk.node.op.split(".")[1]
    flow: Flow = a["self"].simple()
    adaptive = kind.startswith("adaptive")
    if adaptive and list(a["output_size"]) != [1]:
        raise Unfit(f"to {a['output_size']} frames, expected 1")
    dims = -1 if adaptive else a.get("dim", list(range(flow.rank)))
    axes = [axis_of(dim, flow.rank) for dim in (dims if isinstance(dims, list) else [dims])]
    pooling = Pooling.MEAN if "mean" in kind or "avg" in kind else Pooling.MAXIMUM
    if len(axes) == 1 and flow.feature_axis(axes[0]) and pooling is Pooling.MEAN:
        return _mean_of_features(walk, flow, axes[0], keep=bool(a.get("keepdim", False)))
    if len(axes) != 1 or flow.axes[axes[0]] != (TIME,):
        raise Unfit(f"over axes {axes} of {walk.shape(flow)}, expected time")
    (axis,) = axes
    if not flow.plain:
        raise Unfit(walk.padding_text(flow))
    value = walk.add(Pool, [flow.value], name=walk.name(), pooling=pooling)
    keep = adaptive or a.get("keepdim", False)
    place = flow.place(axis)
    middle = ((1,),) if keep else ()
    result = replace(
        flow,
        value=value,
        axes=(*flow.axes[:axis], *middle, *flow.axes[axis + 1 :]),
        index=np.expand_dims(flow.index, place) if keep else flow.index,
    )
    return (result, None) if kind in ("max", "adaptive_max_pool1d") else result


def _mean_of_features(walk: Walk, flow: Flow, axis: int, *, keep: bool) -> Flow:
    """A product with one over their number."""
    extent = flow.extent(axis)
    order = [number for number in range(flow.rank) if number != axis] + [axis]
    mean = product(walk, flow.permuted(order), np.full((1, extent), 1.0 / extent), None)
    if keep:
        back = list(range(flow.rank - 1))
        back.insert(axis, flow.rank - 1)
        return mean.permuted(back)
    return replace(mean, axes=mean.axes[:-1], index=mean.index[..., 0])
