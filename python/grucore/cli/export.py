# SPDX-License-Identifier: Apache-2.0
"""`grucore export`: a model as C code."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grucore.cli.compilers import CPUS, compile_line

if TYPE_CHECKING:
    from grucore.cli.console import Console
    from grucore.export import Export
    from grucore.graph.graph import Graph

HELP = "write a model as C code that needs nothing else"
DESCRIPTION = """\
Write a model as one header and one source of C99 (C++ too) for microcontrollers, plug-ins and
browsers: weights as constants, a state, NAME_reset, NAME_step, and NAME_selftest where the macro
NAME_SELFTEST is defined. It gives the same bits as grucore, and needs no library and no heap. The
model has to run frame by frame; a layer that does not is named.

Products of float weights are fused multiply-adds, as in grucore on most machines. A processor
without them computes the same bits in more time; --numerics muladd takes a multiplication and an
addition instead, as grucore's tables scalar_muladd and sse41 do.
"""
EPILOG = """\
examples:
  grucore export kws.gru -o firmware --cpu cortex-m4
  grucore export kws.gru -o build --name keywords --selftest
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="made if missing")
    parser.add_argument(
        "--name",
        dest="prefix",
        metavar="NAME",
        help="what all names start with: that of the file if not given",
    )
    parser.add_argument(
        "--target", choices=("c99",), default="c99", help="what to write: c99 (the default)"
    )
    parser.add_argument(
        "--numerics",
        choices=("fused", "muladd"),
        default="fused",
        help="how products of float weights are added up",
    )
    parser.add_argument(
        "--cpu", choices=tuple(CPUS), default="host", help="whose compiler line to print"
    )
    parser.add_argument("--strip", action="store_true", help="leave the self-test out")
    parser.add_argument(
        "--selftest", action="store_true", help="compile it here and run the self-test"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Export, write the files, and say what they take."""
    if arguments.strip and arguments.selftest:
        arguments.parser.error("--strip leaves out what --selftest runs")
    Path(arguments.model).open("rb").close()
    import grucore
    from grucore.cli._files import write_bytes
    from grucore.export import export_c99, prefix_of

    model = grucore.load(arguments.model)
    graph = _graph(bytes(model), arguments.numerics, strip=arguments.strip)
    name = arguments.prefix or prefix_of(Path(arguments.model).stem)
    export = export_c99(graph, name, numerics=arguments.numerics)
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    tested = _selftest(export) if arguments.selftest else None
    for file, text in export.files.items():
        write_bytes(str(folder / file), text.encode())
    report: dict[str, Any] = {
        "input": arguments.model,
        "files": [str(folder / file) for file in export.files],
        "name": export.prefix,
        "numerics": arguments.numerics,
        "weight_bytes": export.weight_bytes,
        "state_bytes": export.state_bytes,
        "frame_bytes": export.frame_bytes,
        "multiply_adds_per_frame": export.multiply_adds,
        "selftest_frames": 0 if graph.test is None else len(graph.test.inputs[0]),
        "selftest": tested,
        "compile": compile_line(arguments.cpu, f"{export.prefix}.c"),
    }
    if arguments.json:
        console.emit(report)
    else:
        _show(report, console)


def _graph(data: bytes, numerics: str, *, strip: bool) -> Graph:
    """The graph with a test vector of that class, or without one."""
    from dataclasses import replace

    from grucore import fileformat
    from grucore.graph.graph import TestVector
    from grucore.model import Model
    from grucore.proof.proof import finish

    graph = fileformat.read(data)
    if strip or not graph.streamable:
        return replace(graph, test=None)
    if graph.test is None:
        graph = fileformat.read(finish(graph))
    if graph.test is None or numerics == "fused":
        return graph
    inputs = graph.test.inputs
    found = Model(data, isa="scalar_muladd").run(inputs if len(inputs) > 1 else inputs[0])
    outputs = found if isinstance(found, tuple) else (found,)
    return replace(graph, test=TestVector(inputs, outputs))


def _selftest(export: Export) -> str:
    """The command that compiled the code here and ran its self-test; ValueError if that failed."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(shlex.split(compiler)[0]) is None:
        raise ValueError(f"--selftest needs a C compiler: {compiler!r} is not there (CC names it)")
    prefix = export.prefix
    main = f'#include "{prefix}.h"\nint main(void) {{ return {prefix}_selftest() != 0; }}\n'
    flags = f"-O2 -std=c99 -ffp-contract=off -D{prefix.upper()}_SELFTEST"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in {**export.files, "main.c": main}.items():
            (folder / file).write_text(text, "utf-8")
        line = [*shlex.split(compiler), *flags.split(), f"{prefix}.c", "main.c", "-o", "selftest"]
        built = subprocess.run(line, cwd=folder, capture_output=True, text=True)
        if built.returncode:
            raise ValueError(f"--selftest: {shlex.join(line)} failed: {built.stderr.strip()}")
        if subprocess.run([folder / "selftest"], cwd=folder).returncode:
            raise ValueError(
                f"--selftest: compiled by {shlex.join(line)}, the code gives other numbers than "
                "the engine"
            )
    return shlex.join(line)


def _show(report: dict[str, Any], console: Console) -> None:
    rows = [("wrote", path) for path in report["files"]]
    rows += [
        ("weights", f"{report['weight_bytes']:,} bytes of flash"),
        ("state", f"{report['state_bytes']:,} bytes, {report['frame_bytes']:,} of stack a frame"),
        ("work", f"{report['multiply_adds_per_frame']:,} multiply-adds a frame"),
        ("numerics", report["numerics"]),
    ]
    frames = report["selftest_frames"]
    if frames:
        macro = f"{report['name'].upper()}_SELFTEST"
        rows.append(("self-test", f"{frames} frames, where {macro} is defined"))
    if report["selftest"]:
        rows.append(("tested", f"the same bits, by {report['selftest']}"))
    rows.append(("compile", report["compile"]))
    console.fields(rows)
