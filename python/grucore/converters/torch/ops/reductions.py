# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that make one number of many: over features, over time, over windows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.elementwise import binary, scaled
from grucore.converters.torch.ops.products import product
from grucore.converters.torch.ops.views import axis_of, without
from grucore.converters.torch.walk.axes import TIME, Flow, Unfit
from grucore.converters.torch.walk.walk import Arguments, Walk, op
from grucore.graph.layers import Operation, Pool, Pool1d, Pooling

__all__ = ["over_features"]

MOST_SLICES = 16  # that are combined one by one
_COMBINED = {
    **{"sum": Operation.ADD, "mean": Operation.ADD},
    **{"amax": Operation.MAXIMUM, "max": Operation.MAXIMUM},
    **{"amin": Operation.MINIMUM, "min": Operation.MINIMUM},
}
_OVER_TIME = {"mean": Pooling.MEAN, "amax": Pooling.MAXIMUM, "max": Pooling.MAXIMUM}


@op(
    *("mean.dim", "sum.dim_IntList", "amax.default", "max.dim", "amin.default", "min.dim"),
    *("mean.default", "sum.default"),
)
def _reduce(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    kind = walk.node.op.split(".")[1]
    if a.get("dtype") not in (None, "float32", "float64"):
        raise Unfit(f"it computes in {a['dtype']}, expected float32")
    flow: Flow = a["self"].simple()
    dims = a.get("dim")
    dims = list(range(flow.rank)) if dims is None or dims == [] else dims
    axes = {axis_of(dim, flow.rank) for dim in (dims if isinstance(dims, list) else [dims])}
    # Over features first: the mean of means is that of all, whatever the order.
    for axis in sorted(axes, key=lambda each: not flow.feature_axis(each)):
        if flow.feature_axis(axis):
            flow = over_features(walk, flow, axis, kind)
        elif flow.axes[axis] == (TIME,) and kind in _OVER_TIME:
            flow = _over_time(walk, flow, axis, _OVER_TIME[kind])
        elif flow.axes[axis] == (TIME,) and kind in ("amin", "min"):
            # The least is the negative of the greatest of the negatives.
            minus, none = np.array(-1.0), np.array(0.0)
            flow = _over_time(walk, scaled(walk, flow, minus, none), axis, Pooling.MAXIMUM)
            flow = scaled(walk, flow, minus, none)
        else:
            what = " and ".join(str(atom) for atom in flow.axes[axis])
            raise Unfit(f"over the axis of {what} of {walk.shape(flow)}, expected features{_time}")
    if not a.get("keepdim", False):
        flow = without(flow, [axis for axis in range(flow.rank) if axis not in axes])
    return (flow, None) if kind in ("max", "min") else flow


_time = ", or a mean or maximum of time"


def over_features(walk: Walk, flow: Flow, axis: int, kind: str) -> Flow:
    """One number in place of an axis of features, which stays with an extent of 1."""
    extent = flow.extent(axis)
    operation = _COMBINED[kind]
    slices = flow.index.size // max(extent, 1)
    if operation is Operation.ADD and (extent > MOST_SLICES or slices == 1):
        return _summed(walk, flow, axis, 1.0 / extent if kind == "mean" else 1.0)
    if extent > MOST_SLICES * 4:
        raise Unfit(f"the {kind} of {extent} features, expected at most {MOST_SLICES * 4}")
    place = flow.place(axis)
    axes = (*flow.axes[:axis], (1,), *flow.axes[axis + 1 :])
    pieces = [
        replace(flow, axes=axes, index=flow.index.take([number], place)) for number in range(extent)
    ]
    total = functools.reduce(lambda one, other: binary(walk, one, other, operation), pieces)
    if kind == "mean":
        return scaled(walk, total, np.array(1.0 / extent), np.array(0.0))
    return total


def _summed(walk: Walk, flow: Flow, axis: int, weight: float) -> Flow:
    """A product with one weight for each of the features."""
    extent = flow.extent(axis)
    order = [number for number in range(flow.rank) if number != axis] + [axis]
    total = product(walk, flow.permuted(order), np.full((1, extent), weight), None)
    back = list(range(flow.rank - 1))
    back.insert(axis, flow.rank - 1)
    return total.permuted(back)


def _over_time(walk: Walk, flow: Flow, axis: int, pooling: Pooling) -> Flow:
    """One value in place of the frames, whose axis stays with an extent of 1."""
    if not flow.plain:
        raise Unfit(walk.padding_text(flow))
    value = walk.add(Pool, [flow.value], name=walk.name(), pooling=pooling)
    axes = (*flow.axes[:axis], (1,), *flow.axes[axis + 1 :])
    return replace(flow, value=value, axes=axes, index=np.expand_dims(flow.index, flow.place(axis)))


@op("adaptive_avg_pool1d.default", "adaptive_max_pool1d.default")
def _adaptive(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    if list(a["output_size"]) != [1]:
        raise Unfit(f"to {a['output_size']} frames, expected 1")
    flow: Flow = a["self"].simple()
    is_mean = "avg" in walk.node.op
    pooled = _windowed_axis(walk, flow, Pooling.MEAN if is_mean else Pooling.MAXIMUM)
    return pooled if is_mean else (pooled, None)


def _windowed_axis(walk: Walk, flow: Flow, pooling: Pooling) -> Flow:
    """All of the last axis as one: frames or features."""
    last = flow.rank - 1
    if flow.feature_axis(last):
        return over_features(walk, flow, last, "mean" if pooling is Pooling.MEAN else "max")
    if flow.axes[last] != (TIME,):
        raise Unfit(f"over the axis {flow.axes[last]}, expected time")
    return _over_time(walk, flow, last, pooling)


@op(
    *("max_pool1d.default", "avg_pool1d.default", "max_pool1d_with_indices.default"),
)
def _windows(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    is_mean = "avg" in walk.node.op
    pooling = Pooling.MEAN if is_mean else Pooling.MAXIMUM
    flow: Flow = a["self"].simple()
    taps = _one(a["kernel_size"])
    stride = _one(a.get("stride") or taps)
    if _one(a.get("padding", 0)) or a.get("ceil_mode", False):
        raise Unfit(
            f"padding {a.get('padding', 0)}, ceil_mode {a.get('ceil_mode', False)}: windows"
            " at the edges are shorter, expected padding 0 and ceil_mode False"
        )
    if _one(a.get("dilation", 1)) != 1:
        raise Unfit(f"dilation is {a['dilation']}, expected 1")
    last = flow.rank - 1
    extent = walk.shape(flow)[last]
    if taps == extent:  # F.max_pool1d(y, y.size(2)), as often as a window of that many frames
        if not flow.feature_axis(last):
            walk.doubts.append(f"a window of all {extent} frames may mean so many, or all")
        pooled = _windowed_axis(walk, flow, pooling)
    elif flow.axes[last] != (TIME,) or not flow.plain:
        raise Unfit(f"windows over {flow.axes[last]}, expected whole frames of time")
    else:
        value = walk.add(
            Pool1d, [flow.value], name=walk.name(), taps=taps, stride=stride, pooling=pooling
        )
        walk.shortest = max(walk.shortest, value.skip + 1)
        pooled = replace(flow, value=value)
    return (pooled, None) if "with_indices" in walk.node.op else pooled


def _one(given: Any) -> int:
    numbers: Sequence[int] = given if isinstance(given, list | tuple) else [given]
    if len(set(numbers)) != 1:
        raise Unfit(f"{given}, expected one number")
    return int(numbers[0])
