# SPDX-License-Identifier: Apache-2.0
"""What the call from Python costs: steps of a model of one unit, beside the engine's own loop."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rounds import Contender, interleave, machine
from workloads import Workload, frames, state_dict

TINY = Workload("1x1", 1, 1, 1, "nothing to compute")
BLOCK = 1024


class Nothing:
    """A method of Python that does nothing: what a call costs by itself."""

    def step(self, x: Any, out: Any = None) -> Any:
        return out


def repeat(call: Callable[[], Any]) -> Callable[[int], None]:
    """The call, so many times; the loop is part of the figure."""

    def work(count: int) -> None:
        for _ in range(count):
            call()

    return work


def contenders(isa: str | None) -> tuple[list[Contender], str]:
    """Ways to make one step, and the instruction set."""
    import grucore

    model = grucore.load(bytes(grucore.from_torch(state_dict(TINY))), isa=isa)
    frame = frames(TINY, 1)[0]
    block = frames(TINY, BLOCK)
    out = np.empty(1, np.float32)
    wide = frame.astype(np.float64)
    rows, rows_out = np.zeros((4, 1), np.float32), np.empty((4, 1), np.float32)
    active = np.array([0, 2])
    one, four, whole = model.stream(), model.stream(batch=4), model.stream()

    def step_out(count: int) -> None:
        step = one.step
        for _ in range(count):
            step(frame, out=out)

    def nothing(count: int) -> None:
        step = Nothing().step
        for _ in range(count):
            step(frame, out=out)

    # The engine steps a whole block in one call: a frame of it is the kernel without Python.
    def engine(count: int) -> None:
        for _ in range(-(-count // BLOCK)):
            whole.run(block)

    listed = [
        Contender("engine: run(block), a frame", engine),
        Contender("a Python method that does nothing", nothing),
        Contender("step(x, out=out)", step_out),
        Contender("step(x)", repeat(lambda: one.step(frame))),
        Contender("step(float64 x, out=out)", repeat(lambda: one.step(wide, out=out))),
        Contender("batch of 4: step(x, out=out)", repeat(lambda: four.step(rows, out=rows_out))),
        Contender(
            "batch of 4: step(x, out=out, active=)",
            repeat(lambda: four.step(rows, out=rows_out, active=active)),
        ),
        Contender("a lambda that does nothing", repeat(lambda: None)),
    ]
    listed[0].count = BLOCK
    return listed, model.isa


def main() -> int:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21, help="chunks of 5 ms each (%(default)s)")
    parser.add_argument("--core", type=int, help="pin the process to this core")
    parser.add_argument("--isa", help="the instruction set, instead of the best")
    parser.add_argument("--out", metavar="JSON", help="where to write the figures")
    arguments = parser.parse_args()

    report: dict[str, Any] = {"machine": machine(arguments.core)}
    listed, report["isa"] = contenders(arguments.isa)
    interleave(listed, arguments.rounds)
    report["calls"] = {one.name: one.result() for one in listed}
    print(f"{report['machine']['processor']}, {report['isa']}, GRU 1 -> 1, microseconds\n")
    print(f"{'':40}{'min':>8}{'median':>8}")
    for name, figures in report["calls"].items():
        print(f"{name:40}{figures['us_min']:8.3f}{figures['us_median']:8.3f}")
    engine, step = (report["calls"][listed[index].name]["us_min"] for index in (0, 2))
    report["over_the_engine_us"] = round(step - engine, 4)
    print(f"\nstep(x, out=out) over the engine: {step - engine:.3f} (goal: at most 0.150)")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
