# SPDX-License-Identifier: Apache-2.0
"""The example: the shipped model takes noise away, and its script runs from end to end."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import grucore
from grucore.audio import read_wav
from grucore.cli import main
from models.examples import scripts_of
from oracle.oracles import oracle, program

EXAMPLE = Path(__file__).parents[2] / "examples" / "noise_suppressor"

pytestmark = pytest.mark.skipif(not EXAMPLE.is_dir(), reason="away from the sources")


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """train.py of the example, beside modules of the same name of others."""
    oracle("torch")
    program("espeak-ng")
    with scripts_of(EXAMPLE):
        yield importlib.import_module("train")


def test_the_recording_that_it_ships(tmp_path: Path) -> None:
    model, target = EXAMPLE / "suppressor.gru", tmp_path / "after.wav"
    grucore.load(model).selftest()
    assert main(["denoise", str(model), "-i", str(EXAMPLE / "before.wav"), "-o", str(target)]) == 0
    found, rate = read_wav(target)
    shipped, _ = read_wav(EXAMPLE / "after.wav")
    assert rate == 16000
    assert found.shape == shipped.shape
    assert np.abs(found - shipped).max() <= 2**-12  # before.wav has 16 bits


def test_a_voice_that_training_never_heard(script: ModuleType) -> None:
    model = grucore.load(EXAMPLE / "suppressor.gru")
    speech = [script.speak("the water is cold at this time of the year", "en-us+m7", 160, 50)]
    rng = np.random.default_rng(3)
    gains = []
    for _ in range(4):
        clean, noisy = script.track(speech, 3 * script.SAMPLE_RATE, 5.0, rng)
        before = script.si_sdr(clean, noisy)
        gains.append(script.si_sdr(clean, script.suppressed(model, noisy)) - before)
    assert np.mean(gains) > 3


def test_bands_are_those_of_the_model(script: ModuleType) -> None:
    """The front end in the file computes what training computed."""
    rng = np.random.default_rng(4)
    samples = 0.1 * rng.standard_normal(30 * script.HOP)
    torch = oracle("torch")
    network = script.Gains()
    with torch.no_grad():
        logs = (np.log(script.energies(samples) + script.FLOOR) - script.MEAN) / script.STD
        gains = network(torch.from_numpy(logs.astype(np.float32))[None])[0].double().numpy()
    converted = grucore.from_torch(network, example_inputs=(torch.zeros(1, 10, script.BANDS),))
    model = script.masked(
        converted,
        sample_rate=script.SAMPLE_RATE,
        n_fft=script.N_FFT,
        hop_length=script.HOP,
        floor=script.FLOOR,
        mean=script.MEAN,
        std=script.STD,
    )
    found = model.run(samples.astype(np.float32).reshape(-1, script.HOP)).reshape(-1)
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(script.N_FFT) / script.N_FFT))
    filters = script.erb_filters(
        sample_rate=script.SAMPLE_RATE, n_fft=script.N_FFT, bands=script.BANDS
    )
    late = script.N_FFT - script.HOP
    heard = np.concatenate([np.zeros(late), samples])
    want = np.zeros(len(heard))
    for frame, factors in enumerate(gains):
        span = slice(frame * script.HOP, frame * script.HOP + script.N_FFT)
        masked = np.fft.rfft(window * heard[span]) * (filters.T @ factors)
        want[span] += window * np.fft.irfft(masked)
    assert np.abs(found - want[: len(found)]).max() < 1e-5 * np.abs(want).max()


def test_its_script_runs_from_end_to_end(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--quick", "-o", str(tmp_path)])
    script.main()
    rows = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert [row["decibels"] for row in rows] == [0, 5, 10]
    model = grucore.load(tmp_path / "suppressor.gru")
    assert model.inputs[0].features == model.outputs[0].features == 160
    assert {path.name for path in tmp_path.iterdir()} >= {"before.wav", "after.wav"}
