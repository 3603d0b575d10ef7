# SPDX-License-Identifier: Apache-2.0
"""Speech by espeak-ng and noise by numpy, at 16 kHz."""

from __future__ import annotations

import subprocess

import numpy as np
import numpy.typing as npt

from grucore.audio import read_wav

__all__ = [
    "SAMPLE_RATE",
    "SENTENCES",
    "TEST_SENTENCES",
    "TEST_VOICES",
    "TRAINING_VOICES",
    "Samples",
    "noise",
    "speak",
    "track",
]

SAMPLE_RATE = 16000
TRAINING_VOICES = (
    "en-us+m1", "en-us+m2", "en+m4", "en-us+f1", "en+f3", "en-gb-scotland+m8", "en-029+f1",
    "de+m1", "de+f1", "fr+m2", "fr+f3", "es+m4", "it+f1", "pl+m2", "nl+m1", "sv+f3",
)  # fmt: skip
TEST_VOICES = ("en-us+m3", "en-us+f2", "en+m7", "en-gb-scotland+f4")
# Read by voices of any language: it is the sounds that count.
SENTENCES = (
    "the weather will be fine in the morning",
    "my brother lives in a small house near the river",
    "can you tell me what time it is",
    "she sells flowers at the market every week",
    "put some milk in the tea before you drink it",
    "they want to build another school this year",
    "nobody knew which of them had taken the key",
    "he plays the piano better than his sister",
    "the train was late because of the snow",
    "a long road leads over the hills to the sea",
)
TEST_SENTENCES = (
    "the old man told us a story about the storm",
    "this evening we are having friends for dinner",
    "bring an umbrella because it might rain later",
)

Samples = npt.NDArray[np.float64]


def speak(text: str, voice: str, speed: int, pitch: int) -> Samples:
    """Speech at 16 kHz, its loudest sample 1."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    done = subprocess.run(command, check=True, capture_output=True)
    samples, rate = read_wav(done.stdout)
    count = len(samples) * SAMPLE_RATE // rate
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    speech = np.fft.irfft(spectrum, count)
    return speech / np.abs(speech).max()


def noise(length: int, rng: np.random.Generator) -> Samples:
    """Coloured noise, a humming machine, gusts, or two of them; root mean square 1."""
    seconds = np.arange(length) / SAMPLE_RATE
    total = np.zeros(length)
    for _ in range(int(rng.integers(1, 3))):
        kind = rng.choice(("colour", "machine", "gusts"))
        spectrum = np.fft.rfft(rng.standard_normal(length))
        hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
        slope = rng.uniform(0.0, 1.2)
        sound = np.fft.irfft(spectrum / np.maximum(hertz, 40.0) ** slope, length)
        if kind == "machine":
            lowest = rng.uniform(40.0, 300.0)
            for order in range(1, 15):
                wave = np.sin(2 * np.pi * order * lowest * seconds + rng.uniform(0, 6.3))
                sound += 3 * sound.std() * rng.uniform(0, 1) / order * wave
        if kind == "gusts":
            rate, phase = rng.uniform(0.3, 4.0), rng.uniform(0, 6.3)
            sound *= (0.55 + 0.45 * np.sin(2 * np.pi * rate * seconds + phase)) ** 2
        total += sound / sound.std() * rng.uniform(0.3, 1.0)
    return total / total.std()


def track(
    utterances: list[Samples], length: int, decibels: float, rng: np.random.Generator
) -> tuple[Samples, Samples]:
    """Speech with pauses, and the same in noise, so many decibels below the speech."""
    clean = np.zeros(length)
    at = int(rng.uniform(0.1, 0.6) * SAMPLE_RATE)
    spoken = np.zeros(length, bool)
    while at < length:
        speech = utterances[int(rng.integers(len(utterances)))]
        end = min(length, at + len(speech))
        clean[at:end] += speech[: end - at]
        spoken[at:end] = True
        at = end + int(rng.uniform(0.2, 0.9) * SAMPLE_RATE)
    level = np.sqrt(np.mean(clean[spoken] ** 2))
    noisy = clean + noise(length, rng) * level * 10 ** (-decibels / 20)
    gain = 10 ** (rng.uniform(-20, -3) / 20) / np.abs(noisy).max()
    return clean * gain, noisy * gain
