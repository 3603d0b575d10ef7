# SPDX-License-Identifier: Apache-2.0
"""The second script of typed_script.py's user: front ends and sound, with every option."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import grucore
from grucore import Model, audio
from grucore.audio import FrontEnd

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

# Sound in files.
samples, rate = audio.read_wav(b"RIFF")
samples, rate = audio.read_sound("speech.flac")
assert_type(rate, int)
audio.write_wav("out.wav", samples, rate, bits=32)
low: Floats = audio.decimate(samples, 2)
low = audio.resample(samples, 22050, 16000)
high: Floats = audio.interpolate(low, 2)

# Front ends.
spectra: FrontEnd = audio.spectrogram(
    sample_rate=16000,
    n_fft=512,
    hop_length=160,
    win_length=400,
    window="hamming",
    power=None,
    log="db",
    floor=1e-10,
    offset=0.0,
    reference=1.0,
    center=True,
    scale=1.0,
    causal=False,
    emphasis=0.97,
)
bands: FrontEnd = audio.log_mel(
    sample_rate=16000,
    n_fft=512,
    hop_length=160,
    n_mels=40,
    win_length=400,
    window=np.hanning(400),
    fmin=20.0,
    fmax=None,
    mel_scale="slaney",
    norm="slaney",
    triangles="mel",
    power=1,
    log=None,
    floor=1e-10,
    offset=0.0,
    reference=1.0,
    scale=1.0,
    mean=0.0,
    std=np.ones(40),
    center=False,
    causal=True,
    emphasis=0.0,
    window_at="start",
    zero_mean=True,
)
cepstra: FrontEnd = audio.mfcc(
    sample_rate=16000,
    n_fft=512,
    hop_length=160,
    n_mels=40,
    n_mfcc=13,
    win_length=None,
    window="hann",
    fmin=0.0,
    fmax=8000.0,
    mel_scale="htk",
    norm=None,
    triangles="hertz",
    power=2,
    log="log10",
    floor=1e-10,
    offset=0.0,
    reference=1.0,
    scale=1.0,
    lifter=22.0,
    energy=True,
    mean=None,
    std=None,
    center=False,
    causal=False,
    emphasis=0.0,
    window_at="center",
    zero_mean=False,
    dct="htk",
)
front: FrontEnd = audio.deltas(cepstra, width=2, orders=1)
front = audio.pcen(bands, time_constant=0.4, gain=0.98, bias=2.0, power=0.5, epsilon=1e-6)
front = audio.running_normalization(
    bands, time_constant=2.0, mean=np.zeros(40), variance=None, epsilon=1e-6
)
front = audio.like("librosa.melspectrogram", n_mels=40)
front = audio.parse("log_mel(sample_rate=16000, n_fft=512, hop_length=160, n_mels=40)")
known: list[str] = sorted(audio.PRESETS)

# What a front end says of itself, and what it makes.
features: Floats = front.run(samples)
model: Model = front.model
width: int = front.features + front.hop_length
seconds: float = front.hop_length / front.sample_rate
told: dict[str, Any] = dict(front.settings)

# Tables.
tables: list[Doubles] = [
    audio.mel_filters(
        sample_rate=16000,
        n_fft=512,
        n_mels=40,
        fmin=0.0,
        fmax=None,
        mel_scale="htk",
        norm=None,
        triangles="hertz",
    ),
    audio.erb_filters(sample_rate=48000, n_fft=960, bands=32),
    audio.dct_matrix(13, 40, lifter=0.0, dct="orthonormal"),
    audio.window("hann", 400),
]

# A network of masks around its spectra: samples in, samples out.
denoiser: Model = audio.masked(
    grucore.load("masks.gru"),
    sample_rate=16000,
    n_fft=512,
    hop_length=256,
    window="hann",
    filters=tables[0],
    floor=1e-6,
    mean=0.0,
    std=1.0,
)
