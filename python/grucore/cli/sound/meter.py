# SPDX-License-Identifier: Apache-2.0
"""A line that shows how loud it is and what is heard, drawn over and over on a terminal."""

from __future__ import annotations

import math
import shutil
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Meter", "meter_line"]

DRAW_SECONDS = 0.05
QUIET_DECIBELS, LOUD_DECIBELS = -60.0, 0.0
BAR, NO_BAR = "█", "·"
LABEL_CHARACTERS = 12
LEAST_BAR = 4  # characters; with fewer the bar is left out


def meter_line(decibels: float, label: str, score: float, width: int, *, ascii_only: bool) -> str:
    """Bar, label and probability in at most ``width`` characters."""
    full, empty = ("#", "-") if ascii_only else (BAR, NO_BAR)
    text = f"{label[:LABEL_CHARACTERS]:{LABEL_CHARACTERS}} {score:4.2f}"
    count = width - len(text) - 2
    if count < LEAST_BAR:
        return text[:width]
    share = (decibels - QUIET_DECIBELS) / (LOUD_DECIBELS - QUIET_DECIBELS)
    shown = round(min(max(share, 0.0), 1.0) * count)
    return f"{full * shown}{empty * (count - shown)}  {text}"


class Meter:
    """Draws on a terminal, 20 times a second; on anything else it draws nothing."""

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._output, self._clock = output, clock
        self._shown = output.isatty()
        encoding = getattr(output, "encoding", None) or "ascii"
        try:
            (BAR + NO_BAR).encode(encoding)
            self._ascii_only = False
        except UnicodeEncodeError:
            self._ascii_only = True
        self._loudest, self._due = 0.0, 0.0

    def show(self, block: Any, label: str, score: float) -> None:
        """A block has been heard."""
        if not self._shown:
            return
        self._loudest = max(self._loudest, float(abs(block).max(initial=0.0)))
        now = self._clock()
        if now < self._due:
            return
        decibels = 20 * math.log10(max(self._loudest, 1e-6))
        width = max(1, shutil.get_terminal_size().columns - 1)
        line = meter_line(decibels, label, score, width, ascii_only=self._ascii_only)
        self._output.write(f"\r{line}\x1b[K")
        self._output.flush()
        self._loudest, self._due = 0.0, now + DRAW_SECONDS

    def clear(self) -> None:
        """Leave the line to somebody else."""
        if self._shown:
            self._output.write("\r\x1b[K")
            self._output.flush()
            self._due = 0.0
