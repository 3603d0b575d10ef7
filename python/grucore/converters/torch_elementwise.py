# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch element by element: activations, sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch_arrays import fold
from grucore.converters.torch_flow import BATCH, Axis, Flow, Unfit
from grucore.converters.torch_walk import Arguments, Walk, op, per_frame, rounded
from grucore.layers import Activate, Activation, Affine, Binary, Operation
from grucore.node import Array

__all__ = ["binary", "scaled"]

INFINITE = math.inf


def _activated(walk: Walk, tensor: Any, activation: Activation, slope: Array | None = None) -> Flow:
    if not isinstance(tensor, Flow):
        raise Unfit("an activation of a constant")
    given = {"activation": activation, "slope": slope}
    out = walk.add(Activate, [walk.ordered(tensor)], name=walk.name(), **given)
    return walk.same_axes(tensor, out)


_PLAIN = {
    "relu": Activation.RELU,
    "sigmoid": Activation.SIGMOID,
    "tanh": Activation.TANH,
    "silu": Activation.SILU,
    "hardswish": Activation.HARD_SWISH,
    "hardsigmoid": Activation.hard_sigmoid(1 / 6, 0.5),
    "relu6": Activation.clip(0.0, 6.0),
    "exp": Activation.EXP,
}


@op(*(f"{name}{tail}.default" for name in _PLAIN for tail in ("", "_")))
def _plain(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    return _activated(walk, a["self"], _PLAIN[walk.node.op.split(".")[1].rstrip("_")])


@op("softsign.default")
def _softsign(walk: Walk, a: Arguments) -> Any:
    return _activated(walk, a["self"], Activation.SOFTSIGN)


@op("gelu.default")
def _gelu(walk: Walk, a: Arguments) -> Any:
    kinds = {"none": Activation.GELU, "tanh": Activation.GELU_TANH}
    return _activated(walk, a["self"], kinds[a.get("approximate", "none")])


@op("leaky_relu.default", "leaky_relu_.default")
def _leaky_relu(walk: Walk, a: Arguments) -> Any:
    return _activated(walk, a["self"], Activation.leaky_relu(a.get("negative_slope", 0.01)))


@op("elu.default", "elu_.default", "celu.default")
def _elu(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    a.only(scale=1, input_scale=1)
    alpha = a.get("alpha", 1.0)
    if "celu" in walk.node.op and alpha != 1:
        raise Unfit(f"celu with alpha {alpha}, expected 1")
    return _activated(walk, a["self"], Activation.elu(alpha))


@op("selu.default")
def _selu(walk: Walk, a: Arguments) -> Any:
    elu = _activated(walk, a["self"], Activation.elu(1.6732632423543772))
    return scaled(walk, elu, np.array(1.0507009873554805), np.array(0.0))


@op("softplus.default")
def _softplus(walk: Walk, a: Arguments) -> Any:
    a.only(beta=1)
    if a.get("threshold", 20) < 20:
        raise Unfit(f"threshold is {a['threshold']}, expected at least 20")
    return _activated(walk, a["self"], Activation.SOFTPLUS)


@op("log_sigmoid.default")
def _log_sigmoid(walk: Walk, a: Arguments) -> Any:
    one, zero = np.array(-1.0), np.array(0.0)
    turned = _activated(walk, scaled(walk, a["self"], one, zero), Activation.SOFTPLUS)
    return scaled(walk, turned, one, zero)


@op(
    "clamp.default",
    "hardtanh.default",
    "clamp_min.default",
    "clamp_max.default",
    "hardtanh_.default",
)
def _clip(walk: Walk, a: Arguments) -> Any:
    hard = walk.node is not None and "hardtanh" in walk.node.op
    least = a.get("min_val", -1.0) if hard else a.get("min", -INFINITE)
    most = a.get("max_val", 1.0) if hard else a.get("max", INFINITE)
    if not isinstance(a["self"], Flow):
        return np.clip(a["self"], least, most)
    return _activated(walk, a["self"], Activation.clip(float(least), float(most)))


@op("prelu.default", "_prelu_kernel.default")
def _prelu(walk: Walk, a: Arguments) -> Any:
    weight, flow = a["weight"], a["self"].simple()
    if not isinstance(weight, np.ndarray):
        raise Unfit("its slope is computed from the input")
    if weight.size == 1:
        return _activated(walk, flow, Activation.leaky_relu(float(weight.reshape(()))))
    if flow.rank < 2 or not flow.feature_axis(1) or flow.extent(1) != weight.size:
        raise Unfit(f"{weight.size} slopes, and axis 1 does not hold as many features")
    spread = [1] * flow.index.ndim
    spread[flow.place(1)] = -1
    slope = np.broadcast_to(weight.reshape(spread), flow.index.shape).reshape(-1)
    return _activated(walk, flow, Activation.leaky_relu(0.0), rounded(slope))


@op("neg.default")
def _neg(walk: Walk, a: Arguments) -> Any:
    if not isinstance(a["self"], Flow):
        return -a["self"]
    return scaled(walk, a["self"], np.array(-1.0), np.array(0.0))


@op("pow.Tensor_Scalar", "square.default")
def _pow(walk: Walk, a: Arguments) -> Any:
    exponent = a.get("exponent", 2)
    if not isinstance(a["self"], Flow):
        return fold("pow", a["self"], exponent)
    if exponent != 2:
        raise Unfit(f"the exponent is {exponent}, expected 2")
    return binary(walk, a["self"], a["self"], Operation.MULTIPLY)


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


@op("div.Tensor", "div_.Tensor", "div.Scalar", "true_divide.Tensor")
def _div(walk: Walk, a: Arguments) -> Any:
    return combine(walk, a["self"], a["other"], "div")


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
        if operation == "div":
            raise Unfit("a value divided by a value")
        return binary(walk, one, other, _OPERATIONS[operation])
    if isinstance(one, Flow):
        with np.errstate(divide="ignore"):
            return scaled(walk, one, *_AFFINE[operation](np.asarray(other, np.float64)))
    if isinstance(other, Flow):
        constant = np.asarray(one, np.float64)
        if operation == "div":
            raise Unfit("a constant divided by a value")
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
    a, b = _level(one), _level(other)
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
            raise Unfit(f"it combines {walk.shape(one)} and {walk.shape(other)} of other axes")
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
