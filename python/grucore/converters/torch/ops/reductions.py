# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that make one number of many: over features, over time, over windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.ops.products import each_of, without_batch
from grucore.converters.torch.walk.walk import Arguments, Walk, op
from grucore.converters.trace.axes import Data, Unfit
from grucore.converters.trace.ops.pools import windowed
from grucore.converters.trace.ops.reduce import accumulated, arg_max, reduced
from grucore.converters.trace.ops.views import axis_of, squeezed
from grucore.converters.trace.ops.windows import Window
from grucore.graph.layers import Pooling

__all__: list[str] = []

WORDS = {"amax": "max", "amin": "min"}


@op(
    *("mean.dim", "sum.dim_IntList", "amax.default", "max.dim", "amin.default", "min.dim"),
    *("mean.default", "sum.default", "max.default", "min.default"),
)
def _reduce(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    kind = walk.node.op.split(".")[1]
    if a.get("dtype") not in (None, "float32", "float64"):
        raise Unfit(f"it computes in {a['dtype']}, expected float32")
    dims, keep = a.get("dim"), a.get("keepdim", False)
    if isinstance(a["self"], np.ndarray):
        over = None if dims is None or dims == [] else tuple(np.atleast_1d(dims))
        wide = a["self"].astype(np.float64)
        found: Any = getattr(np, kind)(wide, axis=over, keepdims=keep).astype(np.float32)
    else:
        x = walk.data(a["self"])
        dims = list(range(x.rank)) if dims is None or dims == [] else dims
        axes = [axis_of(dim, x.rank) for dim in (dims if isinstance(dims, list) else [dims])]
        found = reduced(walk, x, axes, WORDS.get(kind, kind), keep=keep)
    return (found, None) if walk.node.op.endswith((".max.dim", ".min.dim")) else found


@op("argmax.default")
def _arg_max(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    dim = a.get("dim")
    if dim is None and x.rank != 1:
        raise Unfit("of all numbers at once, expected dim=-1")
    return arg_max(
        walk, x, axis_of(-1 if dim is None else dim, x.rank), keep=a.get("keepdim", False)
    )


@op("cumsum.default")
def _cumsum(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    return accumulated(walk, x, axis_of(a["dim"], x.rank))


POOLS = (("max", ""), ("avg", ""), ("max", "_with_indices"))


@op("adaptive_avg_pool1d.default", "adaptive_max_pool1d.default")
def _adaptive(walk: Walk, a: Arguments) -> Any:
    if list(a["output_size"]) != [1]:
        raise Unfit(f"to {a['output_size']} frames, expected 1")
    found = _all(walk, walk.data(a["self"]))
    return found if _is_mean(walk) else (found, None)


def _is_mean(walk: Walk) -> bool:
    return walk.node is not None and "avg" in walk.node.op


def _all(walk: Walk, x: Data) -> Data:
    """All of the last axis as one: frames or features."""
    return reduced(walk, x, [x.rank - 1], "mean" if _is_mean(walk) else "max", keep=True)


@op(*(f"{kind}_pool{n}d{end}.default" for n in (1, 2) for kind, end in POOLS))
def _windows(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    x, count = walk.data(a["self"]), 2 if "pool2d" in walk.node.op else 1
    taps = each_of(a["kernel_size"], "kernel_size", count)
    if a.get("ceil_mode", False):
        raise Unfit("ceil_mode is True: the last window is shorter, expected False")
    if a.get("divisor_override") is not None:
        raise Unfit("divisor_override is given, expected None")
    pads = each_of(a.get("padding", 0), "padding", count)
    strides = each_of(a.get("stride") or taps, "stride", count)
    window = Window(taps, strides, each_of(a.get("dilation", 1), "dilation", count), pads, pads)
    extent = walk.shape(x)[-1]
    if (
        taps == (extent,) and not pads[0]
    ):  # F.max_pool1d(y, y.size(2)), as often as a window of that many frames
        if not x.is_features(x.rank - 1):
            walk.doubt(f"a window of all {extent} frames may mean so many, or all")
        pooled = _all(walk, x)
    else:
        x, lone = without_batch(x, count + 2)
        pooling = Pooling.MEAN if _is_mean(walk) else Pooling.MAXIMUM
        counts = a.get("count_include_pad", True)
        pooled = windowed(walk, x, window, pooling, counts=counts)
        if lone:
            pooled = walk.data(squeezed(walk, pooled, [0]))
    return (pooled, None) if "with_indices" in walk.node.op else pooled
