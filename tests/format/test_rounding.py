# SPDX-License-Identifier: Apache-2.0
"""Rounding of weights: scales, nearest integers, and the gain from calibration data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized, as_float64
from grucore.quantize.rounding import Grid, Moments, best_rounding, int4_grid, int8_grid

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal
SHAPES = ((1, 1, 1), (3, 1, 5), (7, 1, 32), (5, 1, 70), (4, 3, 9), (2, 2, 40))


def grids(matrix: np.ndarray, power: np.ndarray | None = None) -> dict[Dtype, Grid]:
    return {Dtype.INT8: int8_grid(matrix, power), Dtype.INT4: int4_grid(matrix, power)}


def nearest(matrix: np.ndarray, grid: Grid) -> np.ndarray:
    values, shift = best_rounding(matrix.reshape(len(matrix), -1), grid, None, None)
    assert not shift.any()
    assert values.dtype == np.int8
    return values


def plain(matrix: np.ndarray, dtype: Dtype) -> np.ndarray:
    """The weights after rounding by the scale that just reaches the largest of a row or group."""
    most = 127 if dtype is Dtype.INT8 else 7
    pieces = [matrix.reshape(len(matrix), -1)]
    if dtype is Dtype.INT4:
        pieces = [
            tap[:, first : first + 32]
            for tap in matrix.transpose(1, 0, 2)
            for first in range(0, tap.shape[1], 32)
        ]
    lost = []
    for piece in pieces:
        scale = np.abs(piece).max(axis=1, keepdims=True) / most
        scale = scale.astype(np.float32 if dtype is Dtype.INT8 else np.float16).astype(np.float64)
        integers = np.divide(piece, scale, out=np.zeros_like(piece), where=scale > 0)
        lost.append(piece - np.clip(np.rint(integers), -most, most) * scale)
    return np.concatenate(lost, axis=1)


@settings(deadline=None, max_examples=150)
@given(
    shape=st.sampled_from(SHAPES),
    size=st.sampled_from([1e-30, 1e-3, 1.0, 300.0]),
    heavy=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_weight_is_nearest(
    shape: tuple[int, int, int], size: float, heavy: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = (rng.standard_t(3, shape) if heavy else rng.uniform(-1, 1, shape)) * size
    matrix[rng.random(shape) < 0.1] = 0
    flat = matrix.reshape(len(matrix), -1)
    for dtype, grid in grids(matrix).items():
        if dtype is Dtype.INT4 and size < 1e-6:
            continue  # float16 scales end there
        values = nearest(matrix, grid)
        least, most = grid.bounds
        assert values.min() >= least
        assert values.max() <= most
        error = np.abs(flat - values * grid.step)
        is_clipped = (values == least) | (values == most)
        assert (is_clipped | (error <= np.abs(grid.step) / 2 * (1 + 1e-12))).all()
        # By the sum of squares never worse than the plain scheme.
        most_error = (plain(matrix, dtype) ** 2).sum(axis=1)
        assert ((error**2).sum(axis=1) <= most_error * (1 + 1e-12)).all()
        stored = Quantized(values.reshape(shape), grid.scale, dtype, 16)
        assert np.array_equal(as_float64(stored).reshape(flat.shape), values * grid.step)


def test_scales_are_as_they_are_stored(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(6, 2, 70))
    matrix[2] = 0
    matrix[3] *= 1e-39
    matrix[4, 1, 32:64] = 0
    found = grids(matrix)
    int8, int4 = found[Dtype.INT8].scale, found[Dtype.INT4].scale
    assert (int8.dtype, int8.shape) == (np.float32, (6,))
    assert (int4.dtype, int4.shape) == (np.float16, (6, 2 * 3))
    assert int8[2] == 0
    assert int8[3] == 0, "a scale is normal or zero"
    assert (int8[[0, 1, 4, 5]] >= SMALLEST_NORMAL).all()
    assert not int4[2].any()
    assert int4[4, 4] == 0
    for grid in found.values():
        assert not nearest(matrix, grid)[2].any()
        assert np.isfinite(grid.scale).all()


def test_int4_reaches_the_extreme_of_either_sign() -> None:
    for extreme in (-1.0, 1.0):
        matrix = np.linspace(-0.3, 0.3, 32)[None, None].copy()
        matrix[0, 0, 5] = extreme
        grid = int4_grid(matrix, None)
        values = nearest(matrix, grid)
        assert values[0, 5] in (-8, 7)
        assert abs(values[0, 5] * grid.step[0, 5] - extreme) < 0.07


def test_errors_count_by_the_power_of_their_inputs(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(40, 1, 64))
    power = np.where(np.arange(64) % 4, 1e-4, 1.0)
    for dtype, weighted in grids(matrix, power).items():
        alike = grids(matrix)[dtype]
        flat = matrix.reshape(40, -1)
        errors = [
            ((flat - nearest(matrix, grid) * grid.step) ** 2 @ power).sum()
            for grid in (weighted, alike)
        ]
        assert errors[0] < errors[1]


def moments(samples: np.ndarray) -> Moments:
    found = Moments(samples.shape[1])
    for piece in np.array_split(samples, 3):
        found.add(piece)
    return found


def correlated(rng: np.random.Generator, count: int, columns: int) -> np.ndarray:
    """Inputs as features are: few of them independent, and not around zero."""
    sources = rng.normal(size=(columns // 4, columns))
    noise = rng.normal(size=(count, columns))
    return rng.normal(size=(count, columns // 4)) @ sources + 0.3 * noise + 2.0


def test_moments_come_in_pieces(rng: np.random.Generator) -> None:
    samples = correlated(rng, 200, 12)
    found = moments(samples)
    assert found.count == 200
    assert np.allclose(found.mean, samples.mean(axis=0))
    assert np.allclose(found.covariance, np.cov(samples.T, bias=True))
    assert np.allclose(found.power, (samples**2).mean(axis=0))


@pytest.mark.parametrize("dtype", [Dtype.INT8, Dtype.INT4])
def test_calibration_halves_the_error(dtype: Dtype, rng: np.random.Generator) -> None:
    matrix = rng.uniform(-1, 1, (48, 1, 64))
    flat = matrix.reshape(48, 64)
    seen, unseen, used = np.split(correlated(rng, 3000, 64), 3)
    grid = grids(matrix, moments(seen).power)[dtype]
    exact = used @ flat.T
    without = used @ (nearest(matrix, grid) * grid.step).T - exact
    values, shift = best_rounding(flat, grid, moments(seen), moments(unseen))
    compensated = used @ (values * grid.step).T + shift - exact
    assert np.sqrt((compensated**2).mean()) < 0.5 * np.sqrt((without**2).mean())
    least, most = grid.bounds
    assert values.min() >= least
    assert values.max() <= most


def test_calibration_that_misleads_is_not_followed(rng: np.random.Generator) -> None:
    """Rounding keeps a lesson from some inputs only where it helps on others."""
    matrix = rng.uniform(-1, 1, (48, 1, 64))
    flat = matrix.reshape(48, 64)
    grid = int4_grid(matrix, None)
    seen, unseen = correlated(rng, 70, 64), rng.normal(size=(2000, 64))
    values, shift = best_rounding(flat, grid, moments(seen), moments(unseen))
    plainly = nearest(matrix, grid)
    used = rng.normal(size=(4000, 64))
    errors = [
        ((used @ (flat - integers * grid.step).T - more) ** 2).mean(axis=0)
        for integers, more in ((values, shift), (plainly, np.zeros(48)))
    ]
    assert (errors[0] <= 1.05 * errors[1]).all()


@pytest.mark.parametrize("fault", ["constant", "zero", "infinite", "none"])
def test_calibration_that_says_nothing(fault: str, rng: np.random.Generator) -> None:
    matrix = rng.uniform(-1, 1, (5, 1, 9))
    flat = matrix.reshape(5, 9)
    grid = int8_grid(matrix, None)
    samples = {
        "constant": np.full((100, 9), 0.5),
        "zero": np.zeros((100, 9)),
        "infinite": np.full((100, 9), np.inf),
        "none": np.zeros((0, 9)),
    }[fault]
    with np.errstate(invalid="ignore"):
        values, shift = best_rounding(flat, grid, moments(samples), moments(samples))
    assert np.isfinite(shift).all()
    if fault == "constant":
        error = samples[0] @ (flat - values * grid.step).T - shift
        assert np.abs(error).max() < 1e-12, "all of it is mean, and goes to the bias"
    else:
        assert np.array_equal(values, nearest(matrix, grid))
        assert not shift.any()
