# SPDX-License-Identifier: Apache-2.0
"""Makes the two models of the trained parameters, and measures them beside PyTorch.

    python examples/pronunciation/convert.py

Reads ``pronunciation.pt``, writes ``encoder.gru`` and ``decoder.gru`` in int8, the figures in
``figures.json``, and those of the page.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from network import HIDDEN, Decoder, Encoder
from pronounce import pronounce
from words import LONGEST, PHONEMES, START, STOP, letters_of, read

import grucore

FOLDER = Path(__file__).parent
MOST = 24  # sounds of a word


def convert(encoder: Encoder, decoder: Decoder) -> tuple[grucore.Model, grucore.Model]:
    """Both as models. The memory of the example is as long as one may be."""
    letters = torch.zeros((2, LONGEST), dtype=torch.long)
    token, start = torch.full((2, 1), START), torch.zeros(1, 2, HIDDEN)
    memory = torch.zeros(2, LONGEST, HIDDEN)
    return (
        grucore.from_torch(encoder, example_inputs=letters),
        grucore.from_torch(decoder, example_inputs=(token, start, memory)),
    )


def of_torch(encoder: Encoder, decoder: Decoder, word: str) -> list[int]:
    """The sounds that PyTorch decodes, each fed back."""
    with torch.no_grad():
        memory, start = encoder(torch.tensor([letters_of(word)]))
        h, token, said = start[None], START, []
        while len(said) < MOST:
            scores, h = decoder(torch.tensor([[token]]), h, memory)
            token = int(scores.argmax())
            if token == STOP:
                break
            said.append(token)
    return said


def distance(one: list[str], other: list[str]) -> int:
    """Sounds to be changed, left out or put in between."""
    row = list(range(len(other) + 1))
    for i, sound in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (sound != wanted))
    return row[-1]


def errors(said: dict[str, list[str]], words: dict[str, list[list[str]]]) -> dict[str, float]:
    """Shares of wrong words and of wrong sounds, of the nearest pronunciation of each."""
    wrong = sounds = total = 0
    for word, spoken in said.items():
        nearest = min(words[word], key=lambda each: distance(spoken, each))
        off = distance(spoken, nearest)
        wrong, sounds, total = wrong + (off > 0), sounds + off, total + len(nearest)
    return {"words": round(wrong / len(said), 4), "sounds": round(sounds / total, 4)}


def measured(
    words: dict[str, list[list[str]]], decode: Callable[[str], list[str]]
) -> tuple[dict, dict]:
    """The sounds of each word, and errors with microseconds a word."""
    began = time.process_time()
    said = {word: decode(word) for word in words}
    microseconds = (time.process_time() - began) / len(words) * 1e6
    return said, {**errors(said, words), "microseconds": round(microseconds)}


def main() -> None:
    """Convert, quantize, save, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parameters", type=Path, default=FOLDER / "pronunciation.pt")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--words", type=int, help="of the test that are measured; else all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    state = torch.load(arguments.parameters, weights_only=True)
    encoder, decoder = Encoder().eval(), Decoder().eval()
    encoder.load_state_dict(state["encoder"])
    decoder.load_state_dict(state["decoder"])
    floats = convert(encoder, decoder)
    small = tuple(model.quantize("int8") for model in floats)
    parts = read()
    words = dict(list(parts["test"].items())[: arguments.words])
    figures: dict[str, Any] = {
        "words": {name: len(part) for name, part in parts.items()},
        "measured": len(words),
        "parameters": sum(p.numel() for m in (encoder, decoder) for p in m.parameters()),
        "proof": [model.proof.largest_difference for model in floats],
    }
    ways = {
        "PyTorch": lambda word: [PHONEMES[i] for i in of_torch(encoder, decoder, word)],
        "grucore, float32": lambda word: pronounce(*floats, word),
        "grucore, int8": lambda word: pronounce(*small, word),
    }
    said = {}
    for name, way in ways.items():
        said[name], found = measured(words, way)
        figures[name] = found
        print(name, found, flush=True)
    figures["differ"] = {
        name: sum(said[name][word] != said["PyTorch"][word] for word in words) for name in ways
    }
    for name, model in zip(("encoder", "decoder"), small, strict=True):
        model.save(arguments.output / f"{name}.gru")
    figures["bytes"] = {
        "float32": sum(model.nbytes for model in floats),
        "int8": sum(model.nbytes for model in small),
    }
    text = json.dumps(figures, indent=2)
    (arguments.output / "figures.json").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
