# SPDX-License-Identifier: Apache-2.0
"""Keras's layers that shift a window over time: strides, padding, cropping, pooling, slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.fileformat import read
from grucore.proof.proof import BOUND
from models.keras_models import keras, layers, outputs_of, randomize

pytestmark = pytest.mark.oracle

ERROR = grucore.ConversionError
FRAMES = 21


def agreed(model: Any, tmp_path: Path, frames: int = FRAMES) -> grucore.Model:
    """The conversion of the file, after a look that it and the live one give what Keras does."""
    rng = np.random.default_rng(0)
    randomize(model, rng)
    model.save(tmp_path / "model.keras")
    x = rng.uniform(-3, 3, (2, frames, model.inputs[0].shape[-1])).astype(np.float32)
    expected = outputs_of(model, [x])
    live, by_file = grucore.from_keras(model), grucore.convert(tmp_path / "model.keras")
    for converted in (live, by_file):
        found = converted.run(x)
        pairs = zip(found if isinstance(found, tuple) else (found,), expected, strict=True)
        for mine, theirs in pairs:
            assert mine.shape == theirs.shape
            assert np.abs(mine - theirs).max() < 10 * BOUND * max(1.0, np.abs(theirs).max())
    return by_file


def model_of(*parts: Any, frames: int | None = None, features: int = 3) -> Any:
    return keras.Sequential([keras.Input((frames, features)), *parts])


CONVOLUTIONS: dict[str, Callable[..., Any]] = {
    "Conv1D": lambda **options: layers.Conv1D(4, **options),
    "DepthwiseConv1D": lambda **options: layers.DepthwiseConv1D(depth_multiplier=2, **options),
    "SeparableConv1D": lambda **options: layers.SeparableConv1D(
        4, depth_multiplier=2, activation="gelu", **options
    ),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 4, "padding": "same", "dilation_rate": 2},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 1, "strides": 3, "padding": "same"},
        {"kernel_size": 2, "dilation_rate": 3, "use_bias": False},
    ],
)
def test_convolutions(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    agreed(model_of(CONVOLUTIONS[kind](**options), layers.GRU(3)), tmp_path)


@pytest.mark.parametrize("frames", [FRAMES, FRAMES + 1, FRAMES + 2])
@pytest.mark.parametrize(("taps", "stride"), [(2, 2), (4, 2), (2, 3)])
def test_same_with_strides_where_every_length_starts_alike(
    taps: int, stride: int, frames: int, tmp_path: Path
) -> None:
    model = model_of(layers.Conv1D(4, taps, strides=stride, padding="same"), layers.GRU(3))
    converted = agreed(model, tmp_path, frames)
    assert "frames" not in converted.metadata["source"]
    with pytest.raises(grucore.UnsupportedError, match="conv1d"):
        converted.stream()


@pytest.mark.parametrize("frames", [18, 19, 20])
@pytest.mark.parametrize(("taps", "stride"), [(3, 2), (5, 2), (3, 3), (5, 4)])
def test_same_with_strides_of_a_known_length(
    taps: int, stride: int, frames: int, tmp_path: Path
) -> None:
    part = layers.Conv1D(4, taps, strides=stride, padding="same", activation="relu")
    second = layers.SeparableConv1D(4, taps, strides=stride, padding="same")
    converted = agreed(model_of(part, second, layers.GRU(3), frames=frames), tmp_path, frames)
    assert converted.metadata["source"]["frames"] == frames
    assert converted.proof is not None
    assert converted.proof.frames % frames == 0


def test_same_that_needs_no_padding_streams(tmp_path: Path) -> None:
    model = model_of(layers.Conv1D(4, 3, strides=3, padding="same"), layers.GRU(3), frames=18)
    agreed(model, tmp_path, 18).stream()


def test_same_with_strides_of_any_length_is_refused() -> None:
    model = model_of(layers.Conv1D(4, 3, strides=2, padding="same", name="c"), layers.GRU(3))
    with pytest.raises(ERROR, match=r"Conv1D 'c' has strides=2 with padding='same'.* known length"):
        grucore.from_keras(model)


@pytest.mark.parametrize("padding", [2, (4, 0), (3, 0), (1, 3), 0])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_zero_padding_is_taken_up_by_the_convolution(
    padding: Any, kind: str, tmp_path: Path
) -> None:
    convolution = CONVOLUTIONS[kind](kernel_size=3, dilation_rate=2)
    parts = [layers.ZeroPadding1D(padding), layers.Dropout(0.1), convolution]
    graph = read(bytes(agreed(model_of(*parts), tmp_path)))
    assert graph.nodes[0].layer == "conv1d"
    assert len(graph.nodes) <= 3


def test_zero_padding_and_strides(tmp_path: Path) -> None:
    parts = [layers.ZeroPadding1D((2, 0)), layers.Conv1D(4, 3, strides=2), layers.GRU(3)]
    agreed(model_of(*parts), tmp_path).stream()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (
            [layers.ZeroPadding1D(2), layers.Conv1D(2, 3, strides=2, name="c")],
            "'c' pads are 2 and 2: expected at most 2 before",
        ),
        (
            [layers.ZeroPadding1D((0, 1)), layers.Conv1D(2, 3)],
            "reads 1 frames past the end that a convolution's padding makes",
        ),
        (
            [layers.ZeroPadding1D(), layers.Conv1D(2, 3, padding="same", name="c")],
            "reads 2 frames past the end that a convolution's padding makes",
        ),
        (
            [layers.ZeroPadding1D(), layers.GRU(2, name="g")],
            "GRU 'g' reads a sequence padded by 1 and 1",
        ),
        (
            [layers.ZeroPadding1D(), layers.MaxPooling1D(name="m")],
            "MaxPooling1D 'm' pads are 1 and 1: expected at most 1 before",
        ),
        ([layers.ZeroPadding1D()], "output 'y' of Sequential .* a sequence padded by 1 and 1"),
        (
            [layers.Cropping1D(2), layers.UpSampling1D(name="u")],
            "UpSampling1D 'u' gives several frames for one",
        ),
        ([layers.MaxPooling1D(17, 1, padding="same", name="m")], "'m' a window of 17 frames that"),
        ([layers.AveragePooling1D(3, padding="same", strides=2, name="a")], "'a' has strides=2"),
        (
            [layers.AveragePooling1D(4, padding="same", strides=1, name="a")],
            "'a' has padding='same' by 3 frames in all, .*Expected an odd pool_size",
        ),
    ],
)
def test_refused(parts: list[Any], reason: str) -> None:
    with pytest.raises(ERROR, match=reason):
        grucore.from_keras(model_of(*parts))


@pytest.mark.parametrize("cropping", [1, (3, 0), (0, 2), (2, 4)])
def test_cropping(cropping: Any, tmp_path: Path) -> None:
    agreed(model_of(layers.Cropping1D(cropping), layers.GRU(3)), tmp_path).stream()


def test_a_residual_of_valid_convolutions(tmp_path: Path) -> None:
    x = keras.Input((None, 4))
    y = layers.Conv1D(4, 3, dilation_rate=2)(x)
    y = layers.Add()([y, layers.Cropping1D((4, 0))(x)])
    y = layers.Add()([y[:, 2:], layers.Conv1D(4, 3)(y), y[:, 1:-1], y[:, :-2]])
    agreed(keras.Model(x, layers.GRU(3)(y[:, 1:-1:2])), tmp_path).stream()


@pytest.mark.parametrize("make", [layers.MaxPooling1D, layers.AveragePooling1D])
@pytest.mark.parametrize(
    "options", [{"pool_size": 2}, {"pool_size": 3, "strides": 1}, {"pool_size": 2, "strides": 5}]
)
def test_pooling(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    parts = [layers.Conv1D(5, 3, activation="relu"), make(**options), layers.GRU(3)]
    converted = agreed(model_of(*parts), tmp_path)
    assert [node.layer for node in read(bytes(converted)).nodes][1] == "pool1d"
    x = np.random.default_rng(3).uniform(-1, 1, (FRAMES, 3)).astype(np.float32)
    stream = converted.stream()
    for frame in x:
        y = stream.step(frame)
    assert np.array_equal(y, converted.run(x))


@pytest.mark.parametrize("frames", [18, 19])
def test_pooling_of_a_known_length(frames: int, tmp_path: Path) -> None:
    """Of 18 frames it needs no padding, of 19 the last window has one frame."""
    parts = [layers.MaxPooling1D(3, padding="same"), layers.AveragePooling1D(2, padding="same")]
    agreed(model_of(*parts, layers.GRU(3), frames=frames), tmp_path, frames)


def test_the_history_of_a_pool_goes_across(tmp_path: Path) -> None:
    converted = agreed(model_of(layers.AveragePooling1D(4, strides=1)), tmp_path)
    x = np.random.default_rng(3).uniform(-1, 1, (FRAMES, 3)).astype(np.float32)
    stream = converted.stream()
    stream.run(x[:9])
    ((name, history),) = stream.state.items()
    assert name.endswith(".history")
    assert np.array_equal(history, x[6:9])
    other = converted.stream()
    other.run(x[10:20])
    other.state = {name: history}
    assert np.array_equal(other.run(x[9:]), stream.run(x[9:]))


@pytest.mark.parametrize("kind", ["Maximum", "Minimum"])
def test_extremes(kind: str, tmp_path: Path) -> None:
    x = keras.Input((None, 4))
    parts = [x, layers.Dense(4)(x), layers.GRU(4, return_sequences=True)(x)]
    y = getattr(layers, kind)()(parts)
    operation = getattr(keras.ops, kind.lower())
    z = operation(operation(y, 0.25), layers.Dense(4)(x))
    agreed(keras.Model(x, [y, z]), tmp_path)


@pytest.mark.parametrize("kind", ["Maximum", "Minimum"])
def test_extremes_of_masked_tensors_are_refused(kind: str) -> None:
    x = keras.Input((None, 4))
    masked = layers.Masking()(x)
    y = getattr(layers, kind)()([masked, layers.GRU(4, return_sequences=True)(masked)])
    with pytest.raises(ERROR, match=f"{kind} .* reads a tensor with a mask"):
        grucore.from_keras(keras.Model(x, y))
