# SPDX-License-Identifier: Apache-2.0
"""Recordings at a sample rate that divides theirs, or that theirs divides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["decimate", "interpolate"]

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


def _taps(ratio: int) -> tuple[int, npt.NDArray[np.float64]]:
    """Samples on each side of the middle one, and the low pass."""
    reach = ZEROS * ratio
    at = np.arange(-reach, reach + 1)
    taps = np.sinc(CUTOFF * at / ratio) * np.kaiser(len(at), BETA)
    return reach, taps / taps.sum()
