# SPDX-License-Identifier: Apache-2.0
"""Converts the Keras model and streams the series through it, a year at a time: no keras.

    python examples/sunspots/forecast.py

Needs grucore alone; writes ``sunspots.png`` where matplotlib is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import grucore

FOLDER = Path(__file__).parent
HELD_OUT = 1948  # the first year that training has not seen


def scale(counts: Any) -> Any:
    """The model's input: the square root, whose scatter is much the same at all heights."""
    return np.sqrt(np.asarray(counts, np.float32)) / np.float32(10)


def unscale(outputs: Any) -> Any:
    """Sunspots of what the model says."""
    return (10 * np.maximum(np.asarray(outputs, np.float64), 0)) ** 2


def stream(model: grucore.Model, counts: Any) -> Any:
    """The model's forecast after each year, for the next one."""
    running = model.stream()
    return np.array([running.step([value])[0] for value in scale(counts)])


def autoregression(years: Any, counts: Any, order: int = 9) -> Any:
    """The linear model of the last `order` years, fitted by least squares on all but the held-out.

    Like a model's outputs: [t] is about year t + 1; zeros where too few years came before.
    """
    x = scale(counts).astype(np.float64)
    reads = np.lib.stride_tricks.sliding_window_view(x, order)
    reads = np.concatenate([reads, np.ones((len(reads), 1))], axis=1)
    fitted = years[order:] < HELD_OUT
    weights = np.linalg.lstsq(reads[:-1][fitted], x[order:][fitted])[0]
    return np.concatenate([np.zeros(order - 1), reads @ weights])


def errors(years: Any, counts: Any, outputs: Any) -> tuple[float, float]:
    """MAE and RMSE in sunspots over the held-out years; ``outputs[t]`` is about year t + 1."""
    error = (unscale(outputs[:-1]) - counts[1:])[years[1:] >= HELD_OUT]
    return float(np.abs(error).mean()), float(np.sqrt(np.square(error).mean()))


def plot(path: Path, years: Any, counts: Any, ours: Any, keras: Any) -> None:
    """The held-out years: what was, and what was forecast the year before."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = years[1:] >= HELD_OUT
    x = years[1:][shown]
    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    axes.plot(x, counts[1:][shown], color="0.6", linewidth=4, label="observed")
    axes.plot(x, unscale(keras[:-1])[shown], "x", color="tab:orange", label="Keras")
    axes.plot(x, unscale(ours[:-1])[shown], color="tab:blue", linewidth=1.2, label="grucore")
    axes.set(xlabel="year", ylabel="sunspots", title="Forecast one year ahead, held-out years")
    axes.set_xlim(x[0] - 1, x[-1] + 1)
    axes.set_ylim(0)
    axes.legend(loc="upper right", ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def main() -> None:
    """Convert, stream, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FOLDER / "sunspots.png")
    arguments = parser.parse_args()
    with np.load(FOLDER / "expected.npz") as expected:
        years, counts, keras = (expected[name] for name in ("years", "counts", "outputs"))
    model = grucore.convert(FOLDER / "sunspots.keras")
    ours = stream(model, counts)
    print(f"{model.nbytes:,} bytes, {model.proof}")
    print(f"held out: {HELD_OUT} to {years[-1]}        MAE   RMSE")
    for name, outputs in {
        "grucore, streamed": ours,
        "Keras": keras,
        "linear, last nine years": autoregression(years, counts),
        "last year's value": scale(counts),
    }.items():
        mae, rmse = errors(years, counts, outputs)
        print(f"{name:24} {mae:6.2f} {rmse:6.2f}")
    print(f"grucore and Keras differ by at most {np.abs(ours - keras).max():.1e} before scaling")
    try:
        plot(arguments.output, years, counts, ours, keras)
    except ImportError:
        print("no plot: matplotlib is not installed")


if __name__ == "__main__":
    main()
