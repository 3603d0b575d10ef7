# SPDX-License-Identifier: Apache-2.0
"""Trains a Keras model that says next year's sunspots from all the years before.

    KERAS_BACKEND=torch python examples/sunspots/train.py

Needs keras with one of its back ends, and statsmodels, whose data the series is; takes less than a
minute on one core. Writes ``sunspots.keras``, and ``expected.npz``: the series and what Keras says.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
from forecast import FOLDER, HELD_OUT, scale
from statsmodels.datasets import sunspots

VALIDATION = 1915  # from here to HELD_OUT: chooses the epoch whose weights are kept
WINDOW = 44  # years, four cycles
WARM_UP = 11  # years of a window that are read before an error counts
UNITS = 16


def build() -> Any:
    """One value a year in, one out; any number of years."""
    return keras.Sequential(
        [
            keras.Input((None, 1)),
            keras.layers.GRU(UNITS, return_sequences=True, name="gru"),
            keras.layers.Dense(1, name="head"),
        ]
    )


def windows(x: Any, first: int, last: int) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights; the targets end in the years at index `first` to `last` - 1."""
    ends = range(max(first, WINDOW), last)
    reads = np.stack([x[end - WINDOW : end] for end in ends])[..., None]
    wanted = np.stack([x[end - WINDOW + 1 : end + 1] for end in ends])[..., None]
    weights = np.ones(wanted.shape[:2], np.float32)
    weights[:, :WARM_UP] = 0
    return reads, wanted, weights


def train(years: Any, counts: Any, epochs: int) -> Any:
    """The model, with the weights of the epoch that was best in the years of validation."""
    keras.utils.set_random_seed(0)
    x = scale(counts)
    begin, end = np.searchsorted(years, [VALIDATION, HELD_OUT])
    reads, wanted, weights = windows(x, 0, begin)
    new_reads, new_wanted, new_weights = windows(x, begin, end)
    new_weights[:, :-1] = 0  # the years before belong to the training
    model = build()
    model.compile(keras.optimizers.Adam(4e-3), "mse")
    model.fit(
        reads,
        wanted,
        batch_size=32,
        epochs=epochs,
        sample_weight=weights,
        validation_data=(new_reads, new_wanted, new_weights),
        callbacks=[keras.callbacks.EarlyStopping(patience=epochs, restore_best_weights=True)],
        verbose=2,
    )
    trained = build()  # without what the optimizer remembers
    trained.set_weights(model.get_weights())
    return trained


def main() -> None:
    """Train, save, and predict the whole series."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--output", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)
    data = sunspots.load().data
    years = data["YEAR"].to_numpy().astype(np.int32)
    counts = data["SUNACTIVITY"].to_numpy().astype(np.float32)
    model = train(years, counts, arguments.epochs)
    model.save(arguments.output / "sunspots.keras")
    outputs = model.predict(scale(counts)[None, :, None], verbose=0)[0, :, 0]
    np.savez_compressed(
        arguments.output / "expected.npz", years=years, counts=counts, outputs=outputs
    )


if __name__ == "__main__":
    main()
