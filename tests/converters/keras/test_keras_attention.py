# SPDX-License-Identifier: Apache-2.0
"""Decoders of Keras that attend to an input that comes once for a sequence."""

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
ops = keras.ops
FRAMES, FEATURES, MOST = 9, 4, 7


def by_layers(y: Any, memory: Any) -> Any:
    shares = layers.Activation("softmax")(layers.Dot(axes=[2, 2])([y, memory]))
    return layers.Dot(axes=[2, 1])([shares, memory])


def by_operations(y: Any, memory: Any) -> Any:
    keys = ops.transpose(layers.Dense(FEATURES)(memory), (0, 2, 1))
    return ops.matmul(ops.softmax(ops.matmul(y, keys) / 2.0, axis=-1), memory)


ATTENDING: dict[str, Callable[[Any, Any], Any]] = {
    "dot": lambda y, memory: layers.Attention()([y, memory]),
    "scaled": lambda y, memory: layers.Attention(use_scale=True)([y, memory]),
    "keys of their own": lambda y, memory: layers.Attention()(
        [y, layers.Dense(3)(memory), layers.Dense(FEATURES)(memory)]
    ),
    "additive": lambda y, memory: layers.Concatenate()(
        [y, layers.AdditiveAttention()([y, memory])]
    ),
    "additive of products": lambda y, memory: layers.AdditiveAttention(use_scale=False)(
        [layers.Dense(6)(y), layers.Dense(6)(memory)]
    ),
    "heads": lambda y, memory: layers.MultiHeadAttention(2, 3)(y, memory) + y,
    "heads by name": lambda y, memory: layers.MultiHeadAttention(
        3, 2, value_dim=4, output_shape=5, use_bias=False
    )(query=y, value=memory, key=memory),
    "layers": by_layers,
    "operations": by_operations,
}


def decoder(attend: Callable[[Any, Any], Any], most: int | None = MOST) -> Any:
    x, memory = keras.Input((None, 3), name="x"), keras.Input((most, FEATURES), name="memory")
    y = layers.GRU(FEATURES, return_sequences=True)(x)
    return keras.Model([x, memory], layers.Dense(2)(attend(y, memory)))


@pytest.mark.parametrize("name", ATTENDING)
def test_as_in_keras(name: str, tmp_path: Path) -> None:
    model = decoder(ATTENDING[name])
    rng = np.random.default_rng(0)
    randomize(model, rng)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    x = rng.normal(size=(2, FRAMES, 3)).astype(np.float32)
    memory = rng.normal(size=(2, MOST, FEATURES)).astype(np.float32)
    (theirs,) = outputs_of(model, [x, memory])
    for converted in (
        grucore.from_keras(model),
        grucore.convert(tmp_path / "m.keras"),
        grucore.convert(tmp_path / "m.h5"),
    ):
        assert [port.name for port in converted.inputs] == ["x"]
        assert set(converted.metadata["source"]["memories"].values()) == {"memory"}
        assert np.abs(converted.run(x, memory=memory) - theirs).max() < BOUND


def test_a_shorter_memory_is_that_of_a_model_of_its_size(rng: np.random.Generator) -> None:
    model, short = (decoder(ATTENDING["additive"], most) for most in (MOST, 3))
    randomize(model, rng)
    short.set_weights(model.get_weights())
    x = rng.normal(size=(1, FRAMES, 3)).astype(np.float32)
    memory = rng.normal(size=(1, 3, FEATURES)).astype(np.float32)
    found = grucore.from_keras(model).run(x, memory=memory)
    assert np.abs(found - outputs_of(short, [x, memory])[0]).max() < BOUND


def test_one_token_a_call(rng: np.random.Generator) -> None:
    token, h = keras.Input((1,), dtype="int32"), keras.Input((FEATURES,))
    memory = keras.Input((MOST, FEATURES))
    make = layers.GRU(FEATURES, return_sequences=True, return_state=True)
    y, state = make(layers.Embedding(5, 3)(token), initial_state=h)
    y = layers.Concatenate()([y, layers.AdditiveAttention()([y, memory])])
    model = keras.Model([token, h, memory], [layers.Dense(5)(y), state])
    randomize(model, rng)
    stream = grucore.from_keras(model).stream()
    encoded = rng.normal(size=(1, MOST, FEATURES)).astype(np.float32)
    stream.set_memory(encoded[0])
    carried = np.zeros((1, FEATURES), np.float32)
    for ids in rng.integers(0, 5, (12, 1)).astype(np.int32):
        y, carried = outputs_of(model, [ids[None], carried, encoded])
        assert np.abs(stream.step(ids) - y.reshape(-1)).max() < BOUND


def _with_scores(y: Any, memory: Any) -> Any:
    return layers.Attention()([y, memory], return_attention_scores=True)[0]


@pytest.mark.parametrize(
    ("attend", "most", "reason"),
    [
        (lambda y, _: layers.Attention()([y, y]), MOST, "attends to what the model computes"),
        (ATTENDING["dot"], None, r"at most so many frames: Input\(\(frames, features\)\)"),
        (_with_scores, MOST, "is called with return_attention_scores=True"),
        (
            lambda y, memory: layers.Attention()([layers.Masking()(y), memory]),
            MOST,
            "attends with a mask: give a row's memory a length of its own",
        ),
        (
            lambda y, memory: layers.Attention()([y, layers.LayerNormalization()(memory)]),
            MOST,
            "LayerNormalization .* reads what is made of a memory, which it cannot",
        ),
        (
            lambda y, memory: layers.Attention()(
                [y, memory, layers.Dense(FEATURES, activation="tanh")(memory)]
            ),
            MOST,
            "takes the tanh of a memory by itself: let the encoder do that",
        ),
        (
            lambda y, memory: layers.Attention()(
                [y, layers.Dense(FEATURES, activation="tanh")(memory), memory]
            ),
            MOST,
            "sums up values that a query was added to, or the tanh was taken of",
        ),
        (
            lambda y, memory: layers.Attention()([y, memory], use_causal_mask=True),
            MOST,
            "is called with use_causal_mask=True",
        ),
    ],
)
def test_refused(attend: Callable[[Any, Any], Any], most: int | None, reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(decoder(attend, most))
