# SPDX-License-Identifier: Apache-2.0
"""The pool of streams of the keyword model: a tick, joining and leaving, and the same bits."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common.rounds import Contender, interleave, machine

import grucore
from grucore.demo.runner import load_network

JOINS = 200  # streams that join and leave in one repetition: less than a page


def ticking(model: Any, streams: int, x: np.ndarray) -> Contender:
    """A tick of so many streams, each with the push of its frame."""
    pool = grucore.StreamPool(model, capacity=streams)
    ids = [pool.open() for _ in range(streams)]
    frames = list(x[:streams])

    def all_of_it(count: int) -> None:
        push, tick = pool.push, pool.tick
        for _ in range(count):
            for stream, frame in zip(ids, frames, strict=True):
                push(stream, frame)
            tick()

    return Contender(f"{streams}", all_of_it)


def joining(model: Any, streams: int) -> Contender:
    """Streams that join a pool of so many and leave it again."""
    pool = grucore.StreamPool(model, capacity=streams + JOINS)
    for _ in range(streams):
        pool.open()

    def join_and_leave(count: int) -> None:
        for _ in range(count):
            for stream in [pool.open() for _ in range(JOINS)]:
                pool.close(stream)

    return Contender("join and leave", join_and_leave)


def different(model: Any, streams: int, frames: int, seed: int) -> tuple[int, int]:
    """Probabilities that differ between the pool and streams alone, and how many there were."""
    rng = np.random.default_rng(seed)
    pool = grucore.StreamPool(model, queue=2)
    alone: dict[int, grucore.Stream] = {}
    differ = total = 0
    for _ in range(frames):
        for _ in range(rng.integers(0, 1 + 2 * max(0, streams - len(pool)))):
            alone[pool.open()] = model.stream()
        for stream in [s for s in alone if rng.random() < 0.02]:
            pool.close(stream)
            del alone[stream]
        given = {s: rng.standard_normal(40).astype(np.float32) for s in alone if rng.random() < 0.8}
        for stream, frame in given.items():
            pool.push(stream, frame)
        tick = pool.tick()
        for stream, frame in given.items():
            expected = alone[stream].step(frame)
            differ += int(np.sum(tick[stream].view(np.uint32) != expected.view(np.uint32)))
            total += expected.size
    return differ, total


def main() -> int:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--streams", default="1000,10000", help="sizes of the pools (%(default)s)")
    add("--rounds", type=int, default=21, help="chunks of each (%(default)s)")
    add("--frames", type=int, default=500, help="ticks of the comparison of bits (%(default)s)")
    add("--core", type=int, help="pin the process to this core")
    add("--out", metavar="JSON", help="where to write the figures")
    arguments = parser.parse_args()
    where = machine(arguments.core)
    model: Any = load_network()
    sizes = [int(text) for text in arguments.streams.split(",")]
    x = np.random.default_rng(1).standard_normal((max(sizes), 40)).astype(np.float32)
    ticks = {size: ticking(model, size, x) for size in sizes}
    joins = joining(model, max(sizes))
    stream, out = model.stream(), np.empty(model.outputs[0].features, np.float32)

    def one(count: int) -> None:
        for _ in range(count):
            stream.step(x[0], out=out)

    alone = Contender("alone", one)
    interleave([*ticks.values(), joins, alone], arguments.rounds)
    report: dict[str, Any] = {"machine": where, "ticks": {}}
    print("microseconds a stream and tick, with its push: least (median)")
    for size, contender in ticks.items():
        found = contender.result()
        report["ticks"][size] = {
            key: round(found[key] / size, 5) for key in ("us_min", "us_median")
        }
        least, median = report["ticks"][size].values()
        print(f"{size:>10,} streams {least:8.3f} ({median:.3f})")
    report["alone"] = alone.result()
    print(
        f"{'one':>10} stream  {report['alone']['us_min']:8.3f} ({report['alone']['us_median']:.3f})"
    )
    report["join_and_leave"] = round(joins.result()["us_min"] / JOINS, 4)
    print(f"join and leave together: {report['join_and_leave']:.2f} us")
    report["differ"], report["compared"] = different(model, 100, arguments.frames, 2)
    print(f"{report['differ']} of {report['compared']:,} probabilities differ from streams alone")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
