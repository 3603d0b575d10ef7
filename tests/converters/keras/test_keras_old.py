# SPDX-License-Identifier: Apache-2.0
"""HDF5 files as Keras 1 and 2 wrote them, against formulas in float64."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

h5py = oracle("h5py")
pytestmark = pytest.mark.oracle
INPUTS, UNITS, FRAMES, CLOSE = 3, 4, 9, 2e-6
GRU = {"units": UNITS, "activation": "tanh", "recurrent_activation": "hard_sigmoid"}


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape) + sum(shape)).normal(0, 0.5, shape)


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def keras1(kind: str, name: str, **config: Any) -> dict[str, Any]:
    shape = {"batch_input_shape": [None, None, INPUTS], "input_dim": INPUTS}
    options = {"output_dim": UNITS, "return_sequences": True, "activation": "tanh"}
    return layer(kind, name, **shape, **options, consume_less="cpu", **config)


def write(
    path: Path, version: str, kind: str, config: Any, weights: Mapping[str, Mapping[str, Any]]
) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps({"class_name": kind, "config": config})
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([name.encode() for name in weights])
        for name, arrays in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = np.array([each.encode() for each in arrays], "S64")
            for each, array in arrays.items():
                group.create_dataset(each, data=np.asarray(array, np.float32))
    return path


def gate(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def lstm(x: np.ndarray, w: Mapping[str, np.ndarray]) -> np.ndarray:
    h, c, rows = np.zeros(UNITS), np.zeros(UNITS), []
    for frame in x:
        i, f, n, o = (frame @ w[f"W_{g}"] + h @ w[f"U_{g}"] + w[f"b_{g}"] for g in "ifco")
        c = gate(f) * c + gate(i) * np.tanh(n)
        h = gate(o) * np.tanh(c)
        rows.append(h)
    return np.array(rows)


def plain(x: np.ndarray, w: Mapping[str, np.ndarray]) -> np.ndarray:
    h, rows = np.zeros(UNITS), []
    for frame in x:
        h = np.tanh(frame @ w["W"] + h @ w["U"] + w["b"])
        rows.append(h)
    return np.array(rows)


SHAPES = {"W": (INPUTS, UNITS), "U": (UNITS, UNITS), "b": (UNITS,)}


@pytest.mark.parametrize(
    ("kind", "gates", "formula"),
    [("LSTM", ("_i", "_c", "_f", "_o"), lstm), ("SimpleRNN", ("",), plain)],
)
def test_keras_1(
    kind: str, gates: tuple[str, ...], formula: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    names = [f"{part}{each}" for each in gates for part in "WUb"]
    arrays = {name: rng.normal(0, 0.5, SHAPES[name[0]]).astype(np.float32) for name in names}
    more = {"inner_activation": "hard_sigmoid"} if kind == "LSTM" else {}
    path = write(
        tmp_path / "m.h5",
        "1.2.2",
        "Sequential",
        [keras1(kind, "layer", **more)],
        {"layer": {f"layer_{name}": array for name, array in arrays.items()}},
    )
    x = rng.normal(size=(FRAMES, INPUTS)).astype(np.float32)
    found = grucore.convert(path).run(x)
    assert np.abs(found - formula(x.astype(np.float64), arrays)).max() < CLOSE


@pytest.mark.parametrize("by_name", [False, True])
def test_a_state_as_an_input_of_keras_2(by_name: bool, tmp_path: Path) -> None:
    call = [["x", 0, 0, {"initial_state": [["h", 0, 0]]}]]
    if not by_name:
        call = [["x", 0, 0, {}], ["h", 0, 0, {}]]
    layers = [
        {**layer("InputLayer", "x", batch_input_shape=[None, None, INPUTS]), "inbound_nodes": []},
        {**layer("InputLayer", "h", batch_input_shape=[None, UNITS]), "inbound_nodes": []},
        {**layer("GRU", "g", **GRU, return_sequences=True), "inbound_nodes": [call]},
    ]
    config = {
        "name": "m",
        "layers": [{**each, "name": each["config"]["name"]} for each in layers],
        "input_layers": [["x", 0, 0], ["h", 0, 0]],
        "output_layers": [["g", 0, 0]],
    }
    kernel, recurrent, bias = (numbers(*s) for s in ((INPUTS, 12), (UNITS, 12), (12,)))
    arrays = {"g/kernel:0": kernel, "g/recurrent_kernel:0": recurrent, "g/bias:0": bias}
    model = grucore.convert(write(tmp_path / "m.h5", "2.2.4", "Model", config, {"g": arrays}))
    x, h = numbers(FRAMES, INPUTS).astype(np.float32), numbers(UNITS)
    found = model.run(x, state={"g.l0.h": h.astype(np.float32)})
    for frame, mine in zip(x @ kernel + bias, found, strict=True):
        z, r = np.split(gate(frame[:8] + h @ recurrent[:, :8]), 2)
        h = z * h + (1 - z) * np.tanh(frame[8:] + (r * h) @ recurrent[:, 8:])
        assert np.abs(mine - h).max() < CLOSE
