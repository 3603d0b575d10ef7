# SPDX-License-Identifier: Apache-2.0
"""The results of run.py as a picture: instructions for a multiply-add, beside hand-written loops.

python benchmarks/mcu/plots.py mcu.json --folder docs/plots
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.drawing import INK, OTHERS, SETTINGS, WIDTH, plt, save

OURS = "#2f83cc"
Bar = tuple[str, float, bool]


def spotter(rows: list[dict[str, Any]]) -> list[Bar]:
    """The keyword spotter on a Cortex-M4F: label, instructions, whether it is exported code."""
    bars = []
    for one in rows:
        if one["workload"] == "keywords" and one["cpu"] == "cortex-m4":
            ours = one["what"] == "export"
            label = f"export, {one['weights']}" if ours else one["what"]
            bars.append((label, one["instructions"] / 1000, ours))
    return sorted(bars, key=lambda bar: bar[1])


def processors(rows: list[dict[str, Any]]) -> list[Bar]:
    """The same network in int8 with 8-bit activations, and in float32, on every processor."""
    bars = [
        (f"{one['cpu']}, {one['weights']}", one["instructions_per_multiply_add"], True)
        for one in rows
        if one["workload"] == "keywords"
        and one["what"] == "export"
        and one["weights"] in ("float32", "int8/8")
    ]
    return sorted(bars, key=lambda bar: bar[1])


def draw(axes: Any, bars: list[Bar], title: str, *, logarithmic: bool = False) -> None:
    """Horizontal bars, each with its number."""
    places = range(len(bars))
    colors = [OURS if ours else OTHERS for _, _, ours in bars]
    axes.barh(places, [value for _, value, _ in bars], color=colors, height=0.68)
    axes.set_yticks(places, [label for label, _, _ in bars])
    axes.invert_yaxis()
    if logarithmic:
        axes.set_xscale("log")
    axes.set_title(title)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    for place, (_, value, _) in zip(places, bars, strict=True):
        text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        axes.annotate(
            text, (value, place), (3, 0), textcoords="offset points", va="center", color=INK
        )


def main() -> int:
    """Draw both and write one picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("results", metavar="FILE", help="what run.py --out wrote")
    parser.add_argument("--folder", default="docs/plots", help="where the picture goes")
    arguments = parser.parse_args()
    rows = json.loads(Path(arguments.results).read_text())
    with plt.rc_context(SETTINGS):
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(WIDTH, 6.4), layout="constrained", height_ratios=(11, 14)
        )
        draw(
            above,
            spotter(rows),
            "The demo's network on a Cortex-M4F: thousand instructions a frame",
        )
        title = "Instructions for a multiply-add, on a scale of logarithms"
        draw(below, processors(rows), title, logarithmic=True)
        for axes in (above, below):
            axes.margins(x=0.12)
        save(figure, Path(arguments.folder), "embedded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
