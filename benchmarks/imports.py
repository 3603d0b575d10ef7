# SPDX-License-Identifier: Apache-2.0
"""The cost of grucore before it does anything: milliseconds to import, kilobytes to install."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from common.rounds import machine

STATEMENTS = {
    "import grucore": "import grucore",
    "import numpy": "import numpy",
    "grucore.load": "import grucore; grucore.load",
    "grucore.cli": "import grucore.cli",
}
CODE = """\
import time
before = time.perf_counter_ns()
{statement}
took = time.perf_counter_ns() - before
import sys
print(took, "numpy" in sys.modules)
"""
DEMO_DATA = "grucore/demo/data/"


def once(statement: str) -> tuple[float, bool]:
    """Milliseconds in a fresh interpreter, and whether numpy came along."""
    code = CODE.format(statement=statement)
    # -I: this folder, with its module names, stays off the path.
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{statement}: {done.stderr.strip().splitlines()[-1]}")
    took, numpy = done.stdout.split()
    return int(took) / 1e6, numpy == "True"


def import_times(rounds: int) -> dict[str, dict[str, Any]]:
    """Every statement in turn, round after round; the first round only fills the disk's cache."""
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    numpy: dict[str, bool] = {}
    for turn in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            milliseconds, numpy[name] = once(statement)
            if turn:
                taken[name].append(milliseconds)
    return {
        name: {
            "ms_min": round(min(values), 2),
            "ms_median": round(statistics.median(values), 2),
            "imports_numpy": numpy[name],
        }
        for name, values in taken.items()
    }


def wheel_sizes(path: str) -> dict[str, Any]:
    """Bytes of a wheel, with and without the demo's data, and of what takes most of it."""
    with zipfile.ZipFile(path) as wheel:
        members = {info.filename: info.compress_size for info in wheel.infolist()}
        installed = sum(info.file_size for info in wheel.infolist())
    size = Path(path).stat().st_size
    data = sum(bytes for name, bytes in members.items() if name.startswith(DEMO_DATA))
    largest = sorted(members.items(), key=lambda member: -member[1])[:5]
    return {
        "bytes": size,
        "bytes_without_demo_data": size - data,
        "installed_bytes": installed,
        "largest": dict(largest),
    }


def main() -> int:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="interpreters each (%(default)s)")
    parser.add_argument("--wheel", metavar="WHL", help="a built wheel to weigh")
    parser.add_argument("--core", type=int, help="pin the process to this core")
    parser.add_argument("--out", metavar="JSON", help="where to write the figures")
    arguments = parser.parse_args()

    report: dict[str, Any] = {"machine": machine(arguments.core)}
    report["imports"] = import_times(arguments.rounds)
    print(f"{'':20}{'min':>8}{'median':>8}  ms (goal for import grucore: at most 10)")
    for name, figures in report["imports"].items():
        note = "  with numpy" if figures["imports_numpy"] else ""
        print(f"{name:20}{figures['ms_min']:8.2f}{figures['ms_median']:8.2f}{note}")
    if arguments.wheel:
        sizes = report["wheel"] = wheel_sizes(arguments.wheel)
        print(
            f"\n{Path(arguments.wheel).name}: {sizes['bytes'] / 1024:.0f} KB, "
            f"{sizes['bytes_without_demo_data'] / 1024:.0f} KB without the demo's data, "
            f"{sizes['installed_bytes'] / 1024:.0f} KB installed"
        )
        for name, size in sizes["largest"].items():
            print(f"  {size / 1024:8.1f} KB  {name}")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
