# SPDX-License-Identifier: Apache-2.0
"""Blocks of code on pages: where they are, and which lines of a shell a test leaves out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "Block", "blocks", "is_grucore", "left_out", "pages", "stray_commands"]

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(<!-- not run: (.+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Lines of a shell that a test of pages does not run, and who does. The rest is grucore's own.
ELSEWHERE = {
    r"(python3 -m venv|\.venv/bin/pip|pip|apt) ": "makes an environment: .ci/run",
    r"(cd cpp && )?cmake ": "builds C++: .ci/run, cpp/tests/consumers",
    r"\./build\.sh|audio amp\.gru": "a program in C++: ctest",
    r"(KERAS_BACKEND=torch )?python examples/|python (identify|compare|plot|train|generate|score"
    r"|server|load)\.py": "an example: tests/demo",
    r"(taskset -c 1 )?python benchmarks/": "a benchmark: tests/packaging/test_benchmarks.py",
    r"python -m http\.server": "does not end",
}
PROGRAM = re.compile(
    r"^    (\S+=\S+ )*(\.venv/|grucore |python3? |pip |cmake |apt |taskset |node |\./\w+\.sh)"
)


class Block(NamedTuple):
    """A block with the line that it begins in, and why it is not run, if it says so."""

    line: int
    language: str
    text: str
    reason: str


def pages() -> list[str]:
    """Every page of the repository, from its root."""
    folders = ("*.md", "docs/*.md", "benchmarks/*.md", "examples/*/*.md", "cpp/examples/*/*.md")
    found = [path for folder in folders for path in ROOT.glob(folder)]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in their order; one without a language is no code."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start(3)) + 1, found[3], found[4], found[2] or "")
        for found in BLOCK.finditer(text)
        if found[3]
    ]


def is_grucore(line: str) -> bool:
    """True for a line that runs the command of this package, perhaps in a pipe."""
    return any(part.split()[:1] == ["grucore"] for part in re.split(r"\||&&", line))


def left_out(line: str) -> str | None:
    """Who runs a line of a shell that the test of pages does not; None if nobody says."""
    return next((who for start, who in ELSEWHERE.items() if re.match(start, line)), None)


def stray_commands(page: str) -> list[str]:
    """Commands in indented blocks, which nothing runs: they belong into fenced ones."""
    text = BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [line.strip() for line in text.splitlines() if PROGRAM.match(line)]
