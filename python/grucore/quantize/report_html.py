# SPDX-License-Identifier: Apache-2.0
"""A quantization report as one page of HTML, with plots in SVG: nothing else is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from grucore.quantize.report_plots import drift, scatter
from grucore.quantize.report_text import (
    gate_tables,
    share,
    short,
    signals_text,
    worst_features,
    worst_rows,
)

__all__ = ["page"]

BAR, ROW = 160, 18

STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--soft:#5b6875;--paper:#fff;--line:#d5dce2;
--tile:#eef2f5;--warn:#fdf0dc;--edge:#c77700}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#a3afba;--paper:#14191f;
--line:#36414b;--tile:#1f272f;--warn:#3a2c14;--edge:#e39b2d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin:2rem 0 .4rem}
p{color:var(--soft);margin:.2rem 0 .6rem}.verdict{color:var(--ink);font-size:1.15rem;
margin:.8rem 0}.warn{color:var(--ink);background:var(--warn);border-left:4px solid var(--edge);
padding:.4rem .8rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;border-bottom:1px solid var(--soft)}
th,td{padding:.15rem 1.2rem .15rem 0;white-space:nowrap}.n{text-align:right}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem}.tile{background:var(--tile);border-radius:6px;
padding:.5rem .9rem}.tile b{display:block;font-size:1.3rem}.plots{display:flex;flex-wrap:wrap;
gap:1rem 2rem}svg{max-width:100%;height:auto}td svg{max-width:none}
text{font:12px system-ui,sans-serif;fill:var(--soft)}.wide{overflow-x:auto}
.grid{stroke:var(--line)}.before{fill:var(--soft);opacity:.6}.after{fill:#2f83cc}
"""

Figures = dict[str, Any]


def page(figures: Figures) -> str:
    """The whole page."""
    kind = (figures["quantization"] or {}).get("kind", "quantized")
    made = figures["made"]
    of = f"{figures['name']}, " if figures["name"] else ""
    sections = [
        f"<h1>Quantization report: {escape(str(kind))}</h1>",
        f"<p>{escape(of)}grucore {escape(made['grucore'])}, {escape(made['date'])}</p>",
        f"<p class=verdict>{escape(figures['verdict'])}</p>",
        *(f"<p class=warn>{escape(text)}</p>" for text in figures["warnings"]),
        f"<p>{escape(signals_text(figures))}, on {escape(figures['isa'])}; numerics "
        f"{figures['numerics']['before']} before, {figures['numerics']['after']} after.</p>",
        _tiles(figures),
        *_plots(figures),
        *_layers(figures),
        *_gates(figures),
        *_worst(figures),
        *_wider(figures),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Quantization report{': ' + escape(of[:-2]) if of else ''}</title>"
        f"<style>{STYLE}</style>"
    )
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
    for name, found in figures["decisions"].items():
        if found["accuracy"] is not None:
            both = found["accuracy"]
            text = f"before {both['before']:.2%}, {both['labels']:,} labels"
            tiles.append(("accuracy", f"{both['after']:.2%}", text))
        if found["agreement"] is not None:
            text = f"of {found['decisions']:,} decisions"
            tiles.append((f"output {name}, alike", f"{found['agreement']:.2%}", text))
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


def _plots(figures: Figures) -> list[str]:
    """Outputs before and after, and each layer's difference over time."""
    found = [scatter(name, each["pairs"]) for name, each in figures["decisions"].items()]
    drifts = drift(figures["layers"], figures["output_layers"])
    parts = []
    if any(found):
        parts.append(
            "<h2>Outputs</h2><p>Numbers of float32 across, of smaller weights upwards: on "
            f"the line they are equal</p><div class=plots>{''.join(found)}</div>"
        )
    if drifts:
        parts.append(
            f"<h2>Drift</h2><p>RMS difference by the RMS of what a layer writes, over time; "
            f"outputs are drawn thick</p>{drifts}"
        )
    return parts


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
    worst = max(map(_relative, (layer["error"] for layer in figures["layers"])), default=0.0)
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
            f'class="{when}"/>'
            for when, y in (("before", 1), ("after", 9))
        )
        size = [f"{sizes['before']:,}", f"{sizes['after']:,}"] if sizes["before"] else ["", ""]
        svg = (
            f'<svg width="{BAR}" height="{ROW}" role="img">{bars}</svg>' if sizes["before"] else ""
        )
        name = escape(layer["name"])
        kinds = [layer["kind"], " + ".join(dict.fromkeys(kinds))]
        rows.append([name, *kinds, svg, *size, *numbers, _error_bar(error, worst)])
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
        _table((*titles, "of RMS", ""), rows, 4),
    ]


def _relative(error: Figures | None) -> float:
    return error["rms"] / error["scale"] if error and error["rms"] and error["scale"] else 0.0


def _error_bar(error: Figures | None, worst: float) -> str:
    """A bar as long as the layer's relative difference is of the largest one."""
    length = BAR / 2 * _relative(error) / worst if worst else 0
    bar = f'<rect y="5" width="{length:.1f}" height="7" class="after"/>'
    return f'<svg width="{BAR // 2}" height="{ROW}" role="img">{bar}</svg>' if length else ""


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
