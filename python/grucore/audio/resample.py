# SPDX-License-Identifier: Apache-2.0
"""Recordings at another sample rate: a part of theirs, a multiple, or any other."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["decimate", "interpolate", "resample"]

ZEROS = 32  # of the sinc on each side
BETA = 8.0  # of the Kaiser window: 80 dB
CUTOFF = 0.94  # of half the lower rate


def decimate(samples: npt.ArrayLike, ratio: int) -> npt.NDArray[np.float32]:
    """Every ``ratio``-th sample, of what lies below half the new rate: (N,) or (N, channels).

    A windowed sinc, centred on each sample that is kept; before the recording and after it there
    are zeros. Raises ValueError for a ratio below 1.
    """
    array = np.asarray(samples, np.float32)
    if ratio < 1:
        raise ValueError(f"ratio {ratio}: expected 1 or more")
    if ratio == 1 or not len(array):
        return array[::ratio]
    reach, taps = _taps(ratio)
    columns = [
        np.convolve(column.astype(np.float64), taps)[reach : reach + len(column) : ratio]
        for column in array.reshape(len(array), -1).T
    ]
    return np.stack(columns, axis=1).reshape(-1, *array.shape[1:]).astype(np.float32)


def interpolate(samples: npt.ArrayLike, ratio: int) -> npt.NDArray[np.float32]:
    """``ratio`` samples for each one, with nothing above half the old rate: (N,) or (N, channels).

    The sinc of `decimate`, centred on each sample that was there. Raises ValueError for a ratio
    below 1.
    """
    array = np.asarray(samples, np.float32)
    if ratio < 1:
        raise ValueError(f"ratio {ratio}: expected 1 or more")
    if ratio == 1 or not len(array):
        return array
    reach, taps = _taps(ratio)
    apart = np.zeros((len(array) * ratio, *array.shape[1:]))
    apart[::ratio] = array
    columns = [
        np.convolve(column, ratio * taps)[reach : reach + len(column)]
        for column in apart.reshape(len(apart), -1).T
    ]
    return np.stack(columns, axis=1).reshape(apart.shape).astype(np.float32)


def resample(samples: npt.ArrayLike, rate: int, new_rate: int) -> npt.NDArray[np.float32]:
    """A recording of ``rate`` samples per second at another rate: (N,) or (N, channels).

    `decimate` or `interpolate` where one rate divides the other; else the same windowed sinc around
    each new sample, below half the lower rate. Raises ValueError for a rate below 1.
    """
    if rate < 1 or new_rate < 1:
        raise ValueError(f"rates {rate} and {new_rate}: expected 1 or more")
    common = math.gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    array = np.asarray(samples, np.float32)
    if up == 1 or down == 1 or not len(array):
        return interpolate(decimate(array, down), up)
    columns = array.reshape(len(array), -1).astype(np.float64)
    ratio = max(1.0, down / up)
    reach = math.ceil(ZEROS * ratio)
    padded = np.pad(columns, ((reach, reach + 1), (0, 0)))
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 2, axis=0)
    result = np.empty((-(-len(array) * up // down), columns.shape[1]), np.float32)
    for first in range(min(up, len(result))):  # samples that lie equally between old ones
        start, part = divmod(first * down, up)
        at = np.arange(-reach, reach + 2) - part / up
        kaiser = np.i0(BETA * np.sqrt(np.maximum(1 - (at / reach) ** 2, 0.0)))
        taps = np.sinc(CUTOFF * at / ratio) * kaiser
        result[first::up] = around[start::down] @ (taps / taps.sum())
    return result.reshape(-1, *array.shape[1:])


def _taps(ratio: int) -> tuple[int, npt.NDArray[np.float64]]:
    """Samples on each side of the middle one, and the low pass."""
    reach = ZEROS * ratio
    at = np.arange(-reach, reach + 1)
    taps = np.sinc(CUTOFF * at / ratio) * np.kaiser(len(at), BETA)
    return reach, taps / taps.sum()
