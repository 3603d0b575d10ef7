# SPDX-License-Identifier: Apache-2.0
"""Figures and tables as text."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["as_markdown", "as_text", "figure"]


def figure(value: float) -> str:
    """Three digits, never in exponents."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 100 else f"{value:#.3g}"


def as_text(rows: list[list[str]]) -> Iterator[str]:
    """Lines for a terminal: the first column at the left, figures at the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([first, *rest])


def as_markdown(rows: list[list[str]]) -> Iterator[str]:
    """Lines of a table, the first row its header."""
    header, *body = rows
    for row in (header, ["---"] * len(header), *body):
        yield "| " + " | ".join(row) + " |"
