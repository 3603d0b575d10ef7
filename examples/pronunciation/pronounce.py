# SPDX-License-Identifier: Apache-2.0
"""Says what English words sound like, with the two models: no torch, one sound at a time.

python examples/pronunciation/pronounce.py attention recurrent
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from words import PHONEMES, START, STOP, letters_of

import grucore

FOLDER = Path(__file__).parent


def pronounce(
    encoder: grucore.Model, decoder: grucore.Model, word: str, most: int = 24
) -> list[str]:
    """The most likely sound, again and again, until the decoder says stop."""
    memory, start = encoder.run(np.array(letters_of(word)))
    stream = decoder.stream()
    stream.state = stream.state | {"gru.l0.h": start}
    stream.set_memory(memory)
    token, said = START, []
    for _ in range(most):
        token = int(np.argmax(stream.step([token])))
        if token == STOP:
            break
        said.append(PHONEMES[token])
    return said


def main() -> None:
    """Read the files, and say what stands on the command line."""
    encoder, decoder = (grucore.load(FOLDER / f"{name}.gru") for name in ("encoder", "decoder"))
    for word in sys.argv[1:] or ["attention", "recurrent"]:
        print(word, *pronounce(encoder, decoder, word.lower()))


if __name__ == "__main__":
    main()
