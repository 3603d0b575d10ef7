# SPDX-License-Identifier: Apache-2.0
"""The results of compare.py as pictures: time over size, times the limit, error over time."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from common.comparison import lead
from common.drawing import INK, OTHERS, OURS, PEER, SETTINGS, WIDTH, labels, plt, save

LINE, LETTER = 11.0, 4.6  # pixels of a label, at matplotlib's 72 an inch


def named(name: str, one: dict[str, Any]) -> str:
    """A workload below its place: "S3", and its sizes."""
    deep = f"\n{one['layers']} layers" if one["layers"] > 1 else ""
    return f"{name}\n{one['input_size']} \N{RIGHTWARDS ARROW}\n{one['hidden_size']}{deep}"


def time_over_size(report: dict[str, Any], kind: str) -> Any:
    """A step's time with weights of a kind: grucore, the best peer, all others, the limit."""
    workloads = {name: one for name, one in report["workloads"].items() if name[0] == "S"}
    figure, axes = plt.subplots(figsize=(WIDTH, 4.2), layout="constrained")
    places = range(len(workloads))
    every = {title for one in workloads.values() for title in one["contenders"]}
    ends, bests = [], []
    for title in sorted(every):
        found = [one["contenders"].get(title) for one in workloads.values()]
        weights = next(one["weights"] for one in found if one)
        forced = title.startswith("grucore") and title not in OURS
        if weights != kind or forced or title.startswith("C++ "):
            continue
        ours = title in OURS
        points = [(x, one["us_min"]) for x, one in zip(places, found, strict=True) if one]
        style = {"color": OURS.get(title, OTHERS), "linewidth": 2.2 if ours else 0.8, "alpha": 1.0}
        axes.plot(*zip(*points, strict=True), "o-", markersize=4 if ours else 2, **style)
        if ours:
            ends.append((points[0][1], title, OURS[title]))
    for x, one in zip(places, workloads.values(), strict=True):
        peers = {
            title: found["us_min"]
            for title, found in one["contenders"].items()
            if found["weights"] == kind and not title.startswith(("grucore", "C++ "))
        }
        title = min(peers, key=lambda title: peers[title])
        bests.append((x, peers[title]))
        if x % 2 == 0 or x == len(workloads) - 1:
            words = title.removesuffix(" int8")
            axes.annotate(words, (x, peers[title]), (0, 6), textcoords="offset points",
                          color=PEER, ha="center", fontsize=8)  # fmt: skip
    axes.plot(*zip(*bests, strict=True), "o--", color=PEER, linewidth=1.6, markersize=4)
    ends.append((bests[0][1], "best peer", PEER))
    limits = [
        min(
            found["engine"]["limit_us"]
            for title, found in one["contenders"].items()
            if title in OURS and found["weights"] == kind and "engine" in found
        )
        for one in workloads.values()
        if any("engine" in found for found in one["contenders"].values())
    ]
    if limits:
        axes.plot(places, limits, ":", color=INK, linewidth=1.2)
        ends.append((limits[0], "limit", INK))
    axes.set(yscale="log", xlim=(-0.15, len(workloads) - 0.7))
    axes.yaxis.tick_right()
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(places, [named(name, one) for name, one in workloads.items()], fontsize=8)
    axes.yaxis.minorticks_off()
    axes.grid(axis="y")
    axes.set_title(f"Microseconds of a step from Python, {kind} weights; all other peers in grey")
    labels(axes, ends)
    return figure


def timed_in_engine(report: dict[str, Any]) -> list[str]:
    """The kinds of weights whose time without Python is known."""
    workloads = report["workloads"].values()
    return [
        title
        for title in OURS
        if any("engine" in one["contenders"].get(title, {}) for one in workloads)
    ]


def times_the_limit(report: dict[str, Any]) -> Any:
    """The engine's own time over the limit of the same run: a plot for each kind of weights."""
    workloads = report["workloads"]
    kinds = timed_in_engine(report)
    figure, all_axes = plt.subplots(
        len(kinds), 1, figsize=(WIDTH, 1.2 + 1.05 * len(kinds)), sharex=True, sharey=True,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for axes, title in zip(all_axes[:, 0], kinds, strict=True):
        for place, one in enumerate(workloads.values()):
            if found := one["contenders"].get(title, {}).get("engine"):
                times = found["us"] / found["limit_us"]
                axes.plot([place, place], [1, times], color=OURS[title], linewidth=5, alpha=0.75)
                axes.annotate(f"{times:.2g}", (place, max(times, 1)), (0, 3), ha="center",
                              textcoords="offset points", fontsize=7.5)  # fmt: skip
        axes.axhline(1.0, color=INK, linewidth=0.8)
        axes.set(yscale="log", ylim=(0.6, 70))
        axes.set_yticks([1, 10], ["1", "10"])
        axes.yaxis.minorticks_off()
        axes.set_ylabel(title.split()[1], color=OURS[title], rotation=0, ha="right", va="center")
    all_axes[-1, 0].set_xticks(range(len(workloads)), list(workloads), rotation=60, ha="right")
    figure.align_ylabels()
    all_axes[0, 0].set_title("The engine's time over the limit; 1 is the machine's own speed")
    return figure


def error_over_time(report: dict[str, Any], name: str) -> Any:
    """The time and the error of everybody on one workload."""
    workload = report["workloads"][name]
    figure, axes = plt.subplots(figsize=(WIDTH, 4.4), layout="constrained")
    points = []
    for title, one in workload["contenders"].items():
        forced = title.startswith("grucore") and title not in OURS
        if not title.startswith("C++ ") and not forced:
            colour = OURS.get(title, OTHERS)
            axes.plot(
                one["us_min"], one["error"], "o", color=colour, markersize=7 if title in OURS else 4
            )
            points.append((one["us_min"], one["error"], title.removeprefix("grucore "), colour))
    axes.set(xscale="log", yscale="log", ylabel="largest difference from float64")
    axes.set_xlabel("microseconds of a step")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 1.6)
    ticks = [m * 10.0**e for e in range(-2, 6) for m in (1, 2, 5) if low < m * 10.0**e < high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.margins(y=0.08)
    axes.grid()
    figure.draw_without_rendering()  # now points have their places
    taken: list[tuple[float, float, float]] = []
    for x, y, text, colour in sorted(points):
        left, middle = axes.transData.transform((x, y))
        for away in sorted(range(-8, 9), key=abs):
            at = middle + away * LINE / 2
            right = left + LETTER * len(text) + 2 * LINE
            if all(abs(at - o) >= LINE or right < start or left > end for start, end, o in taken):
                break
        taken.append((left, right, at))
        line = {"arrowstyle": "-", "color": OTHERS, "lw": 0.5} if away else None
        axes.annotate(text, (x, y), (LINE * 0.8, at - middle), va="center", fontsize=8,
                      textcoords="offset pixels", color=INK if colour == OTHERS else colour,
                      arrowprops=line)  # fmt: skip
    sizes = " ".join(named(name, workload).split()[1:4])
    axes.set_title(f"Error over the time of a step, {sizes}: grucore in colour")
    return figure


def leads(reports: list[dict[str, Any]]) -> Any:
    """The best peer's time over grucore's, workload by workload, of several machines."""
    names = list(reports[0]["workloads"])
    rows = [
        (f"{whence}, {kind}", kind, prefix)
        for prefix, whence in (("", "from Python"), ("C++ ", "in C++"))
        for kind in ("float32", "int8")
    ]
    figure, all_axes = plt.subplots(
        len(rows), 1, figsize=(WIDTH, 1.2 + 1.1 * len(rows)), sharex=True, layout="constrained"
    )
    colours = (OURS["grucore float32"], PEER)
    for axes, (title, kind, prefix) in zip(all_axes, rows, strict=True):
        for i, report in enumerate(reports):
            found = [
                (place + 0.24 * (i - (len(reports) - 1) / 2), float(times))
                for place, name in enumerate(names)
                if (times := lead(report["workloads"][name], kind, prefix)) != "-"
            ]
            for x, times in found:
                axes.plot([x, x], [1, times], color=colours[i % 2], linewidth=4, alpha=0.8)
        axes.axhline(1.0, color=INK, linewidth=0.8)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.minorticks_off()
        axes.set_title(title, fontsize=9)
    all_axes[-1].set_xticks(range(len(names)), names, rotation=60, ha="right")
    of = [report["machine"]["processor"].split()[0].removesuffix("(R)") for report in reports]
    for i, name in enumerate(of):
        figure.text(0.99 - 0.1 * (len(of) - i - 1), 0.995, name, color=colours[i % 2], ha="right",
                    va="top")  # fmt: skip
    figure.suptitle("The best peer's time over grucore's", fontsize=10, x=0.01, ha="left")
    return figure


def main() -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", metavar="JSON", help="what compare.py wrote with --out")
    parser.add_argument("others", metavar="JSON", nargs="*", help="of other machines: their leads")
    parser.add_argument("--folder", type=Path, default=".", help="for the files (%(default)s)")
    parser.add_argument("--error", default="S5", help="workload of the third plot (%(default)s)")
    arguments = parser.parse_args()
    report = json.loads(Path(arguments.results).read_text("utf-8"))
    error = arguments.error if arguments.error in report["workloads"] else "S1"
    folder = Path(arguments.folder)
    with plt.rc_context(SETTINGS):
        if timed_in_engine(report):
            save(times_the_limit(report), folder, "times_the_limit")
        for kind in ("float32", "int8"):
            if any(
                found["weights"] == kind and not title.startswith(("grucore", "C++ "))
                for found_in in report["workloads"].values()
                for title, found in found_in["contenders"].items()
            ):
                save(time_over_size(report, kind), folder, f"streaming_{kind}")
        save(error_over_time(report, error), folder, "error_over_time")
        if arguments.others:
            others = [json.loads(Path(path).read_text("utf-8")) for path in arguments.others]
            save(leads([report, *others]), folder, "leads")
    return 0


if __name__ == "__main__":
    sys.exit(main())
