# SPDX-License-Identifier: Apache-2.0
"""`grucore doctor`: this machine, the kernel tables, the extras, and a self-test."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.cli.console import Console

HELP = "look at this installation: machine, instruction sets, extras, a self-test"
DESCRIPTION = """\
Show what this installation has and what it could have: the machine, the instruction sets with a
kernel table, the optional packages and the line that installs a missing one. The demo's model is
converted and run on every instruction set: the same bits are expected within a numerics class.
"""
EPILOG = """\
example:
  grucore doctor --json
"""

# The packages of each extra, and the commands that want them.
EXTRAS = {
    "cli": (("rich", "shtab"), "tables and progress bars on a terminal, completion"),
    "convert": (("safetensors", "onnx"), "safetensors and ONNX files"),
    "plot": (("matplotlib",), "inspect --plot, bench --plot"),
    "oracles": (("torch", "keras", "onnxruntime"), "proofs against the framework itself"),
}
FRAMES, FEATURES = 200, 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Look, test and report; a failed self-test is exit code 1."""
    from grucore import GrucoreError, __version__

    with console.progress("testing every instruction set"):
        tables = _tables()
    report: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": f"{platform.system()} {platform.machine()}",
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "numpy": _installed("numpy"),
        "tables": tables,
        "extras": {
            extra: {
                "packages": {name: _installed(name) for name in names},
                "what_for": what_for,
                "install": f'pip install "grucore[{extra}]"',
            }
            for extra, (names, what_for) in EXTRAS.items()
        },
    }
    if arguments.json:
        console.emit(report)
    else:
        _show(report, console)
    failed = [row["isa"] for row in tables if row["result"] != "ok"]
    if failed:
        raise GrucoreError(f"the self-test failed on {', '.join(failed)}")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tables() -> list[dict[str, Any]]:
    """A row for each instruction set: its class, and the result of the demo's model on it."""
    import numpy as np

    import grucore
    from grucore.demo.clips import DATA

    data = bytes(grucore.convert(DATA / "keywords.pt", architecture="gru > linear", verify=False))
    x = np.random.default_rng(1).standard_normal((FRAMES, FEATURES), np.float32)
    best = grucore.load(data).isa
    found: dict[str, bytes] = {}
    rows = []
    for isa in grucore.supported_isas():
        model = grucore.load(data, isa=isa)
        try:
            model.selftest()
            y = model.run(x).tobytes()
            same = found.setdefault(model.numerics, y) == y
            result = "ok" if same else f"other bits than the class {model.numerics}"
        except grucore.GrucoreError as error:
            result = str(error)
        rows.append(
            {"isa": isa, "numerics": model.numerics, "chosen": isa == best, "result": result}
        )
    return rows


def _show(report: dict[str, Any], console: Console) -> None:
    free = ", free-threaded" if report["free_threaded"] else ""
    console.fields(
        [
            ("grucore", report["version"]),
            ("python", f"{report['implementation']} {report['python']}{free}"),
            ("numpy", str(report["numpy"])),
            ("machine", report["machine"]),
        ]
    )
    console.line()
    rows = [
        [row["isa"], row["numerics"], "chosen" if row["chosen"] else "", row["result"]]
        for row in report["tables"]
    ]
    console.table(("instruction set", "numerics", "", "self-test"), rows)
    console.line()
    rows = []
    for extra, entry in report["extras"].items():
        missing = [name for name, version in entry["packages"].items() if version is None]
        state = f"without {', '.join(missing)}: {entry['install']}" if missing else "ready"
        rows.append([extra, entry["what_for"], state])
    console.table(("extra", "for", "state"), rows)
