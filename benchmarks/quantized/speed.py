# SPDX-License-Identifier: Apache-2.0
"""Microseconds of `stream.step` for every kind of weights, in turn in one process.

taskset -c 1 python benchmarks/quantized/speed.py --isa avx512vnni,avx2
taskset -c 1 python benchmarks/quantized/speed.py --sparse
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import numpy as np

import grucore
from grucore.fileformat import write
from grucore.graph.blocks import blocks_of
from grucore.graph.graph import Graph
from grucore.graph.layers import Cell
from grucore.graph.node import Value
from grucore.runtime.timing import in_turn
from oracle.quantized_errors import random_gru

SIZES = ((40, 64), (128, 128), (256, 256), (384, 384), (512, 1024))
KEPT = (0.3, 0.2, 0.5)  # of the blocks of r, z and n, as RNNoise 0.2 has them
KINDS = (("float16", 16), ("int8", 16), ("int8", 8), ("int4", 16), ("int4", 8))


def files(size: tuple[int, int]) -> dict[str, bytes]:
    """One random GRU in every kind of weights."""
    gru = random_gru(size, Cell.RESET_AFTER, seed=0)
    values = (Value("x", size[0]), Value("h", size[1]))
    model = grucore.load(write(Graph(values=values, inputs=("x",), outputs=("h",), nodes=(gru,))))
    found = {"float32": bytes(model)}
    for kind, bits in KINDS:
        name = kind if kind == "float16" else f"{kind}/{bits}"
        found[name] = bytes(model.quantize(kind, activations=bits))
    return found


def sparse_files(size: tuple[int, int]) -> dict[str, bytes]:
    """One random GRU pruned in blocks: int8 in whole matrices and in blocks."""
    gru = random_gru(size, Cell.RESET_AFTER, seed=0)
    rng = np.random.default_rng(0)
    for weight in (gru.weight_ih, gru.weight_hh):
        blocks = blocks_of(np.asarray(weight))
        blocks[rng.random(blocks.shape[:2]) >= np.repeat(KEPT, len(blocks) // 3)[:, None]] = 0
    values = (Value("x", size[0]), Value("h", size[1]))
    model = grucore.load(write(Graph(values=values, inputs=("x",), outputs=("h",), nodes=(gru,))))
    found = {}
    for bits in (16, 8):
        found[f"int8/{bits}"] = bytes(model.quantize("int8", activations=bits))
        blocks_file = model.quantize("int8", activations=bits, sparse=True)
        found[f"sparse int8/{bits}"] = bytes(blocks_file)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--isa", default=grucore.supported_isas()[0], help="one, or several by ,")
    parser.add_argument(
        "--sparse", action="store_true", help="int8 in blocks beside whole matrices"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="for each size and table")
    parser.add_argument("--size", help="one of them alone, such as 40x64")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        if arguments.size not in (None, f"{size[0]}x{size[1]}"):
            continue
        kinds = sparse_files(size) if arguments.sparse else files(size)
        for isa in arguments.isa.split(","):
            models = [grucore.load(data, isa=isa) for data in kinds.values()]
            costs = in_turn(models, seconds=arguments.seconds, advance=lambda taken: None)
            named = dict(zip(kinds, costs, strict=True))
            rows.append({"size": f"{size[0]}x{size[1]}", "isa": isa, "kinds": named})
            if len(rows) == 1:
                print(f"| size | isa | {' | '.join(kinds)} |\n|---|---{'|---:' * len(kinds)}|")
            cells = (f"{cost['us_min']:.3g} ({cost['us_median']:.3g})" for cost in costs)
            print(f"| {rows[-1]['size']} | {isa} | {' | '.join(cells)} |", flush=True)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
