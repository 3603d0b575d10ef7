# SPDX-License-Identifier: Apache-2.0
"""Window functions by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from grucore.graph.tensors import Float

__all__ = ["WINDOWS", "window"]


def _cosines(*factors: float) -> Callable[[Float], Float]:
    return lambda phase: np.sum(
        [factor * np.cos(order * phase) for order, factor in enumerate(factors)], axis=0
    )


# Coefficients of a phase that goes once around.
WINDOWS: dict[str, Callable[[Float], Float]] = {
    "hann": _cosines(0.5, -0.5),
    "hamming": _cosines(0.54, -0.46),
    "blackman": _cosines(0.42, -0.5, 0.08),
    "povey": lambda phase: (0.5 - 0.5 * np.cos(phase)) ** 0.85,
    "ones": np.ones_like,
}


def window(name: str | npt.ArrayLike, samples: int) -> Float:
    """A window of so many samples, (samples,) float64.

    ``name``: "hann", "hamming", "blackman", "povey" (Kaldi's) or "ones". They are periodic, as
    torch, librosa and Keras have them: sample k of a cycle of ``samples``. With "_symmetric" behind
    the name the last sample mirrors the first one, as numpy and Kaldi have it. Or an array of that
    length, which is returned.
    """
    if not isinstance(name, str):
        array = np.asarray(name, np.float64)
        if array.shape != (samples,):
            raise ValueError(f"the window has shape {array.shape}, expected ({samples},)")
        return array
    base = name.removesuffix("_symmetric")
    if base not in WINDOWS:
        known = ", ".join(map(repr, WINDOWS))
        raise ValueError(f"window={name!r}: expected one of {known}, or an array")
    cycle = samples if name == base else max(samples - 1, 1)
    return WINDOWS[base](2 * np.pi * np.arange(samples) / cycle)
