# SPDX-License-Identifier: Apache-2.0
"""The cost of the call from Python: steps of models of one unit, beside the engine's own loop."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common.rounds import Contender, interleave, machine
from common.workloads import Workload, frames, state_dict

TINY = Workload("S0", 1, 1, 1, "nothing to compute")
BLOCK = 1024
ENGINE, STEP = "engine: run(block), a frame", "step(x, out=out)"


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


def with_ids(*, number: bool) -> bytes:
    """Rows of a table into a GRU of one unit; with a number beside each, as a second input."""
    from grucore.fileformat import write
    from grucore.graph.graph import Graph
    from grucore.graph.layers import Cell, Concat, Embedding, Gru
    from grucore.graph.node import Value
    from grucore.graph.tensors import Dtype

    features = 2 if number else 1
    table = np.ones((10, 1), np.float32)
    values = [Value("id", 1, Dtype.INT32), Value("row", 1), Value("y", 1)]
    nodes: list[Any] = [Embedding(name="table", inputs=("id",), output="row", table=table)]
    if number:
        values += [Value("x", 1), Value("both", 2)]
        nodes.append(Concat(name="concat", inputs=("row", "x"), output="both"))
    nodes.append(
        Gru(
            name="gru",
            inputs=("both" if number else "row",),
            output="y",
            cell=Cell.RESET_AFTER,
            weight_ih=np.ones((3, features), np.float32),
            weight_hh=np.ones((3, 1), np.float32),
            bias=np.zeros(4, np.float32),
        )
    )
    inputs = ("id", "x") if number else ("id",)
    return write(Graph(values=tuple(values), inputs=inputs, outputs=("y",), nodes=tuple(nodes)))


def contenders(isa: str | None) -> tuple[list[Contender], str]:
    """Ways to make one step, and the instruction set."""
    import grucore

    model = grucore.load(bytes(grucore.from_torch(state_dict(TINY))), isa=isa)
    block = frames(TINY, BLOCK)[:, 0]
    frame = block[0]
    out = np.empty(1, np.float32)
    short, short_out = block[:1].copy(), np.empty((1, 1), np.float32)
    wide = frame.astype(np.float64)
    rows, rows_out = np.zeros((4, 1), np.float32), np.empty((4, 1), np.float32)
    marks, chosen, unordered = np.array([True, False, True, False]), np.array([0, 2]), [2, 0]
    turned = np.array(unordered)
    one, four, whole = model.stream(), model.stream(batch=4), model.stream()
    careful = model.stream(nonfinite="error")
    small = {kind: model.quantize(kind).stream() for kind in ("float16", "int8", "int4")}
    words = grucore.load(with_ids(number=False), isa=isa).stream()
    both = grucore.load(with_ids(number=True), isa=isa).stream()
    scalar, pair, named = np.int64(3), (np.int64(3), frame), {"id": 3, "x": frame}

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

    listed = [Contender(ENGINE, engine), Contender("a Python method that does nothing", nothing)]
    listed[0].count = BLOCK
    listed.append(Contender(STEP, step_out))
    calls: dict[str, Callable[[], Any]] = {
        "a lambda that does nothing": lambda: None,
        "step(x)": lambda: one.step(frame),
        "step(float64 x, out=out)": lambda: one.step(wide, out=out),
        "step(list, out=out)": lambda: one.step([0.5], out=out),
        'nonfinite="error": step(x, out=out)': lambda: careful.step(frame, out=out),
        "stream.run(one frame)": lambda: whole.run(short),
        "model.run(one frame, out=out)": lambda: model.run(short, out=short_out),
        "batch of 4: step(x, out=out)": lambda: four.step(rows, out=rows_out),
        "batch of 4: active=bool array": lambda: four.step(rows, out=rows_out, active=marks),
        "batch of 4: active=indices": lambda: four.step(rows, out=rows_out, active=chosen),
        "batch of 4: active=indices in any order": lambda: four.step(
            rows, out=rows_out, active=turned
        ),
        "batch of 4: active=list": lambda: four.step(rows, out=rows_out, active=unordered),
        "batch of 4: active=bool array, no out": lambda: four.step(rows, active=marks),
        "ids: step(3, out=out)": lambda: words.step(3, out=out),
        "ids: step(int64 scalar, out=out)": lambda: words.step(scalar, out=out),
        "id and number: step(tuple, out=out)": lambda: both.step(pair, out=out),
        "id and number: step(dict, out=out)": lambda: both.step(named, out=out),
        **{
            f"{kind}: step(x, out=out)": _step_of(stream, frame, out)
            for kind, stream in small.items()
        },
    }
    return [*listed, *(Contender(name, repeat(call)) for name, call in calls.items())], model.isa


def _step_of(stream: Any, frame: Any, out: Any) -> Callable[[], Any]:
    return lambda: stream.step(frame, out=out)


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
    engine, step = (report["calls"][name]["us_min"] for name in (ENGINE, STEP))
    report["over_the_engine_us"] = round(step - engine, 4)
    print(f"\nstep(x, out=out) over the engine: {step - engine:.3f} (goal: at most 0.150)")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
