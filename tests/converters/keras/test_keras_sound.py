# SPDX-License-Identifier: Apache-2.0
"""Spectra in Keras models: STFTSpectrogram and keras.ops, live and from files, against Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
keras = oracle("keras")
SIZE, HOP = 60, 16
FRONT = ["window", "rfft"]
TRAINED = ["window", "dense"]


def heard(x: Any, features: Any) -> Any:
    keras.utils.set_random_seed(3)
    return keras.Model(x, keras.layers.GRU(4, return_sequences=True)(features))


def spectrogram(mode: str, samples: int | None = None, **settings: Any) -> Any:
    x = keras.Input((samples, 1))
    given = {"frame_length": SIZE, "frame_step": HOP, "fft_length": 64} | settings
    return heard(x, keras.layers.STFTSpectrogram(mode=mode, **given)(x))


def transform(samples: int | None = None, **settings: Any) -> Any:
    x = keras.Input((samples,))
    real, imaginary = keras.ops.stft(x, SIZE, HOP, 64, **({"center": False} | settings))
    return heard(x, keras.ops.log(real * real + imaginary * imaginary + 1e-2))


def by_frames() -> Any:
    x = keras.Input((None, SIZE))
    real, imaginary = keras.ops.rfft(x, 64)
    return heard(x, keras.ops.sqrt(keras.ops.square(real) + keras.ops.square(imaginary)))


KNOWN: dict[str, tuple[Callable[[], Any], list[str]]] = {
    **{
        mode: (lambda mode=mode: spectrogram(mode), TRAINED)
        for mode in ("log", "magnitude", "psd", "stft", "real", "imag")
    },
    "fixed sizes": (lambda: spectrogram("log", 40 * HOP), TRAINED),
    "ops.stft": (transform, FRONT),
    "a Hamming window": (lambda: transform(40 * HOP, window="hamming"), FRONT),
    "no window": (lambda: transform(window=None), FRONT),
    "ops.rfft": (by_frames, FRONT[1:]),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_spectra_in_a_model(kind: str, tmp_path: Path) -> None:
    make, layers = KNOWN[kind]
    net = make()
    net.save(tmp_path / "net.keras")
    x = np.random.default_rng(0).standard_normal((1, 40 * HOP)).astype(np.float32)
    if kind == "ops.rfft":
        x = x[:, : 10 * SIZE].reshape(1, 10, SIZE)
    wanted = np.asarray(net(x.reshape(1, *[n or -1 for n in net.inputs[0].shape[1:]]))[0].detach())
    for model in (grucore.from_keras(net), grucore.convert(tmp_path / "net.keras")):
        assert [layer.kind for layer in model.layers][: len(layers)] == layers
        found = model.run(x.reshape(-1, model.inputs[0].features))
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "angles": (lambda: spectrogram("angle"), "mode=angle"),
    "the same length": (lambda: spectrogram("log", padding="same"), "depends on the length"),
    "mirrored": (lambda: transform(center=True), "center=True, expected False"),
    "no whole hop": (lambda: transform(650), "make it of 640"),
    "MelSpectrogram": (
        lambda: keras.Sequential([keras.Input((None,)), keras.layers.MelSpectrogram()]),
        "keras.MelSpectrogram",
    ),
    "two hops": (
        lambda: keras.Sequential(
            [
                keras.Input((None, 1)),
                keras.layers.STFTSpectrogram(frame_length=32, frame_step=16),
                keras.layers.Dense(1),
                keras.layers.STFTSpectrogram(frame_length=32, frame_step=8),
            ]
        ),
        "expected one hop",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_spectra_that_no_stream_has(kind: str) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.from_keras(make())
