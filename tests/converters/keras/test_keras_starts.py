# SPDX-License-Identifier: Apache-2.0
"""Initial states of stacks and of both directions, and which output a caller hands back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from models.keras_models import keras, layers, outputs_of, randomize

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning"),
]
FRAMES, FEATURES = 7, 3


def started(layer: Callable[[], Any], sizes: list[Any], frames: int | None = None) -> Any:
    """A model of one layer that starts from inputs of these sizes; lists stay lists."""
    x = keras.Input((frames, FEATURES), name="x")
    flat: list[Any] = []

    def port(size: Any) -> Any:
        if isinstance(size, list):
            return [port(each) for each in size]
        flat.append(keras.Input((size,), name=f"start{len(flat)}"))
        return flat[-1]

    y = layer()(x, initial_state=[port(size) for size in sizes])
    return keras.Model([x, *flat], y)


def stack(*cells: Any, **options: Any) -> Any:
    return layers.RNN(list(cells), return_sequences=True, **options)


STARTED: dict[str, Callable[[], Any]] = {
    "two cells": lambda: started(lambda: stack(layers.GRUCell(3), layers.GRUCell(5)), [3, 5]),
    "two LSTM cells": lambda: started(
        lambda: stack(layers.LSTMCell(3), layers.LSTMCell(2)), [[3, 3], [2, 2]]
    ),
    "cells of all kinds": lambda: started(
        lambda: stack(layers.LSTMCell(3), layers.GRUCell(2), layers.SimpleRNNCell(4)),
        [[3, 3], 2, 4],
    ),
    "both directions": lambda: started(
        lambda: layers.Bidirectional(layers.GRU(4, return_sequences=True)), [4, 4]
    ),
    "both directions of an LSTM": lambda: started(
        lambda: layers.Bidirectional(layers.LSTM(2)), [2, 2, 2, 2]
    ),
    "their last states": lambda: started(
        lambda: layers.Bidirectional(layers.GRU(2, return_state=True)), [2, 2]
    ),
}


@pytest.mark.parametrize("name", STARTED)
def test_as_in_keras(name: str, tmp_path: Path) -> None:
    model = STARTED[name]()
    rng = np.random.default_rng(0)
    randomize(model, rng)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    x = rng.normal(size=(2, FRAMES, FEATURES)).astype(np.float32)
    starts = [rng.normal(size=(2, *port.shape[1:])).astype(np.float32) for port in model.inputs[1:]]
    theirs = outputs_of(model, [x, *starts])
    for converted in (
        grucore.from_keras(model),
        grucore.convert(tmp_path / "m.keras"),
        grucore.convert(tmp_path / "m.h5"),
    ):
        about = converted.metadata["source"]
        noted, kept = about["states"], about.get("kept_outputs", [0])
        names = [noted[f"start{n}"].rpartition(" ")[2] for n in range(len(starts))]
        found = converted.run(x, state=dict(zip(names, starts, strict=True)))
        found = found if isinstance(found, tuple) else (found,)
        for mine, want in zip(found, [theirs[n] for n in kept], strict=True):
            assert np.abs(mine - want).max() < BOUND


def test_states_of_a_stack_come_back(rng: np.random.Generator) -> None:
    x = keras.Input((None, FEATURES))
    cells = [layers.GRUCell(3), layers.SimpleRNNCell(2)]
    y, *states = stack(*cells, return_state=True)(x)
    model = keras.Model(x, [y, *states])
    signal = rng.normal(size=(2, FRAMES, FEATURES)).astype(np.float32)
    found = grucore.from_keras(model).run(signal)
    for mine, want in zip(found, outputs_of(model, [signal]), strict=True):
        assert np.abs(mine - want).max() < BOUND


@pytest.mark.parametrize("wrapped", [False, True])
def test_states_beside_masked_frames_that_give_zeros(
    wrapped: bool, rng: np.random.Generator
) -> None:
    x = keras.Input((None, FEATURES))
    layer = layers.GRU(4, return_sequences=True, return_state=True, zero_output_for_mask=True)
    y, *states = (layers.Bidirectional(layer) if wrapped else layer)(layers.Masking()(x))
    model = keras.Model(x, [y, *states])
    signal = rng.normal(size=(2, FRAMES, FEATURES)).astype(np.float32)
    signal[0, -2:], signal[1, 2] = 0, 0
    found = grucore.from_keras(model).run(signal)
    for mine, want in zip(found, outputs_of(model, [signal]), strict=True):
        assert np.abs(mine - want).max() < BOUND


def test_a_stateful_stack_and_its_last_states(tmp_path: Path, rng: np.random.Generator) -> None:
    x = keras.Input(batch_shape=(1, None, FEATURES))
    cells = [layers.GRUCell(3), layers.SimpleRNNCell(2)]
    y, *states = layers.RNN(cells, return_state=True, stateful=True)(x)
    model = keras.Model(x, layers.Dense(2)(layers.Concatenate()([y, *states])))
    randomize(model, rng)
    model.save(tmp_path / "m.keras")
    live, file = grucore.from_keras(model), grucore.convert(tmp_path / "m.keras")
    signal = rng.normal(size=(1, FRAMES, FEATURES)).astype(np.float32)
    want = np.asarray(keras.ops.convert_to_numpy(model(signal, training=False)))
    assert np.abs(live.run(signal) - want).max() < BOUND
    assert np.array_equal(file.run(signal), live.run(signal))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: started(lambda: layers.Bidirectional(layers.LSTM(2)), [2, 2]),
            "1 tensors as the initial_state of a cell, expected 2",
        ),
        (lambda: started(lambda: layers.GRU(4), [4, 4]), "2 tensors as its initial_state, 1 too"),
    ],
)
def test_refused(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(make())


def one_step(exchanged: bool) -> Any:
    """One frame a call, whose output of frames is the state too, before it is changed."""
    x, h, k = keras.Input((1, FEATURES)), keras.Input((4,), name="h"), keras.Input((4,), name="k")
    options = {"return_sequences": True, "return_state": True}
    y, new_h = layers.GRU(4, **options)(x, initial_state=h)
    y, new_k = layers.GRU(4, **options)(y, initial_state=k)
    if exchanged:
        return keras.Model([x, h, k], [y, new_k, new_h])
    return keras.Model([x, h, k], [y, new_h, keras.ops.clip(new_k, -0.2, 0.2)])


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_caller_hands_back_what_has_the_axes_of_the_state(
    exchanged: bool, rng: np.random.Generator
) -> None:
    model = one_step(exchanged)
    randomize(model, rng)
    stream = grucore.from_keras(model).stream()
    states = [np.zeros((1, 4), np.float32)] * 2
    for frame in rng.normal(size=(12, FEATURES)).astype(np.float32):
        y, *states = outputs_of(model, [frame[None, None], *states])
        assert np.abs(stream.step(frame) - y.reshape(-1)).max() < BOUND
