# SPDX-License-Identifier: Apache-2.0
"""Bytes of files: GRUs and shipped models in every kind of weights, and the parts of the demo."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from common.workloads import WORKLOADS, state_dict

import grucore
from grucore.demo.clips import load_clips
from grucore.demo.runner import DATA, load_model, load_network

EXAMPLES = Path(__file__).parents[1] / "examples"


def of_kinds(model: Any) -> dict[str, dict[str, int]]:
    """Bytes of the file and of the weights alone, for each kind of weights."""
    found = {}
    for kind, bits in (("float32", 16), ("float16", 16), ("int8", 16), ("int4", 16)):
        small = model if kind == "float32" else model.quantize(kind, activations=bits)
        sizes = [layer.nbytes for layer in small.layers]
        found[kind] = {"file": small.nbytes, "weights": sum(sizes)}
    return found


def numbers_in(path: Path) -> int:
    """The numbers that a framework trained and saved: both of PyTorch's biases, say."""
    if path.suffix == ".pt":
        import torch

        return sum(one.numel() for one in torch.load(path, weights_only=True).values())
    import keras

    return int(keras.models.load_model(path, compile=False).count_params())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    models = {
        name: grucore.from_torch(state_dict(WORKLOADS[name])) for name in ("S1", "S3", "S4", "S5")
    }
    models["demo"] = load_network()
    found: dict[str, Any] = {name: of_kinds(model) for name, model in models.items()}
    found["demo"]["checkpoint"] = numbers_in(DATA / "keywords.pt")
    found["demo"]["from samples"] = load_model().nbytes
    found["demo"]["clips"] = [len(load_clips()), (DATA / "clips.npz").stat().st_size]
    sunspots = EXAMPLES / "sunspots" / "sunspots.keras"
    model = grucore.convert(sunspots)
    found["sunspots"] = {"checkpoint": numbers_in(sunspots), "keras": sunspots.stat().st_size}
    found["sunspots"]["gru"] = model.nbytes
    suppressor = grucore.load(EXAMPLES / "noise_suppressor" / "suppressor.gru")
    found["suppressor"] = {"file": suppressor.nbytes}
    text = json.dumps(found, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
