# SPDX-License-Identifier: Apache-2.0
"""Makes a set of sequences of unequal lengths, and the demo's model beside it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from grucore.demo.runner import load_network


def main() -> int:
    """Write parts-*.npz and keywords.gru."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("folder", type=Path, help="where the files go")
    add("--parts", type=int, default=64, help="files (%(default)s)")
    add("--sequences", type=int, default=500, help="sequences in each (%(default)s)")
    add("--longest", type=int, default=200, help="frames of the longest (%(default)s)")
    arguments = parser.parse_args()
    model = load_network()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    model.save(arguments.folder / "keywords.gru")
    for part in range(arguments.parts):
        rng = np.random.default_rng(part)
        lengths = rng.integers(1, arguments.longest + 1, arguments.sequences)
        frames = rng.standard_normal((lengths.sum(), model.inputs[0].features), np.float32)
        np.savez(arguments.folder / f"part-{part:04}.npz", frames=frames, lengths=lengths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
