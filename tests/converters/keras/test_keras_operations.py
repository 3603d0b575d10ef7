# SPDX-License-Identifier: Apache-2.0
"""Operations of keras.ops and layers over axes of features, against Keras, live and from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from models.keras_models import keras, layers, outputs_of, randomize

pytestmark = pytest.mark.oracle
ops = keras.ops
MATRIX = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "clip": lambda x: ops.clip(x, -0.3, 0.4),
    "power": lambda x: x**3,
    "roots": lambda x: ops.sqrt(ops.abs(x)) + ops.reciprocal(1.0 + ops.square(x)),
    "logarithms": lambda x: ops.log1p(ops.exp(x)) + ops.log2(1.0 + ops.absolute(x)),
    "norm": lambda x: x / (0.1 + ops.norm(x, axis=-1, keepdims=True)),
    "variance": lambda x: (x - ops.mean(x, -1, keepdims=True)) / (1.0 + ops.std(x, -1, True)),
    "einsum with numbers": lambda x: ops.einsum("btf,fg->btg", x, MATRIX),
    "matmul": lambda x: ops.matmul(x, MATRIX),
    "numbers": lambda x: (x * np.array([1.0, 2.0, 3.0, -1.0], np.float32) - 1.0) / 4.0,
    "transposed": lambda x: ops.transpose(ops.transpose(x, (0, 2, 1)) * 2.0, (0, 2, 1)),
    "swapped": lambda x: ops.swapaxes(ops.swapaxes(x, 1, 2), 1, 2) + 1.0,
    "pieces": lambda x: ops.concatenate(ops.split(x, [1, 3], axis=-1)[::-1], axis=-1),
    "halves": lambda x: ops.multiply(*ops.split(x, 2, axis=-1)),
    "stacked": lambda x: ops.max(ops.stack([x, -x, x * 2.0], axis=2), axis=2),
    "reshaped": lambda x: ops.sum(ops.reshape(x, (-1, 9, 2, 2)), axis=3),
    "squeezed": lambda x: ops.squeeze(ops.expand_dims(x, 2), 2) * ops.expand_dims(x[:, :, 0], -1),
    "flipped": lambda x: ops.flip(x, axis=-1) - x[..., 1:2] * 0.5,
    "last frame": lambda x: x[:, -1:, :] * x[:, -1:],
    "one and last": lambda x: ops.concatenate([x[:, 0], x[:, -1]], axis=-1),
    "mean of all": lambda x: ops.mean(x, axis=(1, 2)),
    "sum over time": lambda x: ops.sum(x, axis=1),
    "sums up to": lambda x: ops.cumsum(x, axis=1) * 0.1,
    "sums of features": lambda x: ops.cumsum(x, axis=-1),
    "least": lambda x: ops.min(x, axis=1, keepdims=True),
    "activations": lambda x: ops.relu(x) + ops.leaky_relu(x, 0.3) * ops.silu(x) + ops.gelu(x),
    "more activations": lambda x: ops.selu(x) + ops.celu(x) + ops.hard_sigmoid(x) + ops.softplus(x),
    "softmax": lambda x: ops.softmax(x, axis=-1) + ops.log_softmax(x, axis=2),
    "shrunk": lambda x: ops.glu(ops.soft_shrink(x) + ops.tanh_shrink(x) + ops.log_sigmoid(x)),
    "divided": lambda x: x / (1.0 + ops.exp(x)),
    "softsign": lambda x: x / (1.0 + ops.abs(x)),
    "moved on": lambda x: ops.roll(x, 1, axis=-1) * ops.roll(x, (3, 1), axis=(2, 2)),
    "taken": lambda x: ops.take(x, [2, 0, 0], axis=-1) * ops.take(x, [1], axis=2),
    "repeated features": lambda x: ops.repeat(x, 2, axis=-1) + ops.tile(x, (1, 1, 2)),
    "padded": lambda x: layers.Conv1D(3, 3)(
        ops.pad(ops.pad(x, ((0, 0), (0, 0), (1, 2)), constant_values=0.5), [[0, 0], [2, 0], [0, 0]])
    ),
    "an axis moved": lambda x: ops.moveaxis(ops.moveaxis(x, 1, 2) * 2.0, -1, 1),
    "where": lambda x: (
        ops.where(x > 0.1, x, 0.2 * x) + ops.where(ops.less(x, ops.flip(x, axis=-1)), 1.0, x)
    ),
    "masks": lambda x: ops.where(
        ops.logical_or(ops.logical_and(x > -0.5, x <= 0.1), ops.logical_not(x < 0.9)), -2.0, x
    ),
    "numbers of masks": lambda x: ops.cast(ops.equal(x, ops.abs(x)), "float32") * x,
    "zeros of its shape": lambda x: ops.concatenate([ops.zeros_like(x), ops.ones_like(x) + x], -1),
    "signs": lambda x: ops.sign(x) * ops.log1p(ops.abs(x)),
    "normalized": lambda x: ops.normalize(x, axis=-1) + ops.normalize(x, axis=2, order=1),
    "logarithm of a sum": lambda x: x - ops.logsumexp(x, axis=-1, keepdims=True),
    "error function": lambda x: ops.erf(x) + 0.5 * x * (1.0 + ops.erf(x / 2**0.5)),
    "one hot": lambda x: ops.one_hot(ops.argmax(x, axis=-1), 4) * x,
    "dot and copy": lambda x: ops.dot(ops.copy(x), MATRIX) + ops.stop_gradient(x)[..., :3],
}


def _inner() -> Any:
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(3)(layers.BatchNormalization()(x)) + x[:, :3])


LAYERS: dict[str, Callable[[Any], Any]] = {
    "dense over an axis": lambda x: layers.Dense(5)(layers.Reshape((-1, 2, 2))(x)),
    "batch norm of rows": lambda x: layers.BatchNormalization(axis=2)(
        layers.Reshape((-1, 2, 2))(x)
    ),
    "layer norm of rows": lambda x: layers.LayerNormalization(-1)(layers.Reshape((-1, 2, 2))(x)),
    "layer norm of both": lambda x: layers.LayerNormalization((2, 3))(
        layers.Reshape((-1, 2, 2))(x)
    ),
    "over time and bands": lambda x: layers.TimeDistributed(layers.Flatten())(
        layers.MaxPooling2D((1, 2), padding="same")(
            layers.Conv2D(3, (3, 3), padding="same", activation="relu")(
                layers.Reshape((-1, 4, 1))(x)
            )
        )
    ),
    "of all bands": lambda x: layers.Reshape((-1, 6))(
        layers.Conv2D(6, (3, 2), (1, 2), groups=2)(layers.Reshape((-1, 2, 2))(x))[:, :, 0]
    ),
    "means of both": lambda x: layers.TimeDistributed(layers.Flatten())(
        layers.AveragePooling2D((2, 3), (1, 1))(layers.Reshape((-1, 4, 1))(x))
    ),
    "group norm over time": layers.GroupNormalization(2),
    "instance norm over time": layers.GroupNormalization(-1, epsilon=0.1),
    "spectral norm": layers.SpectralNormalization(layers.Dense(5)),
    "products of two ends": lambda x: layers.Dot(axes=-1, normalize=True)([x[:, 0], x[:, -1]]),
    "group norm": lambda x: layers.TimeDistributed(
        layers.GroupNormalization(2, epsilon=0.1)  # of two numbers: rounding alone moves them far
    )(x),
    "a window in a frame": lambda x: layers.TimeDistributed(
        layers.Conv1D(3, 3, padding="same", activation="relu")
    )(layers.Reshape((-1, 4, 1))(x)),
    "pools in a frame": lambda x: layers.TimeDistributed(layers.AveragePooling1D(2))(
        layers.TimeDistributed(layers.MaxPooling1D(2, 1))(layers.Reshape((-1, 4, 1))(x))
    ),
    "repeated": lambda x: layers.Reshape((12,))(layers.RepeatVector(3)(layers.GRU(4)(x))),
    "keeps its axis": lambda x: layers.GlobalMaxPooling1D(keepdims=True)(x),
    "the largest of three": lambda x: layers.MaxPooling1D(3, strides=1, padding="same")(x),
    "attention pooling": lambda x: ops.sum(
        layers.Softmax(axis=1)(layers.Dense(1)(layers.GRU(4, return_sequences=True)(x))) * x, axis=1
    ),
    "attention pooling by Dot": lambda x: layers.Flatten()(
        layers.Dot(axes=1)(
            [ops.softmax(layers.Dense(1)(x), axis=1), layers.GRU(3, return_sequences=True)(x)]
        )
    ),
    "mean and deviation": lambda x: ops.concatenate([ops.mean(x, axis=1), ops.std(x, axis=1)], -1),
    "einsum": lambda x: layers.EinsumDense(
        "btf,fgh->btgh", output_shape=(None, 2, 3), bias_axes="gh", activation="tanh"
    )(x),
    "a scale for each": lambda x: layers.Rescaling([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0])(x),
    "as it was": lambda x: layers.Normalization(
        mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 1.0, 2.0, 1.0], invert=True
    )(x),
    "a model in each frame": lambda x: layers.TimeDistributed(_inner())(x),
    "means of three": lambda x: layers.AveragePooling1D(3, strides=1, padding="same")(x),
    "means of two": lambda x: layers.AveragePooling1D(2, padding="same")(x),
    "means at the ends of a frame": lambda x: layers.TimeDistributed(
        layers.AveragePooling1D(3, 1, padding="same")
    )(layers.Reshape((-1, 4, 1))(x)),
    "the largest of two": lambda x: layers.MaxPooling1D(2, padding="same")(x),
}


@pytest.mark.parametrize("name", [*OPERATIONS, *LAYERS])
@pytest.mark.parametrize("source", ["live", "file"])
def test_as_in_keras(name: str, source: str, tmp_path: Path) -> None:
    made = {**OPERATIONS, **LAYERS}[name]
    x = keras.Input((9 if name == "reshaped" else None, 4))
    rng = np.random.default_rng(0)
    model = keras.Model(x, made(layers.Dense(4)(x)))
    randomize(model, rng)
    if source == "live":
        converted = grucore.from_keras(model)
    else:
        model.save(tmp_path / "m.keras")
        converted = grucore.convert(tmp_path / "m.keras")
        assert converted.proof is not None
        assert "the layers of keras" in str(converted.proof)
    signal = rng.normal(size=(2, 9, 4)).astype(np.float32)
    theirs = outputs_of(model, [signal])[0]
    found = converted.run(signal)
    in_one_row = theirs.ndim > found.ndim
    assert ("outputs" in converted.metadata["source"]) == in_one_row  # the axes that they had
    scale = max(1.0, np.abs(theirs).max())
    assert np.abs(found.reshape(theirs.shape) - theirs).max() < 2 * BOUND * scale


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda x: ops.norm(x, ord=3, axis=-1), "a norm of order 3"),
        (lambda x: ops.mean(x, axis=0), "goes over axes .*, expected time or features"),
        (lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), "attention"),
        (lambda x: ops.roll(x, 1, axis=1), r"turns axes \[1\] of .* round, expected features"),
        (
            lambda x: ops.pad(
                ops.pad(x, [[0, 0], [2, 0], [0, 0]]), [[0, 0], [0, 0], [1, 1]], constant_values=1.0
            ),
            "reads a sequence padded by 2 and 0 frames",
        ),
        (lambda x: ops.squeeze(x[:, :, :1]), "depends on the sizes: name the axis"),
        (lambda x: ops.roll(x, 1), "axis=None, expected axes of features"),
        (lambda x: ops.pad(x, [[0, 0], [0, 0], [1, 1]], mode="reflect"), "mode=reflect, expected"),
        (lambda x: x[:, 3], "takes 3 along axis 1 of"),
        (lambda x: x[:, :5], "expected all of it, or the first or last frame"),
        (lambda x: x[:, -5:], "takes the last 5 frames"),
    ],
)
def test_refused(make: Callable[[Any], Any], reason: str) -> None:
    x = keras.Input((None, 4))
    with pytest.raises(grucore.ConversionError, match=reason):
        grucore.from_keras(keras.Model(x, make(x)))
