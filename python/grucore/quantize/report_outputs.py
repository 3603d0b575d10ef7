# SPDX-License-Identifier: Apache-2.0
"""A model's decisions with smaller weights: agreement, accuracy, a sample of both outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore.graph.tensors import Array
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run

__all__ = ["decision_figures", "labelled_output"]

SAMPLED = 400  # pairs of numbers for a plot

Figures = dict[str, Any]


def decision_figures(
    models: tuple[Loaded, Loaded], inputs: Sequence[Array], labels: Any = None
) -> dict[str, Figures]:
    """For each float32 output: how often both models choose alike, and pairs of their numbers.

    ``labels``: the right choices of the first output of several scores, as `labelled_output` reads
    them; with them comes the accuracy of both.
    """
    before, after = (run(model, inputs, nonfinite="error") for model in models)
    judged = None if labels is None else labelled_output(models[0])
    found: dict[str, Figures] = {}
    for port, old, new in zip(models[0].outputs, before, after, strict=True):
        if port.dtype != "float32" or not old.size:
            continue
        figures: Figures = {"agreement": None, "accuracy": None, "pairs": _pairs(old, new)}
        if port.features > 1:
            choices = old.argmax(axis=-1), new.argmax(axis=-1)
            figures["agreement"] = _share(choices[0] == choices[1])
            figures["decisions"] = int(choices[0].size)
            if port.name == judged:
                figures["accuracy"] = _accuracy(choices, labels, port.features)
        found[port.name] = figures
    return found


def labelled_output(model: Loaded) -> str:
    """The output whose largest number is a choice; ValueError if there is none."""
    for port in model.outputs:
        if port.dtype == "float32" and port.features > 1:
            return port.name
    raise ValueError("labels need an output of several scores, and this model has none")


def _accuracy(choices: tuple[Array, Array], labels: Any, classes: int) -> Figures:
    """The shares of labels that each model chose; labels below 0 count for nothing."""
    right = np.asarray(labels)
    shape = choices[0].shape
    if right.ndim == len(shape) + 1 - (shape[0] == 1) and right.shape[-1:] == (1,):
        right = right[..., 0]  # a column of a .csv file
    if right.dtype.kind == "f" and np.array_equal(right, np.rint(right)):
        right = right.astype(np.int64)
    if right.dtype.kind not in "iu":
        raise ValueError(f"labels are {right.dtype}, expected integers, the place of a score each")
    if right.shape != shape and right.shape != (shape[1:] if shape[0] == 1 else None):
        wanted = shape if shape[0] != 1 or len(shape) == 1 else shape[1:]
        raise ValueError(f"labels have shape {right.shape}, expected {wanted}: one for each output")
    right = right.reshape(shape)
    if right.size and right.max() >= classes:
        raise ValueError(f"labels go up to {right.max()}, and there are {classes} scores")
    counted = right >= 0
    if not counted.any():
        raise ValueError("no label is 0 or more: nothing is counted")
    return {
        "labels": int(counted.sum()),
        "before": _share((choices[0] == right)[counted]),
        "after": _share((choices[1] == right)[counted]),
    }


def _share(hits: Array) -> float:
    return round(float(hits.mean()), 6)


def _pairs(old: Array, new: Array) -> list[list[float]]:
    """Numbers of both, evenly from everywhere; those that are not finite are left out."""
    flat = old.reshape(-1), new.reshape(-1)
    # A step that shares no factor with the number of features meets all of them.
    places = np.linspace(0, flat[0].size - 1, min(SAMPLED, flat[0].size)).astype(np.int64)
    pairs = np.stack([each[places].astype(np.float64) for each in flat], axis=1)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    return [[float(f"{number:.5g}") for number in pair] for pair in pairs]
