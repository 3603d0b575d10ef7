# SPDX-License-Identifier: Apache-2.0
"""The results of compare.py as pictures: time over size, times the limit, error over time."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

INK, RULES, QUIET = "#222222", "#dddddd", "#9a9a9a"
OURS = {
    "grucore float32": "#0b4f9e",
    "grucore float16": "#2f8f6b",
    "grucore int8/16": "#8a4fb3",
    "grucore int8/8": "#c2410c",
    "grucore int4": "#b8860b",
}
MARKS = "osD^vPX*<>dph"
SETTINGS = {
    "font.size": 8.5,
    "axes.edgecolor": RULES,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULES,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def streaming(report: dict[str, Any]) -> dict[str, Any]:
    """The workloads that are stepped."""
    return {name: one for name, one in report["workloads"].items() if name[0] == "S"}


def series(workloads: dict[str, Any], title: str) -> tuple[list[int], list[float]]:
    """Multiply-adds and microseconds of a contender."""
    found = [
        (one["multiply_adds"], one["contenders"][title]["us_min"])
        for one in workloads.values()
        if title in one["contenders"]
    ]
    return [x for x, _ in found], [y for _, y in found]


def label_starts(axes: Any, starts: list[tuple[float, str, str]]) -> None:
    """Names at the left ends of lines, where these lie apart; the scale moves to the right."""
    axes.yaxis.tick_right()
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    low, high = axes.get_ylim()
    least = (high / low) ** (1 / 26)
    at = 0.0
    for y, text, colour in sorted(starts):
        at = max(y, at * least)
        axes.annotate(
            text,
            (-0.005, at),
            xycoords=("axes fraction", "data"),
            color=colour,
            ha="right",
            va="center",
            fontsize=7.5,
            annotation_clip=False,
        )


def time_over_size(report: dict[str, Any], kind: str) -> Any:
    """A step's time with weights of a kind: grucore, the peers, the limit."""
    workloads = streaming(report)
    figure, axes = plt.subplots(figsize=(6.4, 3.9), layout="constrained")
    starts = []
    titles = dict.fromkeys(name for one in workloads.values() for name in one["contenders"])
    names = [title for title in titles if title in OURS or not title.startswith("grucore ")]
    for title in names:
        one = next(w["contenders"][title] for w in workloads.values() if title in w["contenders"])
        if one["weights"] != kind:
            continue
        x, y = series(workloads, title)
        colour = OURS.get(title, QUIET)
        width = 2.0 if title in OURS else 0.9
        axes.plot(x, y, "o-", color=colour, linewidth=width, markersize=2.5 * width**0.5)
        starts.append((y[0], title, colour))
    limit = [
        (w["multiply_adds"], found["engine"]["limit_us"])
        for w in workloads.values()
        for title, found in w["contenders"].items()
        if title in OURS and found["weights"] == kind and "engine" in found
    ]
    if limit:
        points = sorted(dict(limit).items())
        axes.plot(*zip(*points, strict=True), ":", color=INK, linewidth=1.0)
        starts.append((points[0][1], "limit", INK))
    axes.set(xscale="log", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks([one["multiply_adds"] for one in workloads.values()], list(workloads))
    axes.xaxis.minorticks_off()
    axes.grid(axis="y")
    axes.set_title(
        f"Microseconds of a step from Python, {kind} weights, one core", loc="left", fontsize=9.5
    )
    label_starts(axes, starts)
    return figure


def times_the_limit(report: dict[str, Any]) -> Any:
    """The engine's own time over the limit of the same run, for every workload."""
    workloads = report["workloads"]
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for title, colour in OURS.items():
        points = [
            (index, found["us"] / found["limit_us"])
            for index, one in enumerate(workloads.values())
            if (found := one["contenders"].get(title, {}).get("engine"))
        ]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", color=colour, markersize=4, label=title.split()[1])
    axes.axhline(1.0, color=INK, linewidth=0.8)
    axes.set(yscale="log", ylabel="times the limit")
    axes.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    axes.yaxis.minorticks_off()
    axes.set_xticks(range(len(workloads)), list(workloads), rotation=45, ha="right")
    axes.grid(axis="y")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title("The engine over the machine's limit", loc="left", fontsize=9.5)
    return figure


def error_over_time(report: dict[str, Any], name: str) -> Any:
    """The time and the error of a kind of weights on one workload."""
    found = report["workloads"][name]["contenders"]
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    peers = [title for title in found if not title.startswith("grucore ")]
    for title, mark in zip(peers, MARKS * 2, strict=False):
        one = found[title]
        axes.plot(one["us_min"], one["error"], mark, color=QUIET, markersize=4, label=title)
    for title, colour in OURS.items():
        if title in found:
            one = found[title]
            axes.plot(one["us_min"], one["error"], "o", color=colour, markersize=7)
            axes.annotate(
                title.removeprefix("grucore "),
                (one["us_min"], one["error"]),
                xytext=(0, 7 if title.endswith(("/8", "int4")) else -14),
                textcoords="offset points",
                ha="center",
                color=colour,
            )
    axes.set(xscale="log", yscale="log", ylabel="largest difference from float64")
    axes.set_xlabel("microseconds")
    low, high = axes.get_xlim()
    ticks = [m * 10.0**e for e in range(-2, 6) for m in (1, 2, 5) if low < m * 10.0**e < high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.margins(y=0.08)
    axes.grid()
    if peers:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(f"Error over time, {name}: grucore in colour", loc="left", fontsize=9.5)
    return figure


def main() -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", metavar="JSON", help="what compare.py wrote with --out")
    parser.add_argument("--folder", default=".", help="where to write the files (%(default)s)")
    parser.add_argument("--error", default="S5", help="workload of the third plot (%(default)s)")
    arguments = parser.parse_args()
    report = json.loads(Path(arguments.results).read_text("utf-8"))
    error = arguments.error if arguments.error in report["workloads"] else "S1"
    with plt.rc_context(SETTINGS):
        drawn = {"times_the_limit": times_the_limit(report)}
        for kind in ("float32", "int8"):
            drawn[f"streaming_{kind}"] = time_over_size(report, kind)
        drawn["error_over_time"] = error_over_time(report, error)
        for name, figure in drawn.items():
            path = Path(arguments.folder, f"{name}.png")
            figure.savefig(path, dpi=110)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
