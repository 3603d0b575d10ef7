# SPDX-License-Identifier: Apache-2.0
"""Mask models against their formula in float64; `grucore denoise` on recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore import audio, fileformat
from grucore.audio import read_wav, write_wav
from grucore.cli import main
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation, Dense
from grucore.graph.node import Value
from models.small_models import frames_graph
from models.sounds import save

RATE, N_FFT, HOP, BANDS, FLOOR = 8000, 160, 80, 12, 1e-6


def network(weight: np.ndarray, bias: np.ndarray) -> grucore.Model:
    """Factors of each band from the logarithms of all."""
    dense = Dense(
        name="gains",
        inputs=("x",),
        output="y",
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        activation=Activation.SIGMOID,
    )
    x = Value("x", weight.shape[1])
    graph = Graph(values=(x, dense.written(x)), inputs=("x",), outputs=("y",), nodes=(dense,))
    return grucore.load(fileformat.write(graph))


def formula(samples: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same with numpy's transforms, frame by frame."""
    filters = audio.erb_filters(sample_rate=RATE, n_fft=N_FFT, bands=BANDS)
    root = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT))
    heard = np.concatenate([np.zeros(N_FFT - HOP), samples])
    result = np.zeros(len(heard))
    for start in range(0, len(samples), HOP):
        spectrum = np.fft.rfft(root * heard[start : start + N_FFT])
        logs = np.log(filters @ abs(spectrum) ** 2 + FLOOR)
        gains = 1 / (1 + np.exp(-(weight @ ((logs + 5) / 3) + bias)))
        clean = np.fft.irfft(spectrum * (filters.T @ gains), N_FFT)
        result[start : start + N_FFT] += root * clean  # whose square is a Hann window
    return result[: len(samples)]


@pytest.fixture
def model(rng: np.random.Generator) -> tuple[grucore.Model, np.ndarray, np.ndarray]:
    weight, bias = rng.normal(size=(BANDS, BANDS)) / 3, rng.normal(size=BANDS)
    settings = {"sample_rate": RATE, "n_fft": N_FFT, "hop_length": HOP}
    whole = audio.masked(network(weight, bias), **settings, floor=FLOOR, mean=-5.0, std=3.0)
    return whole, weight, bias


def test_samples_are_those_of_the_formula(
    model: tuple[grucore.Model, np.ndarray, np.ndarray], rng: np.random.Generator
) -> None:
    whole, weight, bias = model
    samples = (0.1 * rng.normal(size=60 * HOP)).astype(np.float32)
    found = whole.run(samples.reshape(-1, HOP))
    want = formula(samples.astype(float), weight.astype(np.float32), bias.astype(np.float32))
    assert np.abs(found.reshape(-1) - want).max() < 1e-6 * np.abs(want).max()
    assert whole.metadata["front_end"]["latency"] == N_FFT - HOP
    stream = whole.stream()
    steps = np.concatenate([stream.step(hop) for hop in samples.reshape(-1, HOP)])
    assert steps.tobytes() == found.tobytes()
    whole.selftest()


def test_open_gains_give_the_samples_back(rng: np.random.Generator) -> None:
    for n_fft, hop, window in ((160, 80, "hann"), (160, 40, "hamming"), (90, 50, "blackman")):
        opened = network(np.zeros((BANDS, BANDS)), np.full(BANDS, 40.0))  # a sigmoid of 1
        settings = {"sample_rate": RATE, "n_fft": n_fft, "hop_length": hop, "window": window}
        whole = audio.masked(opened, **settings)
        samples = rng.uniform(-1, 1, 30 * hop).astype(np.float32)
        found = whole.run(samples.reshape(-1, hop)).reshape(-1)
        late = n_fft - hop
        assert np.abs(found[late:] - samples[:-late]).max() < 2e-6


def test_bands_share_each_bin() -> None:
    filters = audio.erb_filters(sample_rate=16000, n_fft=320, bands=24)
    assert np.allclose(filters.sum(axis=0), 1)
    assert (filters > 0).sum(axis=1).min() >= 1
    assert filters.argmax(axis=1).tolist() == sorted(filters.argmax(axis=1))
    with pytest.raises(ValueError, match="200 bands of 161 bins"):
        audio.erb_filters(sample_rate=16000, n_fft=320, bands=200)


def test_refused(rng: np.random.Generator) -> None:
    settings = {"sample_rate": RATE, "n_fft": N_FFT, "hop_length": HOP}
    wide = network(np.zeros((3, BANDS)), np.zeros(3))
    with pytest.raises(ValueError, match="expected bands in and as many factors"):
        audio.masked(wide, **settings)
    square = network(np.zeros((BANDS, BANDS)), np.zeros(BANDS))
    with pytest.raises(ValueError, match=r"filters of shape \(2, 3\)"):
        audio.masked(square, filters=np.ones((2, 3)), **settings)
    with pytest.raises(ValueError, match="some samples are in none"):
        audio.masked(square, **{**settings, "hop_length": 161})


def test_denoise_is_in_time_with_the_recording(
    model: tuple[grucore.Model, np.ndarray, np.ndarray],
    tmp_path: Path,
    rng: np.random.Generator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, weight, bias = model
    whole.save(tmp_path / "m.gru")
    samples = (0.1 * rng.normal(size=(1234, 2))).astype(np.float32)
    write_wav(tmp_path / "in.wav", samples, RATE, bits=32)
    model_path, source, target = (str(tmp_path / name) for name in ("m.gru", "in.wav", "out.wav"))
    command = ["denoise", model_path, "-i", source, "-o", target]
    assert main([*command, "--bits", "32", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["samples"], report["channels"], report["latency"]) == (1234, 2, N_FFT - HOP)
    clean, rate = read_wav(tmp_path / "out.wav")
    assert (clean.shape, rate) == ((1234, 2), RATE)
    for channel in range(2):
        padded = np.concatenate([samples[:, channel], np.zeros(6 * HOP)])[: 20 * HOP]
        want = formula(padded.astype(float), weight, bias)[N_FFT - HOP :][:1234]
        assert np.abs(clean[:, channel] - want).max() < 1e-6
    assert main(command) == 0
    assert read_wav(tmp_path / "out.wav")[0].shape == (1234, 2)
    save(tmp_path / "in.wav", samples[:, 0], rate=11025)
    assert main(command) == 0
    assert read_wav(tmp_path / "out.wav")[0].shape == (1234,)
    (tmp_path / "m.gru").write_bytes(
        fileformat.write(frames_graph(features=4, hidden_size=4, out=3))
    )
    assert main(command) == 1
    assert "expected one input of samples and one output of as many" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [24000, 4000])
def test_denoise_at_another_rate(rate: int, tmp_path: Path) -> None:
    """With open gains a tone below half of both rates comes back, in time and as long as it was."""
    opened = network(np.zeros((BANDS, BANDS)), np.full(BANDS, 40.0))
    settings = {"sample_rate": RATE, "n_fft": N_FFT, "hop_length": HOP}
    audio.masked(opened, **settings).save(tmp_path / "m.gru")
    time = np.arange(rate // 2 + 1) / rate
    samples = (0.3 * np.sin(2 * np.pi * 700 * time)).astype(np.float32)
    write_wav(tmp_path / "in.wav", samples, rate, bits=32)
    paths = [str(tmp_path / name) for name in ("m.gru", "in.wav", "out.wav")]
    command = ["denoise", paths[0], "-i", paths[1], "-o", paths[2], "--bits", "32"]
    assert main(command) == 0
    clean, found = read_wav(tmp_path / "out.wav")
    assert (found, clean.shape) == (rate, samples.shape)
    inner = slice(rate // 20, -rate // 20)
    assert np.abs(clean[inner] - samples[inner]).max() < 1e-4


def test_more_samples_for_each_one() -> None:
    with pytest.raises(ValueError, match="ratio 0"):
        audio.interpolate(np.zeros(3), 0)
    assert audio.interpolate(np.ones(3), 1).tolist() == [1, 1, 1]
    assert audio.interpolate(np.zeros((5, 2)), 3).shape == (15, 2)
