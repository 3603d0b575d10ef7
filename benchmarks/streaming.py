# SPDX-License-Identifier: Apache-2.0
"""Microseconds of one step from Python, beside the C++ kernel and the peers that are installed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS, Grucore, Peer
from rounds import Contender, interleave, machine
from workloads import WORKLOADS, Workload, frames, reference, state_dict

CHECKED_FRAMES = 200
TIMED_FRAMES = 64


def check(peer: Peer, workload: Workload, weights: dict[str, Any]) -> float:
    """The largest difference from float64; raises ArithmeticError where it is not the same GRU."""
    x = frames(workload, CHECKED_FRAMES)
    peer.reset()
    found = np.array([peer.step(frame) for frame in peer.native(x)])
    difference = float(np.max(np.abs(found - reference(workload, weights, x))))
    if not difference <= peer.bound:
        raise ArithmeticError(
            f"{peer.name} on {workload.name}: {difference:.3g} from float64, bound {peer.bound:g}"
        )
    return difference


def contender(peer: Peer, workload: Workload) -> Contender:
    """The peer with its input, ready to be timed."""
    native = peer.native(frames(workload, TIMED_FRAMES, seed=3))
    peer.reset()

    def work(count: int) -> None:
        whole, rest = divmod(count, TIMED_FRAMES)
        for _ in range(whole):
            peer.steps(native)
        peer.steps(native[:rest])

    return Contender(peer.name, work)


def measure(workload: Workload, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every contender on one workload."""
    weights = state_dict(workload)
    ours = Grucore(workload, weights, isa=arguments.isa)
    peers: list[Peer] = [ours]
    missing = []
    for kind in () if arguments.no_peers else PEERS:
        try:
            peers.append(kind(workload, weights))
        except ImportError as error:
            missing.append(f"{kind.name} ({error})")
    differences = {peer.name: check(peer, workload, weights) for peer in peers}
    contenders = [contender(peer, workload) for peer in peers]
    interleave(contenders, arguments.rounds)
    return {
        "input_size": workload.input_size,
        "hidden_size": workload.hidden_size,
        "layers": workload.layers,
        "weight_bytes": workload.weight_bytes,
        "multiply_adds": workload.multiply_adds,
        "isa": ours.model.isa,
        "missing": missing,
        "peers": {
            one.name: {**one.result(), "largest_difference": differences[one.name]}
            for one in contenders
        },
    }


def kernel_figures(path: str | None, isa: str) -> dict[str, dict[str, Any]]:
    """Rows of the C++ benchmark's JSON by workload: see README.md for what is read of them."""
    if path is None:
        return {}
    loaded = json.loads(Path(path).read_text("utf-8"))
    rows = loaded["results"] if isinstance(loaded, dict) else loaded
    return {
        row["workload"]: row
        for row in rows
        if row.get("isa", isa) == isa and row.get("weights", "float32") == "float32"
    }


def show(report: dict[str, Any]) -> None:
    """A table: minima, in brackets medians."""
    print(f"{report['machine']['processor']}, {report['isa']}, microseconds a step: min (median)\n")
    names = list(
        dict.fromkeys(name for one in report["workloads"].values() for name in one["peers"])
    )
    columns = ["", "limit", "C++", names[0], "over C++", *names[1:]]
    rows = []
    for workload, one in report["workloads"].items():
        cells = [
            f"{one['peers'][name]['us_min']:.3f} ({one['peers'][name]['us_median']:.3f})"
            if name in one["peers"]
            else "-"
            for name in names
        ]
        kernel = one.get("kernel") or {}
        limit, native = kernel.get("limit_us"), kernel.get("us_min")
        over = "-" if native is None else f"{one['peers'][names[0]]['us_min'] - native:+.3f}"
        figures = ["-" if figure is None else f"{figure:.3f}" for figure in (limit, native)]
        rows.append([workload, *figures, cells[0], over, *cells[1:]])
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    for text in dict.fromkeys(
        text for one in report["workloads"].values() for text in one["missing"]
    ):
        print(f"not timed: {text}")


def main() -> int:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", default="S1,S2,S3,S4,S5", help="names, or all (%(default)s)")
    parser.add_argument("--rounds", type=int, default=21, help="chunks of 5 ms each (%(default)s)")
    parser.add_argument("--core", type=int, help="pin the process to this core")
    parser.add_argument("--isa", help="grucore's instruction set, instead of the best")
    parser.add_argument("--kernel", metavar="JSON", help="what the C++ benchmark wrote")
    parser.add_argument("--no-peers", action="store_true", help="grucore alone")
    parser.add_argument("--out", metavar="JSON", help="where to write the figures")
    arguments = parser.parse_args()
    names = list(WORKLOADS) if arguments.workload == "all" else arguments.workload.split(",")
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {', '.join(unknown)}: expected {', '.join(WORKLOADS)}")

    report: dict[str, Any] = {"machine": machine(arguments.core), "workloads": {}}
    for name in names:
        report["workloads"][name] = measure(WORKLOADS[name], arguments)
        print(f"{name} done", file=sys.stderr)
    report["isa"] = report["workloads"][names[0]]["isa"]
    kernels = kernel_figures(arguments.kernel, report["isa"])
    for name in names:
        report["workloads"][name]["kernel"] = kernels.get(name)
    show(report)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
