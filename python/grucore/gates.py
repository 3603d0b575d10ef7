# SPDX-License-Identifier: Apache-2.0
"""The one place that knows gate orders and bias conventions other than grucore's own r, z, n.

Inside grucore a GRU has its rows in the order r, z, n and one bias. The reset-after cell needs four
parts of bias (r, z, n of the input side, n of the recurrent side, which the reset gate multiplies);
in the reset-before cell everything folds into three. Sums are made in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np

from grucore.node import Array

__all__ = ["fold_reset_after", "fold_reset_before", "from_torch", "rounded"]


def rounded(array: Array) -> Array:
    """The nearest float32 values; what is too large becomes infinite, which `Graph` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def fold_reset_after(bias_ih: Array, bias_hh: Array) -> Array:
    """(3 H,) and (3 H,) in the order r, z, n -> (4 H,) float32: r, z, n_input, n_recurrent."""
    hidden = bias_ih.shape[0] // 3
    total = np.asarray(bias_ih, np.float64) + np.asarray(bias_hh, np.float64)
    parts = (total[: 2 * hidden], bias_ih[2 * hidden :], bias_hh[2 * hidden :])
    return rounded(np.concatenate(parts))


def fold_reset_before(bias_ih: Array, bias_hh: Array) -> Array:
    """(3 H,) and (3 H,) in the order r, z, n -> (3 H,) float32."""
    total = np.asarray(bias_ih, np.float64) + np.asarray(bias_hh, np.float64)
    return rounded(total)


def from_torch(
    weight_ih: Array, weight_hh: Array, bias_ih: Array | None, bias_hh: Array | None
) -> tuple[Array, Array, Array]:
    """PyTorch's GRU, (3 H, I), (3 H, H), (3 H,), (3 H,) -> float32 weights and bias (4 H,).

    PyTorch knows the reset-after cell alone, in the order r, z, n; without biases they are zero.
    """
    none = np.zeros(weight_hh.shape[0], np.float32)
    bias = fold_reset_after(
        none if bias_ih is None else bias_ih, none if bias_hh is None else bias_hh
    )
    return rounded(weight_ih), rounded(weight_hh), bias
