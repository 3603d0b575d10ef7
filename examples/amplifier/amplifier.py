# SPDX-License-Identifier: Apache-2.0
"""A guitar that nobody played, and an amplifier that nobody built: what the model learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
RATE = 48000  # samples a second


def pluck(random: Any, frequency: float, seconds: float) -> Any:
    """A string by Karplus and Strong: noise that goes round a delay line through a mean of two."""
    length = round(RATE / frequency)
    line = random.uniform(-1, 1, length)
    line -= line.mean()
    out = np.empty(int(RATE * seconds))
    for at in range(0, len(out), length):
        piece = line[: len(out) - at]
        out[at : at + len(piece)] = piece
        line = 0.996 * (0.5 * line + 0.5 * np.roll(line, 1))
    return out


def guitar(seed: int, seconds: float) -> Any:
    """Notes and chords over the neck, at levels from a whisper to the full scale; float32."""
    random = np.random.default_rng(seed)
    out = np.zeros(int(RATE * seconds))
    at = 0
    while at < len(out):
        hold = random.uniform(0.2, 1.0)
        notes = random.choice([1, 1, 2, 3])
        sound = sum(
            pluck(random, 82.4 * 2 ** (random.integers(0, 37) / 12), hold) for _ in range(notes)
        )
        level = 10 ** (random.uniform(-30, 0) / 20) / np.abs(sound).max()
        piece = (level * sound)[: len(out) - at]
        out[at : at + len(piece)] += piece
        at += int(RATE * hold * random.uniform(0.5, 1.0))
    return np.clip(out, -1, 1).astype(np.float32)


def _one_pole(x: Any, hertz: float) -> Any:
    """A low pass of the first order."""
    keep = np.exp(-2 * np.pi * hertz / RATE)
    y, state = np.empty_like(x), 0.0
    for t, value in enumerate(x):
        state = keep * state + (1 - keep) * value
        y[t] = state
    return y


def amplifier(x: Any) -> Any:
    """A coupling capacitor, a tube that bends one side more, a sag of its bias, a speaker."""
    x = np.asarray(x, np.float64)
    driven = 8 * (x - _one_pole(x, 120.0))
    sag = _one_pole(np.abs(driven), 8.0)
    bent = np.tanh(driven - 0.15 * sag) + 0.1 * np.tanh(2 * driven + 0.5) - 0.1 * np.tanh(0.5)
    return (0.8 * _one_pole(bent, 4500.0)).astype(np.float32)
