# SPDX-License-Identifier: Apache-2.0
"""The same bits over many frames: exported code and the engine elsewhere, and all tables here.

    python benchmarks/mcu/long.py --out many_frames.json

Wants what run.py wants, and clang, lld, node and qemu-user.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from workloads import classifier, of_kind  # noqa: E402

import grucore  # noqa: E402
from export.long_runs import noise, sum_of, sum_there  # noqa: E402
from grucore.fileformat import write  # noqa: E402

KINDS = ("float32", "int8/8")
# A small network where a million frames pass, the keyword spotter's shape under whole machines.
SMALL, SPOTTER = (8, 16, 4), (40, 64, 12)
FAST = ("wasm", "armv7", "aarch64", "i386")
SLOW = ("cortex-m4", "cortex-m55")
MANY, FEW = 1_000_000, 10_000
SECONDS = 3600


def row(what: str, where: str, kind: str, shape: tuple[int, ...], frames: int, same: bool) -> Any:
    """A result: what stands in the JSON."""
    network = " -> ".join(map(str, shape))
    found = {"what": what, "where": where, "weights": kind, "network": network}
    return {**found, "frames": frames, "same": same}


def tables_here(kind: str, x: Any) -> Iterator[Any]:
    """Each table of this machine, in one run and in blocks of a stream."""
    data = write(of_kind(classifier(*SMALL), kind))
    sums: dict[str, int] = {}
    for isa in grucore.supported_isas():
        model = grucore.load(data, isa=isa)
        whole = sum_of(model.run(x))
        stream = model.stream()
        stepped = [stream.run(x[begin : begin + 997]) for begin in range(0, len(x), 997)]
        same = whole == sum_of(np.concatenate(stepped))
        first = sums.setdefault(model.numerics, whole)
        yield row("table", isa, kind, SMALL, len(x), same and whole == first)


def results(cpus: Sequence[str], many: int, few: int) -> Iterator[Any]:
    """Everything, one after the other."""
    small, large = noise(many, SMALL[0]), noise(few, SPOTTER[0])
    if "here" in cpus:
        for kind in KINDS:
            yield from tables_here(kind, small)
    for shape, x, some in ((SPOTTER, large, SLOW), (SMALL, small, FAST)):
        for kind in KINDS:
            graph = of_kind(classifier(*shape), kind)
            expected = sum_of(grucore.load(write(graph), isa="scalar").run(x))
            for cpu in (cpu for cpu in some if cpu in cpus):
                for what in ("export", "engine"):
                    with tempfile.TemporaryDirectory() as folder:
                        is_engine = what == "engine"
                        there = sum_there(
                            graph, cpu, len(x), Path(folder), engine=is_engine, seconds=SECONDS
                        )
                    yield row(what, cpu, kind, shape, len(x), there == expected)


def main() -> int:
    """Run and print; 1 if some bit differed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=MANY, help="default: %(default)s")
    parser.add_argument(
        "--cpu", action="append", choices=(*FAST, *SLOW, "here"), help="default: all"
    )
    parser.add_argument("--out", type=Path, help="where to write the results")
    arguments = parser.parse_args()
    rows = []
    cpus = arguments.cpu or ("here", *SLOW, *FAST)
    for one in results(cpus, arguments.frames, min(FEW, arguments.frames)):
        print(one, flush=True)
        rows.append(one)
        if arguments.out:
            arguments.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return int(not all(one["same"] for one in rows))


if __name__ == "__main__":
    sys.exit(main())
