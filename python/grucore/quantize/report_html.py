# SPDX-License-Identifier: Apache-2.0
"""A quantization report as one page of HTML, with plots in SVG: nothing else is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from grucore.quantize.report_text import (
    gate_tables,
    share,
    short,
    signals_text,
    worst_features,
    worst_rows,
)

__all__ = ["page"]

COLORS = ("#1f6fb2", "#d1622b", "#3f8f4f", "#8c5bb0", "#b8930f", "#c2477f", "#4a9aa5", "#77706a")
BEFORE, AFTER = "#b9c3cc", COLORS[0]
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 240, 64, 34
BAR, ROW = 160, 18

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;background:#fff;max-width:60rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .4rem}p{color:#5b6875;margin:.2rem 0 .6rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;border-bottom:1px solid #9aa5af}
th,td{padding:.15rem 1.2rem .15rem 0;white-space:nowrap}.n{text-align:right}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem}.tile{background:#eef2f5;border-radius:6px;
padding:.5rem .9rem}.tile b{display:block;font-size:1.3rem}svg{max-width:100%;height:auto}
td svg{max-width:none}
text{font:12px system-ui,sans-serif;fill:#5b6875}.wide{overflow-x:auto}
"""

Figures = dict[str, Any]


def page(figures: Figures) -> str:
    """The whole page."""
    kind = (figures["quantization"] or {}).get("kind", "quantized")
    sections = [
        f"<h1>Quantization report: {escape(str(kind))}</h1>",
        f"<p>{escape(signals_text(figures))}, on {escape(figures['isa'])}; numerics "
        f"{figures['numerics']['before']} before, {figures['numerics']['after']} after.</p>",
        _tiles(figures),
        *_drift(figures),
        *_layers(figures),
        *_gates(figures),
        *_worst(figures),
        *_wider(figures),
    ]
    head = f'<meta charset="utf-8"><title>Quantization report</title><style>{STYLE}</style>'
    return (
        f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(sections)}</body></html>\n"
    )


def _tiles(figures: Figures) -> str:
    sizes, speed = figures["bytes"]["weights"], figures["speed"]
    tiles = [
        (
            "weights",
            f"{sizes['after']:,} bytes",
            f"{share(sizes['after'], sizes['before'])} of before",
        )
    ]
    for name, error in figures["outputs"].items():
        of_scale = f", {share(error['rms'], error['scale'])} of its RMS" if error["scale"] else ""
        tiles.append(
            (f"output {name}", f"{short(error['rms'])} RMS", f"max {short(error['max'])}{of_scale}")
        )
    if speed is not None:
        before, after = speed["before"], speed["after"]
        tiles.append(
            (
                f"a {after['what']}",
                f"{after['us_min']:.3f} \N{MICRO SIGN}s",
                f"before {before['us_min']:.3f}; medians {after['us_median']:.3f}, "
                f"before {before['us_median']:.3f}",
            )
        )
    cells = (
        f"<div class=tile>{escape(title)}<b>{escape(value)}</b>{escape(more)}</div>"
        for title, value, more in tiles
    )
    return f"<div class=tiles>{''.join(cells)}</div>"


def _drift(figures: Figures) -> list[str]:
    """RMS of each layer over time, by the layer's scale, on a logarithmic axis."""
    lines = []
    for layer in figures["layers"]:
        error = layer["error"]
        if error and error["scale"] and len(error["drift"]) > 1:
            points = [(window["rms"] or 0.0) / error["scale"] for window in error["drift"]]
            if any(points):
                lines.append((layer["name"], points))
    if not lines:
        return []
    lines.sort(key=lambda line: -max(line[1]))
    numbers = [point for _, points in lines for point in points if point > 0]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    high = max(high, low + 1)

    def at(index: int, count: int, number: float) -> str:
        power = math.log10(max(number, 10.0**low))
        x = LEFT + (WIDTH - LEFT) * (index + 0.5) / count
        return f"{x:.1f},{10 + (HEIGHT - BOTTOM - 10) * (high - power) / (high - low):.1f}"

    parts = []
    for power in range(low, high + 1):
        y = 10 + (HEIGHT - BOTTOM - 10) * (high - power) / (high - low)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dde3e8"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:.0e}</text>'
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}">start</text>')
    parts.append(f'<text x="{WIDTH}" y="{HEIGHT - 10}" text-anchor="end">end of the signals</text>')
    legend = []
    for (name, points), color in zip(lines, COLORS, strict=False):
        path = " ".join(at(index, len(points), point) for index, point in enumerate(points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        legend.append(f'<span style="color:{color}">\N{BLACK SQUARE}</span> {escape(name)}')
    more = f", the {len(COLORS)} worst of {len(lines)} layers" if len(lines) > len(COLORS) else ""
    return [
        f"<h2>Drift</h2><p>RMS difference by the RMS of the layer's output, over time{more}</p>",
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{"".join(parts)}</svg>',
        f"<p>{'&ensp;'.join(legend)}</p>",
    ]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Cells are HTML; the first columns are text, the others numbers."""
    classes = ["" if i < texts else " class=n" for i in range(len(titles))]
    head = "".join(f"<th{kind}>{title}</th>" for title, kind in zip(titles, classes, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, classes, strict=True))
        for row in rows
    )
    return f"<div class=wide><table><tr>{head}{body}</table></div>"


def _layers(figures: Figures) -> list[str]:
    rows = []
    largest = max((layer["bytes"]["before"] for layer in figures["layers"]), default=0) or 1
    for layer in figures["layers"]:
        kinds = [row["after"] for row in figures["matrices"] if row["layer"] == layer["name"]]
        error, sizes = layer["error"], layer["bytes"]
        numbers = (
            [short(error["max"]), short(error["rms"]), share(error["rms"], error["scale"])]
            if error
            else [""] * 3
        )
        bars = "".join(
            f'<rect y="{y}" width="{max(BAR * sizes[when] / largest, 1):.1f}" height="7" '
            f'fill="{color}"/>'
            for when, y, color in (("before", 1, BEFORE), ("after", 9, AFTER))
        )
        size = [f"{sizes['before']:,}", f"{sizes['after']:,}"] if sizes["before"] else ["", ""]
        svg = (
            f'<svg width="{BAR}" height="{ROW}" role="img">{bars}</svg>' if sizes["before"] else ""
        )
        name = escape(layer["name"])
        rows.append([name, layer["kind"], " + ".join(dict.fromkeys(kinds)), svg, *size, *numbers])
    titles = (
        "layer",
        "kind",
        "weights",
        "bytes, before and after",
        "before",
        "after",
        "max",
        "RMS",
    )
    return [
        "<h2>Layers</h2><p>Sizes, and the difference of each layer's output</p>",
        _table((*titles, "of RMS"), rows, 4),
    ]


def _gates(figures: Figures) -> list[str]:
    tables = [
        _table(tuple(map(escape, heading)), [[escape(name), *shares] for name, *shares in rows])
        for heading, rows in gate_tables(figures, "\N{RIGHTWARDS ARROW}")
    ]
    text = "<h2>Saturated gates</h2><p>Shares of all gates and frames, before and after</p>"
    return [text, *tables] if tables else []


def _worst(figures: Figures) -> list[str]:
    found = []
    for title, rows in (
        ("Rows of weights that changed most, by the size of the row", worst_rows(figures)),
        ("Features that changed most, RMS by the layer's scale", worst_features(figures)),
    ):
        if rows:
            cells = [[escape(name), text] for name, text in rows]
            found.append(f"<h2>{title}</h2>{_table(('', 'change'), cells)}")
    return found


def _wider(figures: Figures) -> list[str]:
    wider = (figures["quantization"] or {}).get("wider") or {}
    rows = [[escape(name), escape(str(why))] for name, why in wider.items()]
    return [f"<h2>Wider than asked for</h2>{_table(('weights', 'why'), rows, 2)}"] if rows else []
