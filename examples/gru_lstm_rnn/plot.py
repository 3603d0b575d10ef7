# SPDX-License-Identifier: Apache-2.0
"""Draws figures.json: how three cells learn, and what they cost."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parent
COLORS = {"GRU": "#2f6fd0", "LSTM": "#d0582f", "RNN": "#2f9a6a"}
INK = "#7d8590"  # readable on light and on dark pages


def axes(title: str, below: str) -> tuple[Any, Any]:
    """A picture of one plot, with a sentence for a title, that is clear on any page."""
    matplotlib.rcParams.update(
        {"svg.hashsalt": "grucore", "svg.fonttype": "none", "font.size": 11, "text.color": INK}
    )
    figure, found = plt.subplots(figsize=(7, 3.6), layout="constrained")
    figure.patch.set_alpha(0)
    found.patch.set_alpha(0)
    found.set_title(title, loc="left", color=INK)
    found.set_xlabel(below, color=INK)
    found.tick_params(colors=INK)
    for side, spine in found.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    return figure, found


def curves(report: dict[str, Any], chosen: list[str], title: str, path: Path) -> None:
    """Accuracy on held-out names while training; a thin line a seed, their mean thick."""
    figure, found = axes(title, "batches of 64 texts")
    ends: list[tuple[float, str]] = []
    for name in chosen:
        color = COLORS[name.split()[0]]
        runs = report["cells"][name]["curves"]
        steps = [point["step"] for point in runs[0]]
        for run in runs:
            found.plot(steps, [point["right"] for point in run], color=color, lw=0.7, alpha=0.6)
        rights = [[point["right"] for point in run] for run in runs]
        mean = [statistics.mean(values) for values in zip(*rights, strict=True)]
        found.plot(steps, mean, color=color, lw=2.2)
        ends.append((mean[-1], name))
    place = -1.0
    for height, name in sorted(ends):  # labels at the ends, none over another
        place = max(height, place + 0.055)
        found.annotate(
            f" {name} units",
            (report["steps"], height),
            (report["steps"] * 1.01, place),
            color=COLORS[name.split()[0]],
            va="center",
            annotation_clip=False,
        )
    found.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0))
    found.set_ylim(0, 1)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def costs(report: dict[str, Any], path: Path) -> None:
    """Error of each network against the time of a step."""
    figure, found = axes("Share of texts named wrongly, by microseconds a letter", "microseconds")
    for name, cell in report["cells"].items():
        color = COLORS[name.split()[0]]
        points = [
            (cell[kind]["us a letter"], 1 - cell[kind]["right"]) for kind in ("float32", "int8")
        ]
        found.plot(*zip(*points, strict=True), color=color, lw=1, alpha=0.6)
        for (x, y), mark in zip(points, "os", strict=True):
            found.plot(x, y, mark, color=color)
        found.annotate(
            f" {name}",
            points[0],
            color=color,
            ha="center",
            xytext=(0, 9),
            textcoords="offset points",
        )
    found.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0))
    found.set_xlim(0)
    found.set_ylim(0)
    found.text(0.99, 0.02, "circles float32, squares int8", ha="right", transform=found.transAxes)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    """Write three pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="?", type=Path, default=FOLDER / "figures.json")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, help="folder (here)")
    arguments = parser.parse_args()
    report = json.loads(arguments.figures.read_text("utf-8"))
    cells = list(report["cells"])
    equal = [name for name in cells if name.endswith(" 48")]
    alike = ["GRU 48", *(name for name in cells if not name.endswith(" 48"))]
    curves(
        report, equal, "Equal hidden sizes: texts named right", arguments.output / "equal_sizes.svg"
    )
    curves(
        report,
        alike,
        "Equal parameters: texts named right",
        arguments.output / "equal_parameters.svg",
    )
    costs(report, arguments.output / "costs.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
