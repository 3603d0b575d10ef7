# SPDX-License-Identifier: Apache-2.0
"""Trains the classifier of languages, converts it, makes it smaller, and measures all of them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import data
import numpy as np
import torch
import training

import grucore

FOLDER = Path(__file__).parent


class Classifier(torch.nn.Module):
    """Letters -> embedding -> GRU in both directions -> the two last states -> languages."""

    def __init__(self, letters: int, embedding: int = 24, hidden_size: int = 48) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(letters, embedding)
        self.gru = torch.nn.GRU(embedding, hidden_size, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(2 * hidden_size, len(data.LANGUAGES))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        x: Any = self.embedding(ids)
        if lengths is not None:
            x = torch.nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
        _, h = self.gru(x)
        return self.head(torch.cat([h[0], h[1]], dim=1))


def scores_of(model: grucore.Model, made: list[str], alphabet: str) -> tuple[np.ndarray, float]:
    """Scores of all texts in batches with lengths, and the microseconds of a text alone."""
    parts = []
    for start in range(0, len(made), 64):
        ids, lengths = data.batch(made[start : start + 64], alphabet)
        parts.append(model.run(ids, lengths=lengths))
    alone = []
    for text in made[:300]:
        ids = np.array(data.numbers(text, alphabet))
        began = time.perf_counter()
        model.run(ids)
        alone.append(time.perf_counter() - began)
    return np.concatenate(parts), float(np.median(alone)) * 1e6


def main() -> int:
    """Train, convert, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--steps", type=int, default=1500, help="batches of 64 texts (%(default)s)")
    add("--seed", type=int, default=1)
    add("-o", "--output", type=Path, default=FOLDER, help="folder of what is written (here)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    names = data.read()
    alphabet = data.alphabet_of(names["train"])
    net = Classifier(len(alphabet) + 2)
    curve = training.fit(net, names, alphabet, steps=arguments.steps, seed=arguments.seed)
    made, labels = data.texts(names["test"], 3000, np.random.default_rng(99))
    ids, lengths = data.batch(made, alphabet)
    net.eval()
    with torch.no_grad():
        expected = net(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()

    # Numbers of any length; what pads a batch is not read, by lengths= of `run`.
    float_model = grucore.from_torch(net, example_inputs=torch.ones(1, 20, dtype=torch.int64))
    report: dict[str, Any] = {
        "languages": data.LANGUAGES,
        "alphabet": alphabet,
        "texts": len(made),
        "torch": {"accuracy": round(float((expected.argmax(1) == labels).mean()), 4)},
        "curve": curve,
    }
    models = {
        "float32": float_model,
        "int8": float_model.quantize("int8"),
        "int4": float_model.quantize("int4"),
    }
    for kind, model in models.items():
        scores, alone = scores_of(model, made, alphabet)
        report[kind] = {
            "accuracy": round(float((scores.argmax(1) == labels).mean()), 4),
            "largest difference from torch": float(np.abs(scores - expected).max()),
            "same answer as torch": round(
                float((scores.argmax(1) == expected.argmax(1)).mean()), 4
            ),
            "bytes": model.nbytes,
            "us a text alone": round(alone, 1),
        }
    confusion = np.zeros((len(data.LANGUAGES),) * 2, int)
    np.add.at(confusion, (labels, expected.argmax(1)), 1)
    report["confusion"] = confusion.tolist()
    arguments.output.mkdir(parents=True, exist_ok=True)
    models["int8"].save(arguments.output / "languages.gru")
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (arguments.output / "languages.json").write_text(text + "\n", "utf-8")
    for kind in ("torch", *models):
        print(kind, report[kind])
    return 0


if __name__ == "__main__":
    sys.exit(main())
