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
from grucore.audio import decimate, read_wav
from grucore.cli import main
from grucore.demo.clips import load_clips, microphone
from grucore.demo.display import make_display
from grucore.demo.runner import KEYWORDS_FILE as KEYWORDS
from grucore.demo.runner import Listener, configuration, listen, load_model
from models.small_models import frames_graph
from models.sounds import save
from oracle.oracles import program


def at_8_khz(samples: np.ndarray, rate: int) -> np.ndarray:
    """Without what lies above 4 kHz."""
    count = len(samples) * 8000 // rate
    return np.fft.irfft(np.fft.rfft(samples)[: count // 2 + 1], count) * count / len(samples)


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


def test_a_voice_that_training_never_heard(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most of ten words, spoken here and now."""
    espeak = program("espeak-ng")
    capsys.readouterr()
    hits = 0
    for word in ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"):
        spoken = tmp_path / f"{word}.wav"
        subprocess.run([espeak, "-v", "en-us+m7", "-w", str(spoken), word], check=True)
        samples = at_8_khz(*read_wav(spoken))
        samples = np.pad(0.9 * samples / np.abs(samples).max(), (2000, 4000))
        found = lines(capsys, words, "-i", save(spoken, samples))
        hits += word in {one["label"] for one in found}
    assert hits >= 8


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
    wide = save(tmp_path / "wide.wav", silence, rate=11025)
    assert "11025 Hz, expected 8000, as the model's front end" in refused(capsys, words, "-i", wide)
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
