# SPDX-License-Identifier: Apache-2.0
"""Front ends against the libraries whose names they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grucore import audio
from oracle.feature_libraries import (
    BOUND,
    LIBRARIES,
    difference,
    kaldi_fbank,
    librosa_mel,
    voice,
)
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle


@pytest.fixture
def signal(rng: np.random.Generator) -> np.ndarray:
    return voice(rng)


def test_every_preset_has_its_library() -> None:
    assert set(LIBRARIES) == set(audio.PRESETS)


@pytest.mark.parametrize("name", LIBRARIES)
def test_presets(name: str, signal: np.ndarray) -> None:
    library = LIBRARIES[name]
    found, expected = library.both(name, signal)
    assert len(expected) - library.last <= len(found) <= len(expected)
    assert library.difference(found, expected) < library.bound


def test_steps_of_micro_are_those_of_its_formula(signal: np.ndarray) -> None:
    """In float64, beside the integers of the original."""
    settings: dict[str, Any] = {"even_smoothing": 0.1, "odd_smoothing": 0.2, "offset": 40.0}
    found = audio.like("litert.micro", **settings).run(signal)
    places = (np.arange(480) + 0.5) / 480
    window = np.round((0.5 - 0.5 * np.cos(2 * np.pi * places)) * 4096) / 4096
    frames = np.lib.stride_tricks.sliding_window_view(signal.astype(np.float64) * 32768, 480)[::320]
    mels = np.linspace(*(1127 * np.log1p(np.array([125, 7500]) / 700)), 42)
    at = 1127 * np.log1p(np.arange(257) * 31.25 / 700)
    slopes = (at - mels[:-2, None]) / (mels[1:-1] - mels[:-2])[:, None]
    falling = (mels[2:, None] - at) / (mels[2:] - mels[1:-1])[:, None]
    filters = np.clip(np.minimum(slopes, falling), 0, None)
    bands = np.sqrt(np.abs(np.fft.rfft(frames * window, 512)) ** 2 @ filters.T)
    share = np.where(np.arange(40) % 2, 0.2, 0.1)
    share = np.floor(share * 16384) / 16384
    noise, rows = np.zeros(40), []
    for band in bands:
        noise = share * band + (1 - share) * noise
        heard = np.maximum(band - noise, np.floor(0.05 * 16384) / 16384 * band)
        level = heard * (noise + 40.0) ** -0.95
        rows.append(np.where(level < 2, level**2 / 4, level - 1))
    expected = 64 * np.log(np.maximum(512 * np.array(rows), 1))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < BOUND * np.abs(expected).max()


def test_settings_of_kaldi(signal: np.ndarray) -> None:
    settings: list[dict[str, Any]] = [
        {"n_mels": 80, "fmax": 7600.0},
        {"window": "hamming_symmetric"},
        {"emphasis": 0.0},
    ]
    for ours in settings:
        found = audio.like("kaldi.fbank", **ours).run(signal)
        assert difference(found, kaldi_fbank(signal, **ours)) < BOUND


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"energy": "raw", "zero_mean": False}, "expected False, True, or 'raw' with zero_mean"),
        ({"dct": "dft"}, "dct='dft': expected 'orthonormal' or 'htk'"),
    ],
)
def test_settings_that_make_no_cepstra(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audio.like("kaldi.mfcc", **settings)


@pytest.mark.parametrize("settings", [{"remaining": 1.5}, {"offset": 0.0}, {"odd_smoothing": -1.0}])
def test_settings_that_make_no_micro_front_end(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"{name}={settings[name]}"):
        audio.like("litert.micro", **settings)


def test_settings_of_librosa(signal: np.ndarray) -> None:
    settings: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"htk": True}, {"mel_scale": "htk"}),
        ({"norm": None}, {"norm": None}),
        (
            {"fmin": 80.0, "fmax": 7000.0, "n_mels": 40},
            {"fmin": 80.0, "fmax": 7000.0, "n_mels": 40},
        ),
        ({"win_length": 1000, "window": "hamming"}, {"win_length": 1000, "window": "hamming"}),
        ({"center": False}, {"center": False}),
        ({"hop_length": 300, "n_fft": 600}, {"hop_length": 300, "n_fft": 600}),
    ]
    for theirs, ours in settings:
        found = audio.like("librosa.melspectrogram", **ours).run(signal)
        assert difference(found, librosa_mel(signal, **theirs)) < BOUND


def test_magnitudes_and_energies_of_librosa(signal: np.ndarray) -> None:
    librosa = oracle("librosa")
    settings: dict[str, Any] = {"sample_rate": 22050, "n_fft": 512, "hop_length": 128}
    spectra = np.abs(librosa.stft(signal, n_fft=512, hop_length=128)).T
    found = audio.spectrogram(**settings, power=1, center=True).run(signal)
    assert difference(found, spectra) < BOUND
    bands = librosa.filters.mel(sr=22050, n_fft=512, n_mels=40)
    mel: dict[str, Any] = {"n_mels": 40, "mel_scale": "slaney", "norm": "slaney", "center": True}
    for power in (1, 2):
        found = audio.log_mel(**settings, **mel, power=power, log=None).run(signal)
        assert difference(found, spectra**power @ bands.T) < BOUND
        found = audio.log_mel(**settings, **mel, power=power, log="log1p").run(signal)
        assert difference(found, np.log1p(spectra**power @ bands.T)) < BOUND
        found = audio.log_mel(**settings, **mel, power=power, log="log10", offset=1e-3).run(signal)
        assert difference(found, np.log10(spectra**power @ bands.T + 1e-3)) < BOUND


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no front end is called 'kaldi': expected one of 'libro"):
        audio.like("kaldi")
