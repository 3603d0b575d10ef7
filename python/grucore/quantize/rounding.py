# SPDX-License-Identifier: Apache-2.0
"""From float weights to integers and scales: what a row of weights can become, and the best of it.

A matrix is (rows, taps, k) in float64; its scales are chosen first, then its integers. Without
data these are the nearest ones. With data, columns are rounded one after the other, and what one
of them loses the later ones make up for as far as inputs go together (as GPTQ does, Frantar et
al. 2022); what remains on average goes to the bias. Each row takes what does best on data that
the rounding has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.graph.tensors import Array, Dtype
from grucore.graph.weights import INT4_INPUTS

__all__ = ["Grid", "Moments", "best_rounding", "int4_grid", "int8_grid"]

Float: TypeAlias = npt.NDArray[np.float64]

SMALLEST_NORMAL = float(np.finfo(np.float32).smallest_normal)
INT8_FACTORS = np.linspace(0.9, 1.0, 41)  # of the scale that just reaches the largest weight
INT4_FACTORS = np.linspace(0.7, 1.1, 17)
DAMPING = (0.01, 0.1, 1.0)  # of the mean variance of the inputs: the less data, the more it takes
BLOCK_COLUMNS = 32  # whose effect on all later columns is one matrix product
MOST_COLUMNS = 8192  # a covariance is no larger than that


@dataclass(frozen=True)
class Grid:
    """The grid of rounded weights: multiples of ``step`` (rows, columns) from least to most."""

    dtype: Dtype
    scale: Array  # as it is stored
    step: Float

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest integer."""
        return (-127, 127) if self.dtype is Dtype.INT8 else (-8, 7)


class Moments:
    """Mean and covariance of samples (count, columns), which come in pieces."""

    def __init__(self, columns: int) -> None:
        self.count = 0
        self._sum = np.zeros(columns)
        self._products = np.zeros((columns, columns))

    def add(self, samples: Float) -> None:
        """Take a piece."""
        self.count += len(samples)
        self._sum += samples.sum(axis=0)
        self._products += samples.T @ samples

    @property
    def mean(self) -> Float:
        """(columns,)"""
        return self._sum / self.count

    @property
    def covariance(self) -> Float:
        """(columns, columns)"""
        return np.asarray(self._products / self.count - np.outer(self.mean, self.mean))

    @property
    def power(self) -> Float:
        """The mean square of each column."""
        return np.diag(self._products) / self.count


def _nearest(matrix: Float, step: Float, bounds: tuple[int, int]) -> Float:
    quotient = np.divide(matrix, step, out=np.zeros_like(matrix), where=step != 0)
    return np.asarray(np.clip(np.rint(quotient), *bounds))


def int8_grid(matrix: Float, power: Float | None) -> Grid:
    """Scales (rows,): of some near the one that just reaches the largest weight, the best.

    ``power``: mean squares of the inputs, by which errors count; None: all alike.
    """
    flat = matrix.reshape(len(matrix), -1)
    largest = np.abs(flat).max(axis=1) / 127
    # The first is taken where none is better: it clips nothing.
    candidates = (_as_float32(largest * factor) for factor in INT8_FACTORS[::-1])
    scale = _best_scale(flat, candidates, power, (-127, 127))
    return Grid(Dtype.INT8, scale.astype(np.float32), np.broadcast_to(scale[:, None], flat.shape))


def int4_grid(matrix: Float, power: Float | None) -> Grid:
    """Scales (rows, taps * groups of 32 inputs): the best of some that put the largest weight to
    7 or to -8, or clip it. Infinite where float16 does not reach."""
    rows, taps, columns = matrix.shape
    groups = -(-columns // INT4_INPUTS)
    ragged = ((0, 0), (0, 0), (0, groups * INT4_INPUTS - columns))
    pieces = np.pad(matrix, ragged).reshape(-1, INT4_INPUTS)
    weights = None
    if power is not None:
        padded = np.pad(power.reshape(1, taps, columns), ragged).reshape(1, -1, INT4_INPUTS)
        weights = np.broadcast_to(padded, (rows, taps * groups, INT4_INPUTS))
        weights = weights.reshape(-1, INT4_INPUTS)
    place = np.abs(pieces).argmax(axis=1)
    extreme = pieces[np.arange(len(pieces)), place]
    candidates = (
        _as_float16(extreme * factor / reach)
        for reach, factors in ((7, [1.0]), (-8, INT4_FACTORS), (7, INT4_FACTORS))
        for factor in factors
    )
    scale = _best_scale(pieces, candidates, weights, (-8, 7)).reshape(rows, -1)
    with np.errstate(over="ignore"):
        stored = scale.astype(np.float16)
    step = np.repeat(scale.reshape(rows, taps, groups), INT4_INPUTS, axis=2)[:, :, :columns]
    return Grid(Dtype.INT4, stored, step.reshape(rows, -1))


def _as_float32(scale: Float) -> Float:
    rounded = scale.astype(np.float32).astype(np.float64)
    return np.where(rounded < SMALLEST_NORMAL, 0.0, rounded)


def _as_float16(scale: Float) -> Float:
    with np.errstate(over="ignore"):
        return scale.astype(np.float16).astype(np.float64)


def _best_scale(
    pieces: Float, candidates: Iterator[Float], power: Float | None, bounds: tuple[int, int]
) -> Float:
    """For each row the first candidate (rows,) with the least squared error."""
    best = next(candidates)
    least = _squared_error(pieces, best, power, bounds)
    for scale in candidates:
        error = _squared_error(pieces, scale, power, bounds)
        is_better = error < least
        best, least = np.where(is_better, scale, best), np.where(is_better, error, least)
    return best


def _squared_error(
    pieces: Float, scale: Float, power: Float | None, bounds: tuple[int, int]
) -> Float:
    step = np.broadcast_to(scale[:, None], pieces.shape)
    # An infinite scale gives 0 times infinity: no error is larger than that.
    with np.errstate(invalid="ignore"):
        squares = (pieces - _nearest(pieces, step, bounds) * step) ** 2
    error = (squares if power is None else squares * power).sum(axis=1)
    return np.where(np.isnan(error), np.inf, error)


def best_rounding(
    matrix: Float,
    grid: Grid,
    seen: Moments | None,
    unseen: Moments | None,
    stays: Array | None = None,
) -> tuple[Array, Float]:
    """Integers (rows, columns) for a matrix (rows, columns), int8, and what the bias gets (rows,).

    ``seen``: moments of the inputs to round by; ``unseen``: those to choose by. Without them the
    integers are the nearest, and the bias stays. ``stays``, bool (rows, columns): weights that are
    0 and remain so.
    """
    best = _nearest(matrix, grid.step, grid.bounds)
    shift = np.zeros(len(matrix))
    if seen is None or unseen is None or not (seen.count and unseen.count):
        return best.astype(np.int8), shift
    if not (np.isfinite(seen.power).all() and np.isfinite(unseen.power).all()):
        return best.astype(np.int8), shift
    covariance, mean = unseen.covariance, unseen.mean
    candidates = [best]
    if matrix.shape[1] <= MOST_COLUMNS:
        candidates += [
            _compensated(matrix, grid, seen.covariance, damping, stays) for damping in DAMPING
        ]
    least = np.full(len(matrix), np.inf)
    for number, values in enumerate([best, *candidates]):
        lost = matrix - values * grid.step
        gained = np.zeros(len(matrix)) if number == 0 else lost @ seen.mean
        error = ((lost @ covariance) * lost).sum(axis=1) + (lost @ mean - gained) ** 2
        is_better = error < least
        least = np.where(is_better, error, least)
        best = np.where(is_better[:, None], values, best)
        shift = np.where(is_better, gained, shift)
    return best.astype(np.int8), shift


def _compensated(
    matrix: Float, grid: Grid, covariance: Float, damping: float, stays: Array | None
) -> Float:
    """Integers column by column, those with the largest inputs first; see the top of this file."""
    columns = matrix.shape[1]
    order = np.argsort(-np.diag(covariance), kind="stable")
    damped = covariance[np.ix_(order, order)]
    # A layer whose inputs never change has no variance to go by.
    damped[np.diag_indices(columns)] += damping * np.trace(covariance) / columns + 1e-30
    # Rows of the factor say how a column's error is made up for by the columns after it.
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, step = matrix[:, order], grid.step[:, order]
    free = np.ones_like(left) if stays is None else ~stays[:, order]
    values = np.zeros_like(left)
    for first in range(0, columns, BLOCK_COLUMNS):
        stop = min(first + BLOCK_COLUMNS, columns)
        errors = np.zeros((len(left), stop - first))
        for column in range(first, stop):
            nearest = _nearest(left[:, column], step[:, column], grid.bounds)
            values[:, column] = nearest * free[:, column]
            lost = left[:, column] - values[:, column] * step[:, column]
            errors[:, column - first] = lost / factor[column, column]
            left[:, column:stop] -= np.outer(errors[:, column - first], factor[column, column:stop])
        left[:, stop:] -= errors @ factor[first:stop, stop:]
    found = np.zeros_like(values)
    found[:, order] = values
    return found
