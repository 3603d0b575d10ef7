# SPDX-License-Identifier: Apache-2.0
"""Lines, fields and tables in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

__all__ = ["Page", "printable"]


def printable(text: str) -> str:
    """The text with control characters spelled out: what a file says must not steer a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


class Page:
    """A text that grows line by line."""

    def __init__(self, output: TextIO) -> None:
        self.output = output

    def line(self, text: str = "") -> None:
        """One line; what the terminal cannot show is spelled out."""
        encoding = getattr(self.output, "encoding", None) or "utf-8"
        text = printable(text).encode(encoding, "backslashreplace").decode(encoding)
        self.output.write(text + "\n")

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and what they are, side by side."""
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            self.line(f"{name:{width}}  {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; columns whose cells all start with a digit are set to the right."""
        right = [
            all(row[i][:1].isdigit() or row[i] == "" for row in rows) for i in range(len(columns))
        ]
        lines = [columns, *rows]
        widths = [max(len(printable(line[i])) for line in lines) for i in range(len(columns))]
        if self._fine_table(columns, rows, right, widths):
            return
        for line in lines:
            cells = [
                printable(cell).rjust(width) if at_right else printable(cell).ljust(width)
                for cell, width, at_right in zip(line, widths, right, strict=True)
            ]
            self.line("  ".join(cells).rstrip())

    def _fine_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        right: Sequence[bool],
        widths: Sequence[int],
    ) -> bool:
        """Show the table in a better way, where the output has one; False: it has none."""
        return False
