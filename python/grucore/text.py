# SPDX-License-Identifier: Apache-2.0
"""Lines, fields and tables in plain text."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Sequence
from typing import TextIO

__all__ = ["Page", "printable"]

NARROWEST = 20  # columns: what claims to be narrower has no size


def printable(text: str) -> str:
    """The text with control characters spelled out: what a file says must not steer a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


class Page:
    """A text that grows line by line, as wide as its terminal; a file or a pipe has no width."""

    def __init__(self, output: TextIO) -> None:
        self.output = output

    @property
    def width(self) -> int | None:
        """Columns of the terminal, or of the variable COLUMNS; None: lines may have any length."""
        if os.environ.get("COLUMNS", "").isdigit() or self.output.isatty():
            return max(shutil.get_terminal_size().columns, NARROWEST)
        return None

    def line(self, text: str = "") -> None:
        """One line; what the terminal cannot show is spelled out."""
        encoding = getattr(self.output, "encoding", None) or "utf-8"
        text = printable(text).encode(encoding, "backslashreplace").decode(encoding)
        self.output.write(text + "\n")

    def sentence(self, text: str) -> None:
        """A line that goes on in a second one where the terminal ends."""
        self._folded("", text)

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and what they are, side by side, or below each other where that is too narrow."""
        names = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            if self.width is not None and self.width < 2 * (names + 2):
                self.line(name)
                self._folded("  ", text)
            else:
                self._folded(f"{name:{names}}  ", text)

    def _folded(self, before: str, text: str) -> None:
        """`before`, and the text beside it, in as many lines as it takes."""
        width = self.width
        if width is None or len(before) + len(printable(text)) <= width:
            self.line(before + text)
            return
        inner = max(width - len(before), NARROWEST // 2)
        for part in textwrap.wrap(printable(text), inner, break_on_hyphens=False):
            self.line(before + part)
            before = " " * len(before)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; columns whose cells all start with a digit are set to the right.

        On a terminal that is too narrow each row becomes a heading with its fields below.
        """
        right = [
            all(row[i][:1].isdigit() or row[i] == "" for row in rows) for i in range(len(columns))
        ]
        lines = [columns, *rows]
        widths = [max(len(printable(line[i])) for line in lines) for i in range(len(columns))]
        if self._fine_table(columns, rows, right, widths):
            return
        needed = sum(widths) + 2 * (len(widths) - 1)
        if self.width is not None and needed > self.width:
            self._records(columns, rows)
            return
        for line in lines:
            cells = [
                printable(cell).rjust(width) if at_right else printable(cell).ljust(width)
                for cell, width, at_right in zip(line, widths, right, strict=True)
            ]
            self.line("  ".join(cells).rstrip())

    def _records(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        names = max(len(name) for name in columns[1:])
        for first, *rest in rows:
            self.line(first or "-")
            for name, cell in zip(columns[1:], rest, strict=True):
                if cell:
                    self._folded(f"  {name:{names}}  ", cell)

    def _fine_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        right: Sequence[bool],
        widths: Sequence[int],
    ) -> bool:
        """Show the table in a better way, where the output has one; False: it has none."""
        return False
