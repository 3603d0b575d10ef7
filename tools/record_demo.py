# SPDX-License-Identifier: Apache-2.0
"""Records `grucore demo --realtime` in a terminal as an animated SVG: docs/plots/demo.svg.

    pip install pyte
    python tools/record_demo.py

The picture follows the reader's choice of light or dark, and loops.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[1]
COLUMNS, ROWS = 80, 22
RATE = 10  # pictures a second
CELL, LINE, MARGIN = 8.4, 18, 14  # pixels
HOLD = 4.0  # seconds that the end stays

STYLE = """
svg { background: #f7f8fa; border-radius: 8px }
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1c2733;
  white-space: pre; visibility: hidden }
@media (prefers-color-scheme: dark) { svg { background: #161b22 } text { fill: #e6edf3 } }
"""


@dataclass
class Shown:
    """A text in a row, and from when to when it stands there."""

    row: int
    text: str
    begin: float
    end: float = 0.0


def screens(command: list[str], seconds: float) -> list[tuple[float, list[str]]]:
    """Pictures of the terminal with their times, from the first output to the end."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    process, terminal = pty.fork()
    if process == 0:
        os.environ["COLUMNS"] = str(COLUMNS)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    found: list[tuple[float, list[str]]] = []
    began = drawn = 0.0
    while True:
        ready, _, _ = select.select([terminal], [], [], 1 / RATE)
        now = time.monotonic()
        if ready:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the other side has gone
                data = b""
            if not data:
                break
            stream.feed(data)
            if not began and not screen.display[0].startswith("converting"):
                began = now  # progress of a busy machine is no part of the show
        if began and now - drawn >= 1 / RATE and now - began < seconds:
            drawn = now
            found.append((now - began, [line.rstrip() for line in screen.display]))
    os.waitpid(process, 0)
    at = found[-1][0] + 1 / RATE
    return [*found, (at, [line.rstrip() for line in screen.display])]


def intervals(found: list[tuple[float, list[str]]]) -> tuple[list[Shown], float]:
    """The texts of all rows with their times, and the length of all."""
    end = found[-1][0] + HOLD
    standing: dict[int, Shown] = {}
    done: list[Shown] = []
    for at, lines in found:
        for row, text in enumerate(lines):
            before = standing.get(row)
            if before is not None and before.text == text:
                continue
            if before is not None:
                before.end = at
                done.append(before)
            standing[row] = Shown(row, text, at)
    for last in standing.values():
        last.end = end
        done.append(last)
    return [one for one in done if one.text], end


def svg(shown: list[Shown], length: float) -> str:
    """The picture."""
    width, height = 2 * MARGIN + CELL * COLUMNS, 2 * MARGIN + LINE * ROWS
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" role="img">',
        "<title>grucore demo in a terminal: words are recognised as they are spoken</title>",
        f"<style>{STYLE}</style>",
        # The clock that all texts follow; an invisible thing has to carry it.
        '<rect width="0" height="0"><animate id="loop" attributeName="x" from="0" to="0" '
        f'begin="0s;loop.end" dur="{length:.1f}s"/></rect>',
    ]
    for one in shown:
        y = MARGIN + LINE * one.row + LINE * 0.75
        begin, duration = one.begin, one.end - one.begin
        lines.append(
            f'<text x="{MARGIN}" y="{y:.1f}" xml:space="preserve">{escape(one.text)}'
            f'<set attributeName="visibility" to="visible" begin="loop.begin+{begin:.1f}s" '
            f'dur="{duration:.1f}s"/></text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> int:
    """Run the demo and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("-o", "--output", type=Path, default=ROOT / "docs" / "plots" / "demo.svg")
    add("--seconds", type=float, default=12.0, help="of the beginning (%(default)s)")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "grucore", "demo", "--realtime"]
    shown, length = intervals(screens(command, arguments.seconds))
    arguments.output.write_text(svg(shown, length), "utf-8")
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes, {length:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
