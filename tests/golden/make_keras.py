# SPDX-License-Identifier: Apache-2.0
"""Makes the Keras files in this folder: run it with keras 3.15 on torch (KERAS_BACKEND=torch).

    python tests/golden/make_keras.py

``keras3*`` are written by Keras itself. Keras 1, Keras 2 and tf.keras of old do not install on the
Pythons of today: ``keras1_layout.h5``, ``keras2_*_layout.h5``, ``tf_keras_layout.h5`` are written
here with h5py, from the documented layout of their versions; no such version has seen them. So is
``tf_keras213_layout.keras``: how 2.12 and 2.13 number its groups was learnt from such files.
``expected.npz`` holds ``<name>.x`` (T, features) and ``<name>.y``: of Keras for its own files, of
the textbook formulas below for the others.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
from keras import layers

FOLDER = Path(__file__).parent / "keras"
FRAMES, FEATURES, UNITS = 12, 3, 4
FIXED = (2020, 1, 1, 0, 0, 0)

Array = np.ndarray


def gru(
    x: Array, kernel: Array, recurrent: Array, bias: Array, *, after: bool, hard: bool
) -> Array:
    """Keras's GRU (z, r, h) by its formulas, in float64: the sequence of states."""
    units = recurrent.shape[0]
    b = np.broadcast_to(bias, (2, 3 * units)) if bias.ndim == 2 else np.stack([bias, 0 * bias])
    h, rows = np.zeros(units), []

    def gate(a: Array) -> Array:
        return np.clip(0.2 * a + 0.5, 0, 1) if hard else 1 / (1 + np.exp(-a))

    for frame in x.astype(np.float64):
        a = frame @ kernel + b[0]
        u = h @ recurrent + b[1]
        z, r = (gate(a[part] + u[part]) for part in (slice(units), slice(units, 2 * units)))
        last = slice(2 * units, None)
        inner = r * u[last] if after else (r * h) @ recurrent[:, last]
        h = z * h + (1 - z) * np.tanh(a[last] + inner)
        rows.append(h)
    return np.array(rows)


def write(name: str, config: dict[str, Any], version: str | None, groups: dict[str, Any]) -> None:
    """A legacy file: attributes of the root, then a group for each layer."""
    with h5py.File(FOLDER / f"{name}.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        root = file.create_group("model_weights")
        for place in (file, root):
            place.attrs["backend"] = b"tensorflow"
            if version is not None:
                place.attrs["keras_version"] = version.encode()
        root.attrs["layer_names"] = [layer.encode() for layer in groups]
        for layer, weights in groups.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in weights.items():
                group.create_dataset(weight, data=array.astype(np.float32))


def numbers(rng: np.random.Generator, *shape: int) -> Array:
    """Random numbers that float32 has."""
    return rng.normal(0, 0.5, shape).astype(np.float32)


def old_files(expected: dict[str, Array]) -> None:
    """The files of versions that cannot be installed."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, (FRAMES, FEATURES)).astype(np.float32)
    kernel, recurrent = numbers(rng, FEATURES, 3 * UNITS), numbers(rng, UNITS, 3 * UNITS)
    bias, double = numbers(rng, 3 * UNITS), numbers(rng, 2, 3 * UNITS)
    dense, dense_bias = numbers(rng, UNITS, 2), numbers(rng, 2)
    shape = [None, None, FEATURES]

    def keep(name: str, y: Array) -> None:
        expected[f"{name}.x"], expected[f"{name}.y"] = x, y.astype(np.float32)

    # Keras 1.2: nine arrays, gate by gate; hard_sigmoid; a Sequential is a list.
    settings = {
        **{"name": "gru_1", "trainable": True, "batch_input_shape": shape, "output_dim": UNITS},
        **{"init": "glorot_uniform", "inner_init": "orthogonal", "activation": "tanh"},
        **{"inner_activation": "hard_sigmoid", "W_regularizer": None, "U_regularizer": None},
        **{"b_regularizer": None, "dropout_W": 0.0, "dropout_U": 0.0, "return_sequences": True},
        **{"go_backwards": False, "stateful": False, "unroll": False, "consume_less": "cpu"},
        **{"input_dim": FEATURES, "input_length": None, "input_dtype": "float32"},
    }
    dense_settings = {
        **{"name": "dense_1", "trainable": True, "output_dim": 2, "init": "glorot_uniform"},
        **{"activation": "sigmoid", "W_regularizer": None, "b_regularizer": None, "bias": True},
        **{"activity_regularizer": None, "W_constraint": None, "b_constraint": None},
        **{"input_dim": UNITS},
    }
    config = {
        "class_name": "Sequential",
        "config": [
            {"class_name": "GRU", "config": settings},
            {
                "class_name": "TimeDistributed",
                "config": {
                    "name": "timedistributed_1",
                    "trainable": True,
                    "layer": {"class_name": "Dense", "config": dense_settings},
                },
            },
        ],
    }
    gates = {
        f"gru_1_{what}_{gate}": array[..., place * UNITS : (place + 1) * UNITS]
        for place, gate in enumerate("zrh")
        for what, array in (("W", kernel), ("U", recurrent), ("b", bias))
    }
    timed = {"dense_1_W": dense, "dense_1_b": dense_bias}
    write("keras1_layout", config, "1.2.2", {"gru_1": gates, "timedistributed_1": timed})
    states = gru(x, kernel, recurrent, bias, after=False, hard=True)
    keep("keras1_layout", 1 / (1 + np.exp(-(states @ dense + dense_bias))))

    # Keras 2.0: reset_after did not exist yet.
    def plain(**more: Any) -> dict[str, Any]:
        return {
            **{"name": "gru_1", "trainable": True, "batch_input_shape": shape, "dtype": "float32"},
            **{
                "return_sequences": False,
                "go_backwards": False,
                "stateful": False,
                "unroll": False,
            },
            **{"units": UNITS, "use_bias": True, "dropout": 0.0, "recurrent_dropout": 0.0},
            **{"activation": "tanh", "recurrent_activation": "hard_sigmoid"},
            **more,
        }

    def chain(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {"class_name": "Sequential", "config": [{"class_name": kind, "config": settings}]}

    def weights(prefix: str, *arrays: Array, end: str = ":0") -> dict[str, Array]:
        names = ("kernel", "recurrent_kernel", "bias")
        return {f"{prefix}/{n}{end}": array for n, array in zip(names, arrays, strict=True)}

    found = {"gru_1": weights("gru_1", kernel, recurrent, bias)}
    write("keras2_layout", chain("GRU", plain(implementation=0)), "2.0.8", found)
    keep("keras2_layout", gru(x, kernel, recurrent, bias, after=False, hard=True)[-1])

    # CuDNNGRU: each gate's kernel is cuDNN's matrix (units, features), row after row.
    rows = [part.T.reshape(part.shape) for part in np.split(kernel, 3, axis=1)]
    turned = [part.T for part in np.split(recurrent, 3, axis=1)]
    settings = plain()
    for name in ("activation", "recurrent_activation", "use_bias", "dropout", "unroll"):
        del settings[name]
    del settings["recurrent_dropout"]
    settings = {**settings, "name": "cu_dnngru_1", "return_state": False}
    packed = weights(
        "cu_dnngru_1", np.concatenate(rows, 1), np.concatenate(turned, 1), double.reshape(-1)
    )
    write("keras2_cudnn_layout", chain("CuDNNGRU", settings), "2.2.4", {"cu_dnngru_1": packed})
    keep("keras2_cudnn_layout", gru(x, kernel, recurrent, double, after=True, hard=False)[-1])

    # tf.keras 2.x: a Functional model, names with the cell in them.
    settings = plain(name="gru", recurrent_activation="sigmoid", reset_after=True, time_major=False)
    del settings["batch_input_shape"]
    settings |= {"return_state": False, "return_sequences": True, "implementation": 2}
    first = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False}
    last = {"name": "dense", "trainable": True, "dtype": "float32", "units": 2}
    config = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "trainable": True,
            "layers": [
                {
                    "class_name": "InputLayer",
                    "config": {**first, "name": "input_1"},
                    "name": "input_1",
                    "inbound_nodes": [],
                },
                {
                    "class_name": "GRU",
                    "config": settings,
                    "name": "gru",
                    "inbound_nodes": [[["input_1", 0, 0, {}]]],
                },
                {
                    "class_name": "Dense",
                    "config": {**last, "activation": "linear", "use_bias": True},
                    "name": "dense",
                    "inbound_nodes": [[["gru", 0, 0, {}]]],
                },
            ],
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["dense", 0, 0]],
        },
    }
    found = {
        "input_1": {},
        "gru": weights("gru/gru_cell", kernel, recurrent, double),
        "dense": {"dense/kernel:0": dense, "dense/bias:0": dense_bias},
    }
    write("tf_keras_layout", config, "2.11.0", found)
    states = gru(x, kernel, recurrent, double, after=True, hard=False)
    keep("tf_keras_layout", states @ dense + dense_bias)


def tf_keras213(expected: dict[str, Array]) -> None:
    """An archive of tf.keras 2.13: a layer with weights counts as two of its class."""
    rng = np.random.default_rng(6)
    x = rng.uniform(-2, 2, (FRAMES, FEATURES)).astype(np.float32)
    kernels = [numbers(rng, FEATURES, 3 * UNITS), numbers(rng, UNITS, 3 * UNITS)]
    recurrents = [numbers(rng, UNITS, 3 * UNITS) for _ in kernels]
    biases = [numbers(rng, 2, 3 * UNITS) for _ in kernels]
    dense, dense_bias = numbers(rng, UNITS, 2), numbers(rng, 2)
    common = {"trainable": True, "dtype": "float32"}
    recurrent = {
        **{**common, "units": UNITS, "activation": "tanh", "recurrent_activation": "sigmoid"},
        **{"use_bias": True, "return_sequences": True, "return_state": False, "unroll": False},
        **{"go_backwards": False, "stateful": False, "time_major": False, "dropout": 0.0},
        **{"recurrent_dropout": 0.0, "implementation": 2, "reset_after": True},
    }
    shape = [None, None, FEATURES]
    parts = [
        ("InputLayer", {"batch_input_shape": shape, "dtype": "float32", "name": "input_1"}),
        ("GRU", {**recurrent, "name": "gru"}),
        ("Dropout", {**common, "rate": 0.1, "noise_shape": None, "seed": None, "name": "dropout"}),
        ("GRU", {**recurrent, "name": "gru_1"}),
        ("Dense", {**common, "units": 2, "activation": "linear", "name": "dense"}),
    ]
    layered = [
        {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}
        for kind, config in parts
    ]
    config = {
        **{"module": "keras", "class_name": "Sequential", "registered_name": None},
        "config": {"name": "sequential", "layers": layered},
        "build_config": {"input_shape": shape},
    }
    groups = {
        "gru/cell": (kernels[0], recurrents[0], biases[0]),
        "gru_2/cell": (kernels[1], recurrents[1], biases[1]),
        "dense": (dense, dense_bias),
    }
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name in ("gru", "gru_2", "dropout", "optimizer"):
            file.create_group(f"_layer_checkpoint_dependencies/{name}/vars")
        for name, arrays in groups.items():
            group = file.require_group(f"_layer_checkpoint_dependencies/{name}/vars")
            for number, array in enumerate(arrays):
                group.create_dataset(str(number), data=array)
    metadata = {"keras_version": "2.13.1", "date_saved": "2023-08-01@12:00:00"}
    with zipfile.ZipFile(FOLDER / "tf_keras213_layout.keras", "w") as archive:
        entries = {
            "metadata.json": json.dumps(metadata).encode(),
            "config.json": json.dumps(config).encode(),
            "model.weights.h5": content.getvalue(),
        }
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, FIXED), data)
    states = x
    for kernel, recurrent_kernel, bias in zip(kernels, recurrents, biases, strict=True):
        states = gru(states, kernel, recurrent_kernel, bias, after=True, hard=False)
    expected["tf_keras213_layout.x"] = x
    expected["tf_keras213_layout.y"] = (states @ dense + dense_bias).astype(np.float32)


def new_files(expected: dict[str, Array]) -> None:
    """The files of Keras 3."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from models.keras_models import outputs_of, randomize

    keras.utils.set_random_seed(5)
    x = keras.Input((None, FEATURES), name="x")
    y = layers.Masking()(x)
    y = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True))(y)
    y = layers.BatchNormalization()(layers.Dense(5)(y))
    y = layers.RNN([layers.GRUCell(3), layers.GRUCell(2)])(layers.Activation("relu")(y))
    model = keras.Model(x, layers.Dense(2, activation="softmax")(y), name="golden")
    randomize(model, np.random.default_rng(4))
    batch = np.random.default_rng(5).uniform(-2, 2, (1, FRAMES, FEATURES)).astype(np.float32)
    batch[:, [2, 3, 9]] = 0
    model.save(FOLDER / "keras3.keras")
    model.save(FOLDER / "keras3.h5")
    model.save_weights(FOLDER / "keras3.weights.h5")
    config = {"keras_version": keras.__version__, **json.loads(model.to_json())}
    (FOLDER / "keras3.json").write_text(json.dumps(config))
    expected["keras3.x"] = batch[0]
    expected["keras3.y"] = outputs_of(model, [batch])[0][0]


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    expected: dict[str, Array] = {}
    old_files(expected)
    tf_keras213(expected)
    new_files(expected)
    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
