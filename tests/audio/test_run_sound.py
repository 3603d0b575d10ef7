# SPDX-License-Identifier: Apache-2.0
"""`grucore run` on sound: labels of the demo's model, JSON lines, scores, refusals."""

from __future__ import annotations

import json
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.audio import decimate, read_wav, resample
from grucore.cli import main
from grucore.demo.clips import load_clips, microphone
from grucore.demo.display import make_display
from grucore.demo.runner import KEYWORDS_FILE as KEYWORDS
from grucore.demo.runner import Listener, configuration, listen, load_model
from models.small_models import frames_graph
from models.sounds import save
from oracle.oracles import program


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.gru"
    assert main(["demo", "--save", str(path)]) == 0
    return path


def lines(capsys: pytest.CaptureFixture[str], *arguments: Any) -> list[dict[str, Any]]:
    assert main(["run", *map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_words_are_those_that_the_demo_hears(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    keywords = [clip for clip in load_clips() if clip.label != "unknown"]
    recording = microphone(keywords, seed=1)
    path = save(tmp_path / "speech.wav", recording.samples)
    with wave.open(str(path)) as file:
        stored = np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768)
    settings = configuration()
    listener = Listener(load_model(), settings["labels"], settings["detector"])
    expected = listen(listener, stored, make_display(None), realtime=False, announce=False)
    found = lines(capsys, words, "-i", path)
    assert [(one["label"], one["seconds"]) for one in found] == [
        (word, pytest.approx(at, abs=0.011)) for word, at in expected
    ]
    assert len(found) >= 10
    assert all(0.5 <= one["score"] <= 1 for one in found)
    assert lines(capsys, words, "-i", path, "--stream") == found
    assert main(["run", str(words), "-i", str(path), "--threshold", "0.9"]) == 0
    text = capsys.readouterr().out.splitlines()
    assert 0 < len(text) < len(found)
    assert {line.split()[2] for line in text} <= {one["label"] for one in found}
    assert all(line.split()[1] == "s" for line in text)


def test_scores_are_written_as_of_any_input(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.wav", load_clips()[0].samples)
    assert main(["run", str(words), "-i", str(path), "-o", str(tmp_path / "a.npy")]) == 0
    scores = np.load(tmp_path / "a.npy")
    assert scores.shape[1] == 12
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("voice", ["en-us+m7", "en+f2"])
def test_a_voice_that_training_never_heard(
    voice: str, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most of ten words, spoken here and now, as espeak-ng writes them: 22,050 Hz."""
    espeak = program("espeak-ng")
    assert voice.partition("+")[2] in configuration()["held_out_voices"]
    capsys.readouterr()
    hits = 0
    for word in ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"):
        spoken = tmp_path / f"{word}.wav"
        subprocess.run([espeak, "-v", voice, "-w", str(spoken), word], check=True)
        samples, rate = read_wav(spoken)
        assert rate == 22050
        samples = np.pad(0.9 * samples / np.abs(samples).max(), (rate // 4, rate // 2))
        found = lines(capsys, words, "-i", save(spoken, samples, rate=rate))
        hits += word in {one["label"] for one in found}
        assert main(["listen", str(words), "--device", str(spoken), "--json"]) == 0
        assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == found
    assert hits >= 8


def test_any_rate_becomes_another() -> None:
    """Tones as they are where both rates can hold them; nothing of the others."""
    for old, new in ((22050, 8000), (44100, 16000), (8000, 11025), (48000, 44100)):
        half = min(old, new) / 2
        seconds, after = np.arange(old) / old, np.arange(new) / new
        low, high = (np.sin(2 * np.pi * part * half * seconds) for part in (0.7, 1.2))
        found = resample(np.stack([low, high], axis=1), old, new)
        assert found.shape == (new, 2)
        inner = slice(new // 10, -new // 10)
        assert np.abs(found[:, 0] - np.sin(2 * np.pi * 0.7 * half * after))[inner].max() < 3e-4
        if 1.2 * half < old / 2:
            assert np.abs(found[inner, 1]).max() < 3e-4
        np.testing.assert_allclose(resample(low, old, new), found[:, 0], atol=1e-6)
    assert resample(np.zeros(0), 22050, 8000).shape == (0,)
    assert resample(low, 48000, 16000).tolist() == decimate(low, 3).tolist()
    with pytest.raises(ValueError, match="rates 0 and 8000"):
        resample(low, 0, 8000)


def test_a_recording_at_a_multiple_of_the_rate(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same words as at the rate of the model."""
    capsys.readouterr()
    recording = microphone(load_clips(), seed=1, length_words=6)
    found = lines(capsys, words, "-i", save(tmp_path / "a.wav", recording.samples))
    count = len(recording.samples)
    spectrum = np.fft.rfft(recording.samples)
    wide = np.fft.irfft(spectrum, 3 * count) * 3
    again = lines(capsys, words, "-i", save(tmp_path / "b.wav", wide, rate=24000))
    assert [one["label"] for one in again] == [one["label"] for one in found]


def test_decimation_keeps_what_the_new_rate_can_hold() -> None:
    seconds = np.arange(48000) / 48000
    for ratio in (2, 3, 6):
        half = 24000 / ratio
        low, high = (np.sin(2 * np.pi * part * half * seconds) for part in (0.3, 1.3))
        found = decimate(np.stack([low, high], axis=1), ratio)[200:-200]
        kept = low[::ratio][200:-200]
        assert np.abs(found[:, 0] - kept).max() < 2e-4
        assert np.abs(found[:, 1]).max() < 2e-4
        assert decimate(low, ratio).shape == (48000 // ratio,)
    assert decimate(low, 1).tolist() == low.astype(np.float32).tolist()
    with pytest.raises(ValueError, match="ratio 0"):
        decimate(low, 0)


def test_labels_come_with_the_conversion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, names = tmp_path / "m.gru", tmp_path / "labels.txt"
    labels = configuration()["labels"]
    names.write_text("\n".join(labels) + "\n", "utf-8")
    arguments = ["convert", str(KEYWORDS), str(model), "--architecture", "gru > last > linear"]
    arguments += ["--front-end", "log_mel:sample_rate=8000,n_fft=256,hop_length=80,n_mels=40"]
    assert main([*arguments, "--labels", str(names)]) == 0
    assert grucore.load(model).metadata["labels"] == labels
    capsys.readouterr()
    path = save(tmp_path / "a.wav", load_clips()[0].samples)
    (found,) = lines(capsys, model, "-i", path)
    assert found["label"] in labels
    (other,) = lines(capsys, model, "-i", path, "--labels", ",".join(map(str, range(12))))
    assert labels[int(other["label"])] == found["label"]
    assert other["score"] == found["score"]
    assert main([*arguments, "--labels", "yes,no"]) == 1
    assert "2 labels, expected 12, as the first output has scores" in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert main(["run", *map(str, arguments)]) in (1, 2)
    return capsys.readouterr().err


def test_refused(words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silence = np.zeros(1600, np.float32)
    wide = save(tmp_path / "wide.wav", silence, rate=4000)
    assert "4000 Hz, expected 8000, as the model's front end" in refused(capsys, words, "-i", wide)
    stereo = save(tmp_path / "stereo.wav", silence, channels=2)
    assert "2 channels: --channel 0 to 1" in refused(capsys, words, "-i", stereo)
    assert lines(capsys, words, "-i", stereo, "--channel", 1) == []
    narrow = save(tmp_path / "narrow.wav", silence)
    assert "one channel, expected --channel 0" in refused(
        capsys, words, "-i", narrow, "--channel", 1
    )
    assert "3 labels, expected 12" in refused(capsys, words, "-i", narrow, "--labels", "a,b,c")
    plain = tmp_path / "plain.gru"
    plain.write_bytes(fileformat.write(frames_graph(features=80, hidden_size=4, out=3)))
    assert "the model has no labels" in refused(capsys, plain, "-i", narrow)
    np.save(tmp_path / "x.npy", np.zeros((4, 80), np.float32))
    message = refused(capsys, plain, "-i", tmp_path / "x.npy")
    assert "expected -o OUT: labels without it are of sound files alone" in message
