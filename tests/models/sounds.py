# SPDX-License-Identifier: Apache-2.0
"""WAV files for tests, by the standard library."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

__all__ = ["save"]


def save(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> Path:
    """16 bits; channels in turn."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path
