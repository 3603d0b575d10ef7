# SPDX-License-Identifier: Apache-2.0
"""Accuracy on voices that training never heard, and the choice of clips that go with the demo."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mixing import NOISES, Corpus, Samples, test_clip
from shared import SAMPLE_RATE, clips, decisions, features
from torch import nn
from voices import KEYWORDS, LABELS

NOISE_DECIBELS = (20.0, 10.0, 5.0, 0.0)
CLEAN = ("none", None)

# The clips that the demo ships: per keyword one clip of each row, and UNKNOWN_CLIPS other words.
SHIPPED = (
    CLEAN,
    CLEAN,
    ("white", 20.0),
    ("babble", 20.0),
    ("pink", 10.0),
    ("babble", 10.0),
)
UNKNOWN_CLIPS = 8


class KeywordSpotter(nn.Module):
    """Architecture "gru > linear": one answer per frame, (batch, frames, 40) -> (..., classes)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.gru = nn.GRU(features.BANDS, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, len(LABELS))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.linear(self.gru(frames)[0])


def through_mu_law(samples: Samples) -> Samples:
    """Samples as they are once they have been shipped."""
    return clips.mu_law_decode(clips.mu_law_encode(samples))


@torch.no_grad()
def scores(model: KeywordSpotter, samples: Samples) -> np.ndarray:
    """The network's answers to a recording, (frames, classes)."""
    frames = torch.from_numpy(features.log_mel(through_mu_law(samples)))
    return model(frames[np.newaxis])[0].numpy()


@torch.no_grad()
def decide(model: KeywordSpotter, recordings: Sequence[Samples]) -> Iterator[str]:
    """The word which the demo would report for each clip."""
    frames = [features.log_mel(through_mu_law(samples)) for samples in recordings]
    padded = nn.utils.rnn.pad_sequence(list(map(torch.from_numpy, frames)), batch_first=True)
    for rows, own in zip(model(padded).numpy(), frames, strict=True):
        detector = decisions.Detector(LABELS)
        for row in rows[: len(own)]:
            detector.push(row)
        yield detector.decision()


def conditions() -> list[tuple[str, float | None]]:
    """Clean, then every noise at every level."""
    return [CLEAN, *((kind, level) for level in NOISE_DECIBELS for kind in NOISES)]


def evaluate(
    model: KeywordSpotter, corpus: Corpus, seed: int, every: int = 1
) -> list[dict[str, object]]:
    """Per condition: keywords named correctly, other words not taken for one, and both together."""
    rows: list[dict[str, object]] = []
    for index, (kind, decibels) in enumerate(conditions()):
        rng = np.random.default_rng([seed, index])
        hits: dict[bool, list[bool]] = {True: [], False: []}
        items = corpus.words[index % every :: every]
        sounds = [test_clip(corpus, item, kind, decibels, rng) for item in items]
        for item, found in zip(items, decide(model, sounds), strict=True):
            hits[item.label in KEYWORDS].append(found == item.label)
        row = {
            "noise": kind,
            "decibels": decibels,
            "keywords": round(float(np.mean(hits[True])), 4),
            "unknown": round(float(np.mean(hits[False])), 4),
            "all": round(float(np.mean(hits[True] + hits[False])), 4),
            "clips": len(hits[True]) + len(hits[False]),
        }
        rows.append(row)
        name = "clean" if decibels is None else f"{kind} {decibels:.0f} dB"
        print(
            f"{name:14} keywords {row['keywords']:7.2%}  unknown rejected {row['unknown']:7.2%}  "
            f"all {row['all']:7.2%}  ({row['clips']} clips)",
            file=sys.stderr,
        )
    return rows


def false_alarms_per_hour(model: KeywordSpotter, corpus: Corpus, seed: int) -> float:
    """Words reported while other speech, without any keyword, runs on without a pause."""
    rng = np.random.default_rng(seed)
    gap = np.zeros(SAMPLE_RATE // 4, np.float32)
    talk = [part for item in [*corpus.sentences, *corpus.unknown] for part in (item.samples, gap)]
    speech = np.concatenate(talk) * np.float32(0.4)
    speech += corpus.noise("pink", len(speech), rng) * np.float32(0.004)
    detector = decisions.Detector(LABELS)
    alarms = sum(detector.push(row) is not None for row in scores(model, speech))
    return round(alarms / (len(speech) / SAMPLE_RATE / 3600.0), 1)


def shipped_clips(corpus: Corpus, seed: int) -> list[object]:
    """Drawn at random from the test voices, whether the model gets them right or not."""
    rng = np.random.default_rng([seed, 99])
    wanted = [(word, *row) for word in KEYWORDS for row in SHIPPED]
    wanted += [("unknown", *SHIPPED[i % len(SHIPPED)]) for i in range(UNKNOWN_CLIPS)]
    chosen = []
    for label, kind, decibels in wanted:
        pool = [item for item in corpus.words if item.label == label]
        item = pool[int(rng.integers(len(pool)))]
        chosen.append(
            clips.Clip(
                samples=test_clip(corpus, item, *CLEAN, rng),  # load_clips adds the noise
                sample_rate=SAMPLE_RATE,
                label=label,
                text=item.text,
                voice=item.voice,
                noise=kind,
                decibels=np.inf if decibels is None else decibels,
            )
        )
    return chosen
