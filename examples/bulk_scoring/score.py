# SPDX-License-Identifier: Apache-2.0
"""Scores a folder of sequences on a Dask cluster: the model is mapped once per process."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from scoring import score_part


def run(client: Any, model: str, parts: list[str], folder: str) -> dict[str, Any]:
    """Score parts on a cluster that is there, with a line of progress for each."""
    from distributed import as_completed

    client.upload_file(str(Path(__file__).with_name("scoring.py")))  # for processes elsewhere
    began = time.perf_counter()
    futures = client.map(score_part, [model] * len(parts), parts, [folder] * len(parts), pure=False)
    done: list[dict[str, Any]] = []
    for future in as_completed(futures):
        done.append(future.result())
        if sys.stderr.isatty():
            print(f"\r{len(done)} of {len(parts)} parts", end="", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    frames = sum(one["frames"] for one in done)
    return {
        "processes": len({one["process"] for one in done}),
        "mapped": max((one["mapped"] for one in done), default=0),  # times in one process
        "sequences": sum(one["sequences"] for one in done),
        "frames": frames,
        "seconds": round(seconds, 3),
        "frames a second": round(frames / seconds),
    }


def main() -> int:
    """Read the command line, find a cluster, and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model", help="a .gru file that every process can read")
    add(
        "parts", nargs="+", help=".npz files: frames (n, features) end to end, lengths (sequences,)"
    )
    add("-o", "--output", required=True, metavar="DIR", help="where the scores go")
    add(
        "--scheduler",
        help="address of a cluster, as tcp://host:8786; without it, one of this machine",
    )
    add("--workers", default="1", help="sizes to try of a cluster of this machine, as 1,2,4")
    arguments = parser.parse_args()
    from distributed import Client, LocalCluster

    Path(arguments.output).mkdir(parents=True, exist_ok=True)
    model, folder = str(Path(arguments.model).resolve()), str(Path(arguments.output).resolve())
    parts = [str(Path(part).resolve()) for part in arguments.parts]
    if arguments.scheduler:
        with Client(arguments.scheduler) as client:
            print(json.dumps(run(client, model, parts, folder)))
        return 0
    for workers in map(int, arguments.workers.split(",")):
        options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
            client.wait_for_workers(workers)
            print(json.dumps({"workers": workers, **run(client, model, parts, folder)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
