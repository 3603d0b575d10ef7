# SPDX-License-Identifier: Apache-2.0
"""Errors of random quantized GRUs against float64, beside those of the same scheme in float64.

    python benchmarks/quantized/errors.py

Weights uniform within 1 / sqrt(H), standard normal inputs, 200 frames, both cells, several seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from grucore.graph.layers import Cell
from oracle.quantized_errors import measure

KINDS = (("int8", 16), ("int8", 8), ("float16", 0), ("int4", 16), ("int4", 8))
SIZES = ((24, 24), (40, 64), (128, 128), (256, 256), (512, 384))


def row(kind: str, bits: int, size: tuple[int, int], seeds: int) -> dict[str, Any]:
    """Largest errors over all seeds and cells, and the RMS over all."""
    found = np.array(
        [measure(kind, bits, size, seed, cell=cell) for seed in range(seeds) for cell in Cell]
    )
    largest, rms = found[:, :, 0].max(axis=0), np.sqrt(np.square(found[:, :, 1]).mean(axis=0))
    return {
        "weights": f"{kind}/{bits}" if bits else kind,
        "size": f"{size[0]}x{size[1]}",
        "max": largest[0],
        "max of a median run": float(np.median(found[:, 0, 0])),
        "RMS": rms[0],
        "scheme max": largest[1],
        "scheme RMS": rms[1],
        "max / scheme": largest[0] / largest[1],
        "RMS / scheme": rms[0] / rms[1],
        # The same integers: seed by seed, the worst.
        "max / same weights": (found[:, 0, 0] / found[:, 2, 0]).max(),
        "RMS / same weights": (found[:, 0, 1] / found[:, 2, 1]).max(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", help="one of them alone, such as 40x64")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    arguments = parser.parse_args()
    sizes = [size for size in SIZES if arguments.size in (None, f"{size[0]}x{size[1]}")]
    rows = [row(kind, bits, size, arguments.seeds) for kind, bits in KINDS for size in sizes]
    columns = list(rows[0])
    print(f"| {' | '.join(columns)} |\n|---|---{'|---:' * (len(columns) - 2)}|")
    for each in rows:
        cells = (f"{cell:.4g}" if isinstance(cell, float) else cell for cell in each.values())
        print(f"| {' | '.join(cells)} |")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
