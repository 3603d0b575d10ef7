# SPDX-License-Identifier: Apache-2.0
"""The files that scripts wrote, and how figures are written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "bold", "figure", "fraction", "kilobytes", "markdown", "result", "written"]

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from common.markdown import figure  # noqa: E402

FRACTIONS = {"half": 1 / 2, "a third": 1 / 3, "a quarter": 1 / 4, "a fifth": 1 / 5}
FRACTIONS |= {"a sixth": 1 / 6, "a seventh": 1 / 7, "an eighth": 1 / 8}


@cache
def written(path: str) -> Any:
    """A file of JSON, from the root of the repository."""
    return json.loads((ROOT / path).read_text("utf-8"))


def result(name: str) -> Any:
    """The figures that a script of benchmarks/ wrote."""
    return written(f"benchmarks/results/{name}.json")


def fraction(share: float) -> str:
    """The fraction in words that is within 7 % of a share; else the share itself."""
    near = {word: abs(share / value - 1) for word, value in FRACTIONS.items()}
    word = min(near, key=lambda one: near[one])
    return word if near[word] < 0.07 else f"{share:.2f}"


def kilobytes(count: float) -> str:
    """In thousands of bytes, three digits at most."""
    return f"{count / 1000:.3g} kB"


def markdown(rows: Iterable[Sequence[str]], right: int | None = None) -> str:
    """A table; columns from `right` on stand at the right."""
    header, *body = rows
    first = len(header) if right is None else right
    rule = ["---" if i < first else "---:" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))


def bold(text: str) -> str:
    """In bold."""
    return f"**{text}**"
