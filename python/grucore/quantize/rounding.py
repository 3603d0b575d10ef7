# SPDX-License-Identifier: Apache-2.0
"""From float weights to integers and scales: what a row of weights can become, and the best of it.

A matrix is (rows, taps, k) in float64; its scales are chosen first, then its integers. Without
data these are the nearest ones. With data, columns are rounded one after the other, and what one
of them loses the later ones make up for as far as inputs go together (as GPTQ does, Frantar et
al. 2022); what remains on average goes to the bias. Each row takes what does best on data that
the rounding has not seen.
"""

from __future__ import annotations

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
CHUNK_ROWS = 512  # rounded together: a block of columns of them stays in a cache
SEARCHED = 32_768  # numbers of rows by candidates of their scales, looked at together, likewise
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
    # A column may have a layout of its own: what is written to is in the order of memory.
    quotient = np.divide(matrix, step, out=np.zeros(matrix.shape), where=step != 0)
    return np.clip(np.rint(quotient, out=quotient), *bounds, out=quotient)


def int8_grid(matrix: Float, power: Float | None) -> Grid:
    """Scales (rows,): of some near the one that just reaches the largest weight, the best.

    ``power``: mean squares of the inputs, by which errors count; None: all alike.
    """
    flat = matrix.reshape(len(matrix), -1)
    largest = np.abs(flat).max(axis=1) / 127
    # The first is taken where none is better: it clips nothing.
    candidates = _as_float32(np.outer(INT8_FACTORS[::-1], largest))
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
    reaches = ((7, [1.0]), (-8, INT4_FACTORS), (7, INT4_FACTORS))
    candidates = _as_float16(
        np.concatenate([np.outer(factors, extreme) / reach for reach, factors in reaches])
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
    pieces: Float, candidates: Float, power: Float | None, bounds: tuple[int, int]
) -> Float:
    """For each row the first of the candidates (count, rows) with the least squared error."""
    rows, columns = pieces.shape
    many = min(max(SEARCHED // columns, 1), rows)
    together = max(SEARCHED // (columns * many), 1)
    # A scale of 0 makes all weights 0, whatever they are divided by.
    divisors = np.where(candidates == 0, 1.0, candidates)
    weights = np.ones(columns) if power is None or power.ndim > 1 else power
    best = np.empty(rows)
    for first in range(0, rows, many):
        part = pieces[first : first + many]
        own = None if power is None or power.ndim == 1 else power[first : first + many]
        error = np.empty((len(candidates), len(part)))
        work = np.empty((together, *part.shape))
        for start in range(0, len(candidates), together):
            scales = np.s_[start : start + together, first : first + many]
            lost = work[: len(candidates) - start]
            # An infinite scale gives 0 times infinity: no error is larger than that.
            with np.errstate(invalid="ignore"):
                np.divide(part, divisors[scales][..., None], out=lost)
                np.clip(np.rint(lost, out=lost), *bounds, out=lost)
                np.subtract(part, np.multiply(lost, candidates[scales][..., None], out=lost), lost)
            np.square(lost, out=lost)
            if own is not None:
                np.multiply(lost, own, out=lost)
            np.matmul(lost, weights, out=error[start : start + together])
        error[np.isnan(error)] = np.inf
        place = error.argmin(axis=0)
        best[first : first + many] = candidates[place, first + np.arange(len(part))]
    return best


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
    known, average = seen.covariance, seen.mean
    order = np.argsort(-np.diag(known), kind="stable")
    factors = np.empty((0, len(order), len(order)))
    if matrix.shape[1] <= MOST_COLUMNS:
        factors = _factors(known[np.ix_(order, order)])
    covariance, mean = unseen.covariance[np.ix_(order, order)], unseen.mean[order]
    for first in range(0, len(matrix), CHUNK_ROWS):
        rows = slice(first, first + CHUNK_ROWS)
        exact, step, plain = (each[rows, order].T for each in (matrix, grid.step, best))
        free = np.ones(exact.shape) if stays is None else ~stays[rows, order].T
        values = np.empty((1 + len(factors), *exact.shape))
        values[0] = plain
        _compensate(exact, step, grid.bounds, factors, free, values[1:])
        lost = exact - values * step
        spread, left = ((covariance @ lost) * lost).sum(axis=1), mean @ lost
        # The nearest integers with the bias as it was, and every choice with what it gains.
        gained = np.concatenate([np.zeros((1, len(step[0]))), average[order] @ lost])
        of = [0, *range(len(values))]
        error = spread[of] + (left[of] - gained) ** 2
        error[np.isnan(error)] = np.inf
        taken, places = error.argmin(axis=0), np.arange(exact.shape[1])
        best[rows, order] = values[np.maximum(taken - 1, 0), :, places]
        shift[rows] = gained[taken, places]
    return best.astype(np.int8), shift


def _factors(covariance: Float) -> Float:
    """For each damping the factor whose rows say how the later columns make up for a column."""
    columns = len(covariance)
    damped = np.repeat(covariance[None], len(DAMPING), axis=0)
    # A layer whose inputs never change has no variance to go by.
    least = np.array(DAMPING) * np.trace(covariance) / columns + 1e-30
    damped[:, np.arange(columns), np.arange(columns)] += least[:, None]
    return np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)


def _compensate(
    exact: Float, step: Float, bounds: tuple[int, int], factors: Float, free: Float, values: Float
) -> None:
    """Integers into ``values`` (factors, columns, rows), a column after another; see the top."""
    columns, rows = exact.shape
    left = np.repeat(exact[None], len(factors), axis=0)
    for first in range(0, columns, BLOCK_COLUMNS):
        stop = min(first + BLOCK_COLUMNS, columns)
        errors = np.empty((len(factors), stop - first, rows))
        for column in range(first, stop):
            before = factors[:, None, first:column, column] @ errors[:, : column - first]
            wanted = left[:, column] - before[:, 0]
            rounded = _nearest(wanted, step[column], bounds) * free[column]
            values[:, column] = rounded
            wanted -= rounded * step[column]
            np.divide(wanted, factors[:, column, column, None], out=errors[:, column - first])
        left[:, stop:] -= factors[:, first:stop, stop:].transpose(0, 2, 1) @ errors
