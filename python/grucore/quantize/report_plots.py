# SPDX-License-Identifier: Apache-2.0
"""Plots of a quantization report, in SVG that reads on light and dark paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["drift", "scatter"]

COLORS = ("#2f83cc", "#d8703a", "#4a9e5c", "#a06fd0", "#b8930f", "#d05a8e")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 700, 250, 56, 10, 30, 150
SIDE, EDGE = 280, 44
LINES = len(COLORS)
APART = 14  # pixels between two labels

Figures = dict[str, Any]


def drift(layers: Sequence[Figures], outputs: Sequence[str]) -> str:
    """RMS of each layer over time, by the layer's scale, on a logarithmic axis, labelled directly.

    Layers in `outputs` are always there, and thick; of the others those that differ most.
    """
    lines = []
    for layer in layers:
        error = layer["error"]
        if error and error["scale"] and len(error["drift"]) > 1:
            points = [(window["rms"] or 0.0) / error["scale"] for window in error["drift"]]
            if any(points):
                lines.append((layer["name"], points))
    if not lines:
        return ""
    lines.sort(key=lambda line: (line[0] not in outputs, -max(line[1])))
    left_out = len(lines) - LINES
    lines = lines[:LINES]
    numbers = [point for _, points in lines for point in points if point > 0]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    high = max(high, low + 1)

    def height(number: float) -> float:
        power = math.log10(max(number, 10.0**low))
        return TOP + (HEIGHT - BOTTOM - TOP) * (high - power) / (high - low)

    end = WIDTH - RIGHT
    parts = []
    for power in range(low, high + 1):
        y = height(10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        label = f"{100 * 10.0**power:.10g} %"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">start</text>')
    parts.append(f'<text x="{end}" y="{HEIGHT - 8}" text-anchor="end">end of the signals</text>')
    ends = []
    for (name, points), color in zip(lines, COLORS, strict=False):
        step = (end - LEFT) / len(points)
        path = " ".join(
            f"{LEFT + step * (index + 0.5):.1f},{height(point):.1f}"
            for index, point in enumerate(points)
        )
        wide = 4 if name in outputs else 2
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{wide}"/>'
        )
        ends.append((height(points[-1]), name, color))
    below = -math.inf
    for y, name, color in sorted(ends):
        below = max(y + 4, below + APART)
        short = name if len(name) <= 20 else f"{name[:19]}\N{HORIZONTAL ELLIPSIS}"
        parts.append(
            f'<text x="{end + 4}" y="{below:.1f}" style="fill:{color}">{escape(short)}</text>'
        )
    more = f"<p>{left_out} layers that differ less are not drawn</p>" if left_out > 0 else ""
    return _svg(WIDTH, max(HEIGHT, int(below) + 6), parts) + more


def scatter(name: str, pairs: Sequence[Sequence[float]]) -> str:
    """Numbers before (across) and after (upwards), around the line of equals."""
    if not pairs:
        return ""
    numbers = [number for pair in pairs for number in pair]
    low, high = min(numbers), max(numbers)
    room = 0.04 * (high - low) or 1.0
    low, high = low - room, high + room

    def at(number: float) -> float:
        return (number - low) / (high - low) * SIDE

    top, bottom = TOP, TOP + SIDE
    parts = [
        f'<rect x="{EDGE}" y="{top}" width="{SIDE}" height="{SIDE}" fill="none" class="grid"/>',
        f'<line x1="{EDGE}" y1="{bottom}" x2="{EDGE + SIDE}" y2="{top}" class="grid"/>',
    ]
    parts += [
        f'<circle cx="{EDGE + at(before):.1f}" cy="{bottom - at(after):.1f}" r="2" '
        'class="after" opacity="0.55"/>'
        for before, after in pairs
    ]
    for number, anchor, x in ((low, "start", EDGE), (high, "end", EDGE + SIDE)):
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="{anchor}">{number:.3g}</text>')
        y = bottom - at(number) + (0 if number == low else 10)
        parts.append(f'<text x="{EDGE - 4}" y="{y:.1f}" text-anchor="end">{number:.3g}</text>')
    middle = EDGE + SIDE / 2
    title = f"output {name}, {len(pairs)} of its numbers"
    parts.append(
        f'<text x="{middle}" y="{bottom + 30}" text-anchor="middle">{escape(title)}</text>'
    )
    return _svg(EDGE + SIDE + 4, bottom + 36, parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f'<svg {size} role="img">{"".join(parts)}</svg>'
