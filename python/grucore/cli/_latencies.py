# SPDX-License-Identifier: Apache-2.0
"""How long single steps took, as a picture: the share that took longer; needs matplotlib."""

from __future__ import annotations

import io
import platform
from pathlib import Path
from typing import Any

__all__ = ["picture"]

# Words and colours that read on white and on dark paper: an SVG has no paper of its own.
INK, RULES = "#6b7885", "#9aa5af55"
COLORS = ("#2f83cc", "#d8703a", "#4a9e5c", "#a06fd0", "#b8930f", "#7d8b98", "#2a97ad", "#d05a8e")
MARKED = {"p50": "o", "p99": "s"}
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
        title = f"{Path(report['file']).name}: share of single steps that took longer"
        where = f"{platform.machine()}, {report['isa']}, numerics {report['numerics']}"
        return _draw(steps, title, where, Path(path).suffix)


def _draw(steps: dict[str, Any], title: str, where: str, suffix: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ends = []
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
        axes.step(x, y, where="post", color=color, linewidth=1.6)
        axes.plot(x[-1], y[-1], "|", color=color, markersize=9)
        for key, mark in MARKED.items():
            at, share = step["latency_us"][key], 1 - int(key[1:]) / 100
            axes.plot(at, share, mark, color=color, markersize=6)
        figures = [*(step["latency_us"][key] for key in MARKED), x[-1]]
        words = ", ".join(f"{us:.3g}" if us < 1000 else f"{us:,.0f}" for us in figures)
        ends.append((y[-1], f"{name}\n{words}", color))
    axes.set(xscale="log", yscale="log", xlabel="microseconds")
    axes.set_title(f"{title}\n", loc="left", fontsize=11, color=INK)
    axes.text(0, 1.02, where, transform=axes.transAxes, fontsize=8.5, color=INK)
    axes.xaxis.set_major_formatter("{x:g}")
    shares = [10.0**-power for power in range(9) if 10.0**-power >= axes.get_ylim()[0]]
    axes.set_yticks(shares, [f"{100 * share:.6g} %" for share in shares])
    axes.minorticks_off()
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.grid(color=RULES, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    _label(axes, ends)
    style: dict[str, Any] = {"ls": "", "color": INK, "markersize": 6}
    for text, mark in (("p50", "o"), ("p99", "s"), ("longest", "|")):
        axes.plot([], [], mark, label=text, **style)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper right", ncols=3)
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format=suffix[1:],
        dpi=DPI,
        transparent=suffix == ".svg",
        metadata={UNDATED[suffix]: None},
    )
    return buffer.getvalue()


def _label(axes: Any, ends: list[tuple[float, str, str]]) -> None:
    """Names and figures at the right ends of the curves, in their colours, clear of each other."""
    low, high = axes.get_ylim()
    step = (high / low) ** 0.12
    below = 0.0
    for y, text, color in sorted(ends):
        below = max(y, below * step)
        axes.annotate(
            text,
            (1.01, below),
            xycoords=("axes fraction", "data"),
            color=color,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )
