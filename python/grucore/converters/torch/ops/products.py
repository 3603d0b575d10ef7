# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch with weights: linear maps, embeddings, convolutions; padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.walk.walk import Arguments, Walk, number, op
from grucore.converters.trace.axes import BATCH, FEATURES, Data, Tracked, Unfit, WrongAxes
from grucore.converters.trace.ops.joins import padded
from grucore.converters.trace.ops.products import embedded, matmul, times
from grucore.converters.trace.ops.reduce import einsum
from grucore.converters.trace.ops.spectra import check_mode
from grucore.converters.trace.ops.views import squeezed, unsqueezed
from grucore.converters.trace.ops.windows import Window, convolved, convolved_in_frame
from grucore.graph.tensors import Array

__all__ = ["constant_of", "each_of", "without_batch"]


def constant_of(found: Any, what: str) -> Array:
    if not isinstance(found, np.ndarray):
        raise Unfit(f"its {what} is computed from the input")
    return found


@op("embedding.default")
def _embedding(walk: Walk, a: Arguments) -> Any:
    table, ids = constant_of(a["weight"], "table"), a["indices"]
    return embedded(walk, walk.data(ids), table) if isinstance(ids, Tracked) else table[ids]


@op("linear.default")
def _linear(walk: Walk, a: Arguments) -> Any:
    return _product(walk, a["input"], constant_of(a["weight"], "weight").T, a.get("bias"))


@op("one_hot.default")
def _one_hot(walk: Walk, a: Arguments) -> Any:
    if a.get("num_classes", -1) < 1:
        raise Unfit("num_classes is left open, expected a number")
    return embedded(walk, walk.data(a["self"]), np.eye(a["num_classes"], dtype=np.float32))


@op("matmul.default", "mm.default", "bmm.default", "mv.default", "dot.default")
def _matmul(walk: Walk, a: Arguments) -> Any:
    one, other = a["self"], a.first("other", "mat2", "vec", "tensor")
    if isinstance(one, Tracked) or isinstance(other, Tracked):
        return matmul(walk, number(one), number(other))
    return (one.astype(np.float64) @ other.astype(np.float64)).astype(np.float32)


@op("addmm.default")
def _addmm(walk: Walk, a: Arguments) -> Any:
    a.only(beta=1, alpha=1)
    return _product(walk, a["mat1"], constant_of(a["mat2"], "second factor"), a["self"])


def _product(walk: Walk, x: Any, matrix: Array, bias: Any) -> Data:
    return times(walk, walk.data(x), matrix, None if bias is None else constant_of(bias, "bias"))


@op(*(f"conv{n}d.{end}" for n in (1, 2) for end in ("default", "padding")), "convolution.default")
def _convolution(walk: Walk, a: Arguments) -> Any:
    a.only(transposed=False)
    weight = constant_of(a["weight"], "weight")
    if weight.ndim not in (3, 4):
        raise Unfit(f"its weight has shape {weight.shape}, expected three or four axes")
    x, lone = without_batch(walk.data(a["input"]), weight.ndim)
    if x.axes[0] not in (BATCH, FEATURES):
        raise WrongAxes(f"its axis 0 is not the batch, but {x.axes[0]}")
    padding, count = a.get("padding", 0), weight.ndim - 2
    pads = each_of(0 if isinstance(padding, str) else padding, "padding", count)
    window = Window(
        weight.shape[2:],
        each_of(a.get("stride", 1), "stride", count),
        each_of(a.get("dilation", 1), "dilation", count),
        pads,
        pads,
        "upper" if padding == "same" else "",
    )
    bias = a.get("bias")
    numbers = None if bias is None else constant_of(bias, "bias")
    if walk.delayed and not lone and x.axes[1:] == (FEATURES, FEATURES):
        return convolved_in_frame(walk, x, weight, numbers, window, a.get("groups", 1))
    found = convolved(walk, x, weight, numbers, window, a.get("groups", 1))
    return squeezed(walk, found, [0]) if lone else found


def without_batch(x: Data, rank: int = 3) -> tuple[Data, bool]:
    """A tensor (channels, time) or with bands as one row of a batch; and whether it was that."""
    if x.rank != rank - 1:
        return x, False
    return x.moved((FEATURES, *x.axes), unsqueezed(x, [0]).index), True


def each_of(found: Any, what: str, count: int) -> tuple[int, ...]:
    """A setting of one number for each axis, or of one for all."""
    each = list(found) if isinstance(found, list | tuple) else [found]
    each = each * count if len(each) == 1 else each
    if len(each) != count or not all(isinstance(number, int) for number in each):
        raise Unfit(f"{what} is {found}, expected {count} whole numbers")
    return tuple(map(int, each))


@op("pad.default", "constant_pad_nd.default")
def _pad(walk: Walk, a: Arguments) -> Any:
    if isinstance(a["self"], Data):
        check_mode(a["self"], a.get("mode", "constant"))
    a.only(mode="constant")
    fill = float(a.get("value", 0.0))
    x, pads = a["self"], list(a["pad"])
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    if not isinstance(x, Tracked):
        return np.pad(x, [*[(0, 0)] * (x.ndim - len(pairs)), *pairs[::-1]], constant_values=fill)
    data = walk.data(x)
    for place, (before, after) in enumerate(pairs):
        data = padded(walk, data, data.rank - 1 - place, before, after, fill)
    return data


@op("einsum.default")
def _einsum(walk: Walk, a: Arguments) -> Any:
    return einsum(walk, str(a["equation"]), [number(each) for each in a["tensors"]])
