# SPDX-License-Identifier: Apache-2.0
"""Products of weights with activations, added to what stood before: the chains of
docs/numerics.md.

Everywhere y is float32 (N, rows): the bias, or what the product before left. x is float32 (N, k).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.exact.functions import Floats
from grucore.layers import Conv1d, Dense, Gru
from grucore.node import Array, Node

__all__ = ["float_weights", "multiply", "rows_of", "stored", "table_rows"]

Doubles: TypeAlias = npt.NDArray[np.float64]

_SMALLEST_NORMAL = np.float32(2.0**-126)


def stored(array: Array) -> Floats:
    """Floats as the file keeps them, made float32 (exactly, of float16): no denormals, as the
    writer leaves none; -0 stays."""
    wide = array.astype(np.float32)
    result: Floats = np.where((np.abs(wide) < _SMALLEST_NORMAL) & (wide != 0), np.float32(0), wide)
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


def float_weights(node: Node) -> bool:
    """Whether a layer has a product of float weights, whose class matters."""
    return isinstance(node, Gru | Dense | Conv1d)


def rows_of(weight: Any, rows: slice) -> Any:
    """Some rows of a matrix of any kind."""
    return weight[rows]


def table_rows(table: Any, ids: npt.NDArray[Any]) -> Floats:
    """The rows of an embedding of any kind: ids of any shape give (..., width)."""
    rows: Floats = stored(table)[ids]
    return rows


def multiply(
    y: Floats,
    weight: Any,
    x: Floats,
    numerics: str,
    *,
    tap: int | None = None,
    is_state: bool = False,
    fixed_range: float | None = None,
) -> Floats:
    """y + weight (rows, k) times x, for weights of any kind; of (rows, taps, k) the tap's part."""
    return _CHAINS[numerics](y, stored(weight if tap is None else weight[:, tap]), x)
