# SPDX-License-Identifier: Apache-2.0
"""Noise, recordings put into it at a given level, and what the network should say when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from shared import HOP_SAMPLES, SAMPLE_RATE, WINDOW_SAMPLES, clips
from voices import KEYWORDS, LABELS

NOISES = ("white", "pink", "babble")

# Targets besides the index of a class.
IGNORED = -1  # any answer will do
NO_KEYWORD = -2  # silence or unknown, whichever

# A word is to be named from its end on (earlier, "go" might still become "gold") until the
# smoothing has seen enough of it.
NAMED_AFTER_END = round(0.25 * SAMPLE_RATE)
FADE = round(0.06 * SAMPLE_RATE)

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """A recording without noise, full scale, and its class."""

    samples: Samples
    text: str
    voice: str
    label: str


class Corpus:
    """The utterances of one split, and babble made of its own voices."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as archive:
            samples = archive["samples"].astype(np.float32) / np.float32(32768.0)
            cuts = np.split(samples, archive["ends"][:-1])
            texts, voices = archive["texts"].tolist(), archive["voices"].tolist()
        self.utterances = [
            Utterance(cut, text, voice, text if text in KEYWORDS else "unknown")
            for cut, text, voice in zip(cuts, texts, voices, strict=True)
        ]
        self.words = [item for item in self.utterances if " " not in item.text]
        self.sentences = [item for item in self.utterances if " " in item.text]
        self.keywords = [item for item in self.words if item.label != "unknown"]
        self.unknown = [item for item in self.words if item.label == "unknown"]

        self.talk = [item.samples for item in (*self.sentences, *self.unknown)]

    def noise(self, kind: str, length: int, rng: np.random.Generator) -> Samples:
        """Noise of root mean square 1."""
        return clips.noise(kind, length, rng, self.talk)


def pick(items: list[Utterance], rng: np.random.Generator) -> Utterance:
    return items[int(rng.integers(len(items)))]


def stretch(samples: Samples, factor: float) -> Samples:
    """Played ``factor`` times as long: slower, lower, and by a longer vocal tract."""
    at = np.arange(round(len(samples) * factor)) / factor
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def targets(length: int, spoken: list[tuple[str, int, int, bool]]) -> npt.NDArray[np.int64]:
    """The target of every frame of a track; ``spoken`` holds (label, start, end, sentence)."""
    frame_ends = np.arange(WINDOW_SAMPLES, length + 1, HOP_SAMPLES)
    target = np.full(len(frame_ends), LABELS.index("silence"), np.int64)
    for label, start, end, sentence in spoken:
        begun = (frame_ends > start) & (frame_ends <= end)
        late = (frame_ends > (start + end) // 2) & (frame_ends <= end)
        target[begun] = NO_KEYWORD
        if label != "unknown":
            target[late] = IGNORED
        answer = (frame_ends > end) & (frame_ends <= end + NAMED_AFTER_END)
        target[answer] = NO_KEYWORD if sentence else LABELS.index(label)
        fading = (frame_ends > end + NAMED_AFTER_END) & (frame_ends <= end + NAMED_AFTER_END + FADE)
        target[fading] = IGNORED if label != "unknown" else NO_KEYWORD
    return target


def training_track(
    corpus: Corpus, length: int, rng: np.random.Generator
) -> tuple[Samples, npt.NDArray[np.int64]]:
    """Words and unknown speech one after the other in changing noise: (samples, targets)."""
    track = np.zeros(length, np.float32)
    spoken: list[tuple[str, int, int, bool]] = []
    gain = 10.0 ** (rng.uniform(-20.0, -1.0) / 20.0)
    at = int(rng.uniform(0.02, 0.7) * SAMPLE_RATE)
    while True:
        choice = rng.random()
        pool = corpus.keywords if choice < 0.5 else corpus.unknown
        if choice > 0.97:
            pool = corpus.sentences
        item = pick(pool, rng)
        samples = stretch(item.samples, rng.uniform(0.87, 1.15))
        end = at + len(samples)
        if end + NAMED_AFTER_END > length and " " not in item.text:
            break
        clips.overlay(track, samples * np.float32(gain * 10.0 ** (rng.uniform(-4, 4) / 20.0)), at)
        spoken.append((item.label, at, end, " " in item.text))
        at = end + int(rng.uniform(0.32, 0.65) * SAMPLE_RATE)
        if at >= length:
            break
    track += background(corpus, track, spoken, gain, rng)
    tilt = np.float32(rng.uniform(-0.3, 0.3))
    track[1:] += tilt * track[:-1].copy()  # a microphone's own colour
    return np.clip(track, -1.0, 1.0), targets(length, spoken)


def background(
    corpus: Corpus,
    track: Samples,
    spoken: list[tuple[str, int, int, bool]],
    gain: float,
    rng: np.random.Generator,
) -> Samples:
    """Noise for a training track, in one or two stretches of different kind and level."""
    loud = [clips.level(track[start:end]) for _, start, end, _ in spoken if start < len(track)]
    speech = float(np.mean(loud)) if loud else 0.15 * gain
    sound = np.zeros(len(track), np.float32)
    cuts = [0, len(track)]
    if rng.random() < 0.35:
        cuts.insert(1, int(rng.integers(len(track) // 5, 4 * len(track) // 5)))
    for start, end in pairwise(cuts):
        if rng.random() < 0.12:
            continue
        ratio = 10.0 ** (-rng.uniform(0.0, 34.0) / 20.0)
        kind = str(rng.choice(NOISES))
        sound[start:end] = corpus.noise(kind, end - start, rng) * np.float32(speech * ratio)
    return sound


def test_clip(
    corpus: Corpus, item: Utterance, kind: str, decibels: float | None, rng: np.random.Generator
) -> Samples:
    """One word at a random place, ``decibels`` above the noise during the word (None: no noise)."""
    before, after = rng.uniform(0.12, 0.3), rng.uniform(0.28, 0.34)
    start = round(before * SAMPLE_RATE)
    clip = np.zeros(start + len(item.samples) + round(after * SAMPLE_RATE), np.float32)
    spoken = item.samples * np.float32(10.0 ** (rng.uniform(-18.0, -3.0) / 20.0))
    clips.overlay(clip, spoken, start)
    if decibels is not None:
        clip += corpus.noise(kind, len(clip), rng) * np.float32(
            clips.level(spoken) * 10.0 ** (-decibels / 20.0)
        )
    return np.clip(clip, -1.0, 1.0)
