# SPDX-License-Identifier: Apache-2.0
"""The look of the pictures here: SVG of 700 pixels that reads on white and on dark paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

__all__ = ["INK", "OTHERS", "OURS", "PEER", "SETTINGS", "WIDTH", "labels", "plt", "save"]

# Words and colours between black and white: an SVG has no paper of its own.
INK, RULES, OTHERS, PEER = "#6b7885", "#9aa5af55", "#9aa5af", "#c2607f"
OURS = {
    "grucore float32": "#2f83cc",
    "grucore float16": "#3f9a70",
    "grucore int8/16": "#9a62c7",
    "grucore int8/8": "#d8703a",
    "grucore int4": "#b8930f",
}
WIDTH = 7.0  # inches
SETTINGS = {
    "svg.hashsalt": "grucore",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULES,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def labels(axes: Any, ends: list[tuple[float, str, str]], *, right: bool = False) -> None:
    """Names at the ends of lines, clear of each other, on a scale of logarithms."""
    low, high = axes.get_ylim()
    apart = (high / low) ** (1 / 20)
    at = 0.0
    for y, text, colour in sorted(ends):
        at = max(y, at * apart)
        axes.annotate(
            text,
            (1.01 if right else -0.01, at),
            xycoords=("axes fraction", "data"),
            color=colour,
            ha="left" if right else "right",
            va="center",
            annotation_clip=False,
        )


def save(figure: Any, folder: Path, name: str) -> None:
    """Write and close."""
    path = folder / f"{name}.svg"
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)
    print(path)
