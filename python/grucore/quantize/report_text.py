# SPDX-License-Identifier: Apache-2.0
"""The figures of a quantization report in lines and tables."""

from __future__ import annotations

from typing import Any

from grucore.text import Page

__all__ = [
    "gate_tables",
    "share",
    "short",
    "show",
    "show_sizes",
    "signals_text",
    "worst_features",
    "worst_rows",
]

WORST = 8

Figures = dict[str, Any]


def short(number: float | None) -> str:
    """Three digits; of a difference that is no number, "not finite"."""
    return "not finite" if number is None else f"{number:.3g}"


def share(part: float | None, whole: float | None) -> str:
    """As a percentage."""
    return f"{part / whole:.2%}" if part is not None and whole else ""


def signals_text(figures: Figures) -> str:
    """The signals that the models ran on."""
    signals = figures["signals"]
    source = {"generated": "generated signals", "given": "the given signals"}[signals["source"]]
    text = f"{signals['compared_frames']:,} frames of {source}"
    if signals["sequences"] > 1:
        text += f" in {signals['sequences']:,} sequences"
    times = signals["compared_frames"] // signals["frames"]
    return text if times == 1 else f"{text}, {signals['frames']:,} frames repeated {times} times"


def _weights(figures: Figures, layer: str, when: str) -> str:
    kinds = (row[when] for row in figures["matrices"] if row["layer"] == layer)
    return " + ".join(dict.fromkeys(kinds))


def _sizes(sizes: Figures) -> list[str]:
    before, after = sizes["before"], sizes["after"]
    return [f"{before:,}", f"{after:,}", f"{after / before:.3f}" if before else ""]


def show_sizes(figures: Figures, page: Page) -> None:
    """A row for each layer that has tensors, and what stayed wider."""
    rows = [
        [
            layer["name"],
            *(_weights(figures, layer["name"], when) for when in ("before", "after")),
            *_sizes(layer["bytes"]),
        ]
        for layer in figures["layers"]
        if layer["bytes"]["before"]
    ]
    rows.append(["all layers", "", "", *_sizes(figures["bytes"]["weights"])])
    rows.append(["the file", "", "", *_sizes(figures["bytes"]["file"])])
    page.table(("layer", "before", "after", "bytes before", "after", "share"), rows)
    wider = (figures["quantization"] or {}).get("wider") or {}
    if wider:
        page.line()
        page.line("wider than asked for")
        page.fields([(f"  {name}", str(why)) for name, why in wider.items()])


def worst_rows(figures: Figures) -> list[tuple[str, str]]:
    """The rows whose weights changed most, of all matrices: names and errors."""
    found = [
        (row["error"], f"{matrix['layer']}.{matrix['weight']}[{row['row']}]", row["gate"])
        for matrix in figures["matrices"]
        for row in matrix["worst_rows"]
        if row["error"]
    ]
    found.sort(key=lambda row: -row[0])
    return [
        (f"{name} ({gate})" if gate else name, f"{error:.2%}")
        for error, name, gate in found[:WORST]
    ]


def worst_features(figures: Figures) -> list[tuple[str, str]]:
    """The features of layers that changed most, by the scale of their layer."""
    found = []
    for layer in figures["layers"]:
        error = layer["error"]
        for feature in error["worst_features"] if error and error["scale"] else ():
            rms = float("inf") if feature["rms"] is None else feature["rms"] / error["scale"]
            found.append((rms, f"{layer['name']}[{feature['feature']}]"))
    found.sort(key=lambda row: -row[0])
    return [(name, f"{rms:.2%}") for rms, name in found[:WORST] if rms]


def show(figures: Figures, page: Page) -> None:
    """All of the report."""
    numerics, entry = figures["numerics"], figures["quantization"] or {}
    page.sentence(figures["verdict"])
    for warning in figures["warnings"]:
        page.sentence(f"Warning: {warning}")
    page.line()
    page.line(f"{signals_text(figures)}, on {figures['isa']}")
    page.line(f"numerics {numerics['before']} before, {numerics['after']} after")
    if "max_error" in entry:
        asked, measured = short(entry["max_error"]), short(entry.get("largest_error"))
        page.line(f"max_error {asked}: {measured} when quantized, on {entry.get('measured_on')}")
    page.line()
    show_sizes(figures, page)
    page.line()
    page.line("difference of each layer's output; drift: RMS in the first and last tenth of time")
    rows = []
    for layer in figures["layers"]:
        error = layer["error"]
        if error is not None:
            drift = [short(window["rms"]) for window in error["drift"]]
            ends = [drift[0], drift[-1]] if drift else ["", ""]
            relative = share(error["rms"], error["scale"])
            rows.append([layer["name"], short(error["max"]), short(error["rms"]), relative, *ends])
    page.table(("layer", "max", "RMS", "RMS / scale", "first", "last"), rows)
    _show_gates(figures, page)
    for title, found in (
        ("rows of weights that changed most, by the size of the row", worst_rows(figures)),
        ("features that changed most, RMS by the layer's scale", worst_features(figures)),
    ):
        if found:
            page.line()
            page.line(title)
            page.fields([(f"  {name}", text) for name, text in found])
    speed = figures["speed"]
    if speed is not None:
        page.line()
        page.line(f"a {speed['before']['what']}, microseconds on {figures['isa']}")
        rows = [
            [when, *(f"{speed[when][key]:.3f}" for key in ("us_min", "us_median"))]
            for when in ("before", "after")
        ]
        page.table(("", "min", "median"), rows)


def gate_tables(figures: Figures, arrow: str) -> list[tuple[list[str], list[list[str]]]]:
    """For each kind of cell a heading, and a row of shares before and after for each layer."""
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    for layer in figures["layers"]:
        if layer["gates"] is not None:
            before, after = layer["gates"]["before"], layer["gates"]["after"]
            shares = [f"{before[key]:.1%} {arrow} {after[key]:.1%}" for key in before]
            tables.setdefault(tuple(before), []).append([layer["name"], *shares])
    return [
        (["layer", *(_gate_title(key, keys) for key in keys)], rows)
        for keys, rows in tables.items()
    ]


def _gate_title(key: str, keys: tuple[str, ...]) -> str:
    gate, _, end = key.partition("_near_")
    if end == "0":
        return f"{gate} < 0.01"
    return f"{gate} > 0.99" if f"{gate}_near_0" in keys else f"|{gate}| > 0.99"


def _show_gates(figures: Figures, page: Page) -> None:
    for place, (heading, rows) in enumerate(gate_tables(figures, "->")):
        page.line()
        if not place:
            page.line("saturated gates, before and after")
        page.table(heading, rows)
