# SPDX-License-Identifier: Apache-2.0
"""Output of commands: lines, tables, JSON and progress; with rich where it is installed."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from grucore.text import Page, printable

__all__ = ["Console", "Task", "printable"]

SILENT_SECONDS = 1.0  # nothing is shown of what takes less
DRAW_SECONDS = 0.1
FOLDED = 24  # characters that the last column of a table needs at least


class Console(Page):
    """Standard output and standard error of one command."""

    def __init__(self, output: TextIO | None = None, errors: TextIO | None = None) -> None:
        super().__init__(sys.stdout if output is None else output)
        self.errors = sys.stderr if errors is None else errors

    def _fine_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        right: Sequence[bool],
        widths: Sequence[int],
    ) -> bool:
        """True if rich is there and the terminal is wide enough; the last column may be folded."""
        if not self.output.isatty():
            return False
        try:
            from rich.console import Console as RichConsole
            from rich.table import Table
            from rich.text import Text
        except ImportError:
            return False
        terminal = RichConsole(file=self.output, highlight=False, markup=False)
        if sum(widths[:-1]) + 2 * len(widths) + min(widths[-1], FOLDED) > terminal.width:
            return False
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for name, at_right in zip(columns, right, strict=True):
            last = name is columns[-1]
            table.add_column(name, justify="right" if at_right else "left", no_wrap=not last)
        for row in rows:
            table.add_row(*[Text(printable(cell)) for cell in row])
        terminal.print(table)
        return True

    def emit(self, report: dict[str, Any]) -> None:
        """The answer to --json: one object."""
        self.output.write(json.dumps(report, indent=2, allow_nan=False) + "\n")

    @contextmanager
    def progress(self, what: str, total: float | None = None) -> Iterator[Task]:
        """Show on a terminal how far a task is, once it has taken a second.

        With a total the task says itself where it is, by `Task.advance`, and is not disturbed by a
        thread; without one a thread shows the seconds that it has taken.
        """
        task = Task(self.errors, what, total, shown=self.errors.isatty())
        ended = threading.Event()
        ticker = None
        if total is None and task.shown:
            ticker = threading.Thread(target=_tick, args=(task, ended), daemon=True)
            ticker.start()
        try:
            yield task
        finally:
            ended.set()
            if ticker is not None:
                ticker.join()
            task.clear()


def _tick(task: Task, ended: threading.Event) -> None:
    while not ended.wait(DRAW_SECONDS):
        task.advance(0.0)


class Task:
    """Something that takes its time."""

    def __init__(self, errors: TextIO, what: str, total: float | None, *, shown: bool) -> None:
        self.shown = shown
        self._errors = errors
        self._what = what
        self._total = total
        self._done = 0.0
        self._started = self._drawn = time.monotonic()
        self._bar: Any = None
        self._bar_task: Any = None

    def advance(self, amount: float) -> None:
        """So much more of the total is done; draws ten times a second at most."""
        self._done += amount
        now = time.monotonic()
        if not self.shown or now - self._started < SILENT_SECONDS:
            return
        if now - self._drawn < DRAW_SECONDS:
            return
        self._drawn = now
        if self._total is not None and self._rich_bar(self._total):
            return
        if self._total is None:
            state = f"{now - self._started:.0f} s"
        else:
            state = f"{min(self._done / self._total, 1.0):.0%}"
        self._errors.write(f"\r{printable(self._what)}: {state}\x1b[K")
        self._errors.flush()

    def _rich_bar(self, total: float) -> bool:
        if self._bar is None:
            try:
                from rich.console import Console as RichConsole
                from rich.progress import Progress
            except ImportError:
                return False
            # No refresh thread of its own: it would disturb what is being timed.
            self._bar = Progress(
                console=RichConsole(file=self._errors), transient=True, auto_refresh=False
            )
            self._bar_task = self._bar.add_task(printable(self._what), total=total)
            self._bar.start()
        self._bar.update(self._bar_task, completed=min(self._done, total), refresh=True)
        return True

    def clear(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
        elif self._drawn != self._started:
            self._errors.write("\r\x1b[K")
            self._errors.flush()
