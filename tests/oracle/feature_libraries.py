# SPDX-License-Identifier: Apache-2.0
"""Features as other libraries compute them, for the presets that have their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grucore import audio
from oracle.oracles import oracle

__all__ = ["BOUND", "LIBRARIES", "Library", "difference", "kaldi_fbank", "librosa_mel", "voice"]

BOUND = 1e-5  # of the scale
Features = np.ndarray


def voice(rng: np.random.Generator) -> np.ndarray:
    """A second and a bit, in steps of 16 bits: a voice of harmonics that glides, in noise."""
    time = np.arange(17123) / 16000
    pitch = 2 * np.pi * np.cumsum(120 + 40 * np.sin(5 * time)) / 16000
    harmonics = sum(np.sin(k * pitch) / k for k in range(1, 30)) * (np.sin(9 * time) > -0.3)
    noisy = 0.2 * harmonics + 0.02 * rng.normal(size=len(time))
    return (np.round(np.clip(noisy, -1, 1) * 32767) / 32768).astype(np.float32)


def difference(found: Features, expected: Features, least: float = -np.inf) -> float:
    """The largest one, as a part of the scale, of numbers that the library has as large as this."""
    assert found.shape == expected.shape
    far = np.abs(found - expected)[expected >= least]
    return float(far.max() / np.abs(expected).max())


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


def _kaldi(x: np.ndarray, kind: str, **ours: Any) -> Features:
    knf = oracle("kaldi_native_fbank")
    options = getattr(knf, f"{kind}Options")()
    options.frame_opts.dither = 0.0
    for name, value in ours.items():
        where, theirs = {
            "n_mels": (options.mel_opts, "num_bins"),
            "fmax": (options.mel_opts, "high_freq"),
            "window": (options.frame_opts, "window_type"),
            "emphasis": (options.frame_opts, "preemph_coeff"),
        }[name]
        setattr(where, theirs, value.removesuffix("_symmetric") if name == "window" else value)
    computer = getattr(knf, f"Online{kind}")(options)
    computer.accept_waveform(16000, (x * 32768).tolist())
    computer.input_finished()
    return np.array([computer.get_frame(i) for i in range(computer.num_frames_ready)])


def kaldi_fbank(x: np.ndarray, **ours: Any) -> Features:
    return _kaldi(x, "Fbank", **ours)


def kaldi_mfcc(x: np.ndarray) -> Features:
    return _kaldi(x, "Mfcc")


def micro(x: np.ndarray) -> Features:
    """The integers, which come every 10 ms as numbers of 10 / 256."""
    frontend = oracle("pymicro_features").MicroFrontend()
    data = (x * 32768).astype(np.int16).tobytes()
    rows, at = [], 0
    while at + 320 <= len(data):
        result = frontend.process_samples(data[at : at + 320])
        at += 2 * result.samples_read
        rows += [result.features] if result.features else []
    return np.array(rows) * 25.6


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


def tensorflow_mel(x: np.ndarray) -> Features:
    """The example of tf.signal.mfccs_from_log_mel_spectrograms, by the documented formulas."""
    torch = oracle("torch")
    frames = torch.from_numpy(x.astype(np.float64)).unfold(0, 1024, 256)
    magnitude = torch.fft.rfft(frames * torch.hann_window(1024, dtype=torch.float64)).abs()

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    edges = np.linspace(mel(80.0), mel(7600.0), 82)
    bins = mel(np.linspace(0.0, 8000.0, 513)[1:])[:, None]
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.pad(np.maximum(0.0, np.minimum(up, down)), ((1, 0), (0, 0)))
    return np.log(magnitude.numpy() @ filters + 1e-6)


def tensorflow_mfcc(x: np.ndarray) -> Features:
    place = np.arange(80) + 0.5
    matrix = 2.0 * np.cos(np.pi / 80 * np.outer(np.arange(13), place)) / np.sqrt(2.0 * 80)
    return tensorflow_mel(x) @ matrix.T


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


@dataclass(frozen=True)
class Library:
    """A library's own function, and what is compared with it.

    ``first``, ``last``: frames at both ends whose samples it makes up in its own way: reflected
    ones, or zeros for a last frame that is not whole. ``least``: numbers below it are not compared.
    """

    module: str
    compute: Callable[[np.ndarray], Features]
    first: int = 0
    last: int = 0
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the preset
    bound: float = BOUND
    least: float = -np.inf

    def both(self, name: str, x: np.ndarray) -> tuple[Features, Features]:
        """The numbers of the preset and of the library, all frames."""
        return audio.like(name, **self.changes).run(x), self.compute(x)

    def difference(self, found: Features, expected: Features) -> float:
        """That of the frames which both make of the same samples."""
        end = len(expected) - self.last
        return difference(found[self.first : end], expected[self.first : end], self.least)


LIBRARIES: dict[str, Library] = {
    "librosa.melspectrogram": Library("librosa", librosa_mel),
    "librosa.mfcc": Library("librosa", librosa_mfcc),
    "torchaudio.MelSpectrogram": Library("torch", torch_mel),
    "torchaudio.MFCC": Library("torch", torch_mfcc),
    "python_speech_features.logfbank": Library(
        "python_speech_features", speech_features_fbank, last=1
    ),
    "python_speech_features.mfcc": Library("python_speech_features", speech_features_mfcc, last=1),
    "kaldi.fbank": Library("kaldi_native_fbank", kaldi_fbank),
    "kaldi.mfcc": Library("kaldi_native_fbank", kaldi_mfcc),
    "tensorflow.log_mel": Library("torch", tensorflow_mel),
    "tensorflow.mfcc": Library("torch", tensorflow_mfcc),
    # Its integers are coarse where little is left of a band.
    "litert.micro": Library(
        "pymicro_features", micro, changes={"hop_length": 160}, bound=2e-2, least=350.0
    ),
    # Triangles of float32; single bins of a millionth of the loudest one's power, before a
    # logarithm.
    "keras.MelSpectrogram": Library("keras", keras_mel, first=2, last=2, bound=5e-5),
    "keras.STFTSpectrogram": Library("keras", keras_stft, bound=5e-5),
}
