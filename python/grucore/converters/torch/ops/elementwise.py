# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch element by element: sums and products, of values and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.ops.arrays import fold
from grucore.converters.torch.walk.walk import Arguments, Walk, number, op
from grucore.converters.trace.axes import Tracked, Unfit
from grucore.converters.trace.ops.elementwise import arithmetic, extreme, scaled
from grucore.converters.trace.ops.spectra import multiplied
from grucore.converters.trace.sizes import may_be_of_frames
from grucore.converters.trace.spectra import Spectra
from grucore.graph.layers import Operation

__all__ = ["combined"]


@op("neg.default")
def _neg(walk: Walk, a: Arguments) -> Any:
    return scaled(walk, walk.data(a["self"]), -1.0) if _moves(a["self"]) else -a["self"]


def _moves(found: Any) -> bool:
    return isinstance(found, Tracked)


def _alpha(walk: Walk, a: Arguments) -> Any:
    other, alpha = a["other"], a.get("alpha", 1)
    if alpha == 1:
        return other
    return scaled(walk, walk.data(other), float(alpha)) if _moves(other) else other * alpha


@op("add.Tensor", "add_.Tensor", "add.Scalar")
def _add(walk: Walk, a: Arguments) -> Any:
    return combined(walk, a["self"], _alpha(walk, a), "add")


@op("sub.Tensor", "sub_.Tensor", "sub.Scalar")
def _sub(walk: Walk, a: Arguments) -> Any:
    return combined(walk, a["self"], _alpha(walk, a), "sub")


@op("rsub.Scalar", "rsub.Tensor")
def _rsub(walk: Walk, a: Arguments) -> Any:
    a.only(alpha=1)
    return combined(walk, a["other"], a["self"], "sub")


@op("mul.Tensor", "mul_.Tensor", "mul.Scalar", "multiply.Tensor")
def _mul(walk: Walk, a: Arguments) -> Any:
    return combined(walk, a["self"], a["other"], "mul")


@op("lerp.Scalar", "lerp.Tensor")
def _lerp(walk: Walk, a: Arguments) -> Any:
    way = combined(walk, a["end"], a["self"], "sub")
    return combined(walk, a["self"], combined(walk, way, a["weight"], "mul"), "add")


@op("addcmul.default")
def _addcmul(walk: Walk, a: Arguments) -> Any:
    product = combined(walk, a["tensor1"], a["tensor2"], "mul")
    return combined(walk, a["self"], combined(walk, product, a.get("value", 1), "mul"), "add")


@op("maximum.default", "max.other")
def _maximum(walk: Walk, a: Arguments) -> Any:
    return extreme(walk, number(a["self"]), number(a["other"]), Operation.MAXIMUM)


@op("minimum.default", "min.other")
def _minimum(walk: Walk, a: Arguments) -> Any:
    return extreme(walk, number(a["self"]), number(a["other"]), Operation.MINIMUM)


def combined(walk: Walk, one: Any, other: Any, word: str) -> Any:
    """Two values, or a value and a constant, or two constants."""
    if word in ("mul", "div"):
        for given in (one, other):
            if isinstance(given, int | float) and may_be_of_frames(given, walk.frames):
                walk.doubt(
                    f"the number {given:g} goes with the {walk.frames} frames of the example"
                )
    if (isinstance(one, Spectra) and _moves(other)) or (isinstance(other, Spectra) and _moves(one)):
        raise Unfit(
            "it joins the complex numbers of a spectrum with another value, as a mask model does: "
            "convert the network from features to gains, and grucore.audio.masked puts the "
            "spectrum before it and the samples behind it"
        )
    if isinstance(one, Spectra) and word in ("mul", "div") and np.size(other) == 1:
        factor = float(np.asarray(other).reshape(()))
        return multiplied(walk, one, factor if word == "mul" else 1 / factor)
    if _moves(one) or _moves(other):
        return arithmetic(walk, number(one), number(other), word)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return fold(word, np.asarray(one), np.asarray(other))
    sizes = {"add": one + other, "sub": one - other, "mul": one * other}
    if word not in sizes:
        raise Unfit("it divides one size by another")
    return sizes[word]
