# SPDX-License-Identifier: Apache-2.0
"""Sound into a model and labels out of its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grucore.audio import read_sound as read_file
from grucore.audio import resample
from grucore.demo.decisions import Detector, softmax

if TYPE_CHECKING:
    from grucore.model import Model

__all__ = [
    "Heard",
    "Labels",
    "as_line",
    "as_object",
    "check_labels",
    "heard",
    "labels_from",
    "labels_of",
    "log_scores",
    "parse_labels",
    "rate_of",
    "read_sound",
]

BACKGROUND = ("silence", "unknown")


@dataclass(frozen=True)
class Heard:
    """A label: when it was certain, between when it was likely (seconds), and its probability.

    ``start`` to ``end``: its smoothed probability was at least half of the threshold. ``score``:
    the highest that it reached.
    """

    label: str
    seconds: float
    start: float
    end: float
    score: float


def as_line(one: Heard) -> str:
    """A line of text."""
    return f"{one.seconds:8.2f} s  {one.label}  {one.score:.2f}"


def as_object(one: Heard) -> dict[str, Any]:
    """A line of JSON, before it is one."""
    times = {name: round(getattr(one, name), 3) for name in ("seconds", "start", "end")}
    return {"label": one.label, **times, "score": round(one.score, 4)}


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


def rate_of(model: Model) -> int | None:
    """Samples per second, as the settings of its front end say."""
    front = model.metadata.get("front_end")
    rate = front.get("sample_rate") if isinstance(front, dict) else None
    return rate if isinstance(rate, int) else None


def read_sound(path: str, model: Model, channel: int | None) -> tuple[Any, int]:
    """The samples as frames of the model, (frames, hop), with zeros after the last one; the rate.

    A recording at a higher rate than that of the model's front end is brought to it. Raises
    ValueError for a lower one, and where nobody said which of several channels.
    """
    samples, rate = read_file(path)
    expected = rate_of(model)
    if expected is not None and rate < expected:
        raise ValueError(
            f"{path}: {rate} Hz, expected {expected}, as the model's front end has, or more"
        )
    if samples.ndim > 1:
        channels = samples.shape[1]
        if channel is None or not 0 <= channel < channels:
            raise ValueError(f"{path}: {channels} channels: --channel 0 to {channels - 1}")
        samples = samples[:, channel]
    elif channel:
        raise ValueError(f"{path}: one channel, expected --channel 0 or none")
    if expected is not None:
        samples, rate = resample(samples, rate, expected), expected
    hop = model.inputs[0].features
    frames = -(-len(samples) // hop)
    whole = np.zeros((frames, hop), np.float32)
    whole.reshape(-1)[: len(samples)] = samples
    return whole, rate


class Labels:
    """Scores in, frame after frame; labels out, as soon as they have ended.

    ``frame_seconds``: from one frame of scores to the next. ``first_seconds``: the sound that the
    first of them comes after.
    """

    def __init__(self, detector: Detector, frame_seconds: float, first_seconds: float) -> None:
        self._detector = detector
        self._frame_seconds, self._first_seconds = frame_seconds, first_seconds
        self._since = np.zeros(len(detector.words), np.int64)  # frame from which each is likely
        self._open: Heard | None = None

    @property
    def likeliest(self) -> tuple[str, float]:
        """The label with the highest smoothed probability, and this probability."""
        index = int(self._detector.smoothed.argmax())
        label = self._detector.labels[self._detector.words[index]]
        return label, float(self._detector.smoothed[index])

    def push(self, scores: Any) -> tuple[Heard | None, Heard | None]:
        """The label that became certain with this frame, and one that ended with it."""
        frame = self._detector.frame
        found = self._detector.push(scores)
        smoothed, now = self._detector.smoothed, self._seconds(frame + 1)
        likely = smoothed >= self._detector.threshold / 2
        ended = None
        if self._open is not None:
            index = self._index(self._open.label)
            if likely[index]:
                score = max(self._open.score, float(smoothed[index]))
                self._open = replace(self._open, end=now, score=score)
            if found is not None or not likely[index]:
                ended, self._open = self._open, None
        if found is not None:
            start = self._seconds(int(self._since[self._index(found.word)]))
            self._open = Heard(found.word, now, start, now, found.score)
        self._since[~likely] = frame + 1
        return (None if found is None else self._open), ended

    def close(self) -> Heard | None:
        """The label that the end of the sound has ended."""
        ended, self._open = self._open, None
        return ended

    def _index(self, label: str) -> int:
        return self._detector.words.index(self._detector.labels.index(label))

    def _seconds(self, frame: int) -> float:
        return self._first_seconds + (frame - 1) * self._frame_seconds


def log_scores(model: Model, scores: Any) -> Any:
    """Logarithms, where scores are the probabilities of a softmax at the end of the model."""
    if model.layers[-1].kind == "softmax" and (scores >= 0).all():
        return np.log(np.maximum(scores, 1e-30))
    return scores


def labels_from(
    model: Model,
    labels: Sequence[str],
    rate: float,
    *,
    background: str | None = None,
    threshold: float | None = None,
    smoothing: int | None = None,
) -> Labels:
    """A listener to the scores of a model; settings that are None are those of the model."""
    ignored = BACKGROUND if background is None else tuple(parse_labels(background))
    known = model.metadata.get("detector")
    settings = dict(known) if isinstance(known, dict) else {}
    if threshold is not None:
        settings["threshold"] = threshold
    if smoothing is not None:
        settings["smoothing_frames"] = smoothing
    detector = Detector(labels, background=ignored, **settings)
    period, skip = model._output_clocks[0]
    hop = model.inputs[0].features / rate
    return Labels(detector, period * hop, (skip + 1) * hop)


def heard(
    model: Model, scores: Any, labels: Sequence[str], rate: int, **settings: Any
) -> Iterator[Heard]:
    """The labels of a recording, from its scores: (values, labels), or (labels,) of all of it.

    Scores are logits, or the probabilities of a softmax at the end of the model. ``settings`` are
    those of `labels_from`.
    """
    scores = log_scores(model, scores)
    if scores.ndim == 1:
        shares = softmax(scores)
        best = int(shares.argmax())
        yield Heard(labels[best], 0.0, 0.0, 0.0, float(shares[best]))
        return
    listener = labels_from(model, labels, rate, **settings)
    for row in scores:
        _, ended = listener.push(row)
        if ended is not None:
            yield ended
    last = listener.close()
    if last is not None:
        yield last
