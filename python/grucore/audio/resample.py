# SPDX-License-Identifier: Apache-2.0
"""Recordings at a sample rate that divides theirs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["decimate"]

ZEROS = 32  # of the sinc on each side
BETA = 8.0  # of the Kaiser window: 80 dB
CUTOFF = 0.94  # of half the new rate


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
    reach = ZEROS * ratio
    at = np.arange(-reach, reach + 1)
    taps = np.sinc(CUTOFF * at / ratio) * np.kaiser(len(at), BETA)
    taps /= taps.sum()
    columns = [
        np.convolve(column.astype(np.float64), taps)[reach : reach + len(column) : ratio]
        for column in array.reshape(len(array), -1).T
    ]
    return np.stack(columns, axis=1).reshape(-1, *array.shape[1:]).astype(np.float32)
