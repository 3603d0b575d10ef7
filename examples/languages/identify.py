# SPDX-License-Identifier: Apache-2.0
"""Says in which of twelve languages a text is, letter by letter as it is read."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from data import numbers

import grucore

FOLDER = Path(__file__).parent


def main() -> int:
    """Identify each text of the command line, or each line of standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("text", nargs="*", help="texts; none: lines of standard input")
    add("--model", type=Path, default=FOLDER / "languages.gru", help="(%(default)s)")
    arguments = parser.parse_args()
    settings = json.loads((FOLDER / "languages.json").read_text("utf-8"))
    model = grucore.load(arguments.model)
    for text in arguments.text or (line.rstrip("\n") for line in sys.stdin):
        ids = numbers(text, settings["alphabet"])
        if not ids:
            continue
        scores = model.run(np.array(ids)).astype(float)
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        best = np.argsort(-shares)[:3]
        said = ", ".join(f"{settings['languages'][i]} {shares[i]:.0%}" for i in best)
        print(f"{said:28} {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
