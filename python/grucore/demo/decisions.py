# SPDX-License-Identifier: Apache-2.0
"""From a stream of class scores to words: smoothing, a threshold and a pause after each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Detection", "Detector", "softmax"]

SMOOTHING_FRAMES = 14
THRESHOLD = 0.5
REFRACTORY_FRAMES = 25


@dataclass(frozen=True, slots=True)
class Detection:
    """A word, the frame (from 0) that settled it, and its smoothed probability there."""

    word: str
    frame: int
    score: float


def softmax(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Probabilities of scores, (classes,) -> (classes,)."""
    scores = np.asarray(logits, np.float64)
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


class Detector:
    """Reports a word once, when its probability averaged over a few frames passes a threshold.

    ``labels`` names the classes in the order of the network's outputs; those in ``background``
    are never reported. After a word nothing is reported for ``refractory_frames``, and not before
    the average has fallen below half of the threshold.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        background: Sequence[str] = ("silence", "unknown"),
        threshold: float = THRESHOLD,
        smoothing_frames: int = SMOOTHING_FRAMES,
        refractory_frames: int = REFRACTORY_FRAMES,
    ) -> None:
        self.labels = tuple(labels)
        self.words = [i for i, label in enumerate(labels) if label not in background]
        if not self.words:
            raise ValueError(f"labels {self.labels} hold nothing to detect besides {background}")
        if not 0.0 < threshold < 1.0 or smoothing_frames < 1 or refractory_frames < 0:
            raise ValueError(
                "expected 0 < threshold < 1, smoothing_frames >= 1 and refractory_frames >= 0, "
                f"found {threshold}, {smoothing_frames} and {refractory_frames}"
            )
        self.threshold = threshold
        self.refractory_frames = refractory_frames
        self._recent = np.zeros((smoothing_frames, len(self.labels)))
        self.reset()

    def reset(self) -> None:
        """Starts anew, as before the first frame."""
        self.frame = 0
        self._recent[:] = 0.0
        self.smoothed = np.zeros(len(self.words))  # averages of the words' probabilities
        self._armed = True
        self._quiet_until = 0
        self._best: Detection | None = None

    def push(self, logits: npt.ArrayLike) -> Detection | None:
        """Takes the scores of one frame, (classes,); answers with a word if one was just heard.

        A frame whose scores are not finite counts as one that says nothing.
        """
        frame = self.frame
        self.frame += 1
        finite = bool(np.isfinite(logits).all())
        self._recent[frame % len(self._recent)] = softmax(logits) if finite else 0.0
        smoothed = self.smoothed = self._recent.mean(axis=0)[self.words]
        index = int(smoothed.argmax())
        found = Detection(self.labels[self.words[index]], frame, float(smoothed[index]))
        if self._best is None or found.score > self._best.score:
            self._best = found
        if found.score < self.threshold / 2:
            self._armed = True
        if not self._armed or frame < self._quiet_until or found.score < self.threshold:
            return None
        self._armed = False
        self._quiet_until = frame + self.refractory_frames
        return found

    def decision(self) -> str:
        """The word of a whole clip: the likeliest since ``reset``, or "unknown" below threshold."""
        if self._best is None or self._best.score < self.threshold:
            return "unknown"
        return self._best.word
