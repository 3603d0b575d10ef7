# SPDX-License-Identifier: Apache-2.0
"""Instructions of one step on another processor, counted under qemu.

A measure of speed where no such processor is at hand. Wants the engine's benchmark built for
it (`cmake --preset aarch64-qemu` in cpp/, or armv7-qemu) and qemu-user. Counts are exact for one
compiler; instructions are no time, and the ratio of two tables is not that of their speeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

from common.markdown import as_markdown

# Runs that differ in their steps alone; panels go forth in one step and back in the next.
FEW, MANY = 2, 4
MARK = b"Trace "  # begins qemu's line for a block
TABLES = {
    "aarch64": {
        "float32": ("neon", "scalar"),
        "float16": ("neon", "scalar"),
        "int8": ("neondot", "neon", "scalar"),
    },
    "armv7": {kind: ("neon32", "scalar") for kind in ("float32", "float16", "int8", "int4")},
}
# The emulator of each, and the folder of its loader in Debian.
RUNNERS = {
    "aarch64": ("qemu-aarch64-static", "/usr/aarch64-linux-gnu"),
    "armv7": ("qemu-arm-static", "/usr/arm-linux-gnueabihf"),
}


def count(runner: str, bench: Path, options: list[str], steps: int) -> int:
    """Instructions of a whole run: one line of qemu's log for each, at one instruction a block."""
    log = ["-singlestep", "-d", "exec,nochain", "-D", "/dev/stdout"]
    command = [runner, *log, str(bench), *options, "--steps", str(steps)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines, rest = 0, b""
    while chunk := process.stdout.read(1 << 20):
        lines += (rest + chunk).count(MARK)
        rest = chunk[1 - len(MARK) :]
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return lines


def of_a_step(runner: str, bench: Path, options: list[str]) -> int:
    difference = count(runner, bench, options, MANY) - count(runner, bench, options, FEW)
    return round(difference / (MANY - FEW))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", choices=TABLES, default="aarch64")
    parser.add_argument("--bench", type=Path, help="default: cpp/build/MACHINE-qemu/bench/bench")
    parser.add_argument(
        "--workload", default="S1,S2,S3", help="streaming ones; default: %(default)s"
    )
    parser.add_argument("--out", type=Path, help="where to write the counts")
    args = parser.parse_args()
    runner, loader = RUNNERS[args.machine]
    os.environ.setdefault("QEMU_LD_PREFIX", loader)
    bench = args.bench or Path(f"cpp/build/{args.machine}-qemu/bench/bench")
    workloads = args.workload.split(",")
    rows: list[list[str]] = []
    report: dict[str, dict[str, list[int]]] = {}
    for weights, tables in TABLES[args.machine].items():
        counts: dict[str, list[int]] = {}
        for table in tables:
            options = ["--isa", table, "--weights", weights, "--activations", "8", "--only"]
            counts[table] = [
                of_a_step(runner, bench, [*options, workload]) for workload in workloads
            ]
            rows.append([f"{weights}, {table}", *(f"{n:,}" for n in counts[table])])
            print(f"{weights}, {table} counted", flush=True)
        report[weights] = counts
        best = counts[tables[0]]
        ratios = [
            f"{scalar / fast:.1f}" for fast, scalar in zip(best, counts["scalar"], strict=True)
        ]
        rows.append([f"{weights}, scalar / {tables[0]}", *ratios])
    print(*as_markdown([["instructions a step", *workloads], *rows]), sep="\n")
    if args.out:
        text = json.dumps({"workloads": workloads, "counts": report}, indent=1)
        args.out.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
