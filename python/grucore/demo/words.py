# SPDX-License-Identifier: Apache-2.0
"""Sound into a model and labels out of its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grucore.audio import read_wav
from grucore.demo.decisions import Detector, softmax

if TYPE_CHECKING:
    from grucore.model import Model

__all__ = ["Heard", "check_labels", "heard", "labels_of", "parse_labels", "read_sound"]

BACKGROUND = ("silence", "unknown")


@dataclass(frozen=True)
class Heard:
    """A label, the seconds after which it was certain, and its smoothed probability there."""

    label: str
    seconds: float
    score: float


def parse_labels(text: str) -> list[str]:
    """Labels between commas, or the lines of the file of that name."""
    path = Path(text)
    if "," not in text and path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
    else:
        lines = text.split(",")
    labels = [line.strip() for line in lines if line.strip()]
    if len(set(labels)) != len(labels) or not labels:
        raise ValueError(f"labels {text!r}: {len(labels)}, expected different ones")
    return labels


def labels_of(model: Model, text: str | None) -> list[str]:
    """Those that were given, else those of the metadata; one for each score of the first output."""
    labels = model.metadata.get("labels") if text is None else parse_labels(text)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(
            "the model has no labels: `grucore convert --labels a,b,c` puts them into it, "
            "--labels says them here, and -o OUT writes scores"
        )
    check_labels(labels, model.outputs[0].features)
    return labels


def check_labels(labels: Sequence[str], scores: int) -> None:
    """Raise ValueError unless there is one for each score."""
    if len(labels) != scores:
        raise ValueError(f"{len(labels)} labels, expected {scores}, as the first output has scores")


def read_sound(path: str, model: Model, channel: int | None) -> tuple[Any, int]:
    """The samples as frames of the model, (frames, hop), with zeros after the last one; the rate.

    Raises ValueError for another rate than the model's front end has, and where nobody said which
    of several channels.
    """
    samples, rate = read_wav(path)
    front = model.metadata.get("front_end")
    expected = front.get("sample_rate") if isinstance(front, dict) else None
    if expected is not None and rate != expected:
        raise ValueError(f"{path}: {rate} Hz, expected {expected}, as the model's front end has")
    if samples.ndim > 1:
        channels = samples.shape[1]
        if channel is None or not 0 <= channel < channels:
            raise ValueError(f"{path}: {channels} channels: --channel 0 to {channels - 1}")
        samples = samples[:, channel]
    elif channel:
        raise ValueError(f"{path}: one channel, expected --channel 0 or none")
    hop = model.inputs[0].features
    frames = -(-len(samples) // hop)
    whole = np.zeros((frames, hop), np.float32)
    whole.reshape(-1)[: len(samples)] = samples
    return whole, rate


def heard(
    model: Model,
    scores: Any,
    labels: Sequence[str],
    rate: int,
    *,
    background: str | None = None,
    threshold: float | None = None,
) -> Iterator[Heard]:
    """The labels of a recording, from its scores: (values, labels), or (labels,) of all of it.

    Scores are logits, or the probabilities of a softmax at the end of the model.
    """
    if model.layers[-1].kind == "softmax" and (scores >= 0).all():
        scores = np.log(np.maximum(scores, 1e-30))
    if scores.ndim == 1:
        shares = softmax(scores)
        best = int(shares.argmax())
        yield Heard(labels[best], 0.0, float(shares[best]))
        return
    ignored = BACKGROUND if background is None else tuple(parse_labels(background))
    known = model.metadata.get("detector")
    settings = dict(known) if isinstance(known, dict) else {}
    if threshold is not None:
        settings["threshold"] = threshold
    detector = Detector(labels, background=ignored, **settings)
    period, skip = model._output_clocks[0]
    for row in scores:
        found = detector.push(row)
        if found is not None:
            hops = skip + found.frame * period + 1
            yield Heard(found.word, hops * model.inputs[0].features / rate, found.score)
