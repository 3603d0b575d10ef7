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

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

INK, RULES, OURS, LOOPS = "#222222", "#dddddd", "#0b4f9e", "#9a9a9a"
SETTINGS = {
    "font.size": 8.5,
    "axes.edgecolor": RULES,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
}
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
    colors = [OURS if ours else LOOPS for _, _, ours in bars]
    axes.barh(places, [value for _, value, _ in bars], color=colors, height=0.68)
    axes.set_yticks(places, [label for label, _, _ in bars])
    axes.invert_yaxis()
    if logarithmic:
        axes.set_xscale("log")
    axes.set_title(title, loc="left", fontsize=9)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    for place, (_, value, _) in zip(places, bars, strict=True):
        text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        axes.annotate(text, (value, place), (3, 0), textcoords="offset points", va="center")


def main() -> int:
    """Draw both and write one picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("results", metavar="FILE", help="what run.py --out wrote")
    parser.add_argument("--folder", default="docs/plots", help="where the picture goes")
    arguments = parser.parse_args()
    rows = json.loads(Path(arguments.results).read_text())
    with plt.rc_context(SETTINGS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
        draw(left, spotter(rows), "Cortex-M4F: thousand instructions a frame")
        draw(
            right,
            processors(rows),
            "Instructions for a multiply-add (scale: logarithmic)",
            logarithmic=True,
        )
        for axes in (left, right):
            axes.margins(x=0.12)
        path = Path(arguments.folder) / "embedded.png"
        figure.savefig(path, dpi=120)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
