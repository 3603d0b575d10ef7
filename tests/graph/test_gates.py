# SPDX-License-Identifier: Apache-2.0
"""Gate orders and biases: what is folded, what must not be, and that it is rounded once."""

from __future__ import annotations

import numpy as np

from grucore.graph import gates

HIDDEN = 3


def test_reset_after_keeps_the_candidates_recurrent_bias_apart(rng: np.random.Generator) -> None:
    bias_ih, bias_hh = rng.standard_normal((2, 3 * HIDDEN)).astype(np.float32)
    bias = gates.fold_reset_after(bias_ih, bias_hh)
    assert bias.dtype == np.float32
    assert bias.shape == (4 * HIDDEN,)
    total = (bias_ih.astype(np.float64) + bias_hh).astype(np.float32)
    assert np.array_equal(bias[: 2 * HIDDEN], total[: 2 * HIDDEN])
    assert np.array_equal(bias[2 * HIDDEN : 3 * HIDDEN], bias_ih[2 * HIDDEN :])
    assert np.array_equal(bias[3 * HIDDEN :], bias_hh[2 * HIDDEN :])


def test_reset_before_folds_everything(rng: np.random.Generator) -> None:
    bias_ih, bias_hh = rng.standard_normal((2, 3 * HIDDEN)).astype(np.float32)
    bias = gates.fold_reset_before(bias_ih, bias_hh)
    assert np.array_equal(bias, (bias_ih.astype(np.float64) + bias_hh).astype(np.float32))


def test_sums_are_rounded_once() -> None:
    # In float64 the parts survive the sum; rounded to float32 first, the small one is lost.
    bias_ih = np.full(3, 1.0, np.float64)
    bias_hh = np.full(3, 2.0**-24 + 2.0**-40, np.float64)
    assert gates.fold_reset_before(bias_ih, bias_hh)[0] == np.float32(1 + 2.0**-23)


def test_from_torch_keeps_the_order_and_fills_missing_biases(rng: np.random.Generator) -> None:
    weight_ih = rng.standard_normal((3 * HIDDEN, 2))
    weight_hh = rng.standard_normal((3 * HIDDEN, HIDDEN))
    ours = gates.from_torch(weight_ih, weight_hh, None, None)
    assert np.array_equal(ours[0], weight_ih.astype(np.float32))
    assert np.array_equal(ours[1], weight_hh.astype(np.float32))
    assert np.array_equal(ours[2], np.zeros(4 * HIDDEN, np.float32))
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in ours)
