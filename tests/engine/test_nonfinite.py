# SPDX-License-Identifier: Apache-2.0
"""Frames that are not finite reach their own row alone, and do there what was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from models.small_models import frames


def test_an_unknown_policy(frames_model: grucore.Model) -> None:
    with pytest.raises(
        ValueError, match="nonfinite='ignore': expected one of propagate, hold, error"
    ):
        frames_model.stream(nonfinite="ignore")
    with pytest.raises(ValueError, match="nonfinite="):
        frames_model.run(np.zeros((3, 5)), nonfinite="ignore")


BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD)
def test_propagate_reaches_its_own_row_only(
    frames_model: grucore.Model, rng: Any, bad: float
) -> None:
    x = frames(rng, 3, 6, 5)
    expected = frames_model.run(x)
    x[1, 2, 3] = bad
    stream = frames_model.stream(3)
    y = np.stack([stream.step(x[:, t]) for t in range(6)], axis=1)
    assert np.array_equal(y[[0, 2]], expected[[0, 2]])
    assert np.array_equal(y[1, :2], expected[1, :2])
    assert np.array_equal(y, frames_model.run(x), equal_nan=True)
    stream.reset([1])
    assert np.all(np.isfinite(stream.step(frames(rng, 3, 5))))


@pytest.mark.parametrize("bad", BAD)
def test_hold_skips_the_frame_of_that_row(
    frames_model: grucore.Model, rng: Any, bad: float
) -> None:
    x = frames(rng, 3, 6, 5)
    without = frames_model.run(np.delete(x[1], 2, axis=0))
    expected = frames_model.run(x)
    x[1, 2, 3] = bad
    stream = frames_model.stream(3, nonfinite="hold")
    y = np.stack([stream.step(x[:, t]) for t in range(6)], axis=1)
    assert np.array_equal(y[[0, 2]], expected[[0, 2]])
    assert np.all(np.isnan(y[1, 2]))
    assert np.array_equal(np.delete(y[1], 2, axis=0), without)
    assert np.array_equal(frames_model.run(x, nonfinite="hold"), y, equal_nan=True)


@pytest.mark.parametrize("bad", BAD)
def test_error_holds_and_raises(frames_model: grucore.Model, rng: Any, bad: float) -> None:
    x = frames(rng, 3, 5)
    stream, held = (
        frames_model.stream(3, nonfinite="error"),
        frames_model.stream(3, nonfinite="hold"),
    )
    stream.step(x)
    held.step(x)
    x[0, 1] = x[2, 4] = bad
    out = np.zeros((3, 3), np.float32)
    with pytest.raises(grucore.NonFiniteError, match="row 0, 2") as caught:
        stream.step(x, out)
    assert (caught.value.rows, caught.value.frames) == ((0, 2), (0, 0))
    assert isinstance(caught.value, ArithmeticError)
    assert np.array_equal(out, held.step(x), equal_nan=True)
    assert np.array_equal(stream.state["gru.l0.h"], held.state["gru.l0.h"])
    stream.step(np.zeros((3, 5)))  # the error is over


def test_error_in_place_still_names_the_row(frames_model: grucore.Model, rng: Any) -> None:
    memory = frames(rng, 3, 5)
    memory[1] = np.nan
    out = memory.reshape(-1)[:9].reshape(3, 3)
    with pytest.raises(grucore.NonFiniteError) as caught:
        frames_model.stream(3, nonfinite="error").step(memory, out)
    assert caught.value.rows == (1,)


def test_error_of_inactive_rows_is_not_raised(frames_model: grucore.Model, rng: Any) -> None:
    x = frames(rng, 3, 5)
    x[1] = np.nan
    stream = frames_model.stream(3, nonfinite="error")
    assert np.all(np.isfinite(stream.step(x, active=[0, 2])))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "active", [[1, 2], np.array([2, 1]), np.array([1, 2]), np.array([False, True, True])]
)
def test_error_of_active_rows_names_them(frames_model: Any, dtype: Any, active: Any) -> None:
    x = np.ones((3, 5), dtype)
    x[:2] = np.nan
    stream, out = frames_model.stream(3, nonfinite="error"), np.zeros((3, 3), np.float32)
    for given in (None, out):
        with pytest.raises(grucore.NonFiniteError, match=r"row 1: ") as caught:
            stream.step(x, given, active=active)
        assert caught.value.rows == (1,)
    assert not out[0].any()
    assert np.isnan(out[1]).all()
    memory = x.copy()
    inside = memory.view(np.float32).reshape(-1)[:9].reshape(3, 3)
    with pytest.raises(grucore.NonFiniteError, match=r"row 1: "):
        stream.step(memory, inside, active=active)


def test_error_of_a_block_names_rows_and_frames(frames_model: grucore.Model, rng: Any) -> None:
    x = frames(rng, 2, 8, 5)
    x[0, 3, 0] = np.nan
    x[1, 7, 4] = np.inf
    with pytest.raises(grucore.NonFiniteError, match="row 0 frame 3, row 1 frame 7") as caught:
        frames_model.stream(2, nonfinite="error").run(x)
    assert (caught.value.rows, caught.value.frames) == ((0, 1), (3, 7))
    with pytest.raises(grucore.NonFiniteError) as caught:
        frames_model.run(x, nonfinite="error", lengths=[8, 7])
    assert (caught.value.rows, caught.value.frames) == ((0,), (3,))
    x[0, 3, 0] = 0
    frames_model.run(x, nonfinite="error", lengths=[8, 7])


def test_an_error_of_one_sequence(frames_model: grucore.Model) -> None:
    stream = frames_model.stream(nonfinite="error")
    with pytest.raises(
        grucore.NonFiniteError, match=r"^the input is not finite: the frame was skipped$"
    ):
        stream.step(np.full(5, np.nan, np.float32))
    assert not np.any(stream.state["gru.l0.h"])
