# SPDX-License-Identifier: Apache-2.0
"""How long `quantize` takes with calibration data, in `run`s of the same frames."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.rounds import machine
from common.workloads import WORKLOADS, state_dict

import grucore

SIZES = ("S2", "S3", "S4", "S5")
FRAMES = (1_000, 10_000, 40_000)


def least(work: Callable[[], Any], rounds: int) -> float:
    """Seconds of processor time, the least of some rounds."""
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def rows(names: list[str], counts: list[int], rounds: int) -> list[dict[str, Any]]:
    """Seconds of both for each size and number of frames."""
    found = []
    for name in names:
        workload = WORKLOADS[name]
        model = grucore.from_torch(state_dict(workload))
        for count in counts:
            x = np.random.default_rng(1).standard_normal((count, workload.input_size), np.float32)
            run = least(lambda: model.run(x), rounds)  # noqa: B023
            for kind in ("int8", "int4"):
                took = least(lambda: model.quantize(kind, calibration=x), rounds)  # noqa: B023
                one = {"workload": name, "frames": count, "kind": kind}
                found.append({**one, "run": run, "quantize": took, "runs": took / run})
                print(f"{name} {count:,} frames, {kind}: {took:.3f} s, {took / run:.1f} runs")
    return found


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", default=",".join(SIZES), help="sizes (%(default)s)")
    parser.add_argument("--frames", default=",".join(map(str, FRAMES)), help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (%(default)s)")
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    counts = [int(text) for text in arguments.frames.split(",")]
    found = rows(arguments.workload.split(","), counts, arguments.rounds)
    if arguments.out:
        report = {"machine": machine(None), "rows": found}
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
