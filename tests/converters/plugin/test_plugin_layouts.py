# SPDX-License-Identifier: Apache-2.0
"""JSON weights of audio plug-ins against Keras, PyTorch, and a twin in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.keras_models import keras, layers
from models.plugin_files import amplifier, of_keras, sequential, written
from oracle.oracles import oracle

torch = oracle("torch")
pytestmark = pytest.mark.oracle

CLOSE = 2e-5
FRAMES = 50
AMPLIFIER = Path(__file__).parents[3] / "examples" / "amplifier" / "amp.json"

MODELS: dict[str, Callable[[], Any]] = {
    "gru": lambda: sequential(1, layers.GRU(16, return_sequences=True), layers.Dense(1)),
    "lstm": lambda: sequential(3, layers.LSTM(12, return_sequences=True), layers.Dense(2)),
    "stack": lambda: sequential(
        4,
        layers.TimeDistributed(layers.Dense(8, activation="tanh")),
        layers.GRU(8, return_sequences=True),
        layers.LSTM(5, return_sequences=True),
        layers.Dense(3, activation="softmax"),
    ),
    "convolutions": lambda: sequential(
        2,
        layers.Conv1D(6, 3, dilation_rate=2, padding="causal", activation="relu"),
        layers.BatchNormalization(epsilon=0.01),
        layers.Conv1D(6, 4, groups=2, padding="causal"),
        layers.PReLU(shared_axes=[1]),
        layers.Conv1D(4, 1, padding="causal", activation="sigmoid"),
    ),
    "activations": lambda: sequential(
        3,
        layers.Dense(4),
        layers.Activation("elu"),
        layers.Dense(5),
        layers.Activation("sigmoid"),
        layers.Dense(4),
        layers.BatchNormalization(center=False, scale=False),
        layers.Activation("softmax"),
    ),
}


def frames(features: int, seed: int = 3) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, (FRAMES, features)).astype(np.float32)


def decibels(value: float) -> float:
    return float(10 ** (value / 20))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_layers_of_keras_give_what_keras_gives(name: str, wrapped: bool, tmp_path: Path) -> None:
    source = MODELS[name]()
    features = source.inputs[0].shape[-1]
    outputs = source.outputs[0].shape[-1]
    skip = int(wrapped and outputs == 1)
    entries = {"in_gain": 3.5, "out_gain": -6, "in_skip": skip} if wrapped else {}
    model = grucore.convert(written(of_keras(source, **entries), tmp_path / "amp.json"))
    x = frames(features)
    gained = x.copy()
    gained[:, 0] *= decibels(entries.get("in_gain", 0))
    y = keras.ops.convert_to_numpy(source(gained[None]))[0].astype(np.float64)
    y = y + skip * gained[:, :1]
    y[:, 0] *= decibels(entries.get("out_gain", 0))
    np.testing.assert_allclose(model.run(x), y, atol=CLOSE * max(np.abs(y).max(), 1))
    stream = model.stream()
    assert (np.stack([stream.step(frame) for frame in x]) == model.run(x)).all()


@pytest.mark.parametrize("unit", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "skip"), [(1, 1, 1), (3, 1, 1), (3, 2, 2), (2, 2, 0)]
)
@pytest.mark.parametrize(("count", "biased"), [(1, True), (2, False)])
def test_state_dicts_of_pytorch_give_what_pytorch_gives(
    unit: str, inputs: int, outputs: int, skip: int, count: int, biased: bool, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    rec = getattr(torch.nn, unit)(inputs, 7, count, batch_first=True)
    lin = torch.nn.Linear(7, outputs, bias=biased)
    state = {f"rec.{name}": value.tolist() for name, value in rec.state_dict().items()}
    state |= {f"lin.{name}": value.tolist() for name, value in lin.state_dict().items()}
    data = {"model": "SimpleRNN", "unit_type": unit, "input_size": inputs, "skip": skip}
    data |= {"output_size": outputs, "hidden_size": 7, "num_layers": count, "bias_fl": biased}
    document = {"model_data": data, "state_dict": state}
    model = grucore.convert(written(document, tmp_path / "pedal.json"))
    x = frames(inputs)
    with torch.no_grad():
        tensor = torch.tensor(x)[None]
        y = lin(rec(tensor)[0]) + (tensor[:, :, :skip] if skip else 0)
    np.testing.assert_allclose(model.run(x), y[0].numpy(), atol=CLOSE)
    assert model.metadata["source"]["layout"] == "GuitarML"


def twin(document: dict[str, Any], x: Any) -> Any:
    """RTNeural's own loops in float64: one frame in, one frame out, newest frame first."""
    states: list[Any] = [None] * len(document["layers"])
    out = []
    for frame in np.asarray(x, np.float64):
        h = frame
        for place, layer in enumerate(document["layers"]):
            arrays = [np.asarray(each, np.float64) for each in layer["weights"]]
            h, states[place] = STEPS[layer["type"]](layer, arrays, h, states[place])
        out.append(h + (frame[0] if document.get("in_skip") else 0.0))
    return np.array(out)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def gru(layer: Any, arrays: list[Any], x: Any, state: Any) -> Any:
    (w, u, b), n = arrays, layer["shape"][-1]
    h = np.zeros(n) if state is None else state
    zrc = [(w.T @ x)[at : at + n] + b[0, at : at + n] for at in (0, n, 2 * n)]
    own = [(u.T @ h)[at : at + n] + b[1, at : at + n] for at in (0, n, 2 * n)]
    z, r = sigmoid(zrc[0] + own[0]), sigmoid(zrc[1] + own[1])
    h = (1 - z) * np.tanh(zrc[2] + r * own[2]) + z * h
    return h, h


def lstm(layer: Any, arrays: list[Any], x: Any, state: Any) -> Any:
    (w, u, b), n = arrays, layer["shape"][-1]
    h, c = (np.zeros(n), np.zeros(n)) if state is None else state
    i, f, g, o = np.split(w.T @ x + u.T @ h + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, (h, c)


def dense(layer: Any, arrays: list[Any], x: Any, state: Any) -> Any:
    return arrays[0].T @ x + arrays[1], None


def conv1d(layer: Any, arrays: list[Any], x: Any, state: Any) -> Any:
    kernel, (dilation,) = arrays[0], layer["dilation"]
    past = [np.zeros_like(x)] * (dilation * len(kernel)) if state is None else state
    past = [x, *past[:-1]]
    y = arrays[1].copy()
    for newest, weights in enumerate(kernel[::-1]):
        y += past[dilation * newest] @ weights
    return y, past


STEPS = {"gru": gru, "lstm": lstm, "dense": dense, "conv1d": conv1d}


def test_the_example_and_a_twin_agree_over_a_long_run() -> None:
    import json

    model = grucore.convert(AMPLIFIER)
    document = json.loads(AMPLIFIER.read_text())
    x = frames(1, seed=9)
    np.testing.assert_allclose(model.run(x), twin(document, x), atol=2e-6)


def test_the_file_of_the_audio_example_is_that_of_the_json() -> None:
    played = grucore.load(AMPLIFIER.parents[2] / "cpp" / "examples" / "audio" / "amp.gru")
    x = frames(1)
    assert (grucore.convert(AMPLIFIER).run(x) == played.run(x)).all()


def test_a_twin_of_convolutions_and_cells_agrees(tmp_path: Path) -> None:
    source = sequential(
        1,
        layers.Conv1D(3, 4, dilation_rate=3, padding="causal"),
        layers.LSTM(5, return_sequences=True),
        layers.GRU(4, return_sequences=True),
        layers.Dense(1),
    )
    document = of_keras(source, in_skip=1)
    model = grucore.convert(written(document, tmp_path / "amp.json"))
    x = frames(1)
    np.testing.assert_allclose(model.run(x), twin(document, x), atol=2e-6)
    assert set(model.states) >= {"gru.l0.h", "lstm.l0.h", "lstm.l0.c"}


def test_what_a_file_says_of_itself_goes_into_the_metadata(tmp_path: Path) -> None:
    document = amplifier() | {"samplerate": "48000", "esr": 0.02, "metadata": {"name": "Twin"}}
    model = grucore.convert(written(document, tmp_path / "amp.json"))
    assert model.metadata["source"]["notes"] == {"name": "Twin", "samplerate": "48000"}
    assert model.proof is not None
    assert model.selftest().exact
