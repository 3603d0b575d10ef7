# SPDX-License-Identifier: Apache-2.0
"""Front ends as text, and `grucore convert --front-end`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore import audio, places
from grucore.cli import main

KEYWORDS = Path(places.__file__).parent / "demo" / "data" / "keywords.pt"
MEL = "log_mel:sample_rate=8000,n_fft=256,hop_length=80,n_mels=40"


def test_settings_are_those_of_the_function() -> None:
    text = f"{MEL},win_length=200,log=db,fmin=60.5,center=true,fmax=none,window=hamming"
    found = audio.parse(text)
    made = audio.log_mel(
        sample_rate=8000,
        n_fft=256,
        hop_length=80,
        n_mels=40,
        win_length=200,
        log="db",
        fmin=60.5,
        center=True,
        window="hamming",
    )
    assert bytes(found.model) == bytes(made.model)
    preset = audio.parse("python_speech_features.mfcc:n_mfcc=10")
    assert bytes(preset.model) == bytes(audio.like("python_speech_features.mfcc", n_mfcc=10).model)


REFUSED = {
    "mel": "front end 'mel': expected one of log_mel, mfcc, spectrogram, librosa.melspectrogram",
    "log_mel": "sample_rate, n_fft, hop_length, n_mels missing, such as sample_rate=N",
    f"{MEL},bands=3": "no setting is called 'bands', expected sample_rate, n_fft",
    f"{MEL},fmin=low": "fmin=low, expected a number",
    f"{MEL},center": "'center' is no setting, expected name=value",
    f"{MEL},log=lg": "log='lg': expected None or one of 'ln'",
    "keras.MelSpectrogram:n_mel=3": "no setting is called 'n_mel'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(REFUSED[text])):
        audio.parse(text)


def test_convert_puts_it_before_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
) -> None:
    output = tmp_path / "kws.gru"
    arguments = ["convert", str(KEYWORDS), "-o", str(output), "--architecture", "gru > linear"]
    assert main([*arguments, "--front-end", MEL, "--quantize", "int8", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["inputs"][0]["features"] == 80
    assert report["proof"]["against"]
    model = grucore.load(output)
    model.selftest()
    assert model.metadata["quantization"]["kind"] == "int8"
    network = grucore.convert(KEYWORDS, architecture="gru > linear").quantize("int8")
    samples = rng.normal(0, 0.1, 80 * 50).astype(np.float32)
    expected = network.run(audio.parse(MEL).run(samples))
    assert model.run(samples.reshape(-1, 80)).tobytes()[: expected.nbytes] == expected.tobytes()


def test_convert_refuses_one_that_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "kws.gru"
    arguments = ["convert", str(KEYWORDS), "-o", str(output), "--architecture", "gru > linear"]
    assert main([*arguments, "--front-end", MEL.replace("=40", "=30")]) == 1
    assert "the front end gives 30 features, and the model's input" in capsys.readouterr().err
    assert main([*arguments, "--front-end", "mel"]) == 1
    assert not output.exists()
