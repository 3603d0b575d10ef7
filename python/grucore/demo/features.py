# SPDX-License-Identifier: Apache-2.0
"""The demo's log-mel features in numpy, as training computes them.

The demo has them as layers of its model (`grucore.demo.runner.front_end`), from the settings that
stand here. A frame's bits depend on its own 200 samples alone: every frame goes through the same
operations in the same buffers, however the samples were cut up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BANDS", "HOP_SAMPLES", "SAMPLE_RATE", "WINDOW_SAMPLES", "LogMel", "log_mel"]

SAMPLE_RATE = 8000  # Hz
WINDOW_SAMPLES = 200  # 25 ms
HOP_SAMPLES = 80  # 10 ms
BANDS = 40
FFT_SAMPLES = 320
LOWEST_HZ, HIGHEST_HZ = 60.0, 3900.0

# Power below which a band counts as silent. White noise of -59 dB full scale lies here: above the
# rounding noise of 8-bit mu-law, far below speech.
FLOOR = 6e-5
# The network sees (ln(power + FLOOR) - LOG_CENTRE) / LOG_SCALE: about -2 in silence, 2 in speech.
LOG_CENTRE, LOG_SCALE = -2.5, 3.5

Frames = npt.NDArray[np.float32]
Samples = npt.NDArray[np.floating]


def _mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, np.float64) / 700.0)


def mel_filters() -> npt.NDArray[np.float64]:
    """Triangles equally spaced in mel, (BANDS, FFT_SAMPLES // 2 + 1), peak 1."""
    edges_mel = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2)
    edges_hertz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins_hertz = np.fft.rfftfreq(FFT_SAMPLES, 1.0 / SAMPLE_RATE)
    left, centre, right = (edges_hertz[i : BANDS + i, np.newaxis] for i in range(3))
    rising = (bins_hertz - left) / (centre - left)
    falling = (right - bins_hertz) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


class LogMel:
    """A stream of samples in, a stream of log-mel frames out.

    Frame ``i`` covers samples ``[80 i, 80 i + 200)`` of everything pushed since the last
    ``reset``; nothing is padded, so the first frame comes with the 200th sample.
    """

    def __init__(self) -> None:
        self._filters = mel_filters()
        phase = 2.0 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
        self._window = 0.5 - 0.5 * np.cos(phase)
        self._windowed = np.zeros(FFT_SAMPLES)
        self._power = np.zeros(FFT_SAMPLES // 2 + 1)
        self._bands = np.zeros(BANDS)
        self._pending = np.zeros(0)

    def reset(self) -> None:
        """Forgets every sample."""
        self._pending = np.zeros(0)

    def push(self, samples: Samples) -> Frames:
        """The frames completed by ``samples`` (N,), full scale ±1, any N: (frames, BANDS)."""
        samples = np.asarray(samples)
        if samples.ndim != 1:
            raise ValueError(f"samples have shape {samples.shape}, expected one channel, (N,)")
        if not np.issubdtype(samples.dtype, np.floating):
            raise TypeError(f"samples are {samples.dtype}, expected floating point within ±1")
        pending = np.concatenate([self._pending, samples])
        count = max(0, (len(pending) - WINDOW_SAMPLES) // HOP_SAMPLES + 1)
        frames = np.empty((count, BANDS), np.float32)
        for index in range(count):
            start = index * HOP_SAMPLES
            self._frame(pending[start : start + WINDOW_SAMPLES], frames[index])
        self._pending = pending[count * HOP_SAMPLES :].copy()
        return frames

    def _frame(self, samples: npt.NDArray[np.float64], out: Frames) -> None:
        np.multiply(samples, self._window, out=self._windowed[:WINDOW_SAMPLES])
        spectrum = np.fft.rfft(self._windowed)
        np.multiply(spectrum.real, spectrum.real, out=self._power)
        self._power += spectrum.imag * spectrum.imag
        # Not np.dot: its threads would make a frame wait for the other cores.
        np.einsum("bk,k->b", self._filters, self._power, out=self._bands)
        np.log(self._bands + FLOOR, out=self._bands)
        out[:] = (self._bands - LOG_CENTRE) / LOG_SCALE


def log_mel(samples: Samples) -> Frames:
    """The frames of a whole clip, (N,) -> (frames, BANDS)."""
    return LogMel().push(samples)
