# SPDX-License-Identifier: Apache-2.0
"""Small Keras files that ask for much: refused before memory or time is spent on them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.keras import convert as converter
from models.readers import keras_source

h5py = pytest.importorskip("h5py")

ERROR = grucore.ConversionError


def layer(kind: str, **settings: Any) -> dict[str, Any]:
    settings = {"name": kind.lower(), "trainable": True, "dtype": "float32", **settings}
    return {"module": "keras.layers", "class_name": kind, "config": settings}


def source(features: int = 3, frames: int | None = None) -> dict[str, Any]:
    return layer("InputLayer", batch_shape=[None, frames, features], name="input")


def sequential(*layers: Any, name: str = "sequential") -> dict[str, Any]:
    config = {"name": name, "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config}


def archive(
    config: dict[str, Any], weights: Callable[[Any], None] = lambda file: None, **how: Any
) -> bytes:
    """A `.keras` file."""
    target, content = io.BytesIO(), io.BytesIO()
    with h5py.File(content, "w") as file:
        weights(file)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as entries:
        entries.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        entries.writestr("config.json", json.dumps(config))
        entries.writestr("model.weights.h5", content.getvalue(), **how)
    return target.getvalue()


def refused(data: bytes, reason: str) -> None:
    with pytest.raises(ERROR, match=reason):
        converter.graph_of_source(keras_source(data, "x.keras"))


def test_features_without_end() -> None:
    refused(archive(sequential(source(10**9), layer("Rescaling", scale=2.0))), "input 'x' has 1000")
    wide = source(1 << 20)
    wide["config"]["name"] = "wide"
    calls = [{"args": [_tensor("wide")], "kwargs": {}}]
    layers = [{**wide, "name": "wide", "inbound_nodes": []}]
    before = "wide"
    for number in range(8):
        name = f"c{number}"
        calls = [{"args": [[_tensor(before), _tensor(before)]], "kwargs": {}}]
        layers.append({**layer("Concatenate", name=name), "name": name, "inbound_nodes": calls})
        before = name
    config = {"name": "m", "layers": layers, "input_layers": [["wide", 0, 0]]}
    config["output_layers"] = [[before, 0, 0]]
    refused(
        archive({"module": "keras", "class_name": "Functional", "config": config}),
        "joins 2097152 features",
    )


def _tensor(name: str, node: int = 0) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, node, 0]}}


def _doubling(depth: int) -> dict[str, Any]:
    """A model that calls another one twice, which calls another one twice ..."""
    inside = layer("Dropout", rate=0.5, name="again") if not depth else _doubling(depth - 1)
    name = "again" if not depth else "m"
    first = {**source(), "name": "input", "inbound_nodes": []}
    twice = [
        {"args": [_tensor("input")], "kwargs": {}},
        {"args": [_tensor(name)], "kwargs": {}},
    ]
    layers = [first, {**inside, "name": name, "inbound_nodes": twice}]
    config = {"name": "m", "layers": layers, "input_layers": [["input", 0, 0]]}
    # A model's own making is call 0 in the list of outputs.
    config["output_layers"] = [[name, 2 if depth else 1, 0]]
    return {"module": "keras", "class_name": "Functional", "config": config}


def test_models_in_models_without_end() -> None:
    converter.graph_of_source(keras_source(archive(_doubling(3)), "x.keras"))
    refused(archive(_doubling(25)), "calls more than 16384 layers")


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (layer("Cropping1D", cropping=[10**9, 1]), "'cropping1d' cuts off 1000000000 and 1"),
        (layer("ZeroPadding1D", padding=[10**9, 0]), "reads a sequence padded by 1000000000"),
        (layer("MaxPooling1D", pool_size=[2**40], strides=[1]), "skip 1099511627775"),
        (layer("MaxPooling1D", pool_size=[2], strides=[2**40]), "period 1099511627776"),
        (layer("Reshape", target_shape=[-1, 2**40]), "does not divide"),
        (layer("Permute", dims=[1, 5]), "axis is 5 of 3 axes"),
        (layer("Embedding", input_dim=2**40, output_dim=2**40), "needs 1 weights"),
    ],
)
def test_numbers_without_end(part: dict[str, Any], reason: str) -> None:
    refused(archive(sequential(source(), part)), reason)


def dense() -> dict[str, Any]:
    return sequential(source(), layer("Dense", units=4, use_bias=False))


def _chunks(file: Any) -> None:
    group = file.create_group("layers/dense/vars")
    # The dataset is small, and its one chunk is not.
    group.create_dataset("0", (3, 4), "f4", maxshape=(None, None), chunks=(2**14, 2**13))


def _bombs(file: Any) -> None:
    group = file.create_group("layers/dense/vars")
    zeros = np.zeros((2**9, 2**12), np.float32)
    zeros[0] = np.random.default_rng(0).normal(size=2**12)
    group.create_dataset("0", data=zeros, chunks=(2**9, 2**12), compression=9)
    for number in range(1, 20):
        file.copy("layers/dense/vars/0", group, str(number))


def _itself(file: Any) -> None:
    group = file.create_group("layers/dense/vars")
    group["a"] = group
    group["b"] = group


def _text(file: Any) -> None:
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", data=np.zeros((3, 4), np.float32))
    group["0"].attrs["dtype"] = np.zeros(100)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (_chunks, r"shape \(3, 4\) and chunks \(16384, 8192\), 536870912 bytes"),
        (_bombs, "far larger than the file"),
        (_itself, "more than 65536 objects|nests groups more than 32 deep"),
        (_text, "is no text"),
    ],
)
def test_weights_without_end(weights: Callable[[Any], None], reason: str) -> None:
    refused(archive(dense(), weights), reason)


def test_texts_without_end() -> None:
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file.attrs["model_config"] = json.dumps(dense())
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"]
        names = group.create_group("dense").attrs
        names.create("weight_names", ["x" * 60_000, *["y"] * 3999], dtype=h5py.string_dtype())
    data = target.getvalue()
    refused(data, "the file has no dataset 'model_weights/dense/xxx")
    # Texts of any length are references: here all of them to the long one.
    first = data.index(struct.pack("<I", 60_000))
    every = data[first : first + 16] * 4000
    refused(data[:first] + every + data[first + len(every) :], "far larger than the file")


def test_a_chain_of_layers_in_the_wrong_order_is_read() -> None:
    parts = [{**source(), "name": "input", "inbound_nodes": []}]
    before = "input"
    for number in range(200):
        name, calls = f"d{number}", [{"args": [_tensor(before)], "kwargs": {}}]
        parts.append({**layer("Rescaling", scale=1.5, name=name), "inbound_nodes": calls})
        parts[-1]["name"] = before = name
    config = {"name": "m", "layers": parts[::-1], "input_layers": [["input", 0, 0]]}
    config["output_layers"] = [[before, 0, 0]]
    model = {"module": "keras", "class_name": "Functional", "config": config}
    assert len(converter.graph_of_source(keras_source(archive(model), "x.keras")).nodes) == 200
