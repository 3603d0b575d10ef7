# SPDX-License-Identifier: Apache-2.0
"""PyTorch's roots, logarithms, powers and quotients of values, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.ops.arrays import fold
from grucore.converters.torch.ops.elementwise import combined
from grucore.converters.torch.ops.products import constant_of
from grucore.converters.torch.walk.walk import Arguments, Walk, number, op
from grucore.converters.trace.axes import Data, Tracked, Unfit
from grucore.converters.trace.ops.powers import (
    EXPONENTS,
    LOGARITHMS,
    cosine,
    divided,
    error_function,
    log_sum_exp,
    logged,
    normed,
    raised,
    rms_norm,
    variance,
)
from grucore.converters.trace.ops.reduce import reduced
from grucore.converters.trace.ops.views import axis_of

__all__: list[str] = []

CORRECTED = (".default", ".dim", ".correction")
EPSILON = float(np.finfo(np.float32).eps)  # of rms_norm, where it is given none


@op(*(f"{name}.default" for name in (*LOGARITHMS, "log1p")))
def _log(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    return logged(walk, a["self"], walk.node.op.split(".")[1])


@op(*(f"{name}.default" for name in EXPONENTS if name != "square"))
def _root(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    return raised(walk, a["self"], EXPONENTS[walk.node.op.split(".")[1]])


@op("pow.Tensor_Scalar", "square.default")
def _pow(walk: Walk, a: Arguments) -> Any:
    exponent = a.get("exponent", 2)
    if not isinstance(a["self"], Tracked):
        return fold("pow", a["self"], exponent)
    return raised(walk, a["self"], float(exponent))


@op("div.Tensor", "div_.Tensor", "div.Scalar", "true_divide.Tensor")
def _div(walk: Walk, a: Arguments) -> Any:
    one, other = a["self"], a["other"]
    if not isinstance(other, Data):
        return combined(walk, one, other, "div")
    return divided(walk, number(one), other)


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
    x = walk.data(tensor)
    return normed(walk, x, _axes(x, dims), order, keep=a.get("keepdim", False))


@op(*(f"{name}{end}" for name in ("var", "std", "var_mean", "std_mean") for end in CORRECTED))
def _variance(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    x = walk.data(a["self"])
    correction = a.get("correction", 1 if a.get("unbiased", True) else 0)
    root, keep = walk.node.op.startswith("aten.std"), a.get("keepdim", False)
    axes = _axes(x, a.get("dim"))
    found = variance(walk, x, axes, correction, root=root, keep=keep)
    if "_mean" not in walk.node.op:
        return found
    return found, reduced(walk, x, axes, "mean", keep=keep)


@op("erf.default", "special_erf.default")
def _erf(walk: Walk, a: Arguments) -> Any:
    return error_function(walk, a["self"])


@op("cosine_similarity.default")
def _cosine(walk: Walk, a: Arguments) -> Any:
    one, other = number(a["x1"]), number(a["x2"])
    if not isinstance(one, Data):
        one, other = other, one
    x = walk.data(one)
    ranks = [each.rank if isinstance(each, Tracked) else each.ndim for each in (x, other)]
    axis = axis_of(a.get("dim", 1), max(ranks)) - max(ranks)
    return cosine(walk, x, other, axis, float(a.get("eps", 1e-8)))


@op("logsumexp.default")
def _log_sum_exp(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    return log_sum_exp(walk, x, _axes(x, a["dim"]), keep=a.get("keepdim", False))


@op("rms_norm.default")
def _rms_norm(walk: Walk, a: Arguments) -> Any:
    x, shape, weight = walk.data(a["input"]), list(a["normalized_shape"]), a.get("weight")
    if len(shape) > x.rank or list(walk.shape(x)[x.rank - len(shape) :]) != shape:
        raise Unfit(f"it normalizes {shape} of {x.text}, expected the last axes")
    axes = range(x.rank - len(shape), x.rank)
    scale = None if weight is None else constant_of(weight, "weight")
    return rms_norm(walk, x, axes, scale, float(a.get("eps", EPSILON)))


def _axes(x: Data, dims: Any) -> list[int]:
    axes = list(range(x.rank)) if dims is None or dims == [] else dims
    return [axis_of(axis, x.rank) for axis in (axes if isinstance(axes, list) else [axes])]
