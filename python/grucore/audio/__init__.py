# SPDX-License-Identifier: Apache-2.0
"""Front ends: from samples to the features that a network was trained on, as layers of the model.

>>> front = grucore.audio.log_mel(sample_rate=16000, n_fft=512, hop_length=160)  # doctest: +SKIP
>>> features = front.run(samples)  # doctest: +SKIP
>>> model = model.with_front_end(front)  # doctest: +SKIP

A frame of such a model is one hop of samples. docs/audio.md says which settings reproduce librosa,
torchaudio, Kaldi, python_speech_features, TensorFlow, LiteRT Micro and Keras, and what differs.
"""

from __future__ import annotations

from grucore.audio.features import log_mel, mfcc, spectrogram
from grucore.audio.filters import dct_matrix, erb_filters, mel_filters
from grucore.audio.front_end import FrontEnd
from grucore.audio.masks import masked
from grucore.audio.presets import PRESETS, like
from grucore.audio.resample import decimate, interpolate, resample
from grucore.audio.steps import deltas, pcen, running_normalization
from grucore.audio.text import parse
from grucore.audio.wav import read_sound, read_wav, write_wav
from grucore.audio.windows import window

__all__ = [
    "PRESETS",
    "FrontEnd",
    "dct_matrix",
    "decimate",
    "deltas",
    "erb_filters",
    "interpolate",
    "like",
    "log_mel",
    "masked",
    "mel_filters",
    "mfcc",
    "parse",
    "pcen",
    "read_sound",
    "read_wav",
    "resample",
    "running_normalization",
    "spectrogram",
    "window",
    "write_wav",
]
