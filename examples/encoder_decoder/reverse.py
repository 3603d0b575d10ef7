# SPDX-License-Identifier: Apache-2.0
"""Turns digits around with the two models: no torch, one token at a time.

python examples/encoder_decoder/reverse.py 314159
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import grucore

MODELS = Path(__file__).parent / "build"
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", nargs="*", default=["314159"])
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of train.py's files")
    arguments = parser.parse_args()
    paths = [arguments.models / f"{name}.gru" for name in ("encoder", "decoder")]
    if missing := [str(path) for path in paths if not path.exists()]:
        parser.error(f"{' and '.join(missing)} not there yet: run train.py, which writes them")
    encoder, decoder = map(grucore.load, paths)
    for digits in arguments.digits:
        print(digits, "->", reverse(encoder, decoder, digits))


if __name__ == "__main__":
    main()
