# SPDX-License-Identifier: Apache-2.0
"""Trains a GRU of 16 units to be the amplifier, and writes amp.json, as plug-ins keep models.

    python examples/amplifier/train.py

Needs torch; takes some minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from amplifier import FOLDER, amplifier, guitar
from torch import nn

UNITS = 16
SEGMENT = 512  # samples between two steps of the optimiser; the state goes on
CHAIN = 8  # segments before the state is zero again
BATCH = 64


class Amplifier(nn.Module):
    """The signal that is added to the dry one."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, 1)

    def forward(self, x: Any, h: Any = None) -> tuple[Any, Any]:
        out, h = self.gru(x, h)
        return self.dense(out), h


def error(model: Amplifier, x: Any, y: Any) -> float:
    """Energy of the error over that of the sound."""
    with torch.no_grad():
        got = model(torch.from_numpy(x)[None, :, None])[0][0, :, 0].numpy()
    return float(np.sum((got - y) ** 2) / np.sum(y**2))


def train(model: Amplifier, x: Any, y: Any, epochs: int) -> None:
    """Pieces of the recording side by side; the error weighs high frequencies as ears do."""
    length = SEGMENT * CHAIN
    count = len(x) // length
    pieces_x = torch.from_numpy(x[: count * length].reshape(count, length, 1))
    pieces_y = torch.from_numpy(y[: count * length].reshape(count, length, 1))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, 1e-4)
    for epoch in range(epochs):
        for rows in torch.randperm(count).split(BATCH):
            h = None
            for at in range(0, length, SEGMENT):
                wanted = pieces_y[rows, at : at + SEGMENT]
                got, h = model(pieces_x[rows, at : at + SEGMENT], h)
                h = h.detach()
                miss = got - wanted
                bright = miss[:, 1:] - 0.85 * miss[:, :-1]
                loss = (bright**2).mean() / 0.01 + (miss.mean(1) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
        schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.5f}", flush=True)


def document(model: Amplifier) -> dict[str, Any]:
    """The layout of Keras, in which such files are: inputs first, gates z, r, n."""

    def gates(values: Any) -> Any:
        r, z, n = np.split(values, 3)
        return np.concatenate([z, r, n])

    state = {name: value.numpy() for name, value in model.state_dict().items()}
    gru = [
        gates(state["gru.weight_ih_l0"]).T,
        gates(state["gru.weight_hh_l0"]).T,
        np.stack([gates(state["gru.bias_ih_l0"]), gates(state["gru.bias_hh_l0"])]),
    ]
    dense = [state["dense.weight"].T, state["dense.bias"]]
    return {
        "in_shape": [None, None, 1],
        "in_skip": 0,
        "layers": [
            {
                "type": "gru",
                "activation": "",
                "shape": [None, None, UNITS],
                "weights": [matrix.tolist() for matrix in gru],
            },
            {
                "type": "dense",
                "activation": "",
                "shape": [None, None, 1],
                "weights": [
                    [[float(v) for v in row] for row in dense[0]],
                    [float(v) for v in dense[1]],
                ],
            },
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--output", type=Path, default=FOLDER / "amp.json")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    x, new = guitar(0, arguments.seconds), guitar(1, 8)
    model = Amplifier()
    train(model, x, amplifier(x), arguments.epochs)
    print(f"error to signal on notes it has not heard: {error(model, new, amplifier(new)):.4f}")
    arguments.output.write_text(json.dumps(document(model), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
