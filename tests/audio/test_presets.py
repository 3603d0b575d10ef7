# SPDX-License-Identifier: Apache-2.0
"""Front ends against the libraries whose names they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grucore import audio
from oracle.oracles import oracle

BOUND = 1e-5  # of the scale
# Triangles of float32; single bins of a millionth of the loudest one's power, before a logarithm.
BOUNDS = {"keras.MelSpectrogram": 5e-5, "keras.STFTSpectrogram": 5e-5}
pytestmark = pytest.mark.oracle

Features = np.ndarray


@pytest.fixture
def signal(rng: np.random.Generator) -> np.ndarray:
    """A second and a bit: a voice of harmonics that glides, in noise."""
    time = np.arange(17123) / 16000
    pitch = 2 * np.pi * np.cumsum(120 + 40 * np.sin(5 * time)) / 16000
    voice = sum(np.sin(k * pitch) / k for k in range(1, 30)) * (np.sin(9 * time) > -0.3)
    return (0.2 * voice + 0.02 * rng.normal(size=len(time))).astype(np.float32)


def librosa_mel(x: np.ndarray, **changes: Any) -> Features:
    librosa = oracle("librosa")
    settings = {"sr": 22050, "n_fft": 2048, "hop_length": 512, **changes}
    power = librosa.feature.melspectrogram(y=x, **settings)
    return librosa.power_to_db(power, top_db=None).T


def librosa_mfcc(x: np.ndarray) -> Features:
    librosa = oracle("librosa")
    power = librosa.feature.melspectrogram(y=x, sr=22050)
    return librosa.feature.mfcc(S=librosa.power_to_db(power, top_db=None), n_mfcc=20).T


def speech_features_fbank(x: np.ndarray) -> Features:
    return oracle("python_speech_features").logfbank(x, nfft=512)


def speech_features_mfcc(x: np.ndarray) -> Features:
    return oracle("python_speech_features").mfcc(x, nfft=512)


def torch_mel(x: np.ndarray) -> Features:
    """MelSpectrogram and AmplitudeToDB by their documentation, with zeros around the signal."""
    torch = oracle("torch")
    signal = torch.from_numpy(x.astype(np.float64))
    window = torch.hann_window(400, dtype=torch.float64)
    power = (
        torch.stft(signal, 400, 200, window=window, pad_mode="constant", return_complex=True)
        .abs()
        .pow(2)
    )
    mels = torch.linspace(0, 2595 * np.log10(1 + 8000 / 700), 130, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    slopes = edges[None] - torch.linspace(0, 8000, 201, dtype=torch.float64)[:, None]
    widths = edges.diff()
    filters = torch.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]).clamp(min=0)
    return (10 * torch.log10((power.T @ filters).clamp(min=1e-10))).numpy()


def torch_mfcc(x: np.ndarray) -> Features:
    place = np.arange(128) + 0.5
    matrix = np.cos(np.pi / 128 * np.outer(np.arange(40), place)) * np.sqrt(2 / 128)
    matrix[0] *= np.sqrt(0.5)
    return torch_mel(x) @ matrix.T


def keras_mel(x: np.ndarray) -> Features:
    """In float64, but for the triangles, whose corners are float32 whatever the dtype is."""
    keras = oracle("keras")
    layer = keras.layers.MelSpectrogram(top_db=1000.0, dtype="float64")
    return keras.ops.convert_to_numpy(layer(x[None].astype(np.float64)))[0].T


def keras_stft(x: np.ndarray) -> Features:
    """In float64: in float32 its convolution is 7e-4 of the scale away, in quiet bins."""
    keras = oracle("keras")
    layer = keras.layers.STFTSpectrogram(frame_step=128, dtype="float64")
    return keras.ops.convert_to_numpy(layer(x[None, :, None].astype(np.float64)))[0]


# The library's own function, and how many frames at the start and at the end hold samples that it
# makes up in its own way: reflected ones, or zeros for a last frame that is not whole.
LIBRARIES: dict[str, tuple[Callable[[np.ndarray], Features], int, int]] = {
    "librosa.melspectrogram": (librosa_mel, 0, 0),
    "librosa.mfcc": (librosa_mfcc, 0, 0),
    "torchaudio.MelSpectrogram": (torch_mel, 0, 0),
    "torchaudio.MFCC": (torch_mfcc, 0, 0),
    "python_speech_features.logfbank": (speech_features_fbank, 0, 1),
    "python_speech_features.mfcc": (speech_features_mfcc, 0, 1),
    "keras.MelSpectrogram": (keras_mel, 2, 2),
    "keras.STFTSpectrogram": (keras_stft, 0, 0),
}


def difference(found: Features, expected: Features, first: int, last: int) -> float:
    """The largest one, as a part of the scale."""
    have = found[first : len(expected) - last]
    want = expected[first : len(expected) - last]
    assert have.shape == want.shape
    return float(np.abs(have - want).max() / np.abs(want).max())


def test_every_preset_has_its_library() -> None:
    assert set(LIBRARIES) == set(audio.PRESETS)


@pytest.mark.parametrize("name", LIBRARIES)
def test_presets(name: str, signal: np.ndarray) -> None:
    compute, first, last = LIBRARIES[name]
    found, expected = audio.like(name).run(signal), compute(signal)
    assert len(expected) - last <= len(found) <= len(expected)
    assert difference(found, expected, first, last) < BOUNDS.get(name, BOUND)


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
        assert difference(found, librosa_mel(signal, **theirs), 0, 0) < BOUND


def test_magnitudes_and_energies_of_librosa(signal: np.ndarray) -> None:
    librosa = oracle("librosa")
    settings: dict[str, Any] = {"sample_rate": 22050, "n_fft": 512, "hop_length": 128}
    spectra = np.abs(librosa.stft(signal, n_fft=512, hop_length=128)).T
    found = audio.spectrogram(**settings, power=1, center=True).run(signal)
    assert difference(found, spectra, 0, 0) < BOUND
    bands = librosa.filters.mel(sr=22050, n_fft=512, n_mels=40)
    mel: dict[str, Any] = {"n_mels": 40, "mel_scale": "slaney", "norm": "slaney", "center": True}
    for power in (1, 2):
        found = audio.log_mel(**settings, **mel, power=power, log=None).run(signal)
        assert difference(found, spectra**power @ bands.T, 0, 0) < BOUND
        found = audio.log_mel(**settings, **mel, power=power, log="log1p").run(signal)
        assert difference(found, np.log1p(spectra**power @ bands.T), 0, 0) < BOUND
        found = audio.log_mel(**settings, **mel, power=power, log="log10", offset=1e-3).run(signal)
        assert difference(found, np.log10(spectra**power @ bands.T + 1e-3), 0, 0) < BOUND


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no front end is called 'kaldi': expected one of 'libro"):
        audio.like("kaldi")
