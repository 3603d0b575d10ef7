# SPDX-License-Identifier: Apache-2.0
"""Settings under which other libraries compute features, by the names that these have there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grucore.audio.features import log_mel, mfcc, spectrogram
from grucore.audio.front_end import FrontEnd
from grucore.audio.micro import micro
from grucore.audio.windows import window

__all__ = ["PRESETS", "like"]

_EPSILON = float(np.finfo(np.float64).eps)

_LIBROSA: dict[str, Any] = {
    "sample_rate": 22050,
    "n_fft": 2048,
    "hop_length": 512,
    "n_mels": 128,
    "mel_scale": "slaney",
    "norm": "slaney",
    "log": "db",
    "center": True,
}
_TORCHAUDIO: dict[str, Any] = {
    "sample_rate": 16000,
    "n_fft": 400,
    "hop_length": 200,
    "n_mels": 128,
    "log": "db",
    "center": True,
}
_SPEECH_FEATURES: dict[str, Any] = {
    "sample_rate": 16000,
    "n_fft": 512,
    "win_length": 400,
    "hop_length": 160,
    "n_mels": 26,
    "window": "ones",
    "window_at": "start",
    "triangles": "bins",
    "emphasis": 0.97,
    "floor": _EPSILON,
}
_KERAS: dict[str, Any] = {
    "sample_rate": 16000,
    "n_fft": 2048,
    "hop_length": 512,
    "n_mels": 128,
    "fmin": 20.0,
    "triangles": "mel",
    "log": "db",
    "center": True,
}
_KALDI: dict[str, Any] = {
    "sample_rate": 16000,
    "n_fft": 512,
    "win_length": 400,
    "hop_length": 160,
    "n_mels": 23,
    "fmin": 20.0,
    "window": "povey_symmetric",
    "window_at": "start",
    "triangles": "mel",
    "emphasis": 0.97,
    "zero_mean": True,
    "floor": float(np.finfo(np.float32).eps),
    "scale": 32768.0,
}
_TENSORFLOW: dict[str, Any] = {
    "sample_rate": 16000,
    "n_fft": 1024,
    "hop_length": 256,
    "n_mels": 80,
    "fmin": 80.0,
    "fmax": 7600.0,
    "window_at": "start",
    "triangles": "mel",
    "power": 1,
    "floor": 0.0,
    "offset": 1e-6,
}

PRESETS: dict[str, tuple[Callable[..., FrontEnd], dict[str, Any]]] = {
    "librosa.melspectrogram": (log_mel, _LIBROSA),
    "librosa.mfcc": (mfcc, {**_LIBROSA, "n_mfcc": 20}),
    "torchaudio.MelSpectrogram": (log_mel, _TORCHAUDIO),
    "torchaudio.MFCC": (mfcc, {**_TORCHAUDIO, "n_mfcc": 40}),
    "python_speech_features.logfbank": (log_mel, _SPEECH_FEATURES),
    "python_speech_features.mfcc": (
        mfcc,
        {**_SPEECH_FEATURES, "n_mfcc": 13, "lifter": 22.0, "energy": True},
    ),
    "kaldi.fbank": (log_mel, _KALDI),
    "kaldi.mfcc": (mfcc, {**_KALDI, "n_mfcc": 13, "lifter": 22.0, "energy": "raw"}),
    "tensorflow.log_mel": (log_mel, _TENSORFLOW),
    "tensorflow.mfcc": (mfcc, {**_TENSORFLOW, "n_mfcc": 13, "dct": "htk"}),
    "litert.micro": (
        micro,
        {"sample_rate": 16000, "n_fft": 512, "win_length": 480, "hop_length": 320, "n_mels": 40},
    ),
    "keras.MelSpectrogram": (log_mel, _KERAS),
    "keras.STFTSpectrogram": (
        spectrogram,
        {
            "sample_rate": 16000,
            "n_fft": 256,
            "hop_length": 128,
            "window": "hann_symmetric",
            "power": 1,
            "log": "ln",
            "floor": math.sqrt(1e-7),
        },
    ),
}


def _scale(name: str, settings: Mapping[str, Any]) -> float:
    """The factor by which a library multiplies the samples."""
    if name.startswith("python_speech_features."):  # powers are divided by the length
        return 1 / math.sqrt(settings["n_fft"])
    if name == "keras.STFTSpectrogram":  # densities
        size = settings.get("win_length") or settings["n_fft"]
        return 1 / math.sqrt(float(np.sum(window(settings["window"], size) ** 2)))
    return 1.0


def like(name: str, **changes: Any) -> FrontEnd:
    """The front end that another library calls ``name``, with its defaults where nothing is said.

    The names are those of `PRESETS`, ``changes`` the arguments of `spectrogram`, `log_mel` or
    `mfcc`. docs/audio.md says what differs by design. Raises ValueError for another name, and as
    these functions do.
    """
    if name not in PRESETS:
        known = ", ".join(map(repr, PRESETS))
        raise ValueError(f"no front end is called {name!r}: expected one of {known}")
    make, settings = PRESETS[name]
    settings = {**settings, **changes}
    factor = _scale(name, settings)
    return make(
        **settings if factor == 1 else {**settings, "scale": settings.get("scale", 1.0) * factor}
    )
