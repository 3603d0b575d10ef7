# SPDX-License-Identifier: Apache-2.0
"""JSON files of weights as the documented exporters write them, of Keras and PyTorch models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "GRU": "gru",
    "LSTM": "lstm",
    "Dense": "dense",
    "TimeDistributed": "time-distributed-dense",
    "Conv1D": "conv1d",
    "PReLU": "prelu",
    "BatchNormalization": "batchnorm",
    "Activation": "activation",
}


def of_keras(model: Any, **entries: Any) -> dict[str, Any]:
    """The JSON that RTNeural's exporter writes for a Sequential."""
    found = []
    for layer in model.layers:
        inner = layer.layer if type(layer).__name__ == "TimeDistributed" else layer
        activation = getattr(inner, "activation", None)
        name = "" if activation is None else activation.__name__
        entry: dict[str, Any] = {
            "type": NAMES[type(layer).__name__],
            "activation": "" if name == "linear" else name,
            "shape": [None, None, layer.output.shape[-1]],
            "weights": [array.tolist() for array in layer.get_weights()],
        }
        if entry["type"] == "conv1d":
            entry["kernel_size"] = list(layer.kernel_size)
            entry["dilation"] = list(layer.dilation_rate)
            entry["groups"] = layer.groups
        if entry["type"] == "batchnorm":
            entry["epsilon"] = layer.epsilon
        found.append(entry)
    return {"in_shape": [None, None, model.inputs[0].shape[-1]], "layers": found, **entries}


def randomized(model: Any, seed: int) -> Any:
    """The model with weights of every kind, variances positive."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        arrays = [random.uniform(-0.7, 0.7, array.shape) for array in layer.get_weights()]
        if type(layer).__name__ == "BatchNormalization":
            arrays[-1] = np.abs(arrays[-1]) + 0.2
        layer.set_weights(arrays)
    return model


def sequential(features: int, *parts: Any, seed: int = 1) -> Any:
    """A Sequential over frames of so many features."""
    from models.keras_models import keras

    return randomized(keras.Sequential([keras.Input((None, features)), *parts]), seed)


def amplifier() -> dict[str, Any]:
    """A small document, for tests that change it."""
    random = np.random.default_rng(6)
    gru, dense = ((1, 12), (4, 12), (2, 12)), ((4, 1), (1,))
    found = [
        {
            "type": kind,
            "activation": "",
            "shape": [None, None, size],
            "weights": [random.uniform(-0.7, 0.7, shape).tolist() for shape in shapes],
        }
        for kind, size, shapes in (("gru", 4, gru), ("dense", 1, dense))
    ]
    return {"in_shape": [None, None, 1], "in_skip": 1, "layers": found}


def written(document: Any, path: Path) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path
