# SPDX-License-Identifier: Apache-2.0
"""Live Keras models: every activation, stateful and nested ones, slices, odd shapes, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.fileformat import read
from grucore.proof.proof import BOUND
from models.keras_models import ACTIVATIONS, keras, layers, outputs_of, randomize

pytestmark = pytest.mark.oracle

FRAMES = 17


def agreed(model: Any, *, features: int = 3, seed: int = 0) -> grucore.Model:
    """The conversion, after a look that it gives what Keras does."""
    rng = np.random.default_rng(seed)
    randomize(model, rng)
    converted = grucore.from_keras(model)
    x = rng.uniform(-3, 3, (2, FRAMES, features)).astype(np.float32)
    found = converted.run(x)
    pairs = zip(
        found if isinstance(found, tuple) else (found,), outputs_of(model, [x]), strict=True
    )
    for mine, theirs in pairs:
        theirs = theirs.reshape(mine.shape)
        assert np.abs(mine - theirs).max() < 10 * BOUND * max(1.0, np.abs(theirs).max())
    return converted


def sequential(*parts: Any, features: int = 3) -> Any:
    return keras.Sequential([keras.Input((None, features)), *parts])


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "exponential", "glu"])
def test_activations(activation: str) -> None:
    agreed(sequential(layers.Dense(4, activation=activation)))
    if activation != "glu":  # which halves the features
        agreed(sequential(layers.Activation(activation)))


@pytest.mark.parametrize(
    "activation",
    ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "hard_sigmoid", "softsign"],
)
def test_activations_inside_a_cell(activation: str) -> None:
    agreed(sequential(layers.GRU(4, activation=activation, return_sequences=True)))
    if activation in ("sigmoid", "hard_sigmoid", "softsign"):
        agreed(sequential(layers.GRU(4, recurrent_activation=activation)))


def test_a_stateful_model_is_a_stream() -> None:
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 1, 3)),
            layers.GRU(4, stateful=True, return_sequences=True),
            layers.Dense(2),
        ]
    )
    randomize(model, np.random.default_rng(0))
    converted = grucore.from_keras(model)
    assert converted.metadata["source"]["stateful"] == [model.layers[0].name]
    x = np.random.default_rng(1).uniform(-3, 3, (2, FRAMES, 3)).astype(np.float32)
    stream = converted.stream(batch=2)
    for layer in model.layers:
        if hasattr(layer, "reset_state"):
            layer.reset_state()
    for frame in range(FRAMES):
        theirs = keras.ops.convert_to_numpy(model(x[:, frame : frame + 1], training=False))
        assert np.abs(stream.step(x[:, frame]) - theirs[:, 0]).max() < BOUND


def test_a_model_of_one_length() -> None:
    model = keras.Sequential([keras.Input((FRAMES, 3)), layers.GRU(4), layers.Flatten()])
    converted = agreed(model)
    assert converted.proof is not None
    assert converted.proof.frames % FRAMES == 0


def test_batch_norm_is_folded_into_the_product_before_it() -> None:
    parts = [
        layers.Conv1D(4, 3, padding="causal"),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.GRU(4, return_sequences=True),
        layers.Dense(5),
        layers.BatchNormalization(),
    ]
    graph = read(bytes(agreed(sequential(*parts))))
    assert [node.layer for node in graph.nodes] == ["conv1d", "gru", "dense"]


def test_batch_norm_is_never_folded_into_a_convolution_behind_it() -> None:
    parts = [layers.BatchNormalization(), layers.Conv1D(4, 3, padding="same")]
    graph = read(bytes(agreed(sequential(*parts))))
    assert [node.layer for node in graph.nodes] == ["affine", "conv1d"]


def test_batch_norm_is_not_folded_where_the_product_is_used_twice() -> None:
    x = keras.Input((None, 3))
    y = layers.Dense(3)(x)
    model = keras.Model(x, layers.Add()([y, layers.BatchNormalization()(y)]))
    graph = read(bytes(agreed(model)))
    assert [node.layer for node in graph.nodes] == ["dense", "affine", "binary"]


def test_slices_and_arithmetic() -> None:
    x = keras.Input((None, 4))
    y = layers.GRU(6, return_sequences=True)(x)
    y = (y[:, :, 1:5] + x) * 2.0 - 0.5
    agreed(keras.Model(x, {"last": y[:, -1], "first": y[:, 0, ::2], "all": 1.0 - y}), features=4)


def test_features_of_several_axes() -> None:
    parts = [
        layers.Reshape((-1, 2, 3)),
        layers.Permute((1, 3, 2)),
        layers.TimeDistributed(layers.Flatten()),
        layers.GRU(4),
        layers.Reshape((2, 2)),
        layers.Flatten(),
        layers.Dense(2),
    ]
    agreed(sequential(*parts, features=6), features=6)


@pytest.mark.parametrize("padding", ["causal", "valid", "same"])
def test_convolutions(padding: str) -> None:
    for options in ({"dilation_rate": 2}, {"groups": 2}, {"kernel_size": 4}):
        options = {"filters": 4, "kernel_size": 3, "padding": padding, **options}
        agreed(sequential(layers.Conv1D(**options), features=4), features=4)
    agreed(sequential(layers.DepthwiseConv1D(3, depth_multiplier=2, padding="valid")))


def test_strided_convolution() -> None:
    agreed(sequential(layers.Conv1D(4, 3, strides=2, padding="valid"), layers.GRU(3)))
    agreed(sequential(layers.Conv1D(4, 3, strides=2, padding="causal"), layers.GRU(3)))


def test_a_layer_used_twice_shares_its_weights() -> None:
    x = keras.Input((None, 3))
    shared = layers.GRU(3, return_sequences=True)
    agreed(keras.Model(x, layers.Concatenate()([shared(x), shared(shared(x))])))


def test_nested_models_used_twice() -> None:
    inside = keras.Input((None, 3))
    y = layers.GRU(3, return_sequences=True)(inside)
    block = keras.Model(inside, layers.Add()([inside, y]), name="block")
    x = keras.Input((None, 3))
    agreed(keras.Model(x, block(block(x))))


def test_outputs_are_called_as_in_keras() -> None:
    x = keras.Input((None, 3), name="audio")
    y = layers.GRU(4, name="encoder")(x)
    model = keras.Model(x, {"speech": layers.Dense(1)(y), "music": layers.Dense(2)(y)})
    converted = agreed(model)
    assert [port.name for port in converted.outputs] == ["speech", "music"]
    assert [port.name for port in converted.inputs] == ["audio"]


def test_normalization_layer() -> None:
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 5, 3)))
    model = sequential(layer, layers.GRU(3))
    converted = grucore.from_keras(model)
    x = np.random.default_rng(1).normal(3, 2, (2, FRAMES, 3)).astype(np.float32)
    assert np.abs(converted.run(x) - outputs_of(model, [x])[0]).max() < BOUND


def test_two_outputs_of_a_bidirectional_without_merging() -> None:
    x = keras.Input((None, 3))
    inner = layers.GRU(4, return_sequences=True)
    forward, backward = layers.Bidirectional(inner, merge_mode=None)(x)
    agreed(keras.Model(x, [forward, layers.Dense(2)(backward)]))


RENORM = {"renorm": True, "renorm_clipping": {"rmax": 2.0}}


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_batch_renormalization(name: str, tmp_path: Path) -> None:
    inner = layers.TimeDistributed(layers.BatchNormalization(**RENORM))
    model = sequential(layers.BatchNormalization(**RENORM), inner, layers.GRU(4))
    agreed(model)
    model.save(tmp_path / name)
    x = np.random.default_rng(1).uniform(-3, 3, (2, FRAMES, 3)).astype(np.float32)
    found = grucore.convert(tmp_path / name).run(x)
    assert np.abs(found - outputs_of(model, [x])[0]).max() < 10 * BOUND


GRU: Any = layers.GRU
SIDES: dict[str, Callable[[], tuple[Any, Any, dict[str, Any]]]] = {
    "cell and activation": lambda: (
        GRU(4, return_sequences=True),
        GRU(4, return_sequences=True, go_backwards=True, activation="relu", reset_after=False),
        {},
    ),
    "units and bias": lambda: (
        GRU(4, return_sequences=True),
        GRU(2, return_sequences=True, go_backwards=True, use_bias=False),
        {},
    ),
    "gates": lambda: (
        GRU(4),
        GRU(4, go_backwards=True, recurrent_activation="hard_sigmoid"),
        {"merge_mode": "sum"},
    ),
    "kind": lambda: (layers.RNN(layers.GRUCell(3)), GRU(4, go_backwards=True), {}),
    "both turned around": lambda: (GRU(4, go_backwards=True), GRU(4), {}),
    "states": lambda: (
        GRU(4, return_state=True),
        GRU(4, go_backwards=True, return_state=True, reset_after=False),
        {"merge_mode": "ave"},
    ),
}


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")
@pytest.mark.parametrize("name", SIDES)
def test_bidirectional_with_sides_of_their_own(name: str, tmp_path: Path) -> None:
    forward, backward, options = SIDES[name]()
    model = sequential(layers.Bidirectional(forward, backward_layer=backward, **options))
    live = agreed(model)
    x = np.random.default_rng(1).uniform(-3, 3, (2, FRAMES, 3)).astype(np.float32)
    expected = live.run(x)
    for file in ("model.keras", "model.h5"):
        model.save(tmp_path / file)
        found = grucore.convert(tmp_path / file).run(x)
        for mine, theirs in zip(_parts(found), _parts(expected), strict=True):
            assert np.array_equal(mine, theirs)


def _parts(found: Any) -> tuple[np.ndarray, ...]:
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize(
    ("backward", "reason"),
    [
        (
            lambda: GRU(4, go_backwards=True, activation="gelu", name="g"),
            "'g' has activation 'gelu' inside|has activation 'gelu' inside",
        ),
    ],
)
def test_a_side_that_cannot_be_expressed_is_named(backward: Callable[[], Any], reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(sequential(layers.Bidirectional(GRU(4), backward_layer=backward())))
