# SPDX-License-Identifier: Apache-2.0
"""Matrices: mel filters from bins to bands, and the cosine transform from bands to cepstra."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from grucore.graph.tensors import Float

__all__ = [
    "MelScale",
    "Transform",
    "Triangles",
    "dct_matrix",
    "erb_filters",
    "hertz",
    "mel",
    "mel_filters",
]

MelScale: TypeAlias = Literal["htk", "slaney"]
Triangles: TypeAlias = Literal["hertz", "mel", "bins"]
Transform: TypeAlias = Literal["orthonormal", "htk"]

# Slaney's scale: 15 mels for each kHz up to 1 kHz, above it 27 for each factor of 6.4.
_LINEAR_HERTZ, _LOG_START, _LOG_STEP = 200.0 / 3, 1000.0, np.log(6.4) / 27


def _check_scale(scale: str) -> None:
    if scale not in ("htk", "slaney"):
        raise ValueError(f"mel_scale={scale!r}: expected 'htk' or 'slaney'")


def mel(frequency: float | Float, scale: MelScale = "htk") -> Float:
    """Hertz to mels."""
    _check_scale(scale)
    found = np.asarray(frequency, np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + found / 700.0)
    above = _LOG_START / _LINEAR_HERTZ + np.log(np.maximum(found, _LOG_START) / _LOG_START) / (
        _LOG_STEP
    )
    return np.where(found < _LOG_START, found / _LINEAR_HERTZ, above)


def hertz(mels: float | Float, scale: MelScale = "htk") -> Float:
    """Mels to hertz."""
    _check_scale(scale)
    found = np.asarray(mels, np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (found / 2595.0) - 1.0)
    start = _LOG_START / _LINEAR_HERTZ
    above = _LOG_START * np.exp(_LOG_STEP * (np.maximum(found, start) - start))
    return np.where(found < start, found * _LINEAR_HERTZ, above)


def mel_filters(
    *,
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    fmin: float = 0.0,
    fmax: float | None = None,
    mel_scale: MelScale = "htk",
    norm: Literal["slaney"] | None = None,
    triangles: Triangles = "hertz",
) -> Float:
    """Triangles equally spaced in mel, (n_mels, n_fft // 2 + 1) float64.

    Each has its peak, 1, where its neighbours begin and end. ``norm="slaney"`` divides each by half
    its width in hertz. ``triangles``: straight lines over frequency ("hertz": librosa, torchaudio),
    over mels and without the bin at 0 ("mel": TensorFlow, Keras), or with corners rounded down to
    bins ("bins": python_speech_features). A band that is
    too narrow for any bin stays zero. Raises ValueError for a range without a frequency.
    """
    top = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < top <= sample_rate / 2:
        raise ValueError(
            f"fmin={fmin}, fmax={top}: expected 0 <= fmin < fmax <= {sample_rate / 2} (Hz)"
        )
    corners = np.linspace(mel(fmin, mel_scale), mel(top, mel_scale), n_mels + 2)
    edges = hertz(corners, mel_scale)
    bins = np.asarray(np.arange(n_fft // 2 + 1) * (sample_rate / n_fft), np.float64)
    if triangles == "hertz":
        points, at = edges, bins
    elif triangles == "mel":
        points, at = corners, mel(bins, mel_scale)
    elif triangles == "bins":
        points, at = np.floor((n_fft + 1) * edges / sample_rate), np.arange(float(len(bins)))
    else:
        raise ValueError(f"triangles={triangles!r}: expected 'hertz', 'mel' or 'bins'")
    left, centre, right = (points[i : n_mels + i, None] for i in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        rising, falling = (at - left) / (centre - left), (right - at) / (right - centre)
    filters = np.where(at < centre, rising, falling)
    filters = np.where((at >= left) & (at < right), np.maximum(filters, 0.0), 0.0)
    if triangles == "mel":
        filters[:, 0] = 0.0
    if norm == "slaney":
        filters *= 2.0 / (edges[2:] - edges[:-2])[:, None]
    elif norm is not None:
        raise ValueError(f"norm={norm!r}: expected 'slaney' or None")
    return filters


def erb_filters(*, sample_rate: float, n_fft: int, bands: int) -> Float:
    """Triangles equally spaced in equivalent rectangular bandwidths, (bands, n_fft // 2 + 1).

    The first has its peak at 0, the last one at half the sample rate; those of each bin add up to
    1. In float64. Raises ValueError for bands so many that one of them has no bin.
    """
    scale = 21.4 * np.log10(1.0 + 0.00437 * sample_rate / 2)
    peaks = (10.0 ** (np.linspace(0, scale, bands) / 21.4) - 1.0) / 0.00437
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    filters = np.stack([np.interp(bins, peaks, row) for row in np.eye(bands)])
    if bands < 2 or not filters.any(axis=1).all():
        raise ValueError(
            f"{bands} bands of {n_fft // 2 + 1} bins: expected 2 or more, and a bin in each"
        )
    return filters


def dct_matrix(
    count: int, bands: int, *, lifter: float = 0.0, dct: Transform = "orthonormal"
) -> Float:
    """The cosine transform of type 2, its first ``count`` rows: (count, bands) float64.

    ``lifter`` L above 0 multiplies row n by ``1 + L / 2 sin(pi n / L)``. ``dct``: "orthonormal", or
    "htk" with all rows times ``sqrt(2 / bands)``, the first one too (HTK, TensorFlow).
    """
    if not 1 <= count <= bands:
        raise ValueError(f"{count} coefficients of {bands} bands, expected 1 to {bands}")
    rows, columns = np.arange(count)[:, None], np.arange(bands)
    matrix: Float = np.sqrt(2.0 / bands) * np.cos(np.pi / bands * rows * (columns + 0.5))
    if dct not in ("orthonormal", "htk"):
        raise ValueError(f"dct={dct!r}: expected 'orthonormal' or 'htk'")
    if dct == "orthonormal":
        matrix[0] /= np.sqrt(2.0)
    if lifter > 0:
        matrix *= 1 + lifter / 2 * np.sin(np.pi * rows / lifter)
    return matrix
