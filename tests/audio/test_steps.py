# SPDX-License-Identifier: Apache-2.0
"""PCEN, running means and variances, and deltas, against libraries and formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest

from grucore import audio
from oracle.oracles import oracle

SETTINGS = {"sample_rate": 16000, "n_fft": 400, "hop_length": 160, "n_mels": 20}
BOUND = 1e-5  # of the scale


@pytest.fixture
def signal(rng: np.random.Generator) -> np.ndarray:
    """A tone that comes and goes, in noise."""
    time = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 440 * time) * (np.sin(9 * time) > 0)
    return (0.3 * tone + 0.02 * rng.normal(size=len(time))).astype(np.float32)


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def streamed(front: audio.FrontEnd, samples: np.ndarray) -> np.ndarray:
    stream = front.model.stream()
    hops = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    return np.stack([y for y in map(stream.step, hops) if y is not None])


@pytest.mark.oracle
def test_pcen(signal: np.ndarray) -> None:
    librosa = oracle("librosa")
    energies = audio.log_mel(**SETTINGS, log=None, scale=32768.0)
    front = audio.pcen(energies, gain=0.9, bias=1.5, power=0.4)
    settings = {"gain": 0.9, "bias": 1.5, "power": 0.4, "sr": 16000, "hop_length": 160}
    powers = energies.run(signal).astype(np.float64).T
    wanted = librosa.pcen(powers, **settings).T
    found = front.run(signal)
    assert difference(found, wanted) < BOUND
    assert (streamed(front, signal) == found).all()
    assert front.settings["pcen"]["gain"] == 0.9


def test_running_mean_and_variance(signal: np.ndarray) -> None:
    plain = audio.log_mel(**SETTINGS, offset=1e-6)
    x = plain.run(signal).astype(np.float64)
    kept = np.exp(-160 / (16000 * 0.3))
    mean, variance = np.full(20, -5.0), np.full(20, 2.0)
    wanted = []
    for frame in x:
        mean = kept * mean + (1 - kept) * frame
        variance = kept * variance + (1 - kept) * (frame - mean) ** 2
        wanted.append((frame - mean, (frame - mean) / np.sqrt(variance + 1e-6)))
    given = {"time_constant": 0.3, "mean": -5.0}
    for place, more in enumerate(({}, {"variance": 2.0})):
        front = audio.running_normalization(plain, **given, **more)
        found = front.run(signal)
        assert difference(found, np.array([pair[place] for pair in wanted])) < BOUND
        assert (streamed(front, signal) == found).all()


@pytest.mark.oracle
def test_deltas(signal: np.ndarray) -> None:
    delta = oracle("python_speech_features").delta
    plain = audio.mfcc(**SETTINGS, n_mfcc=13, offset=1e-6)
    x = plain.run(signal).astype(np.float64)
    for width in (1, 2, 4):
        front = audio.deltas(plain, width=width)
        slopes = delta(x, width)
        wanted = np.hstack([x, slopes, delta(slopes, width)])[2 * width : -2 * width]
        found = front.run(signal)
        assert difference(found, wanted) < BOUND
        assert (streamed(front, signal) == found).all()
    assert audio.deltas(plain, orders=1).features == 26
    centred = audio.mfcc(**SETTINGS, n_mfcc=13, offset=1e-6, center=True)
    inner = centred.run(signal)[4:-4]
    assert difference(audio.deltas(centred).run(signal)[:, :13], inner) < BOUND


def test_steps_one_after_the_other(signal: np.ndarray) -> None:
    front = audio.deltas(audio.pcen(audio.log_mel(**SETTINGS, log=None)))
    assert front.features == 60
    assert front.run(signal).shape == (90, 60)
    assert {"pcen", "deltas"} <= front.model.metadata["front_end"].keys()


def test_refused() -> None:
    log = audio.log_mel(**SETTINGS)
    energies = audio.log_mel(**SETTINGS, log=None)
    with pytest.raises(ValueError, match="PCEN reads energies"):
        audio.pcen(log)
    with pytest.raises(ValueError, match="expected numbers above 0"):
        audio.pcen(energies, bias=0.0)
    with pytest.raises(ValueError, match="has pcen already"):
        audio.pcen(audio.pcen(energies))
    with pytest.raises(ValueError, match="expected at least 1"):
        audio.deltas(log, width=0)
    with pytest.raises(ValueError, match="expected above 0"):
        audio.running_normalization(log, time_constant=0.0)
    with pytest.raises(ValueError, match=r"variance has -1"):
        audio.running_normalization(log, time_constant=1.0, variance=-1.0)
    with pytest.raises(ValueError, match=r"mean has shape \(3,\)"):
        audio.running_normalization(log, time_constant=1.0, mean=[1, 2, 3])
