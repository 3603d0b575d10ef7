# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that become layers of a frame or a sequence: products, norms, pools."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch_elementwise import binary
from grucore.converters.torch_flow import BATCH, TIME, Flow, Unfit
from grucore.converters.torch_views import axis_of
from grucore.converters.torch_walk import Arguments, Walk, op, rounded
from grucore.layers import (
    Activate,
    Activation,
    Affine,
    Concat,
    Conv1d,
    Dense,
    Embedding,
    LayerNorm,
    Operation,
    Pool,
    Pooling,
    Softmax,
)
from grucore.node import Array, Value

__all__: list[str] = []

MAX_GROUPS = 64  # products of one weight with several slices of a frame


def _constant(found: Any, what: str) -> Array:
    if not isinstance(found, np.ndarray):
        raise Unfit(f"its {what} is computed from the input")
    return found


@op("embedding.default")
def _embedding(walk: Walk, a: Arguments) -> Any:
    table, flow = _constant(a["weight"], "table"), a["indices"]
    if not isinstance(flow, Flow):
        return table[flow]
    value = walk.ordered(flow)
    out = walk.add(Embedding, [value], name=walk.name(), table=rounded(table))
    axes = (*flow.axes, (table.shape[1],))
    extents = [atom for axis in axes for atom in axis if isinstance(atom, int)]
    return replace(flow, value=out, axes=axes, index=np.arange(out.features).reshape(extents))


@op("linear.default")
def _linear(walk: Walk, a: Arguments) -> Any:
    return product(walk, a["input"], _constant(a["weight"], "weight"), a.get("bias"))


@op("matmul.default", "mm.default")
def _matmul(walk: Walk, a: Arguments) -> Any:
    one, other = a["self"], a.first("other", "mat2")
    if not isinstance(one, Flow):
        if not isinstance(other, Flow):
            return (one.astype(np.float64) @ other.astype(np.float64)).astype(np.float32)
        raise Unfit("a constant times a value: expected the value first")
    weight = _constant(other, "second factor")
    if weight.ndim != 2:
        raise Unfit(f"its second factor has shape {weight.shape}, expected a matrix")
    return product(walk, one, weight.T, None)


@op("addmm.default")
def _addmm(walk: Walk, a: Arguments) -> Any:
    a.only(beta=1, alpha=1)
    return product(walk, a["mat1"], _constant(a["mat2"], "second factor").T, a["self"])


def product(walk: Walk, tensor: Flow, weight: Array, bias: Any) -> Flow:
    """``weight`` (out, in) times the last axis, for each slice of the other features."""
    flow = tensor.simple()
    if not flow.axes or not flow.feature_axis(flow.rank - 1):
        axis = flow.axes[-1] if flow.axes else ()
        raise Unfit(f"it is a product along the axis {axis}, expected features")
    if flow.extent(flow.rank - 1) != weight.shape[1]:
        raise Unfit(f"{flow.extent(flow.rank - 1)} features for a weight of {weight.shape}")
    shift = np.zeros(len(weight)) if bias is None else _constant(bias, "bias").reshape(-1)
    given = {"weight": rounded(weight), "bias": rounded(np.broadcast_to(shift, len(weight)))}
    rows = flow.index.reshape(-1, weight.shape[1])
    if len(rows) > MAX_GROUPS:
        raise Unfit(
            f"it multiplies {len(rows)} slices of each frame, expected at most {MAX_GROUPS}"
        )
    parts: list[Value] = []
    for number, row in enumerate(rows):
        piece = replace(flow, axes=((len(row),),), index=row)
        name = walk.name(str(number)) if len(rows) > 1 else walk.name()
        parts.append(walk.add(Dense, [walk.ordered(piece)], name=name, **given))
    value = parts[0]
    if len(parts) > 1:
        value = walk.add(Concat, parts, name=walk.name("all"))
    axes = (*flow.axes[:-1], (len(weight),))
    extents = [atom for axis in axes for atom in axis if isinstance(atom, int)]
    return replace(flow, value=value, axes=axes, index=np.arange(value.features).reshape(extents))


@op("conv1d.default", "conv1d.padding", "convolution.default")
def _conv1d(walk: Walk, a: Arguments) -> Any:
    a.only(transposed=False)
    flow: Flow = a["input"].simple()
    weight = _constant(a["weight"], "weight")
    if weight.ndim != 3:
        raise Unfit(f"its weight has shape {weight.shape}, expected three axes")
    if flow.rank == 2:  # without a batch
        flow = replace(flow, axes=((1,), *flow.axes), index=flow.index[None])
    if flow.rank != 3 or flow.axes[2] != (TIME,) or not flow.feature_axis(1):
        raise Unfit(f"its axes are {flow.axes}, expected (batch, channels, time)")
    if flow.axes[0] not in ((BATCH,), (1,)):
        raise Unfit(f"its axis 0 is not the batch, but {flow.axes[0]}")
    if flow.tail:
        raise Unfit(walk.padding_text(flow))
    stride, dilation, groups = _one(a, "stride", 1), _one(a, "dilation", 1), a.get("groups", 1)
    reach = dilation * (weight.shape[2] - 1)
    before, after = _padding(a, flow, reach, stride)
    tail = 0
    if after and before + after != reach:
        if stride != 1 or before > reach:
            raise Unfit(f"it pads by {before} and {after} frames, expected {reach} in all")
        tail = after  # to be cut off by a slice
        after = 0
    if before > reach:
        raise Unfit(f"it pads by {before} frames, expected at most {reach}")
    bias = a.get("bias")
    value = walk.ordered(replace(flow, before=0, after=0))
    out = walk.add(
        Conv1d,
        [value],
        name=walk.name(),
        weight=np.ascontiguousarray(rounded(weight).transpose(0, 2, 1)),
        bias=rounded(np.zeros(len(weight)) if bias is None else _constant(bias, "bias")),
        dilation=dilation,
        stride=stride,
        groups=groups,
        before=before,
        after=after,
    )
    walk.shortest = max(walk.shortest, out.skip + 1, reach + 1 - before - after)
    index = np.arange(out.features)
    axes = (flow.axes[0], (out.features,), (TIME,))
    if flow.axes[0] == (1,):
        index = index[None]
    flow = Flow(out, axes, index, tail=tail)
    return flow if a["input"].rank == 3 else replace(flow, axes=axes[1:], index=flow.index[0])


def _one(a: Arguments, name: str, default: int) -> int:
    found = a.get(name, default)
    number = found[0] if isinstance(found, list) else found
    if not isinstance(number, int):
        raise Unfit(f"{name} is {found}")
    return number


def _padding(a: Arguments, flow: Flow, reach: int, stride: int) -> tuple[int, int]:
    padding = a.get("padding", 0)
    if padding == "same":
        if stride != 1:
            raise Unfit("padding='same' with a stride")
        return flow.before + reach // 2, flow.after + reach - reach // 2
    number = 0 if padding == "valid" else _one(a, "padding", 0)
    return flow.before + number, flow.after + number


@op("pad.default", "constant_pad_nd.default")
def _pad(walk: Walk, a: Arguments) -> Any:
    a.only(mode="constant")
    if a.get("value", 0.0) != 0.0:
        raise Unfit(f"it pads with {a['value']}, expected zeros")
    flow, pads = a["self"], list(a["pad"])
    if not isinstance(flow, Flow):
        widths = [(0, 0)] * flow.ndim
        for place in range(len(pads) // 2):
            widths[-1 - place] = (pads[2 * place], pads[2 * place + 1])
        return np.pad(flow, widths)
    for place in range(len(pads) // 2):
        before, after = pads[2 * place : 2 * place + 2]
        axis = flow.rank - 1 - place
        if not before and not after:
            continue
        if flow.axes[axis] != (TIME,):
            raise Unfit(f"it pads axis {axis}, which is not time")
        if after < 0 and flow.tail == -after and not before:
            flow = replace(flow, tail=0)
            continue
        if before < 0 or after < 0 or flow.tail:
            raise Unfit(f"it pads by {before} and {after} frames")
        flow = replace(flow, before=flow.before + before, after=flow.after + after)
    return flow


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
    count = flow.index.size
    out = walk.add(
        LayerNorm,
        [walk.ordered(flow)],
        name=walk.name(),
        scale=rounded(np.ones(count) if scale is None else _constant(scale, "weight").reshape(-1)),
        shift=rounded(np.zeros(count) if shift is None else _constant(shift, "bias").reshape(-1)),
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
    mean, variance = _constant(mean, "mean"), _constant(variance, "variance")
    if flow.rank < 2 or not flow.feature_axis(1):
        raise Unfit("its axis 1 holds no features")
    if not flow.plain:
        raise Unfit(walk.padding_text(flow))
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + float(a.get("eps", 1e-5)))
    weight, bias = a.get("weight"), a.get("bias")
    if weight is not None:
        scale = scale * _constant(weight, "weight")
    shift = -mean.astype(np.float64) * scale
    if bias is not None:
        shift = shift + _constant(bias, "bias")
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
