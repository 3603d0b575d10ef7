# SPDX-License-Identifier: Apache-2.0
"""The features of LiteRT Micro's audio front end: its formulas in floats.

The original computes them in integers (tensorflow/lite/experimental/microfrontend). Window and
constants are rounded here as there; each number between is rounded there alone.
"""

from __future__ import annotations

import math

import numpy as np

from grucore.audio.features import log_mel
from grucore.audio.front_end import FrontEnd
from grucore.audio.steps import Steps
from grucore.graph.layers import Activate, Activation, Binary, Operation

__all__ = ["micro"]

WINDOW_BITS, NOISE_BITS = 12, 14
OUTPUT = 64.0  # what a log of one counts, and PCAN's unit
LEAST = 512.0  # in the logarithm: PCAN's unit, and three bits that the transform's length gives


def micro(
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    win_length: int,
    fmin: float = 125.0,
    fmax: float = 7500.0,
    scale: float = 32768.0,
    even_smoothing: float = 0.025,
    odd_smoothing: float = 0.06,
    remaining: float = 0.05,
    strength: float = 0.95,
    offset: float = 80.0,
) -> FrontEnd:
    """Mel bands less their noise, with automatic gain (PCAN), as logarithms: 0 to about 700.

    ``E`` is the root of a band's energy, of samples as 16-bit numbers; the noise ``n`` is a running
    mean of it. ``r = max(E - n, remaining E)``, ``g = r (n + offset)^-strength``,
    ``p = g^2 / 4`` below 2 and ``g - 1`` above, and the result is ``64 ln(max(512 p, 1))``.

    Parameters
    ----------
    sample_rate, n_fft, hop_length, win_length, n_mels, fmin, fmax, scale
        As in `log_mel`; n_fft is a power of two, ``scale`` makes 16-bit numbers of samples.
    even_smoothing, odd_smoothing : float
        How much of a frame goes into the noise, in bands 0, 2, ... and 1, 3, ...: 0 to 1.
    remaining : float
        The part of a band that is never taken away: 0 to 1.
    strength, offset : float
        Those of the gain.

    Raises
    ------
    ValueError
        The settings make no front end.
    ConversionError
        A length has other factors than 2, 3 and 5.
    """
    for name, share in (
        ("even_smoothing", even_smoothing),
        ("odd_smoothing", odd_smoothing),
        ("remaining", remaining),
    ):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share}: expected 0 to 1")
    if not (strength >= 0 and offset > 0):
        raise ValueError(f"strength={strength}, offset={offset}: expected at least 0, above 0")
    places = (np.arange(win_length) + 0.5) / win_length
    ones = 1 << WINDOW_BITS
    window = np.floor((0.5 - 0.5 * np.cos(2 * np.pi * places)) * ones + 0.5) / ones
    front = log_mel(
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        window_at="start",
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        triangles="mel",
        log=None,
        scale=scale,
    )
    about = {**front.settings, "kind": "micro", "window": "hann"}  # instead of its numbers
    steps = Steps(FrontEnd(front.graph, front.timing, about), "micro")
    shares = np.full(n_mels, _rounded(even_smoothing))
    shares[1::2] = _rounded(odd_smoothing)
    bands = steps.power("root", steps.start, 0.5)
    noise = steps.mean("noise", bands, shares, np.zeros(n_mels))
    rest = steps.add(Binary, "less", bands, noise, operation=Operation.SUBTRACT)
    least = steps.affine("least", bands, _rounded(remaining))
    heard = steps.add(Binary, "heard", rest, least, operation=Operation.MAXIMUM)
    gain = steps.power("gain", steps.affine("offset", noise, 1.0, offset), -strength)
    level = steps.add(Binary, "level", heard, gain, operation=Operation.MULTIPLY)
    below = steps.add(Activate, "below", level, activation=Activation.clip(0.0, 2.0))
    half = steps.affine("half", below, 0.5)
    square = steps.add(Binary, "square", half, half, operation=Operation.MULTIPLY)
    above = steps.add(Activate, "above", level, activation=Activation.clip(2.0, math.inf))
    line = steps.affine("line", above, 1.0, -2.0)
    both = steps.add(Binary, "pcan", square, line, operation=Operation.ADD)
    log = steps.add(Activate, "log", both, activation=Activation.log(1 / LEAST, OUTPUT))
    output = steps.affine("output", log, 1.0, OUTPUT * math.log(LEAST))
    settings = {
        "even_smoothing": even_smoothing,
        "odd_smoothing": odd_smoothing,
        "remaining": remaining,
        "strength": strength,
        "offset": offset,
    }
    return steps.finish(output, settings)


def _rounded(share: float) -> float:
    return math.floor(share * (1 << NOISE_BITS)) / (1 << NOISE_BITS)
