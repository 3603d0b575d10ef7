# SPDX-License-Identifier: Apache-2.0
"""How long `quantize` takes with calibration data and without, in `run`s of the same frames.

    chrt -f 10 taskset -c 1 python benchmarks/quantized/calibration.py

Run so, nothing interrupts it: a busy machine gives the figures of a quiet one.
"""

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
from grucore.demo.runner import load_network

SPOTTER = "keyword spotter"
SIZES = (SPOTTER, "S1", "S2", "S3", "S4", "S5", "S6")
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
    """Seconds of all three for each size and number of frames."""
    found = []
    for name in names:
        spots = name == SPOTTER
        model = load_network() if spots else grucore.from_torch(state_dict(WORKLOADS[name]))
        features = model.inputs[0].features
        for count in counts:
            x = np.random.default_rng(1).standard_normal((count, features), np.float32)
            run = least(lambda: model.run(x), 5 * rounds)  # noqa: B023
            for kind in ("int8", "int4"):
                plain = least(lambda: model.quantize(kind), rounds)  # noqa: B023
                took = least(lambda: model.quantize(kind, calibration=x), rounds)  # noqa: B023
                one = {"workload": name, "frames": count, "kind": kind, "run": run, "plain": plain}
                shares = {"runs": took / run, "added": (took - plain) / run}
                found.append({**one, "quantize": took, **shares})
                print(
                    f"{name} {count:,} frames, {kind}: {took:.3f} s, {took / run:.1f} runs, "
                    f"{shares['added']:.1f} of them for calibration"
                )
    return found


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", default=",".join(SIZES), help="sizes (%(default)s)")
    parser.add_argument("--frames", default=",".join(map(str, FRAMES)), help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (%(default)s)")
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
