# SPDX-License-Identifier: Apache-2.0
"""PyTorch's roots, logarithms, powers and quotients of values, and what is made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grucore.converters.build.powers import (
    by_root_of_squares,
    is_nowhere_negative,
    logarithm,
    power,
)
from grucore.converters.torch.ops.arrays import fold
from grucore.converters.torch.ops.elementwise import combined
from grucore.converters.torch.ops.products import constant_of
from grucore.converters.torch.walk.walk import Arguments, Walk, number, op
from grucore.converters.trace.axes import Data, Tracked, Unfit
from grucore.converters.trace.elementwise import (
    ABSOLUTE,
    activated,
    arithmetic,
    binary,
    scaled,
    softsign,
)
from grucore.converters.trace.reduce import reduced
from grucore.converters.trace.views import axis_of
from grucore.graph.layers import Activation, Operation

__all__: list[str] = []

EPSILON = float(np.finfo(np.float32).eps)  # of rms_norm, where it is given none
_LOGARITHMS = {"log": 1.0, "log2": 1 / math.log(2), "log10": 1 / math.log(10)}
_EXPONENTS = {"sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0}


@op(*(f"{name}.default" for name in (*_LOGARITHMS, "log1p")))
def _log(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    flow, name = walk.data(a["self"]), walk.node.op.split(".")[1]
    if name == "log1p":
        return activated(walk, flow, Activation.log1p(-math.inf))
    out = logarithm(walk.put, walk.name(), walk.ordered(flow), _LOGARITHMS[name])
    return walk.fresh(flow, out)


@op(*(f"{name}.default" for name in _EXPONENTS))
def _root(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    return raised(walk, walk.data(a["self"]), _EXPONENTS[walk.node.op.split(".")[1]])


@op("pow.Tensor_Scalar", "square.default")
def _pow(walk: Walk, a: Arguments) -> Any:
    exponent = a.get("exponent", 2)
    if not isinstance(a["self"], Tracked):
        return fold("pow", a["self"], exponent)
    return raised(walk, walk.data(a["self"]), float(exponent))


@op("div.Tensor", "div_.Tensor", "div.Scalar", "true_divide.Tensor")
def _div(walk: Walk, a: Arguments) -> Any:
    one, other = a["self"], a["other"]
    if not isinstance(other, Data):
        return combined(walk, one, other, "div")
    found = softsign(walk, one, other) if isinstance(one, Data) else None
    if found is not None:
        return found
    return arithmetic(walk, number(one), raised(walk, other, -1.0), "mul")


@op("linalg_vector_norm.default", "norm.ScalarOpt_dim")
def _norm(walk: Walk, a: Arguments) -> Any:
    tensor = a.first("x", "self")
    order, dims = a.get("ord", a.get("p", 2)), a.get("dim")
    if not isinstance(tensor, Tracked):
        if order != 2:
            raise Unfit(f"a norm of order {order}, expected 2")
        squares = tensor.astype(np.float64) ** 2
        axes = None if dims is None else tuple(dims)
        total = squares.sum(axis=axes, keepdims=a.get("keepdim", False))
        return np.sqrt(total).astype(np.float32)
    flow = walk.data(tensor)
    axis = _one_axis(walk, flow, dims)
    if order not in (1, 2):
        raise Unfit(f"a norm of order {order}, expected 1 or 2")
    terms = raised(walk, flow, 2.0) if order == 2 else activated(walk, flow, ABSOLUTE)
    total = reduced(walk, terms, [axis], "sum", keep=True)
    return _kept(a, raised(walk, total, 0.5) if order == 2 else total, axis)


@op("var.dim", "var.correction", "std.dim", "std.correction")
def _variance(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    flow = walk.data(a["self"])
    axis = _one_axis(walk, flow, a.get("dim"))
    correction = a.get("correction", 1 if a.get("unbiased", True) else 0)
    count = flow.index.shape[axis]
    if count <= correction:
        raise Unfit(f"the variance of {count} features, expected more than {correction}")
    mean = reduced(walk, flow, [axis], "mean", keep=True)
    squares = raised(walk, binary(walk, flow, mean, Operation.SUBTRACT), 2.0)
    total = reduced(walk, squares, [axis], "sum", keep=True)
    variance = scaled(walk, total, 1.0 / (count - correction))
    if walk.node.op.startswith("aten.std"):
        variance = raised(walk, variance, 0.5)
    return _kept(a, variance, axis)


@op("rms_norm.default")
def _rms_norm(walk: Walk, a: Arguments) -> Any:
    flow = walk.data(a["input"])
    axis = _one_axis(walk, flow, [flow.rank - 1])
    if list(a["normalized_shape"]) != [flow.index.shape[axis]]:
        raise Unfit(f"it normalizes {a['normalized_shape']}, expected the last axis")
    if flow.index.size != flow.index.shape[axis]:
        raise Unfit(f"it normalizes {a['normalized_shape']}, expected all features of a frame")
    weight, size = a.get("weight"), flow.index.size
    scale = np.ones(size) if weight is None else constant_of(weight, "weight").reshape(-1)
    epsilon = float(a.get("eps", EPSILON))
    value = by_root_of_squares(walk.put, walk.name(), walk.ordered(flow), scale, epsilon)
    return walk.fresh(flow, value)


def raised(walk: Walk, flow: Data, exponent: float) -> Data:
    """A value to a power; see `build.powers.power`."""
    value = walk.ordered(flow)
    if exponent == 0:
        raise Unfit("the exponent is 0")
    if exponent < 0 and not is_nowhere_negative(walk.builder.nodes, value):
        raise Unfit(
            "it divides by a value that may be negative, expected one that its own layers keep "
            "from it: an absolute value, a square, an exponential, a sum of such"
        )
    return walk.fresh(flow, power(walk.put, walk.name(), value, exponent))


def _one_axis(walk: Walk, flow: Data, dims: Any) -> int:
    """The one axis of features that is meant."""
    axes = list(range(flow.rank)) if dims is None or dims == [] else dims
    axes = axes if isinstance(axes, list) else [axes]
    if len(axes) != 1 or not flow.is_features(axis_of(axes[0], flow.rank)):
        raise Unfit(f"over axes {axes} of {flow.text}, expected one of features")
    return axis_of(axes[0], flow.rank)


def _kept(a: Arguments, flow: Data, axis: int) -> Data:
    if a.get("keepdim", False):
        return flow
    kept = tuple(each for place, each in enumerate(flow.axes) if place != axis)
    return flow.moved(kept, flow.index.squeeze(axis))
