# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch element by element: sums and products, of values and constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.arrays import fold
from grucore.converters.torch.walk.axes import BATCH, Axis, Flow, Unfit, different_rates
from grucore.converters.torch.walk.walk import Arguments, Walk, op, per_frame, rounded
from grucore.graph.layers import Activate, Activation, Affine, Binary, Operation
from grucore.graph.tensors import Array

__all__ = ["ABSOLUTE", "activated", "binary", "combine", "is_softsign", "scaled"]

ABSOLUTE = Activation.leaky_relu(-1.0)


def activated(walk: Walk, tensor: Any, activation: Activation, slope: Array | None = None) -> Flow:
    if not isinstance(tensor, Flow):
        raise Unfit("an activation of a constant")
    given = {"activation": activation, "slope": slope}
    out = walk.add(Activate, [walk.ordered(tensor)], name=walk.name(), **given)
    return walk.same_axes(tensor, out)


def is_softsign(walk: Walk, one: Flow, other: Flow) -> bool:
    """True if it is x / (1 + |x|), as torch writes softsign."""
    nodes = {node.output: node for node in walk.builder.nodes}
    total = nodes.get(other.value.name)
    size = nodes.get(total.inputs[0]) if isinstance(total, Affine) else None
    return (
        isinstance(total, Affine)
        and isinstance(size, Activate)
        and bool((total.scale == 1).all() and (total.shift == 1).all())
        and size.activation == ABSOLUTE
        and size.slope is None
        and size.inputs[0] == walk.ordered(one).name
        and one.axes == other.axes
        and other.in_order
    )


@op("neg.default")
def _neg(walk: Walk, a: Arguments) -> Any:
    if not isinstance(a["self"], Flow):
        return -a["self"]
    return scaled(walk, a["self"], np.array(-1.0), np.array(0.0))


def _alpha(walk: Walk, a: Arguments) -> Any:
    other, alpha = a["other"], a.get("alpha", 1)
    if alpha == 1:
        return other
    if isinstance(other, Flow):
        return scaled(walk, other, np.array(float(alpha)), np.array(0.0))
    return other * alpha


@op("add.Tensor", "add_.Tensor", "add.Scalar")
def _add(walk: Walk, a: Arguments) -> Any:
    return combine(walk, a["self"], _alpha(walk, a), "add")


@op("sub.Tensor", "sub_.Tensor", "sub.Scalar")
def _sub(walk: Walk, a: Arguments) -> Any:
    return combine(walk, a["self"], _alpha(walk, a), "sub")


@op("rsub.Scalar", "rsub.Tensor")
def _rsub(walk: Walk, a: Arguments) -> Any:
    a.only(alpha=1)
    return combine(walk, a["other"], a["self"], "sub")


@op("mul.Tensor", "mul_.Tensor", "mul.Scalar", "multiply.Tensor")
def _mul(walk: Walk, a: Arguments) -> Any:
    return combine(walk, a["self"], a["other"], "mul")


@op("maximum.default", "max.other")
def _maximum(walk: Walk, a: Arguments) -> Any:
    return _extreme(walk, a["self"], a["other"], Operation.MAXIMUM)


@op("minimum.default", "min.other")
def _minimum(walk: Walk, a: Arguments) -> Any:
    return _extreme(walk, a["self"], a["other"], Operation.MINIMUM)


def _extreme(walk: Walk, one: Any, other: Any, operation: Operation) -> Any:
    """The greater or the lesser of two values, or of a value and one number."""
    if isinstance(one, Flow) and isinstance(other, Flow):
        return binary(walk, one, other, operation)
    flow, constant = (one, np.asarray(other)) if isinstance(one, Flow) else (other, np.asarray(one))
    if (constant != constant.reshape(-1)[:1]).any():
        raise Unfit(f"a bound of shape {constant.shape}, expected one number")
    bound = float(constant.reshape(-1)[0])
    is_lower = operation is Operation.MAXIMUM
    ends = (bound, math.inf) if is_lower else (-math.inf, bound)
    return activated(walk, flow, Activation.clip(*ends))


_OPERATIONS = {"add": Operation.ADD, "sub": Operation.SUBTRACT, "mul": Operation.MULTIPLY}
_AFFINE: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "add": lambda c: (np.ones_like(c), c),
    "sub": lambda c: (np.ones_like(c), -c),
    "mul": lambda c: (c, np.zeros_like(c)),
    "div": lambda c: (1.0 / c, np.zeros_like(c)),
}


def combine(walk: Walk, one: Any, other: Any, operation: str) -> Any:
    """Two values, or a value and a constant, or two constants."""
    if isinstance(one, Flow) and isinstance(other, Flow):
        return binary(walk, one, other, _OPERATIONS[operation])
    if isinstance(one, Flow):
        with np.errstate(divide="ignore"):
            return scaled(walk, one, *_AFFINE[operation](np.asarray(other, np.float64)))
    if isinstance(other, Flow):
        constant = np.asarray(one, np.float64)
        if operation == "sub":
            return scaled(walk, other, -np.ones_like(constant), constant)
        return scaled(walk, other, *_AFFINE[operation](constant))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return fold(operation, np.asarray(one), np.asarray(other))
    return {"add": one + other, "sub": one - other, "mul": one * other}.get(operation)


def scaled(walk: Walk, tensor: Flow, scale: Array, shift: Array) -> Flow:
    """``scale * x + shift``, constants that broadcast against the tensor as torch does."""
    flow = tensor.simple()
    wide = [_spread(walk, flow, each) for each in (scale, shift)]
    flow, scales, shifts = wide[0][0], wide[0][1], wide[1][1]
    if wide[1][0].index.size > flow.index.size:
        flow, scales = wide[1][0], _spread(walk, wide[1][0], scale)[1]
    out = walk.add(
        Affine, [walk.ordered(flow)], name=walk.name(), scale=rounded(scales), shift=rounded(shifts)
    )
    return walk.same_axes(flow, out)


def _spread(walk: Walk, flow: Flow, constant: Array) -> tuple[Flow, Array]:
    """A number for each feature; features of extent 1 are repeated where the constant is wider."""
    if constant.size == 1:
        return flow, np.broadcast_to(constant.reshape(()), flow.index.size)
    what = f"a constant of shape {constant.shape}"
    rank = max(flow.rank, constant.ndim)
    flow = _raised(flow, rank)
    constant = constant.reshape([1] * (rank - constant.ndim) + list(constant.shape))
    axes: list[Axis] = []
    extents: list[int] = []
    for axis in range(rank):
        if flow.feature_axis(axis):
            extents.append(max(flow.extent(axis), constant.shape[axis]))
            axes.append((extents[-1],))
            continue
        axes.append(flow.axes[axis])
        first = np.take(constant, [0], axis)
        if (constant != first).any():
            raise Unfit(f"{what} that differs along {flow.axes[axis]}")
        if any(isinstance(atom, int) for atom in flow.axes[axis]):
            raise Unfit(f"{what} for features that are merged with batch or time")
        constant = first
    kept = [constant.shape[axis] for axis in range(rank) if flow.feature_axis(axis)]
    numbers = np.broadcast_to(constant.reshape(kept), extents).reshape(-1)
    wide = replace(flow, axes=tuple(axes), index=np.broadcast_to(flow.index, extents))
    return wide, numbers


def binary(walk: Walk, one: Flow, other: Flow, operation: Operation) -> Flow:
    """Two values element by element; features of extent 1 are repeated."""
    a, b = walk.level([_level(one), _level(other)])
    rank = max(a.rank, b.rank)
    a, b = _raised(a, rank), _raised(b, rank)
    if a.frame != b.frame:
        raise Unfit(f"it combines frames {a.frame} and {b.frame} of sequences: feedback")
    axes: list[Axis] = []
    extents: list[int] = []
    for axis in range(rank):
        mine, others = a.axes[axis], b.axes[axis]
        if a.feature_axis(axis) and b.feature_axis(axis):
            extent = max(a.extent(axis), b.extent(axis))
            axes.append((extent,))
            extents.append(extent)
        elif mine == others or _only_row(walk, mine, others):
            longer = mine if BATCH in mine else others
            axes.append(longer)
            extents += [atom for atom in longer if isinstance(atom, int)]
        else:
            shapes = f"{walk.shape(one)} and {walk.shape(other)}"
            raise Unfit(f"it combines {shapes} of other axes{different_rates(one, other)}")
    if per_frame(a.value) != per_frame(b.value):
        raise Unfit("it combines a value of each frame and one of the sequence")
    if a.value.clock != b.value.clock:
        raise Unfit("it combines values of other frames")
    kept = [
        replace(flow, axes=tuple(axes), index=np.broadcast_to(_fit(flow, axes), extents))
        for flow in (a, b)
    ]
    out = walk.add(
        Binary, [walk.ordered(flow) for flow in kept], name=walk.name(), operation=operation
    )
    return walk.same_axes(kept[0], out)


def _level(flow: Flow) -> Flow:
    return flow.simple()


def _raised(flow: Flow, rank: int) -> Flow:
    extra = rank - flow.rank
    shape = [1] * extra + list(flow.index.shape)
    return replace(flow, axes=((1,),) * extra + flow.axes, index=flow.index.reshape(shape))


def _only_row(walk: Walk, one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """A batch of one row, once as an axis of features."""
    return walk.sizes.get(BATCH) == 1 and {one, other} == {(BATCH,), (1,)}


def _fit(flow: Flow, axes: list[Axis]) -> Array:
    """The index without the axes that stand for a batch of one row."""
    drop = tuple(
        flow.place(number)
        for number, (mine, wanted) in enumerate(zip(flow.axes, axes, strict=True))
        if mine == (1,) and wanted == (BATCH,)
    )
    return flow.index.squeeze(drop) if drop else flow.index
