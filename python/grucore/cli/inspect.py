# SPDX-License-Identifier: Apache-2.0
"""`grucore inspect`: what a .gru file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.cli.console import Console

HELP = "show a model: layers, sizes, work per frame, origin, proof"
DESCRIPTION = """\
Show what a .gru file holds: inputs and outputs, every layer with its shapes, parameters, bytes as
stored, multiply-adds and whether it streams, where it came from, and how the conversion was proved.
The file is checked twice, by the engine and by an independent reader: a damaged one is refused with
the byte offset.
"""
EPILOG = """\
examples:
  grucore inspect kws.gru --selftest
  grucore inspect kws.gru --plot kws.png
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file")
    parser.add_argument(
        "--selftest",
        action="store_true",
        help="replay the file's test vector on this machine; a difference is exit code 1",
    )
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument(
        "--plot",
        metavar="OUT",
        help="draw the graph into a .png, .svg or .pdf file (needs matplotlib: grucore[plot])",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Load, describe and, if asked for, test the model."""
    from grucore import fileformat
    from grucore.cli._files import load_model, write_bytes
    from grucore.cli._picture import SUFFIXES, picture
    from grucore.summary import describe

    suffix = "" if arguments.plot is None else Path(arguments.plot).suffix.lower()
    if arguments.plot is not None and suffix not in SUFFIXES:
        arguments.parser.error(f"--plot {arguments.plot}: expected a .png, .svg or .pdf file")
    with console.progress(f"reading {arguments.model}"):
        model = load_model(arguments.model, isa=arguments.isa)
        data = bytes(model)
        graph = fileformat.read(data)
        report: dict[str, Any] = {
            "file": arguments.model,
            "bytes": len(data),
            "format_version": int.from_bytes(data[8:12], "little"),
            "checksum": f"{int.from_bytes(data[12:16], 'little'):08x}",
            "checksum_ok": True,  # or it would not have loaded
            "isa": model.isa,
            "numerics": model.numerics,
            **describe.describe(graph),
            "metadata": dict(graph.metadata),
            "test_frames": 0 if graph.test is None else len(graph.test.inputs[0]),
            "selftest": None,
            "plot": arguments.plot,
        }
        if arguments.selftest:
            report["selftest"] = model.selftest()._asdict()
        if arguments.plot is not None:
            write_bytes(arguments.plot, picture(report, suffix))
    if arguments.json:
        console.emit(report)
    else:
        _show(report, console)


def _show(report: dict[str, Any], console: Console) -> None:
    from grucore.cli._metadata import entries, proof_text, quantization_entries
    from grucore.summary import tables

    number = tables.number
    stopper = report["unstreamable_layer"]
    rows = [
        (
            "file",
            f"{report['file']}, {number(report['bytes'])} bytes, version "
            f"{report['format_version']}, checksum {report['checksum']} ok",
        ),
        ("isa", f"{report['isa']}, numerics {report['numerics']}"),
    ]
    rows += [("input", tables.value_text(value)) for value in report["inputs"]]
    rows += [("output", tables.value_text(value)) for value in report["outputs"]]
    rows += [
        (
            "parameters",
            f"{number(report['parameters'])} in {number(report['weight_bytes'])} bytes as stored",
        ),
        ("multiply-adds", f"{number(report['multiply_adds_per_frame'])} per frame"),
        ("streams", "yes" if stopper is None else f"no: layer {stopper!r} reads the future"),
    ]
    for key, value in report["metadata"].items():
        if key == "quantization":
            rows += quantization_entries(value)
        elif key != "proof":
            rows += entries(key, value)
    before = ", before it was quantized" if "quantization" in report["metadata"] else ""
    rows.append(("proof", proof_text(report["metadata"].get("proof")) + before))
    frames = report["test_frames"]
    rows.append(("test vector", f"{frames} frames" if frames else "none"))
    if report["selftest"] is not None:
        rows.append(("self-test", _selftest_text(report["selftest"])))
    if report["plot"] is not None:
        rows.append(("plot", report["plot"]))
    console.fields(rows)
    console.line()
    tables.show(report, console)


def _selftest_text(result: dict[str, Any]) -> str:
    how = "the same bits" if result["exact"] else f"largest difference {result['max_error']:.3g}"
    return f"passed: {result['frames']} frames on {result['isa']}, {how}"
