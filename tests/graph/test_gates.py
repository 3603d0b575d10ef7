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


def test_an_lstms_biases_are_added_and_rounded_once(rng: np.random.Generator) -> None:
    weight_ih, weight_hh = rng.standard_normal((4, 2)), rng.standard_normal((4, 1))
    bias_hh = np.full(4, 2.0**-24 + 2.0**-40)
    ours = gates.summed(weight_ih, weight_hh, np.ones(4), bias_hh)
    assert np.array_equal(ours[0], weight_ih.astype(np.float32))
    assert np.array_equal(ours[2], np.full(4, 1 + 2.0**-23, np.float32))
    assert not gates.summed(weight_ih, weight_hh, None, None)[2].any()


def test_onnx_has_the_output_gate_second() -> None:
    blocks = np.repeat(np.arange(4.0), HIDDEN)[:, None]  # i, o, f, c
    bias = np.concatenate([blocks[:, 0], 10 * blocks[:, 0]])
    weight, recurrence, total = gates.from_onnx_lstm(blocks, np.tile(blocks, HIDDEN), bias)
    assert weight[::HIDDEN, 0].tolist() == [0, 2, 3, 1]
    assert recurrence[::HIDDEN, 0].tolist() == [0, 2, 3, 1]
    assert total[::HIDDEN].tolist() == [0, 22, 33, 11]


def test_to_onnx_is_the_inverse(rng: np.random.Generator) -> None:
    for count in (1, 3, 4):
        weight = rng.standard_normal((count * HIDDEN, HIDDEN)).astype(np.float32)
        bias = rng.standard_normal(count * HIDDEN).astype(np.float32)
        turned = gates.to_onnx(weight, count), gates.to_onnx(bias, count)
        both = np.concatenate([turned[1], np.zeros_like(bias)])
        if count == 3:
            found = gates.from_onnx(turned[0], turned[0], both, reset_after=False)
        elif count == 4:
            found = gates.from_onnx_lstm(turned[0], turned[0], both)
        else:
            found = gates.summed(turned[0], turned[0], *np.split(both, 2))
        for have, want in zip(found, (weight, weight, bias), strict=True):
            assert np.array_equal(have, want), count


def test_unfolded_biases_sum_to_the_folded_one(rng: np.random.Generator) -> None:
    bias_ih, bias_hh = gates.unfolded(np.arange(12, dtype=np.float32), 9)
    assert bias_ih.tolist() == list(range(9))
    assert bias_hh.tolist() == [0] * 6 + [9, 10, 11]
    assert not gates.unfolded(np.ones(8, np.float32), 8)[1].any()
