# SPDX-License-Identifier: Apache-2.0
"""A thousand streams in one: steps of all and of half of them, beside the arithmetic's peak."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common.rounds import Contender, interleave, machine
from common.workloads import WORKLOADS, state_dict
from peers.ours import ENGINE, GRUCORE


def contenders(name: str, variant: str, streams: int) -> tuple[list[Contender], str]:
    """A step of all, of half of them, and of one stream alone, and the instruction set."""
    import grucore

    workload = WORKLOADS[name]
    model = grucore.from_torch(state_dict(workload))
    kind, options = GRUCORE[variant]
    if kind != "float32":
        model = model.quantize(kind, **options)
    together, alone = model.stream(batch=streams), model.stream()
    rng = np.random.default_rng(3)
    x = rng.standard_normal((streams, workload.input_size)).astype(np.float32)
    out = np.empty((streams, workload.hidden_size), np.float32)
    half = np.zeros(streams, bool)
    half[rng.permutation(streams)[: streams // 2]] = True
    frame, answer = x[0].copy(), out[0].copy()

    def all_of_them(count: int) -> None:
        for _ in range(count):
            together.step(x, out=out)

    def half_of_them(count: int) -> None:
        for _ in range(count):
            together.step(x, out=out, active=half)

    def one(count: int) -> None:
        step = alone.step
        for _ in range(count):
            step(frame, out=answer)

    listed = [
        Contender(f"{variant} all", all_of_them),
        Contender(f"{variant} half", half_of_them),
        Contender(f"{variant} one", one),
    ]
    return listed, model.isa


def peak(engine: str, name: str, variant: str, isa: str, core: int | None) -> float:
    """Multiply-adds in a microsecond at best, by the engine's benchmark."""
    command = [engine, "--json", "--only", name, "--isa", isa, *ENGINE[variant], "--rounds", "20"]
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    done = subprocess.run([*pinned, *command], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["peak_gmacs"]) * 1e3


def main() -> int:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--workload", default="S3", choices=list(WORKLOADS)[:8], help="the size (%(default)s)")
    add("--streams", type=int, default=1000, help="how many (%(default)s)")
    add("--weights", default="float32,int8/8", help=f"{', '.join(GRUCORE)}, all (%(default)s)")
    add("--rounds", type=int, default=21, help="chunks of 5 ms each (%(default)s)")
    add("--core", type=int, help="pin the process to this core")
    add("--engine", metavar="BENCH", help="the engine's benchmark: cpp/build/release/bench/bench")
    add("--out", metavar="JSON", help="where to write the figures")
    arguments = parser.parse_args()

    report: dict[str, Any] = {"machine": machine(arguments.core), "streams": arguments.streams}
    report |= {"workload": arguments.workload, "weights": {}}
    variants = list(GRUCORE) if arguments.weights == "all" else arguments.weights.split(",")
    if unknown := [variant for variant in variants if variant not in GRUCORE]:
        parser.error(f"--weights: no {', '.join(unknown)}; there are {', '.join(GRUCORE)}")
    made = {
        variant: contenders(arguments.workload, variant, arguments.streams) for variant in variants
    }
    interleave([one for listed, _ in made.values() for one in listed], arguments.rounds)
    macs = WORKLOADS[arguments.workload].multiply_adds * arguments.streams
    print(f"{arguments.streams} streams of {arguments.workload}, microseconds: min (median)\n")
    print(
        f"{'':10}{'limit':>8}{'all':>16}{'half':>16}{'one stream alone':>18}{'a stream of all':>17}"
    )
    for variant, (listed, isa) in made.items():
        rate = None
        if arguments.engine:
            rate = peak(arguments.engine, arguments.workload, variant, isa, arguments.core)
        found = {one.name.split()[1]: one.result() for one in listed}
        limit = macs / rate if rate else None
        report["weights"][variant] = {"isa": isa, "limit_us": limit, **found}
        cells = [f"{one['us_min']:.4g} ({one['us_median']:.4g})" for one in found.values()]
        first = "-" if limit is None else f"{limit:.0f}"
        each = found["all"]["us_min"] / arguments.streams
        print(f"{variant:10}{first:>8}{cells[0]:>16}{cells[1]:>16}{cells[2]:>18}{each:17.3f}")
        if limit:
            all_of, half_of = found["all"]["us_min"], found["half"]["us_min"]
            print(f"{'':10}{'':8}{all_of / limit:>10.2f} limits{half_of / all_of:>9.2f} of all")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
