# SPDX-License-Identifier: Apache-2.0
"""The display of the demo: a level bar that moves with the sound in a terminal, else lines."""

from __future__ import annotations

import sys
from typing import TextIO

import numpy as np
import numpy.typing as npt

from grucore.demo.decisions import Detection
from grucore.demo.features import SAMPLE_RATE

__all__ = ["Display", "SilentDisplay", "TerminalDisplay", "level_character", "make_display"]

BLOCK_CHARACTERS = " ▁▂▃▄▅▆▇█"
ASCII_CHARACTERS = " .:-=+*#@"
QUIET_DECIBELS, LOUD_DECIBELS = -45.0, -8.0
CHARACTER_SAMPLES = SAMPLE_RATE // 25  # 40 ms of sound each
BAR_CHARACTERS = 44

Samples = npt.NDArray[np.float32]


def level_character(samples: Samples, characters: str) -> str:
    """The loudness of a few samples as one character of a scale from silent to loud."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    decibels = 10.0 * np.log10(power + 1e-12)
    share = (decibels - QUIET_DECIBELS) / (LOUD_DECIBELS - QUIET_DECIBELS)
    return characters[round(float(np.clip(share, 0.0, 1.0)) * (len(characters) - 1))]


class Display:
    """Plain lines: one for each word heard in a recording, one for each clip."""

    def __init__(self, output: TextIO) -> None:
        self.output = output

    def line(self, text: str = "") -> None:
        """A line that stays."""
        self.output.write(text + "\n")
        self.output.flush()

    def start(self, title: str) -> None:
        """A recording or clip begins."""
        self.title = title

    def sound(self, samples: Samples) -> None:
        """A few samples have been heard."""

    def heard(self, word: Detection, seconds: float) -> None:
        """A word was recognised, ``seconds`` into the recording."""
        self.line(f"{seconds:7.2f} s  {word.word}")

    def finish(self, verdict: str | None) -> None:
        """The recording (None) or clip ends; what to say about a clip."""
        if verdict is not None:
            self.line(f"{self.title}  {verdict}")


class SilentDisplay(Display):
    """Nothing at all, for output which a script reads."""

    def line(self, text: str = "") -> None:
        pass


class TerminalDisplay(Display):
    """A line that is drawn over and over while the sound goes on."""

    def __init__(self, output: TextIO, characters: str) -> None:
        super().__init__(output)
        self.characters = characters
        self._drawn = 0

    def start(self, title: str) -> None:
        super().start(title)
        self._bar = ""
        self._samples: list[Samples] = []
        self._count = 0

    def sound(self, samples: Samples) -> None:
        self._samples.append(samples)
        self._count += len(samples)
        if self._count >= CHARACTER_SAMPLES:
            self._bar += level_character(np.concatenate(self._samples), self.characters)
            self._samples, self._count = [], 0
            self._draw(self._live())

    def heard(self, word: Detection, seconds: float) -> None:
        self._draw(f"{seconds:7.2f} s  {word.word}")
        self._keep()
        self._draw(self._live())

    def finish(self, verdict: str | None) -> None:
        self._draw("" if verdict is None else f"{self._live()}  {verdict}")
        if verdict is not None:
            self._keep()

    def _live(self) -> str:
        return f"{self.title}  {self._bar[-BAR_CHARACTERS:]:{BAR_CHARACTERS}}"

    def _draw(self, text: str) -> None:
        """Puts ``text`` in place of what the line showed before."""
        self.output.write("\r" + text.ljust(self._drawn))
        if not text:
            self.output.write("\r")
        self.output.flush()
        self._drawn = len(text)

    def _keep(self) -> None:
        self.output.write("\n")
        self._drawn = 0


def make_display(output: TextIO | None = None, *, silent: bool = False) -> Display:
    """The display that suits ``output`` (standard output by default)."""
    output = sys.stdout if output is None else output
    if silent:
        return SilentDisplay(output)
    if not output.isatty():
        return Display(output)
    try:
        BLOCK_CHARACTERS.encode(getattr(output, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return TerminalDisplay(output, ASCII_CHARACTERS)
    return TerminalDisplay(output, BLOCK_CHARACTERS)
