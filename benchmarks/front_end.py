# SPDX-License-Identifier: Apache-2.0
"""A frame of the demo, from 80 samples to scores: with the features as layers, and in numpy."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common.rounds import Contender, interleave, machine

import grucore
from grucore.demo.features import HOP_SAMPLES, LogMel
from grucore.demo.runner import load_model, load_network


def contenders(isa: str | None) -> tuple[list[Contender], str]:
    """Samples to scores, the network alone, and features in numpy."""
    models = [grucore.load(bytes(one), isa=isa) for one in (load_model(), load_network())]
    whole, network = (model.stream() for model in models)
    samples = np.random.default_rng(1).standard_normal(HOP_SAMPLES).astype(np.float32) / 10
    frame, out = np.ones(40, np.float32), np.empty(12, np.float32)
    features = LogMel()
    while whole.step(samples) is None:
        pass

    def from_samples(count: int) -> None:
        for _ in range(count):
            whole.step(samples, out=out)

    def alone(count: int) -> None:
        for _ in range(count):
            network.step(frame, out=out)

    def in_numpy(count: int) -> None:
        for _ in range(count):
            features.push(samples)

    works = {"from samples": from_samples, "network": alone, "features in numpy": in_numpy}
    return [Contender(name, work) for name, work in works.items()], models[0].isa


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21, help="chunks of 5 ms each (%(default)s)")
    parser.add_argument("--core", type=int, help="pin the process to this core")
    parser.add_argument("--isa", help="the instruction set, instead of the best")
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(arguments.core)}
    listed, report["isa"] = contenders(arguments.isa)
    interleave(listed, arguments.rounds)
    report["frames"] = {one.name: one.result() for one in listed}
    for name, found in report["frames"].items():
        print(f"{name:20}{found['us_min']:8.2f} us, median {found['us_median']:.2f}")
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
