# SPDX-License-Identifier: Apache-2.0
"""grucore with every kind of weights beside every installed peer and the machine's limit."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common.comparison import show
from common.rounds import machine
from common.workloads import CELLS, WORKLOADS, Workload, chosen, frames, reference, state_dict
from peers import GRUCORE, PEERS
from peers.ours import ENGINE
from peers.workers import Entrant, NotTimed, Worker
from peers.yardsticks import FOLDER

LEAST_ROUNDS = 5
YARDSTICKS = Path(__file__).parents[1] / "cpp/build/release/bench/yardsticks"


def entrants(arguments: argparse.Namespace) -> list[Entrant]:
    """All that are asked for."""
    variants = list(GRUCORE) if arguments.weights == "all" else arguments.weights.split(",")
    isas = [None, *filter(None, arguments.isa.split(","))]
    cell = arguments.cell
    ours = [Entrant("grucore", variant, isa, cell) for isa in isas for variant in variants]
    names = list(PEERS) if arguments.peers == "all" else arguments.peers.split(",")
    return ours + [Entrant(name, cell=cell) for name in names if name]


def engine(workload: Workload, variant: str, isa: str, cell: str, arguments: Any) -> dict[str, Any]:
    """The figures of the engine's own benchmark for a workload: its time in C++, and the limit."""
    command = [arguments.engine, "--json", "--only", workload.name, "--isa", isa]
    command += ["--cell", cell]
    command += [*ENGINE[variant], "--rounds", str(arguments.rounds)]
    if arguments.core is not None:
        command = ["taskset", "-c", str(arguments.core), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def engines_of(cell: str) -> dict[str, str]:
    """Names in the report: the engine with this cell, and beside it with a GRU of the same size."""
    return {"engine": cell} | ({"engine_gru": "gru"} if cell != "gru" else {})


class Field:
    """The workers, and why a contender is not there."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.entrants = entrants(arguments)
        self.workers: dict[str, Worker] = {}
        self.folder = tempfile.TemporaryDirectory()

    def worker(self, entrant: Entrant) -> Worker:
        """The process of a contender; a new one in place of one that died."""
        found = self.workers.get(entrant.host)
        if found is None or not found.alive:
            found = self.workers[entrant.host] = Worker(self.arguments.core)
        return found

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers.values():
            worker.close()
        self.folder.cleanup()

    def measure(self, workload: Workload) -> dict[str, Any]:
        """Every contender on one workload, round after round."""
        before = machine()["load"]
        weights = state_dict(workload)
        x = frames(workload, workload.checked_frames)
        expected = str(Path(self.folder.name, workload.name)) + ".npy"
        np.save(expected, reference(workload, weights, x))
        results: dict[str, dict[str, Any]] = {}
        missing: dict[str, str] = {}
        ready = []
        for entrant in self.entrants:
            if workload.form not in entrant.forms:
                continue
            try:
                asked = ("prepare", entrant, workload, expected)
                results[entrant.title] = self.worker(entrant).ask(*asked)
                ready.append(entrant)
            except NotTimed as why:
                missing[entrant.title] = str(why)
        engines = self._rounds(workload, ready, results, missing)
        for entrant in ready:
            if entrant.title in missing:
                results.pop(entrant.title)
                continue
            results[entrant.title] |= self.worker(entrant).ask("result", entrant.title)
            if entrant.variant and engines:
                results[entrant.title] |= engines[entrant.title]
        for worker in self.workers.values():
            if worker.alive:
                worker.ask("forget")
        Path(expected).unlink()
        return {
            "input_size": workload.input_size,
            "hidden_size": workload.hidden_size,
            "layers": workload.layers,
            "frames": workload.frames or 1,
            "batch": workload.batch,
            "multiply_adds": workload.multiply_adds,
            "load": [before, machine()["load"]],
            "contenders": results,
            "not_timed": missing,
        }

    def _rounds(
        self,
        workload: Workload,
        ready: list[Entrant],
        results: dict[str, dict[str, Any]],
        missing: dict[str, str],
    ) -> dict[str, dict[str, Any]]:
        """A chunk of each in turn, with a changing first; the engine's benchmark in the middle."""
        arguments, engines = self.arguments, {}
        spent = dict.fromkeys((entrant.title for entrant in ready), 0.0)
        for turn in range(arguments.rounds):
            if turn == arguments.rounds // 2 and arguments.engine:
                for entrant in ready:
                    if entrant.variant:
                        given = workload, entrant.variant, results[entrant.title]["isa"]
                        engines[entrant.title] = {
                            name: engine(*given, cell, arguments)
                            for name, cell in engines_of(workload.cell).items()
                        }
            shift = turn % max(len(ready), 1)
            for entrant in ready[shift:] + ready[:shift]:
                title = entrant.title
                slow = turn >= LEAST_ROUNDS and spent[title] > arguments.seconds
                if title in missing or slow:
                    continue
                before = time.monotonic()
                try:
                    self.worker(entrant).ask("take", title)
                except NotTimed as why:
                    missing[title] = str(why)
                spent[title] += time.monotonic() - before
        return engines


def with_earlier(report: dict[str, Any], earlier: dict[str, Any]) -> None:
    """Take the lesser figures of two runs: what a busy machine adds, it adds to one of them.

    Contenders of one run alone stay, with the figures of that run.
    """
    both = {**earlier["workloads"], **report["workloads"]}
    report["workloads"] = {name: both[name] for name in WORKLOADS if name in both}
    for name, one in report["workloads"].items():
        if one is earlier["workloads"].get(name):
            continue
        before = earlier["workloads"].get(name, {"contenders": {}, "load": [], "not_timed": {}})
        one["load"] += before["load"]
        for title, found in one["contenders"].items():
            old = before["contenders"].get(title, {})
            for key in ("us_min", "us_median"):
                found[key] = min(found[key], old.get(key, found[key]))
            found["chunks"] += old.get("chunks", 0)
            found["preempted"] += old.get("preempted", 0)
            for engine_of in engines_of(report.get("cell", "gru")):
                if engine_of in found and engine_of in old:
                    for key in ("us", "us_median", "limit_us", "read_us", "turning_read_us"):
                        found[engine_of][key] = min(found[engine_of][key], old[engine_of][key])
                elif engine_of in old:
                    found[engine_of] = old[engine_of]
        one["contenders"] = {**before["contenders"], **one["contenders"]}  # some ran then alone
        missing = {**before["not_timed"], **one["not_timed"]}
        one["not_timed"] = {
            title: why for title, why in missing.items() if title not in one["contenders"]
        }


def main() -> int:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--workload", default="all", help="names or forms: S1,Q,L (%(default)s)")
    add("--cell", default="gru", choices=list(CELLS), help="of every layer (%(default)s)")
    add("--weights", default="all", help=f"grucore's: {', '.join(GRUCORE)} (%(default)s)")
    add("--isa", default="", help="instruction sets beside the best one: avx2,sse41")
    add("--peers", default="all", help=f"{', '.join(PEERS)} (%(default)s)")
    add("--rounds", type=int, default=21, help="chunks of 5 ms each (%(default)s)")
    add("--seconds", type=float, default=3.0, help="for a slow contender (%(default)s)")
    add("--core", type=int, help="pin the processes to this core")
    add("--engine", metavar="BENCH", help="the engine's benchmark: cpp/build/release/bench/bench")
    add(
        "--yardsticks",
        metavar="FOLDER",
        default=str(YARDSTICKS),
        help="contenders in C++ (%(default)s)",
    )
    add("--quick", action="store_true", help="one round of S1 and Q3: does it run at all?")
    add("--out", metavar="JSON", help="where to write the figures")
    add("--add", metavar="JSON", help="an earlier run of this machine: the lesser figures count")
    arguments = parser.parse_args()
    os.environ[FOLDER] = str(Path(arguments.yardsticks).absolute())  # workers inherit it
    if arguments.add and not arguments.out:
        parser.error("--add wants --out")
    if arguments.quick:
        arguments.workload, arguments.rounds = "S1,Q3", 1
    try:
        workloads = chosen(arguments.workload, arguments.cell)
    except ValueError as error:
        parser.error(str(error))
    for name, known in (("weights", GRUCORE), ("peers", PEERS)):
        asked = filter(None, getattr(arguments, name).split(","))
        if unknown := [one for one in asked if one not in ("all", *known)]:
            parser.error(f"unknown {name} {', '.join(unknown)}: expected {', '.join(known)}")

    earlier: dict[str, Any] = {}
    if arguments.add:
        earlier = json.loads(Path(arguments.add).read_text("utf-8"))
        if earlier.get("cell", "gru") != arguments.cell:
            parser.error(f"{arguments.add} is of another cell")
    report: dict[str, Any] = {
        "machine": machine(),
        "cell": arguments.cell,
        "workloads": {},
    }
    report["machine"]["core"] = arguments.core
    field = Field(arguments)
    try:
        for workload in workloads:
            report["workloads"][workload.name] = field.measure(workload)
            load = report["workloads"][workload.name]["load"][1]
            print(f"{workload.name} done, load {load and load[0]}", file=sys.stderr)
            if arguments.out:  # what there is, should the run be cut short
                Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    finally:
        field.close()
    if earlier:
        with_earlier(report, earlier)
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
