# SPDX-License-Identifier: Apache-2.0
"""Turns digits around with the two models: no torch, one token at a time.

python examples/encoder_decoder/reverse.py 314159
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import grucore

FOLDER = Path(__file__).parent
START, STOP = 10, 11


def reverse(encoder: grucore.Model, decoder: grucore.Model, digits: str, most: int = 32) -> str:
    """The decoder's tokens from the encoder's final state on, until it says stop."""
    _, final = encoder.run(np.array([int(digit) for digit in digits]), return_state=True)
    stream = decoder.stream()
    stream.state = final  # both call their layer gru.l0
    token, said = START, ""
    for _ in range(most):
        token = int(np.argmax(stream.step([token])))
        if token == STOP:
            break
        said += str(token)
    return said


def main() -> None:
    """Read the files, and reverse what stands on the command line."""
    encoder, decoder = (grucore.load(FOLDER / f"{name}.gru") for name in ("encoder", "decoder"))
    for digits in sys.argv[1:] or ["314159"]:
        print(digits, "->", reverse(encoder, decoder, digits))


if __name__ == "__main__":
    main()
