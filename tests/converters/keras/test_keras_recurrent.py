# SPDX-License-Identifier: Apache-2.0
"""Keras's LSTM and SimpleRNN: states, wrappers, cuDNN's weights, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import grucore
from grucore.converters.keras.convert import graph_of_source, read_model
from grucore.graph import gates
from grucore.reference import run as reference
from models.keras_models import keras, randomize
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
layers = oracle("keras.layers")

BOUND = 1e-5
ERROR = grucore.ConversionError


def numpy_of(tensor: object) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def decoder() -> object:
    """A model that takes and returns the states of an LSTM."""
    x, h, c = keras.Input((None, 3)), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    layer = layers.LSTM(4, return_sequences=True, return_state=True)
    return keras.Model([x, h, c], layer(x, initial_state=[h, c]))


def test_states_in_and_out(rng: np.random.Generator) -> None:
    source = decoder()
    randomize(source, rng)
    model = grucore.from_keras(source)
    (name,) = (layer.name for layer in model.layers if layer.kind == "lstm")
    about = model.metadata["source"]
    assert about["handed_back"] == {"h": 1, "c": 2}
    assert about["states"]["c"] == f"the input is the state of {name}.c"
    x = rng.uniform(-2, 2, (9, 3)).astype(np.float32)
    h, c = rng.uniform(-1, 1, (2, 4)).astype(np.float32)
    want = [numpy_of(part)[0] for part in source([x[None], h[None], c[None]])]
    start = {f"{name}.h": h, f"{name}.c": c}
    y, final = model.run(x, state=start, return_state=True)
    assert np.abs(y - want[0]).max() < BOUND
    assert np.abs(final[f"{name}.h"] - want[1]).max() < BOUND
    assert np.abs(final[f"{name}.c"] - want[2]).max() < BOUND


def test_cudnn_weights_are_those_of_a_layer(rng: np.random.Generator) -> None:
    kernel, recurrent = rng.normal(size=(3, 16)), rng.normal(size=(4, 16))
    both = rng.normal(size=(2, 16))
    # cuDNN keeps each gate as (H, I), row after row, in an array of the shape (I, H).
    packed = [np.split(array, 4, axis=1) for array in (kernel, recurrent)]
    theirs = [np.concatenate([g.T.reshape(g.shape) for g in parts], axis=1) for parts in packed[:1]]
    hidden = np.concatenate([g.T for g in packed[1]], axis=1)
    found = gates.from_cudnn_keras_lstm(theirs[0], hidden, both.reshape(-1))
    for have, want in zip(found, (kernel, recurrent, both.sum(axis=0)), strict=True):
        assert np.array_equal(have, want)


def test_a_stack_of_cells(rng: np.random.Generator) -> None:
    cells = [layers.LSTMCell(4), layers.SimpleRNNCell(3), layers.GRUCell(2)]
    source = keras.Sequential([keras.Input((None, 3)), layers.RNN(cells, return_sequences=True)])
    randomize(source, rng)
    x = rng.uniform(-2, 2, (2, 9, 3)).astype(np.float32)
    model = grucore.from_keras(source)
    assert np.abs(model.run(x) - numpy_of(source(x))).max() < BOUND
    assert [layer.kind for layer in model.layers] == ["lstm", "rnn", "gru"]


def test_refused_by_name() -> None:
    x = keras.Input((None, 3))
    y, _, c = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    with pytest.raises(ERROR, match=r"is the cell state .*return_state=True"):
        grucore.from_keras(keras.Model(x, [y, c]))
    with pytest.raises(ERROR, match=r"reads the cell state .*, which only its LSTM may"):
        grucore.from_keras(keras.Model(x, layers.Dense(2)(c)))
    start = keras.Input((4,))
    with pytest.raises(ERROR, match="1 tensors as the initial_state of a cell, expected 2"):
        grucore.from_keras(keras.Model([x, start], layers.LSTM(4)(x, initial_state=[start])))
    image = keras.Input((None, 5, 1))
    with pytest.raises(ERROR, match=r"ConvLSTM1D 'conv_lstm1d.*' is of a kind that cannot"):
        grucore.from_keras(keras.Model(image, layers.ConvLSTM1D(2, 3)(image)))


def test_the_reference_has_both_states(rng: np.random.Generator) -> None:
    source = decoder()
    randomize(source, rng)
    graph = graph_of_source(read_model(source))
    x = rng.uniform(-2, 2, (5, 3)).astype(np.float32)
    _, states = reference.run(graph, x)
    want = [numpy_of(part)[0] for part in source([x[None], *np.zeros((2, 1, 4), np.float32)])]
    for suffix, theirs in ((".h", want[1]), (".c", want[2])):
        (ours,) = (array for name, array in states.items() if name.endswith(suffix))
        assert np.abs(ours - theirs).max() < BOUND


@pytest.mark.parametrize("made", [layers.GRU, layers.LSTM, layers.SimpleRNN])
def test_unrolled_is_the_same_layer(made: type, rng: np.random.Generator) -> None:
    """Keras wants a fixed number of frames for it; the model takes any."""
    source = keras.Sequential(
        [keras.Input((7, 3)), made(4, unroll=True, return_sequences=True, name="layer")]
    )
    rolled = keras.Sequential(
        [keras.Input((None, 3)), made(4, return_sequences=True, name="layer")]
    )
    randomize(source, rng)
    rolled.set_weights(source.get_weights())
    model = grucore.from_keras(source)
    for frames in (7, 12):
        x = rng.uniform(-2, 2, (2, frames, 3)).astype(np.float32)
        assert np.abs(model.run(x) - numpy_of(rolled(x))).max() < BOUND
