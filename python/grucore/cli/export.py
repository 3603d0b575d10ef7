# SPDX-License-Identifier: Apache-2.0
"""`grucore export`: a model as C code."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grucore.export.compilers import CPUS, FLAGS, compile_line, engine_line

if TYPE_CHECKING:
    from grucore.cli.console import Console
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
  grucore export kws.gru -o firmware --target engine --strip
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
        "--target",
        choices=("c99", "engine"),
        default="c99",
        help="c99 (the default): the model as code; engine: the model as an array, beside the "
        "engine with the layers that it has as one source, and an example",
    )
    parser.add_argument(
        "--sources",
        metavar="DIR",
        help="for --target engine: the folder cpp of grucore's sources, which a wheel has no room "
        "for; not needed where grucore is installed from them with -e",
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
    write = _engine if arguments.target == "engine" else _c99
    report, files = write(arguments)
    folder = Path(arguments.output)
    from grucore.cli._files import write_bytes

    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(str(path), text.encode())
    report = {"input": arguments.model, "target": arguments.target, **report}
    report["files"] = [str(folder / file) for file in files]
    if arguments.json:
        console.emit(report)
    else:
        _show(report, console)


def _c99(arguments: argparse.Namespace) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The report and the files of the model as code."""
    from grucore.cli._files import load_model
    from grucore.export.c99 import export_c99
    from grucore.export.names import prefix_of

    model = load_model(arguments.model)
    graph = _graph(bytes(model), arguments.numerics, strip=arguments.strip)
    name = arguments.prefix or prefix_of(Path(arguments.model).stem)
    export = export_c99(graph, name, numerics=arguments.numerics)
    tested = None
    if arguments.selftest:
        prefix = export.prefix
        main = f'#include "{prefix}.h"\nint main(void) {{ return {prefix}_selftest() != 0; }}\n'
        flags = f"-O2 {FLAGS} -D{prefix.upper()}_SELFTEST {prefix}.c main.c"
        tested = _selftest(
            {**export.files, "main.c": main}, f"{os.environ.get('CC', 'cc')} {flags}"
        )
    report = {
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
    return report, export.files


def _engine(arguments: argparse.Namespace) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The same of the engine and the model's file."""
    import grucore
    from grucore import fileformat
    from grucore.cli._files import load_model, stripped
    from grucore.export.engine import export_engine, whole_matrices
    from grucore.export.names import prefix_of

    data = bytes(load_model(arguments.model))
    if arguments.strip:
        data = stripped(data)
    graph = whole_matrices(fileformat.read(data))
    data = fileformat.write(graph)
    model = grucore.load(data, isa="scalar")
    export = export_engine(
        graph,
        data,
        arguments.prefix or prefix_of(Path(arguments.model).stem),
        model_bytes=model._model_bytes(),
        stream_bytes=model._stream_bytes(1, 1),
        sources=None if arguments.sources is None else Path(arguments.sources),
        emulates_fused=arguments.numerics == "fused",
    )
    line = engine_line(arguments.cpu)
    tested = None
    if arguments.selftest:
        host = engine_line("host").removeprefix("c++")
        tested = _selftest(export.files, f"{os.environ.get('CXX', 'c++')}{host}")
    report = {
        "name": export.prefix,
        "numerics": arguments.numerics,
        "weight_bytes": len(data),
        "state_bytes": model._model_bytes() + model._stream_bytes(1, 1),
        "frame_bytes": 0,
        "multiply_adds_per_frame": graph.multiply_adds_per_frame,
        "selftest_frames": 0 if graph.test is None else len(graph.test.inputs[0]),
        "selftest": tested,
        "layers": list(export.kinds),
        "weights": list(export.weights),
        "compile": line,
    }
    return report, export.files


def _graph(data: bytes, numerics: str, *, strip: bool) -> Graph:
    """The graph with a test vector of that class, or without one."""
    from dataclasses import replace

    from grucore import fileformat
    from grucore.graph.graph import TestVector
    from grucore.model import Model
    from grucore.proof.proof import finish
    from grucore.runtime.arrays import as_tuple, single

    graph = fileformat.read(data)
    if strip or not graph.streamable:
        return replace(graph, test=None)
    if graph.test is None:
        graph = finish(graph).graph
    if graph.test is None or numerics == "fused":
        return graph
    inputs = graph.test.inputs
    outputs = as_tuple(Model(data, isa="scalar_muladd").run(single(inputs)))
    return replace(graph, test=TestVector(inputs, outputs))


def _selftest(files: Mapping[str, str], command: str) -> str:
    """Compile the files here and run them: the command. ValueError where either fails."""
    compiler = shlex.split(command)[0]
    if shutil.which(compiler) is None:
        raise ValueError(
            f"--selftest needs a compiler: {compiler!r} is not there (CC, CXX name it)"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, "utf-8")
        line = f"{command} -o selftest"
        built = subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True)
        if built.returncode:
            raise ValueError(f"--selftest: {line} failed: {built.stderr.strip()}")
        if subprocess.run([folder / "selftest"], cwd=folder).returncode:
            raise ValueError(f"--selftest: what {line} compiles gives other numbers than grucore")
    return line


def _show(report: dict[str, Any], console: Console) -> None:
    is_engine = report["target"] == "engine"
    rows = [("wrote", path) for path in report["files"]]
    if is_engine:
        parts = ", ".join([*report["layers"], *(kind[1:].lower() for kind in report["weights"])])
        rows.append(("engine", f"with {parts}"))
        rows.append(("model", f"{report['weight_bytes']:,} bytes of flash"))
        rows.append(("memory", f"at most {report['state_bytes']:,} bytes beside the stack"))
    else:
        rows.append(("weights", f"{report['weight_bytes']:,} bytes of flash"))
        stack = f"{report['frame_bytes']:,} of stack a frame"
        rows.append(("state", f"{report['state_bytes']:,} bytes, {stack}"))
    rows.append(("work", f"{report['multiply_adds_per_frame']:,} multiply-adds a frame"))
    rows.append(("numerics", report["numerics"]))
    frames = report["selftest_frames"]
    if frames and is_engine:
        rows.append(("self-test", f"{frames} frames: main returns how many outputs differ"))
    elif frames:
        macro = f"{report['name'].upper()}_SELFTEST"
        rows.append(("self-test", f"{frames} frames, where {macro} is defined"))
    if report["selftest"]:
        rows.append(("tested", f"the same bits, by {report['selftest']}"))
    rows.append(("compile", report["compile"]))
    console.fields(rows)
