# SPDX-License-Identifier: Apache-2.0
"""Keras models that are fed an initial state: encoder and decoder, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.keras import convert as converter
from grucore.proof.proof import BOUND
from models.keras_models import keras, layers, randomize

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning"),
]

IDS, UNITS = 20, 6


def encoder() -> Any:
    source = keras.Input((None,), dtype="int32", name="source")
    x = layers.Embedding(IDS, 5, mask_zero=True)(source)
    _, state = layers.GRU(UNITS, return_state=True, name="encoder")(x)
    return keras.Model(source, state)


def decoder(
    make: Callable[..., Any] = layers.GRU, *, steps: int | None = None, returned: bool = False
) -> Any:
    target = keras.Input((steps,), dtype="int32", name="target")
    start = keras.Input((UNITS,), name="start")
    x = layers.Conv1D(5, 2, padding="causal")(layers.Embedding(IDS, 5)(target))
    layer = make(UNITS, return_sequences=True, return_state=True, name="decoder")
    y, state = layer(x, initial_state=start)
    scores = layers.Dense(IDS, activation="softmax")(y)
    return keras.Model([start, target], [scores, state] if returned else scores)


def recurrent(units: int, **options: Any) -> Any:
    return layers.RNN(layers.GRUCell(units, reset_after=False), **options)


def array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("make", [layers.GRU, recurrent])
@pytest.mark.parametrize("source", ["live", "model.keras", "model.h5"])
def test_a_decoder(make: Callable[..., Any], source: str, tmp_path: Path) -> None:
    model = decoder(make)
    randomize(model, np.random.default_rng(0))
    if source == "live":
        converted = grucore.from_keras(model)
    else:
        model.save(tmp_path / source)
        converted = grucore.convert(tmp_path / source)
    assert [port.name for port in converted.inputs] == ["target"]
    assert converted.metadata["source"]["states"] == {
        "start": "the input is the state of decoder.l0.h"
    }
    rng = np.random.default_rng(1)
    ids = rng.integers(0, IDS, (2, 9)).astype(np.int32)
    start = rng.uniform(-1, 1, (2, UNITS)).astype(np.float32)
    zeros = np.zeros((2, 1, 5), np.float32)
    state = {"conv1d.history": zeros, "decoder.l0.h": start}
    state = {
        name: state["decoder.l0.h" if name.endswith(".h") else "conv1d.history"]
        for name in converted.run(ids, return_state=True)[1]
    }
    mine, states = converted.run(ids, state=state, return_state=True)
    _, last = keras.Model(model.inputs, model.get_layer("decoder").output)([start, ids])
    assert np.abs(mine - array(model([start, ids], training=False))).max() < BOUND
    assert np.abs(states["decoder.l0.h"] - array(last)).max() < BOUND


def test_a_state_from_one_model_to_the_other(tmp_path: Path) -> None:
    first, second = encoder(), decoder()
    for model in (first, second):
        randomize(model, np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(0, IDS, (1, 7)).astype(np.int32)
    read, write = grucore.from_keras(first), grucore.from_keras(second)
    _, final = read.run(tokens[0], return_state=True)
    stream = write.stream()
    state = stream.state
    (name,) = (name for name in state if name.endswith(".h"))
    stream.state = {**state, name: final["encoder.l0.h"]}
    fed, token = np.zeros((1, 0), np.int32), 1
    h = array(first(tokens, training=False))
    for _ in range(5):
        fed = np.concatenate([fed, [[token]]], axis=1).astype(np.int32)
        theirs = array(second([h, fed], training=False))[0, -1]
        mine = stream.step(np.array([token], np.int32))
        assert np.abs(mine - theirs).max() < BOUND
        token = int(mine.argmax())


def cells(
    change: Callable[..., Any] = lambda state: state,
    *,
    steps: int | None = None,
    exchanged: bool = False,
    returned: int = 2,
) -> Any:
    """Two GRUs whose caller carries the states: change says what comes back of the first one."""
    x = keras.Input((steps, 3), name="x")
    h, k = (keras.Input((UNITS,), name=name) for name in "hk")
    y, first = layers.GRU(UNITS, return_sequences=True, return_state=True)(x, initial_state=h)
    y, second = layers.GRU(UNITS, return_sequences=True, return_state=True)(y, initial_state=k)
    states = [change(first), second]
    states = states[::-1] if exchanged else states
    model = keras.Model([x, h, k], [layers.Dense(2)(y), *states[:returned]])
    randomize(model, np.random.default_rng(0))
    return model


@pytest.mark.parametrize("steps", [None, 1, 4])
@pytest.mark.parametrize("source", ["live", "file"])
def test_a_stream_is_the_callers_own_loop(steps: int | None, source: str, tmp_path: Path) -> None:
    model = cells(steps=steps)
    model.save(tmp_path / "m.keras")
    convert = {
        "live": lambda: grucore.from_keras(model),
        "file": lambda: grucore.convert(tmp_path / "m.keras"),
    }[source]
    stream = convert().stream()
    states = [np.zeros((1, UNITS), np.float32)] * 2
    x = np.random.default_rng(2).normal(size=(1, 24, 3)).astype(np.float32)
    for at in range(0, 24, steps or 6):
        block = x[:, at : at + (steps or 6)]
        y, *states = map(array, model([block, *states], training=False))
        found = [stream.step(frame) for frame in block[0]]
        assert np.abs(np.stack(found) - y[0]).max() < BOUND
        for state, theirs in zip(stream.state.values(), states, strict=True):
            assert np.abs(state - theirs[0]).max() < BOUND


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"change": lambda h: keras.ops.clip(h, -0.1, 0.1)}, "is something else"),
        ({"change": lambda h: keras.ops.minimum(h, 0.1)}, "is something else"),
        ({"change": lambda h: h * 0.5}, "is something else"),
        ({"change": lambda h: layers.LayerNormalization()(h)}, "is something else"),
        ({"change": lambda h: layers.Dense(UNITS)(h)}, "is something else"),
        ({"change": lambda h: layers.Activation("relu")(h)}, "is something else"),
        ({"exchanged": True}, "come back in another order"),
        ({"returned": 1}, "no output gives the new one back"),
        ({"returned": 0, "steps": 1}, "no output gives the new one back"),
    ],
)
def test_states_that_come_back_changed_are_refused(options: Any, reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(cells(**options))


def lstm_step() -> Any:
    x = keras.Input((1, 3), name="x")
    h, c = (keras.Input((UNITS,), name=name) for name in "hc")
    make = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    y, new_h, new_c = make(x, initial_state=[h, c])
    return keras.Model([x, h, c], [layers.Dense(2)(y), layers.LayerNormalization()(new_h), new_c])


def light_step() -> Any:
    """A cell written by hand: the last frame of one, products, a gate, a residual."""
    x, h = keras.Input((1, 3), name="x"), keras.Input((UNITS,), name="h")
    frame = x[:, 0, :]
    z = layers.Activation("sigmoid")(layers.Dense(UNITS)(frame) + layers.Dense(UNITS)(h))
    new = layers.Dense(UNITS, activation="relu")(layers.Concatenate()([frame, h]))
    new = layers.Add()([layers.Multiply()([z, h]), (1.0 - z) * new * 0.5])
    return keras.Model([x, h], [layers.Dense(2)(new), new])


STEPS = {
    "exchanged": lambda: cells(steps=1, exchanged=True),
    "scaled": lambda: cells(lambda h: h * 0.5, steps=1),
    "bounded": lambda: cells(lambda h: keras.ops.minimum(h, 0.1), steps=1),
    "normalized": lambda: cells(lambda h: layers.LayerNormalization()(h), steps=1),
    "projected": lambda: cells(lambda h: layers.Dense(UNITS, activation="tanh")(h), steps=1),
    "lstm": lstm_step,
    "by hand": light_step,
}


@pytest.mark.parametrize("source", ["live", "file"])
@pytest.mark.parametrize("name", STEPS)
def test_a_state_that_is_not_a_layers_own_is_fed_back(
    name: str, source: str, tmp_path: Path
) -> None:
    model = STEPS[name]()
    randomize(model, np.random.default_rng(0))
    model.save(tmp_path / "m.keras")
    converted = (
        grucore.from_keras(model) if source == "live" else grucore.convert(tmp_path / "m.keras")
    )
    assert any(state.endswith(".x") for state in converted.states)
    states = [np.zeros((1, UNITS), np.float32)] * (len(model.inputs) - 1)
    stream = converted.stream()
    for frame in np.random.default_rng(2).normal(size=(24, 3)).astype(np.float32):
        y, *states = map(array, model([frame[None, None], *states], training=False))
        assert np.abs(stream.step(frame) - y.reshape(-1)).max() < BOUND
        for mine, theirs in zip(stream.state.values(), states, strict=True):
            assert np.abs(mine - theirs.reshape(-1)).max() < BOUND
    assert len(converted.inputs) == 1


def test_a_model_of_whole_sequences_may_keep_its_states_to_itself() -> None:
    model = cells(returned=0)
    converted = grucore.from_keras(model)
    x = np.random.default_rng(2).normal(size=(1, 9, 3)).astype(np.float32)
    h, k = np.random.default_rng(3).normal(size=(2, 1, UNITS)).astype(np.float32)
    names = list(converted.run(x, return_state=True)[1])
    found = converted.run(x, state=dict(zip(names, (h, k), strict=True)))
    assert np.abs(found - array(model([x, h, k], training=False)[0])).max() < BOUND


def test_a_window_of_one_frame_a_call_sees_zeros_before_it() -> None:
    model = decoder(steps=1, returned=True)
    randomize(model, np.random.default_rng(0))
    stream, h = grucore.from_keras(model).stream(), np.zeros((1, UNITS), np.float32)
    for token in np.random.default_rng(1).integers(0, IDS, (9, 1)).astype(np.int32):
        y, h = map(array, model([h, token[None]], training=False))
        assert np.abs(stream.step(token) - y.reshape(-1)).max() < BOUND
    assert list(stream.state) == ["decoder.l0.h"]


def test_a_window_of_many_frames_a_call_begins_anew_in_each_and_is_refused() -> None:
    with pytest.raises(grucore.ConversionError, match=r"conv1d .* starts anew in every call"):
        grucore.from_keras(decoder(returned=True))


def test_a_decoder_of_one_step() -> None:
    model = cells(steps=1)
    randomize(model, np.random.default_rng(0))
    converted = grucore.from_keras(model)
    assert converted.proof is not None
    assert converted.proof.frames > 0


def test_a_state_that_goes_elsewhere_fails_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder()
    randomize(model, np.random.default_rng(0))
    convert = converter.live_evidence

    def from_zeros(*given: Any) -> Any:
        found = convert(*given)
        return replace(found, from_states=lambda _, xs: found.witness(*xs))

    monkeypatch.setattr(converter, "live_evidence", from_zeros)
    with pytest.raises(grucore.ConversionError, match="from a state that is given"):
        grucore.from_keras(model)


def _read_by_dense() -> Any:
    x, h = keras.Input((None, 3)), keras.Input((4,), name="h")
    return keras.Model([x, h], layers.GRU(4)(x, initial_state=layers.Dense(4, name="d")(h)))


def _of_another_layer() -> Any:
    x, z = keras.Input((None, 3)), keras.Input((None, 3))
    return keras.Model([x, z], layers.GRU(4, name="g")(x, initial_state=layers.GRU(4)(z)))


def _twice() -> Any:
    x, h = keras.Input((None, 3)), keras.Input((4,), name="h")
    y = layers.GRU(4, return_sequences=True)(x, initial_state=h)
    return keras.Model([x, h], layers.GRU(4, name="g")(y, initial_state=h))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_read_by_dense, "Dense 'd' reads the initial state 'h', which only a recurrent layer may"),
        (_of_another_layer, "GRU 'g' initial_h is computed by the model, .* hand the state over"),
        (_twice, r"GRU 'g' initial_h is a part of input 'h' that is also 'gru.*\.l0\.h'"),
    ],
)
def test_refused(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(make())
