# SPDX-License-Identifier: Apache-2.0
"""One task, three cells: GRU, LSTM and plain RNN at equal hidden sizes and at equal parameters.

The task is that of ../languages: in which of twelve languages is a text?
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import grucore

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "languages"))

import data  # noqa: E402
import training  # noqa: E402

EMBEDDING = 24
CELLS = {"GRU": torch.nn.GRU, "LSTM": torch.nn.LSTM, "RNN": torch.nn.RNN}
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
# Hidden sizes: as large as the GRU, and with as many parameters as the GRU.
SIZES = {"GRU": (48,), "LSTM": (48, 40), "RNN": (48, 91)}


class Reader(torch.nn.Module):
    """Letters -> embedding -> one layer of a cell -> its last output -> languages."""

    def __init__(self, cell: str, letters: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(letters, EMBEDDING)
        self.cell = CELLS[cell](EMBEDDING, hidden_size, batch_first=True)
        self.head = torch.nn.Linear(hidden_size, len(data.LANGUAGES))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        y, _ = self.cell(self.embedding(ids))
        if lengths is None:
            return self.head(y[:, -1])
        return self.head(y[torch.arange(len(y)), lengths - 1])


def recurrent_parameters(cell: str, hidden_size: int) -> int:
    """Weights and biases of the layer, as PyTorch counts them."""
    return GATES[cell] * hidden_size * (EMBEDDING + hidden_size + 2)


def timed(models: dict[str, grucore.Model], ids: list[int], rounds: int = 15) -> dict[str, float]:
    """Least microseconds of a step of each, in turn."""
    streams = {name: model.stream() for name, model in models.items()}
    out = np.empty(len(data.LANGUAGES), np.float32)
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, stream in streams.items():
            step = stream.step
            began = time.perf_counter()
            for _ in range(20):
                for number in ids:
                    step(number, out)
            found[name].append((time.perf_counter() - began) / (20 * len(ids)) * 1e6)
    return {name: round(min(times), 3) for name, times in found.items()}


def trained(
    cell: str, size: int, names: dict[str, Any], alphabet: str, steps: int, seed: int
) -> tuple[torch.nn.Module, list[dict[str, float]], float]:
    """A trained network, its curve, and its accuracy on texts of names that it never saw."""
    torch.manual_seed(seed)
    net = Reader(cell, len(alphabet) + 2, size)
    print(f"{cell} {size}, seed {seed}", flush=True)
    curve = training.fit(net, names, alphabet, steps=steps, seed=seed)
    _, right = training.measured(net, names["test"], alphabet)
    return net.eval(), curve, right


def converted(net: torch.nn.Module) -> dict[str, grucore.Model]:
    """Both kinds of weights."""
    model = grucore.from_torch(net.eval(), example_inputs=torch.ones(1, 20, dtype=torch.int64))
    return {"float32": model, "int8": model.quantize("int8")}


def add_times(report: dict[str, Any], models: dict[str, grucore.Model], alphabet: str) -> None:
    """Microseconds a letter of every model; they do not depend on the weights."""
    text = ", ".join(["united kingdom of great britain", "kingdom of the netherlands"])
    for name, least in timed(models, data.numbers(text, alphabet)).items():
        cell, size, kind = name.split()
        report["cells"][f"{cell} {size}"][kind]["us a letter"] = least
        report["isa"] = models[name].isa


def time_again(report: dict[str, Any], alphabet: str) -> None:
    """The times of a report, measured anew with networks that nobody trained."""
    models = {
        f"{cell} {size} {kind}": model
        for cell, sizes in SIZES.items()
        for size in sizes
        for kind, model in converted(Reader(cell, len(alphabet) + 2, size)).items()
    }
    add_times(report, models, alphabet)


def main() -> int:
    """Train all, measure all, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--steps", type=int, default=800, help="batches of 64 texts (%(default)s)")
    add("--seeds", type=int, default=2, help="trainings of each network (%(default)s)")
    add("-o", "--output", type=Path, default=FOLDER / "figures.json")
    add("--time", action="store_true", help="measure times again, and train nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = data.read()
    alphabet = data.alphabet_of(names["train"])
    if arguments.time:
        known = json.loads(arguments.output.read_text("utf-8"))
        time_again(known, alphabet)
        arguments.output.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
        return 0
    made, labels = data.texts(names["test"], 3000, np.random.default_rng(99))
    report: dict[str, Any] = {"machine": platform.machine(), "steps": arguments.steps, "cells": {}}
    models: dict[str, grucore.Model] = {}
    for cell, sizes in SIZES.items():
        for size in sizes:
            runs = [
                trained(cell, size, names, alphabet, arguments.steps, seed + 1)
                for seed in range(arguments.seeds)
            ]
            net = runs[0][0]
            name, kinds = f"{cell} {size}", converted(net)
            found: dict[str, Any] = {
                "parameters": recurrent_parameters(cell, size),
                "right": [round(right, 4) for _, _, right in runs],
                "curves": [curve for _, curve, _ in runs],
            }
            for kind, one in kinds.items():
                models[f"{name} {kind}"] = one
                ids, lengths = data.batch(made, alphabet)
                answers = one.run(ids, lengths=lengths).argmax(1)
                found[kind] = {
                    "bytes": one.nbytes,
                    "right": round(float((answers == labels).mean()), 4),
                }
            report["cells"][name] = found
    add_times(report, models, alphabet)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for name, found in report["cells"].items():
        right = statistics.mean(found["right"])
        print(f"{name:8} {found['parameters']:6,} {right:.1%}", found["float32"], found["int8"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
