# SPDX-License-Identifier: Apache-2.0
"""Refusals of live Keras models, by the names of the layer and the attribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import grucore
from models.keras_models import keras, layers

pytestmark = pytest.mark.oracle


def sequential(*parts: Any) -> Any:
    return keras.Sequential([keras.Input((None, 3)), *parts])


def _with_lora() -> Any:
    model = sequential(layers.Dense(4, name="d"))
    model.layers[0].enable_lora(2)
    return model


def _in_training() -> Any:
    x = keras.Input((None, 3))
    return keras.Model(x, layers.Dropout(0.3, name="d")(x, training=True))


def _taken(make: Callable[[Any], Any]) -> Any:
    """A layer that a back end cannot run."""
    x = keras.Input((None, 3))
    return keras.Model(x, make(x))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_with_lora, "Dense 'd' has lora_"),
        (_in_training, "Dropout 'd' is called with training=True"),
        (lambda: sequential(layers.Dense(3, activation="squareplus")), "activation 'squareplus'"),
        (lambda: sequential(layers.LayerNormalization(rms_scaling=True)), "rms_scaling=True"),
        (
            lambda: keras.Sequential(
                [keras.Input((3, 8)), layers.Conv1D(2, 3, data_format="channels_first")]
            ),
            "data_format=channels_first",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((None, 2), dtype="int32"), layers.Embedding(5, 4)]
            ),
            r"of ids has shape \(None, 2\), expected \(time,\)",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((None, 4, 3)), layers.TimeDistributed(layers.GRU(2, name="g"))]
            ),
            "runs GRU '.*g' over an axis of each frame",
        ),
        (
            lambda: sequential(layers.Permute((2, 1))),
            r"is \(batch, 3 features, time\), expected batch, then time",
        ),
        (
            lambda: _taken(lambda x: keras.ops.reshape(x, (-1, 3))),
            r"is \(batch x time, 3 features\), expected batch, then time",
        ),
        (lambda: _taken(lambda x: x[:, ::-1]), "Keras fails on 1 frames: ValueError: .*step"),
    ],
)
def test_refused_by_name(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(make())


class Subclass(keras.Model):
    """Python code."""


def test_what_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"builtins\.int is not a keras\.Model"):
        grucore.from_keras(3)
    with pytest.raises(grucore.ConversionError, match="is a subclass of keras"):
        grucore.from_keras(Subclass())
    with pytest.raises(grucore.ConversionError, match="is not built"):
        grucore.from_keras(keras.Sequential([layers.GRU(3)]))
