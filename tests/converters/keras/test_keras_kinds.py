# SPDX-License-Identifier: Apache-2.0
"""Kinds of Keras models that people have: forecasts, old files, reductions; right or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.keras_models import keras, layers, randomize
from oracle.oracles import oracle

h5py = oracle("h5py")

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning"),
]

FRAMES, FEATURES = 8, 5
CLOSE = 2e-5


def close(model: Any, folder: Path, x: np.ndarray) -> None:
    """Compare a live model and its two files with what Keras predicts, on two sequences."""
    adapted = [w for layer in model.layers if "norm" in layer.name for w in layer.weights]
    kept = [(weight, keras.ops.convert_to_numpy(weight)) for weight in adapted]
    randomize(model, np.random.default_rng(0))
    for weight, value in kept:
        weight.assign(value)
    expected = np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))
    x = x[..., None] if x.ndim == 2 else x
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    for made in (
        grucore.from_keras(model),
        grucore.convert(folder / "m.keras"),
        grucore.convert(folder / "m.h5"),
    ):
        found = made.run(x)
        assert np.abs(found.reshape(expected.shape) - expected).max() < CLOSE


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)


def normalized(axis: Any, *shape: int) -> Any:
    layer = layers.Normalization(axis=axis)
    layer.adapt(values(*shape) * 3 + 1)
    return layer


def functional(make: Callable[[Any], Any], frames: int | None = FRAMES) -> Any:
    x = keras.Input((frames, FEATURES))
    return keras.Model(x, make(x))


def sequential(*parts: Any, shape: tuple[int | None, ...] = (FRAMES, FEATURES)) -> Any:
    return keras.Sequential([keras.Input(shape), *parts])


def gru(units: int = 4, **options: Any) -> Any:
    return layers.GRU(units, return_sequences=True, **options)


MODELS: dict[str, Callable[[], Any]] = {
    "normalization by one number": lambda: sequential(normalized(None, 8, 5), gru()),
    "normalization by feature": lambda: sequential(normalized(-1, 8, 5), gru()),
    "normalization by its number": lambda: sequential(normalized(2, 8, 5), gru()),
    "unit normalization": lambda: sequential(gru(), layers.UnitNormalization(), layers.Dense(3)),
    "root mean square": lambda: sequential(gru(), layers.RMSNormalization(), layers.Dense(3)),
    "unrolled": lambda: sequential(layers.GRU(4, unroll=True), layers.Dense(2)),
    "zeros before an average": lambda: sequential(
        layers.ZeroPadding1D((2, 0)), layers.AveragePooling1D(3, 1), gru()
    ),
    "zeros before a maximum": lambda: sequential(
        gru(), layers.ZeroPadding1D(1), layers.MaxPooling1D(3, 2), layers.Dense(3)
    ),
    "mean over time": lambda: functional(lambda x: keras.ops.mean(gru()(x), axis=1)),
    "maximum over time": lambda: functional(lambda x: keras.ops.max(gru()(x), axis=-2)),
    "mean of features": lambda: functional(lambda x: keras.ops.mean(gru()(x), -1, keepdims=True)),
    "sum of features": lambda: functional(lambda x: keras.ops.sum(gru()(x), axis=2)),
    "maximum of features": lambda: functional(
        lambda x: layers.Dense(2)(keras.ops.max(gru()(x), axis=-1, keepdims=True))
    ),
    "minimum of features": lambda: functional(lambda x: keras.ops.min(gru()(x), axis=-1)),
    "sum over time": lambda: functional(lambda x: keras.ops.sum(gru()(x), axis=1)),
    "division by a number": lambda: functional(lambda x: gru()(x / 255.0)),
    "scaled between two numbers": lambda: functional(lambda x: gru()((x - 3.0) / (7.0 - 3.0))),
    "a sum beside": lambda: functional(
        lambda x: layers.Dense(2)(layers.Add()([layers.Dense(4)(x), gru()(x)]))
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_converts_as_keras_predicts(name: str, tmp_path: Path) -> None:
    close(MODELS[name](), tmp_path, values(FRAMES, FEATURES))


@pytest.mark.parametrize("target", [(FRAMES, 1), (-1, 1)])
def test_a_flat_input_is_a_sequence_of_one_feature(target: Any, tmp_path: Path) -> None:
    parts = (layers.Reshape(target), layers.GRU(4), layers.Dense(1))
    close(sequential(*parts, shape=(FRAMES,)), tmp_path, values(FRAMES))
    x = keras.Input((FRAMES,), name="series")
    model = keras.Model(x, layers.Dense(1)(layers.GRU(4)(layers.Reshape(target)(x))))
    close(model, tmp_path, values(FRAMES))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "normalization by frame": (
        lambda: sequential(normalized((1, 2), 8, 5), gru()),
        "axis 1 is that of time, expected features",
    ),
    "the first frames": (
        lambda: functional(lambda x: gru()(x[:, :200]), None),
        r"slices axis 1 from 0 to 200 by 1 of \(batch, time, 5 features\)",
    ),
    "the last frames": (
        lambda: functional(lambda x: gru()(x[:, -512:]), None),
        "takes the last 512 frames of .*, a limit that is lost on short ones",
    ),
    "one frame": (
        lambda: functional(lambda x: gru()(x)[:, 5]),
        "takes frame 5, and the inputs have|takes 5 along axis 1 of",
    ),
    "flat features": (
        lambda: sequential(layers.Reshape((FRAMES // 2, 2)), layers.GRU(4), shape=(FRAMES,)),
        r"GRU '.*' reads no sequence, but \(batch, 4 features, 2 features\)",
    ),
    "repeated": (
        lambda: sequential(layers.GRU(4), layers.RepeatVector(3), gru()),
        r"GRU 'gru.*' reads no sequence, but \(batch, 3 features, 4 features\)",
    ),
    "python": (
        lambda: sequential(gru(), layers.Lambda(lambda t: t[:, -1, :], output_shape=(4,))),
        "Python code, which is never run",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    model = make()
    model.save(tmp_path / "m.keras")
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(model)
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.convert(tmp_path / "m.keras")


def config(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **settings}}


def old_file(path: Path, parts: Any, weights: dict[str, Any], version: str) -> Path:
    """A legacy file as Keras 2 laid it out."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = version, "tensorflow"
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": parts}}
        file.attrs["model_config"] = json.dumps(model)
        root = file.create_group("model_weights")
        names = [part["config"]["name"] for part in parts]
        root.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            group = root.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in weights[name]]
            for key, array in weights[name].items():
                group.create_dataset(key, data=np.asarray(array, np.float32))
    return path


def old_gru(name: str, **settings: Any) -> dict[str, Any]:
    settings = {"recurrent_activation": "hard_sigmoid", "return_sequences": True, **settings}
    return config("GRU", name, units=4, activation="tanh", use_bias=True, **settings)


def cell(rng: np.random.Generator, prefix: str, bias: Any) -> dict[str, np.ndarray]:
    return {
        f"{prefix}kernel:0": rng.normal(size=(3, 12)),
        f"{prefix}recurrent_kernel:0": rng.normal(size=(4, 12)),
        f"{prefix}bias:0": rng.normal(size=bias),
    }


def by_hand(x: np.ndarray, weights: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    """The cell of Keras 2 in float64: z, r, n; clip(0.2 x + 0.5); the reset before the product."""
    names = ("kernel", "recurrent_kernel", "bias")
    kernel, recurrent, bias = (np.float32(weights[f"{prefix}{name}:0"]) for name in names)
    state, result = np.zeros(4), []
    for row in x @ kernel.astype(np.float64) + bias:
        update, reset = (
            np.clip(0.2 * (row[at] + state @ recurrent[:, at]) + 0.5, 0, 1)
            for at in (slice(4), slice(4, 8))
        )
        new = np.tanh(row[8:] + (reset * state) @ recurrent[:, 8:])
        state = update * state + (1 - update) * new
        result.append(state)
    return np.array(result)


def test_hard_sigmoid_of_keras_2_within_bidirectional(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wrapped = {"batch_input_shape": [None, None, 3], "merge_mode": "concat", "layer": old_gru("g")}
    weights = cell(rng, "bi/forward_g/", 12) | cell(rng, "bi/backward_g/", 12)
    part = config("Bidirectional", "bi", **wrapped)
    model = grucore.convert(old_file(tmp_path / "bi.h5", [part], {"bi": weights}, "2.1.2"))
    assert model.proof is not None
    assert "the layers of keras" in model.proof.against
    x = rng.normal(size=(9, 3)).astype(np.float32)
    backward = by_hand(x[::-1], weights, "bi/backward_g/")[::-1]
    expected = np.hstack([by_hand(x, weights, "bi/forward_g/"), backward])
    assert np.abs(model.run(x) - expected).max() < 1e-6


@pytest.mark.parametrize(("axis", "version"), [([2], "2.10.0"), (-1, "2.1.2"), ([-1], "2.13.1")])
def test_lists_of_one_axis(axis: Any, version: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first = old_gru("g", reset_after=True, recurrent_activation="sigmoid")
    first["config"]["batch_input_shape"] = [None, 10, 3]
    dense = config("Dense", "d", units=4, activation="relu", use_bias=True)
    settings = {"axis": axis, "momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True}
    norm = config("BatchNormalization", "bn", **settings)
    shift, mean, variance = rng.normal(size=4), rng.normal(size=4), rng.uniform(0.5, 2, 4)
    weights = {
        "g": cell(rng, "g/gru_cell/", (2, 12)),
        "d": {"d/kernel:0": rng.normal(size=(4, 4)), "d/bias:0": rng.normal(size=4)},
        "bn": dict(
            zip(
                (f"bn/{name}:0" for name in ("gamma", "beta", "moving_mean", "moving_variance")),
                (np.ones(4), shift, mean, variance),
                strict=True,
            )
        ),
    }
    path = old_file(tmp_path / "bn.h5", [first, dense, norm], weights, version)
    model = grucore.convert(path)
    assert model.proof is not None
    assert "the layers of keras" in model.proof.against
    path = old_file(tmp_path / "plain.h5", [first, dense], weights, version)
    x = rng.normal(size=(10, 3)).astype(np.float32)
    expected = (grucore.convert(path).run(x) - mean) / np.sqrt(variance + 1e-3) + shift
    assert np.abs(model.run(x) - expected).max() < 1e-5


def test_a_missing_back_end_is_told_with_a_way_out() -> None:
    """Without KERAS_BACKEND and without TensorFlow Keras cannot be imported, though it is there."""
    script = "import sys, grucore; print(grucore.convert(sys.argv[1]).proof.against)"
    path = Path(__file__).parents[2] / "golden" / "keras" / "keras2_layout.h5"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    blocked = "import sys; sys.modules['tensorflow'] = None; " + script
    found = subprocess.run(
        [sys.executable, "-c", blocked, str(path)], env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert "keras is installed, but not its back end" in found.stdout
    assert "KERAS_BACKEND=torch" in found.stdout
