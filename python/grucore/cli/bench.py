# SPDX-License-Identifier: Apache-2.0
"""`grucore bench`: what a model costs on this machine, from Python."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.cli.console import Console

HELP = "time a model on this machine: microseconds a step, its percentiles, throughput"
DESCRIPTION = """\
Time a model from Python, on standard normal input. Chunks of Stream.step calls give the cost of a
step (a clock around at least 0.2 ms of them); calls timed one by one give the percentiles and the
histogram, less the cost of the clock, which is measured and printed. Model.run gives the cost of a
frame in whole sequences of 100 frames, alone and in a batch. The garbage collector is off while the
clock runs. The smallest figure says what the machine can do, the others what it did meanwhile.

--weights quantizes the model on the fly, and --compare rebuilds the same network from the file in
another framework, which is checked against float64 before it is timed (a layer that cannot be
rebuilt is refused by name); all of them then take turns by the same clock.
"""
EPILOG = """\
example:
  grucore bench kws.gru --seconds 5
  grucore bench kws.gru --weights float32,int8 --compare onnxruntime,torch --plot steps.png
"""
BAR_WIDTH = 40
BEFORE_BAR = 34  # columns of a line of the histogram
KINDS = ("float32", "float16", "int8", "int8/16", "int8/8", "int4", "int4/16", "int4/8")
PEERS = ("onnxruntime", "torch")
SUFFIXES = (".png", ".svg", ".pdf")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file")
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument(
        "--seconds", type=float, default=3.0, metavar="N", help="how long for each (default: 3)"
    )
    parser.add_argument(
        "--batch", type=int, default=16, metavar="N", help="rows of the batch (default: 16)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads for the batch (default: 1)"
    )
    parser.add_argument(
        "--weights", metavar="KINDS", help="side by side: float32,float16,int8,int8/8,int4,int4/8"
    )
    parser.add_argument(
        "--compare", metavar="NAMES", help="the same network in onnxruntime,torch, side by side"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="a .png, .svg or .pdf of how long single steps took"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and report."""
    if not 0.0 < arguments.seconds <= 3600.0:
        arguments.parser.error(f"--seconds {arguments.seconds:g}: expected up to 3600")
    for name in ("batch", "threads"):
        if getattr(arguments, name) < 1:
            arguments.parser.error(f"--{name} {getattr(arguments, name)}: expected at least 1")

    kinds, peers = _names(arguments, "weights", KINDS), _names(arguments, "compare", PEERS)
    if arguments.plot and not arguments.plot.endswith(SUFFIXES):
        arguments.parser.error(f"--plot {arguments.plot}: expected {', '.join(SUFFIXES)}")

    from grucore import fileformat
    from grucore.cli._files import load_model
    from grucore.runtime.timing import measure
    from grucore.summary import describe

    model = load_model(arguments.model, isa=arguments.isa)
    content = fileformat.read(bytes(model))
    graph = describe.describe(content)
    contenders: list[Any] = []
    if kinds or peers:
        from grucore.bench import comparison as _comparison

        options = {"weights": kinds, "peers": peers, "threads": arguments.threads}
        contenders = _comparison.gather(model, content, **options)
    total = arguments.seconds * (1 + len(contenders))
    with console.progress(f"timing {arguments.model}", total=total) as task:
        report: dict[str, Any] = {
            "file": arguments.model,
            "isa": model.isa,
            "numerics": model.numerics,
            "threads": arguments.threads,
            "weight_bytes": graph["weight_bytes"],
            # A step goes through every layer: it answers as if the sequence ended there.
            "multiply_adds_per_step": sum(node["multiply_adds"] for node in graph["nodes"]),
            "unstreamable_layer": graph["unstreamable_layer"],
            **measure(
                model,
                seconds=arguments.seconds,
                batch=arguments.batch,
                threads=arguments.threads,
                advance=task.advance,
            ),
        }
        if contenders:
            report["compared"] = _comparison.compare(
                contenders,
                content,
                seconds=arguments.seconds * len(contenders),
                batch=arguments.batch,
                advance=task.advance,
            )
    if report["step"] is not None:
        microseconds = report["step"]["us_min"]
        report["step"]["gigabytes_per_second"] = _rate(report["weight_bytes"], microseconds)
        report["step"]["gigamacs_per_second"] = _rate(
            report["multiply_adds_per_step"], microseconds
        )
    if arguments.plot:
        from grucore.cli._files import write_bytes
        from grucore.cli._latencies import picture

        write_bytes(arguments.plot, picture(report, arguments.plot))
    if arguments.json:
        console.emit(report)
    else:
        _show(report, console)
        if contenders:
            console.line()
            _show_compared(report["compared"], console)


def _names(arguments: argparse.Namespace, option: str, known: Sequence[str]) -> list[str]:
    """A list of names, each of them known."""
    names = [name for name in (getattr(arguments, option) or "").split(",") if name]
    for name in names:
        if name not in known:
            arguments.parser.error(f"--{option} {name}: expected {', '.join(known)}")
    return names


def _rate(count: int, microseconds: float) -> float:
    return round(count / microseconds / 1e3, 3)


def _show(report: dict[str, Any], console: Console) -> None:
    console.sentence(f"{report['file']} on {report['isa']}, numerics {report['numerics']}")
    console.sentence(
        f"{report['weight_bytes']:,} bytes of weights, "
        f"{report['multiply_adds_per_step']:,} multiply-adds a step"
    )
    console.line()
    step = report["step"]
    if step is None:
        console.sentence(f"no steps: layer {report['unstreamable_layer']!r} reads the future")
    else:
        _show_step(step, report["clock_ns"], console)
    rows = [
        [
            f"{run['batch']} x {run['frames']}",
            str(run["threads"]),
            f"{run['us_per_frame_min']:.3f}",
            f"{run['us_per_frame_median']:.3f}",
            f"{1e6 / run['us_per_frame_min']:,.0f}",
        ]
        for run in report["run"]
    ]
    console.line()
    console.sentence("run(x), microseconds a frame")
    console.table(("batch x frames", "threads", "min", "median", "frames/s"), rows)


def _show_step(step: dict[str, Any], clock: float, console: Console) -> None:
    latency = step["latency_us"]
    console.sentence("step(x, out=), microseconds")
    console.fields(
        [
            ("  min", f"{step['us_min']:.3f}   (chunks of {step['chunk_steps']:,} steps)"),
            ("  median", f"{step['us_median']:.3f}"),
            ("  weights", f"{step['gigabytes_per_second']:.2f} GB/s at the minimum"),
            ("  work", f"{step['gigamacs_per_second']:.2f} Gmac/s at the minimum"),
        ]
    )
    console.line()
    console.sentence(
        f"single steps, microseconds ({step['steps']:,} calls, less {clock:.0f} ns of the clock)"
    )
    console.table(tuple(latency), [[f"{value:.3f}" for value in latency.values()]])
    console.line()
    most = max(entry["steps"] for entry in step["histogram"])
    room = BAR_WIDTH if console.width is None else min(BAR_WIDTH, console.width - BEFORE_BAR)
    for entry in step["histogram"]:
        bar = "#" * -(-room * entry["steps"] // most)
        console.line(f"  up to {entry['up_to_us']:10.3f} us  {entry['steps']:9,}  {bar}".rstrip())


def _show_compared(compared: Sequence[dict[str, Any]], console: Console) -> None:
    """A table of everything, a row for each."""
    columns = ["", "weights", "from float64"]
    steps = compared[0]["step"] is not None
    if steps:
        columns += ["step min", "median", "p50", "p99", "p99.9", "max"]
    columns += [f"run {run['batch']} x {run['frames']}" for run in compared[0]["run"]]
    rows = []
    for one in compared:
        row = [one["name"], one["weights"], f"{one['largest_difference']:.1e}"]
        if steps:
            latency = one["step"]["latency_us"]
            figures = [one["step"]["us_min"], one["step"]["us_median"]]
            figures += [latency[name] for name in ("p50", "p99", "p99.9", "max")]
            row += [f"{figure:.3f}" for figure in figures]
        rows.append(row + [f"{run['us_per_frame_min']:.3f}" for run in one["run"]])
    console.sentence("side by side, microseconds a step, and a frame of run(x)")
    console.table(columns, rows)
