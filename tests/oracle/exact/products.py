# SPDX-License-Identifier: Apache-2.0
"""Products of weights with activations, added to what stood before: the chains of
docs/numerics.md.

Everywhere y is float32 (N, rows): the bias, or what the product before left. x is float32 (N, k).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.graph.layers import Attention, Conv1d, Dense, Recurrent
from grucore.graph.node import Node
from grucore.graph.tensors import Array, Dtype
from grucore.graph.weights import INT4_INPUTS, Quantized, Weight
from oracle.exact.functions import Floats, flush

__all__ = ["chained", "float_weights", "multiply", "stored", "table_rows", "tap_of"]

Doubles: TypeAlias = npt.NDArray[np.float64]

INT8_BLOCK = 1024  # inputs whose products are summed exactly
SMALLEST_RANGE = np.float32(2.0**-100)
_SMALLEST_NORMAL = np.float32(2.0**-126)


def stored(array: Array) -> Floats:
    """Floats as the file keeps them, made float32 (exactly, of float16): no denormals, as the
    writer leaves none; -0 stays."""
    wide = array.astype(np.float32)
    result: Floats = np.where((np.abs(wide) < _SMALLEST_NORMAL) & (wide != 0), np.float32(0), wide)
    return result


def chained(y: Floats, a: Floats, b: Floats, numerics: str) -> Floats:
    """y + a b, element by element: one link of a chain."""
    if numerics == "muladd":
        return y + a * b
    product = a.astype(np.float64) * b.astype(np.float64)
    result: Floats = _round_to_odd(product, y.astype(np.float64)).astype(np.float32)
    return result


def _muladd(y: Floats, weight: Floats, x: Floats) -> Floats:
    """Inputs ascending; a multiplication, then an addition."""
    for k in range(x.shape[1]):
        y = y + weight[:, k] * x[:, k, None]
    return y


def _fused(y: Floats, weight: Floats, x: Floats) -> Floats:
    """Inputs ascending; product and sum rounded once.

    The product of two float32 is exact in float64. The sum there is rounded to odd: rounding that
    to float32 is then as if the exact sum had been rounded, which after rounding to nearest it
    would not always be.
    """
    wide_weight, wide_x = weight.astype(np.float64), x.astype(np.float64)
    for k in range(x.shape[1]):
        product: Doubles = wide_weight[:, k] * wide_x[:, k, None]
        y = _round_to_odd(product, y.astype(np.float64)).astype(np.float32)
    return y


def _round_to_odd(a: Doubles, b: Doubles) -> Doubles:
    """a + b; where that is inexact, the one of its two neighbours whose last bit is 1."""
    total = a + b
    virtual = total - a
    rest = (a - (total - virtual)) + (b - virtual)  # what the sum lost, exactly
    bits = total.view(np.int64)
    inexact_and_even = np.isfinite(total) & (rest != 0) & (bits & 1 == 0)
    away_from_zero = (rest > 0) == (total > 0)
    odd = np.where(away_from_zero, bits + 1, bits - 1).view(np.float64)
    result: Doubles = np.where(inexact_and_even, odd, total)
    return result


_CHAINS = {"fused": _fused, "muladd": _muladd}


def _activations(x: Floats, bits: int, least: float, fixed: float | None) -> tuple[Doubles, Floats]:
    """Quantized activations q (N, k), whole numbers, and their scale (N, 1) for each row of x."""
    limit = np.float32(127 if bits == 8 else 16383)
    largest = np.abs(x).max(axis=1, keepdims=True, initial=least)
    span = largest if fixed is None else np.full_like(largest, fixed)
    finite = np.isfinite(x).all(axis=1, keepdims=True)
    counts = span >= SMALLEST_RANGE
    rounded = np.clip(np.rint(x * (limit / span)), -limit, limit)
    q = np.where(finite & counts, rounded, np.float32(0)).astype(np.float64)
    scale = np.where(counts, span / limit, np.float32(0))
    return q, np.where(finite, scale, np.float32(np.nan))


def _integers(y: Floats, weight: Quantized, q: Doubles, scale: Floats) -> Floats:
    """Sums of a block's or a group's products are exact in float64, then rounded to float32."""
    values = weight.values.astype(np.float64)
    block = INT8_BLOCK if weight.dtype is Dtype.INT8 else INT4_INPUTS
    product = np.zeros(y.shape, np.float32)
    for first in range(0, q.shape[1], block):
        part = slice(first, first + block)
        total = (q[:, part] @ values[:, part].T).astype(np.float32)
        if weight.dtype is Dtype.INT4:
            total = total * weight.scale[:, first // block].astype(np.float32)
        product = product + total
    if weight.dtype is Dtype.INT4:
        return y + product * scale
    return y + (product * scale) * stored(weight.scale)


def tap_of(weight: Weight, tap: int) -> Weight:
    """One tap of the weights (rows, taps, k) of a convolution: (rows, k), with its own scales."""
    if not isinstance(weight, Quantized):
        return weight[:, tap]
    scale = weight.scale
    if weight.dtype is Dtype.INT4:
        scale = scale.reshape(len(weight), weight.shape[1], -1)[:, tap]
    return replace(weight, values=weight.values[:, tap], scale=scale)


def table_rows(table: Weight, ids: npt.NDArray[Any]) -> Floats:
    """The rows of an embedding's table, of any kind: ids of any shape give (..., width)."""
    if not isinstance(table, Quantized):
        rows: Floats = stored(table)[ids]
        return rows
    return flush(table.values[ids].astype(np.float32) * stored(table.scale)[ids, None])


def float_weights(node: Node) -> bool:
    """True if a layer has a product of float weights, for which there are two classes."""
    if isinstance(node, Attention):
        return True
    if isinstance(node, Recurrent):
        weights = [node.weight_ih, node.weight_hh]
    else:
        weights = [node.weight] if isinstance(node, Dense | Conv1d) else []
    return any(not isinstance(weight, Quantized) for weight in weights)


def multiply(
    y: Floats,
    weight: Weight,
    x: Floats,
    numerics: str,
    *,
    least_range: float = 0.0,
    input_range: float | None = None,
) -> Floats:
    """y + weight (rows, k) times x, for weights of any kind.

    With quantized weights ``input_range`` is the range of x, or else its largest magnitude in each
    row, but at least ``least_range``. ``numerics`` is the class of float weights.
    """
    if isinstance(weight, Quantized):
        return _integers(y, weight, *_activations(x, weight.activations, least_range, input_range))
    return _CHAINS[numerics](y, stored(weight), x)
