# SPDX-License-Identifier: Apache-2.0
"""Speaks the vocabulary with espeak-ng in many voices and stores it as 8 kHz recordings.

    python examples/keyword_spotting/generate.py --cache build/keywords

writes one ``<split>.npz`` per split with ``samples`` (int16, all utterances end to end),
``ends`` (index one past the last sample of each utterance), ``texts`` and ``voices``.
The same seed and the same espeak-ng give the same bytes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from invented import invent_variants
from voices import (
    ACCENTS,
    KEYWORDS,
    SENTENCES_TEST,
    SENTENCES_TRAINING,
    UNKNOWN_TEST,
    UNKNOWN_TRAINING,
    VARIANTS,
)

SAMPLE_RATE = 8000
ESPEAK_RATE = 22050
WAV_HEADER_BYTES = 44
ACTIVE_LEVEL = 0.02  # of the peak; quieter than this at either end is silence and is cut off

# Utterances per keyword, unknown words in all, sentences in all.
SIZES = {"train": (560, 4400, 200), "validation": (40, 160, 12), "test": (120, 400, 40)}
# Of --quick: enough for every step to have something to do.
FEW = {"train": (3, 9, 2), "validation": (1, 2, 1), "test": (6, 8, 2)}
UNKNOWN = {"train": UNKNOWN_TRAINING, "validation": UNKNOWN_TRAINING, "test": UNKNOWN_TEST}
SENTENCES = {"train": SENTENCES_TRAINING, "validation": SENTENCES_TRAINING, "test": SENTENCES_TEST}

Samples = npt.NDArray[np.float64]


def speak(text: str, voice: str, data: Path | None, *, speed: int, pitch: int) -> Samples:
    """The speech of espeak-ng, at its own 22 050 Hz, within [-1, 1)."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    if data is not None:
        command.insert(1, f"--path={data}")
    done = subprocess.run(command, check=True, capture_output=True)
    if done.stderr:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()}")
    return np.frombuffer(done.stdout[WAV_HEADER_BYTES:], dtype="<i2") / 32768.0


def check_accents() -> None:
    """Fails where espeak-ng ignores a variant, which would put one voice on both sides."""
    for accent in ACCENTS:
        spoken = [
            speak("stop", accent + variant, None, speed=150, pitch=50).tobytes()
            for variant in ("", *(f"+{name}" for name in VARIANTS["test"]))
        ]
        if len(set(spoken)) != len(spoken):
            raise RuntimeError(f"two variants of {accent} sound the same")


def resample(samples: Samples) -> Samples:
    """22 050 Hz to 8 000 Hz by dropping everything above 4 kHz from the spectrum."""
    pad = -len(samples) % 441  # 441 samples become exactly 160
    padded = np.concatenate([samples, np.zeros(pad)])
    length = len(padded) * 160 // 441
    spectrum = np.fft.rfft(padded)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * (SAMPLE_RATE / ESPEAK_RATE)


def trim(samples: Samples) -> Samples:
    """Cuts the silence before and after."""
    active = np.flatnonzero(np.abs(samples) > ACTIVE_LEVEL * np.abs(samples).max())
    return samples[active[0] : active[-1] + 1]


def utterance(
    text: str, voice: str, data: Path | None, rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """One utterance at 8 kHz and full scale, in a random speed and pitch."""
    speed, pitch = int(rng.integers(120, 211)), int(rng.integers(25, 76))
    words = text.replace("-", " ")
    spoken = trim(resample(speak(words, voice, data, speed=speed, pitch=pitch)))
    return np.round(spoken / np.abs(spoken).max() * 32000).astype(np.int16)


def script(split: str, rng: np.random.Generator, sizes: tuple[int, int, int]) -> list[str]:
    """Every text to be spoken for one split, keywords first."""
    per_keyword, unknown, sentences = sizes
    texts = [word for word in KEYWORDS for _ in range(per_keyword)]
    texts += [str(word) for word in rng.choice(UNKNOWN[split], unknown)]
    texts += [str(text) for text in rng.choice(SENTENCES[split], sentences)]
    return texts


def generate(split: str, cache: Path, seed: int, sizes: tuple[int, int, int]) -> None:
    """Writes ``cache/<split>.npz``."""
    rng = np.random.default_rng([seed, list(SIZES).index(split)])
    texts = script(split, rng, sizes)
    data, invented = invent_variants(cache, seed)
    variants = [*VARIANTS[split], *(invented if split == "train" else ())]
    voices, recordings = [], []
    for index, text in enumerate(texts):
        # Taking the variants in turn gives each of them the same number of utterances.
        variant = variants[index % len(variants)]
        voice = str(rng.choice(ACCENTS)) + (f"+{variant}" if variant else "")
        voices.append(voice)
        recordings.append(utterance(text, voice, data if variant in invented else None, rng))
        if index % 200 == 199 or index + 1 == len(texts):
            print(f"\r{split}: {index + 1} of {len(texts)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    np.savez(
        cache / f"{split}.npz",
        samples=np.concatenate(recordings),
        ends=np.cumsum([len(recording) for recording in recordings]),
        texts=np.array(texts),
        voices=np.array(voices),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path("build/keywords"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few words: does it run at all?")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    check_accents()
    for split, sizes in (FEW if arguments.quick else SIZES).items():
        generate(split, arguments.cache, arguments.seed, sizes)


if __name__ == "__main__":
    main()
