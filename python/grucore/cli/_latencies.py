# SPDX-License-Identifier: Apache-2.0
"""How long single steps took, as a picture: the share that took longer; needs matplotlib."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

__all__ = ["picture"]

INK, RULES = "#1c2733", "#d9dee3"
COLORS = ("#0b4f9e", "#c2410c", "#2f8f6b", "#8a4fb3", "#b8860b", "#5b6875", "#0e7490", "#9f1239")
UNDATED = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}  # what changes by itself
DPI = 120


def picture(report: dict[str, Any], path: str) -> bytes:
    """The bytes of a .png, .svg or .pdf file.

    Raises ValueError where matplotlib is missing or the model makes no steps.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError('--plot needs matplotlib: pip install "grucore[plot]"') from None
    if report["step"] is None:
        layer = report["unstreamable_layer"]
        raise ValueError(f"--plot draws single steps: layer {layer!r} reads the future")
    steps = {"grucore": report["step"]}
    if "compared" in report:
        steps = {f"{one['name']}, {one['weights']}": one["step"] for one in report["compared"]}
    # The defaults, whatever the user's own settings are: the same picture everywhere.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "grucore"
        return _draw(steps, Path(report["file"]).name, Path(path).suffix)


def _draw(steps: dict[str, Any], title: str, suffix: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for index, (name, step) in enumerate(steps.items()):
        color = COLORS[index % len(COLORS)]
        total, longer = step["steps"], step["steps"]
        x, y = [step["latency_us"]["min"]], [1.0]
        for bucket in step["histogram"][:-1]:
            longer -= bucket["steps"]
            x.append(bucket["up_to_us"])
            y.append(max(longer, 1) / total)
        x.append(step["latency_us"]["max"])
        y.append(1.0 / total)
        axes.plot(x, y, color=color, linewidth=1.6, label=name)
        axes.plot(x[-1], y[-1], "o", color=color, markersize=4)
    axes.set(
        xscale="log", yscale="log", xlabel="microseconds", ylabel="share of steps that took longer"
    )
    axes.grid(color=RULES, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{title}: single steps, the dot is the longest", loc="left", fontsize=10, color=INK
    )
    axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=DPI, metadata={UNDATED[suffix]: None})
    return buffer.getvalue()
