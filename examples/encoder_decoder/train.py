# SPDX-License-Identifier: Apache-2.0
"""Trains a small encoder and decoder that turn strings of digits around, and converts both.

    python examples/encoder_decoder/train.py

Needs torch; takes less than a minute on one core. Writes ``encoder.gru`` and ``decoder.gru``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

import grucore

MODELS = Path(__file__).parent / "build"
DIGITS = 10
START = DIGITS  # what the decoder reads first
STOP = DIGITS + 1
TOKENS = DIGITS + 2
WIDTH = 16
HIDDEN = 96
LONGEST = 6


class Encoder(nn.Module):
    """Reads the digits; what it remembers of them is its final state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        self.gru = nn.GRU(WIDTH, HIDDEN, batch_first=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.gru(self.embedding(tokens))[1]


class Decoder(nn.Module):
    """One token a call: scores of the next one, and the state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        self.gru = nn.GRU(WIDTH, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, TOKENS)

    def forward(self, tokens: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, h = self.gru(self.embedding(tokens), h)
        return self.head(y), h


def batch(rows: int, length: int) -> torch.Tensor:
    """Strings of that many digits."""
    return torch.randint(0, DIGITS, (rows, length))


def train(steps: int, seed: int = 0) -> tuple[Encoder, Decoder]:
    """Both, trained together on strings of up to `LONGEST` digits."""
    torch.manual_seed(seed)
    encoder, decoder = Encoder(), Decoder()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    for step in range(steps):
        digits = batch(128, 1 + step % LONGEST)
        turned = digits.flip(1)
        edge = torch.ones(len(digits), 1, dtype=torch.long)
        reads, wanted = torch.cat([edge * START, turned], 1), torch.cat([turned, edge * STOP], 1)
        scores, _ = decoder(reads, encoder(digits))
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    return encoder.eval(), decoder.eval()


def convert(encoder: Encoder, decoder: Decoder) -> tuple[grucore.Model, grucore.Model]:
    """Both as models. An example of one frame says that the decoder is called for each token."""
    digits = batch(2, LONGEST)
    token = torch.full((2, 1), START)
    return (
        grucore.from_torch(encoder, example_inputs=digits),
        grucore.from_torch(decoder, example_inputs=(token, encoder(digits))),
    )


def main() -> None:
    """Train, convert, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--output", type=Path, default=MODELS, help="folder (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    encoder, decoder = train(arguments.steps)
    for name, model in zip(("encoder", "decoder"), convert(encoder, decoder), strict=True):
        model.save(arguments.output / f"{name}.gru")
        print(f"{name}.gru: {model.nbytes:,} bytes, {model.proof}")


if __name__ == "__main__":
    main()
