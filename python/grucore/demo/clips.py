# SPDX-License-Identifier: Apache-2.0
"""The recordings shipped with the demo, and a microphone made of them.

The file holds clean speech as 8-bit mu-law. Noise is made as clips are loaded, from seeds: it would
take most of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = [
    "DATA",
    "Clip",
    "Recording",
    "Spoken",
    "level",
    "load_clips",
    "microphone",
    "mu_law_decode",
    "mu_law_encode",
    "noise",
    "overlay",
    "save_clips",
]

DATA = Path(__file__).parent / "data"
MU = 255.0
NOISE_SEED = 73
VOICES = 6  # of babble
LATEST_START = 8000  # samples before a noise in which each of them begins

Samples = npt.NDArray[np.float32]


def mu_law_encode(samples: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Samples within ±1 as 8-bit mu-law: sign, then 128 levels of ln(1 + 255 |x|), zero at 128."""
    x = np.clip(np.asarray(samples, np.float64), -1.0, 1.0)
    magnitude = np.log1p(MU * np.abs(x)) / np.log1p(MU)
    codes = 128.0 + np.round(np.copysign(127.0 * magnitude, x))
    return np.asarray(codes, np.uint8)


def mu_law_decode(codes: npt.NDArray[np.uint8]) -> Samples:
    """The samples that codes stand for, each within 2.3 % and 0.0001 of full scale."""
    magnitude = np.abs(np.arange(256) - 128.0) / 127.0
    table = np.copysign(np.expm1(magnitude * np.log1p(MU)) / MU, np.arange(256) - 128.0)
    return np.asarray(table[codes], np.float32)


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: a word of the vocabulary, or "unknown" for any other word."""

    samples: Samples  # full scale ±1
    sample_rate: int  # Hz
    label: str
    text: str  # the word spoken, also where the label is "unknown"
    voice: str
    noise: str  # "none", "white", "pink" or "babble"
    decibels: float  # speech above noise during the word; infinite without noise

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    @property
    def condition(self) -> str:
        return "clean" if np.isinf(self.decibels) else f"{self.decibels:.0f} dB"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word of a recording and the seconds between which it may be recognised."""

    label: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Recording:
    """Several words in a row, as a microphone left open would hear them."""

    name: str
    samples: Samples
    sample_rate: int  # Hz
    spoken: tuple[Spoken, ...]


def level(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples**2)))


def overlay(track: Samples, samples: Samples, at: int) -> None:
    """Adds ``samples`` to ``track`` from index ``at``, leaving out what lies beyond its ends."""
    start, end = max(0, at), min(len(track), at + len(samples))
    if start < end:
        track[start:end] += samples[start - at : end - at]


def noise(kind: str, length: int, rng: np.random.Generator, talk: Sequence[Samples]) -> Samples:
    """White, pink, or the babble of six voices that say ``talk``; root mean square 1."""
    if kind not in ("white", "pink", "babble"):
        raise ValueError(f"noise {kind!r}: expected 'white', 'pink' or 'babble'")
    if kind == "babble":
        sound = np.zeros(length, np.float32)
        for _ in range(VOICES):
            at = int(rng.integers(-LATEST_START, 0))
            while at < length:
                words = talk[int(rng.integers(len(talk)))]
                overlay(sound, words * np.float32(rng.uniform(0.4, 1.0)), at)
                at += len(words)
    else:
        sound = rng.standard_normal(length).astype(np.float32)
        if kind == "pink":
            spectrum = np.fft.rfft(sound)
            pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), length)
            sound = np.asarray(pink, np.float32)
    return (sound / max(1e-6, level(sound))).astype(np.float32)


def save_clips(path: Path, clips: Sequence[Clip]) -> None:
    """Writes clips of one sample rate to a compressed ``.npz`` without pickles.

    Samples are clean, zero outside of the word: `load_clips` adds the noise that a clip names.
    """
    (sample_rate,) = {clip.sample_rate for clip in clips}
    codes = np.concatenate([mu_law_encode(clip.samples) for clip in clips])
    np.savez_compressed(
        path,
        differences=np.diff(codes, prepend=np.uint8(0)),  # modulo 256: they pack better than codes
        ends=np.cumsum([len(clip.samples) for clip in clips]),
        sample_rate=np.array(sample_rate),
        decibels=np.array([clip.decibels for clip in clips], np.float32),
        label=np.array([clip.label for clip in clips]),
        text=np.array([clip.text for clip in clips]),
        voice=np.array([clip.voice for clip in clips]),
        noise=np.array([clip.noise for clip in clips]),
    )


def load_clips(path: Path = DATA / "clips.npz") -> list[Clip]:
    """The clips in the order in which they were saved, the same samples each time."""
    with np.load(path, allow_pickle=False) as archive:
        codes = np.cumsum(archive["differences"], dtype=np.uint8)
        cuts = np.split(mu_law_decode(codes), archive["ends"][:-1])
        sample_rate = int(archive["sample_rate"])
        names = ("label", "text", "voice", "noise", "decibels")
        columns = [archive[name].tolist() for name in names]
    clips = [
        Clip(samples, sample_rate, *values)
        for samples, values in zip(cuts, zip(*columns, strict=True), strict=True)
    ]
    talk = [_word(clip) for clip in clips if clip.label == "unknown"]
    rngs = np.random.default_rng(NOISE_SEED).spawn(len(clips))
    return [_noisy(clip, talk, rng) for clip, rng in zip(clips, rngs, strict=True)]


def _word(clip: Clip) -> Samples:
    """A clean clip without the silence around the word."""
    spoken = np.flatnonzero(clip.samples)
    return clip.samples[spoken[0] : spoken[-1] + 1]


def _noisy(clip: Clip, talk: Sequence[Samples], rng: np.random.Generator) -> Clip:
    """A clean clip in the noise that it names, so many decibels below the word."""
    if np.isinf(clip.decibels):
        return clip
    sound = noise(clip.noise, len(clip.samples), rng, talk)
    sound *= np.float32(level(_word(clip)) * 10.0 ** (-clip.decibels / 20.0))
    return replace(clip, samples=np.clip(clip.samples + sound, -1.0, 1.0))


def microphone(
    clips: Sequence[Clip],
    *,
    seed: int,
    length_words: int = 12,
    decibels: float = 20.0,
    name: str = "microphone",
) -> Recording:
    """Clean clips in random order, a pause between them, pink noise under everything.

    The noise lies ``decibels`` below the loudness of the clips taken together. The same clips and
    seed make the same recording.
    """
    rng = np.random.default_rng(seed)
    clean = [clip for clip in clips if np.isinf(clip.decibels)]
    if not clean:
        raise ValueError(f"none of the {len(clips)} clips is without noise")
    order = [
        int(i) for _ in range(-(-length_words // len(clean))) for i in rng.permutation(len(clean))
    ]
    sample_rate = clean[0].sample_rate
    parts: list[Samples] = []
    spoken: list[Spoken] = []
    at = 0
    for index in order[:length_words]:
        pause = np.zeros(int(rng.uniform(0.1, 0.6) * sample_rate), np.float32)
        clip = clean[index]
        start = at + len(pause)
        at = start + len(clip.samples)
        parts += [pause, clip.samples]
        spoken.append(Spoken(clip.label, start / sample_rate, at / sample_rate))
    track = np.concatenate([*parts, np.zeros(sample_rate // 2, np.float32)])
    white = np.fft.rfft(rng.standard_normal(len(track)))
    pink = np.fft.irfft(white / np.sqrt(np.arange(len(white)) + 1.0), len(track))
    pink *= 10.0 ** (-decibels / 20.0) * np.sqrt(np.mean(track**2) / np.mean(pink**2))
    return Recording(name, (track + pink).astype(np.float32), sample_rate, tuple(spoken))
