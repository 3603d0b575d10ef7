# SPDX-License-Identifier: Apache-2.0
"""`grucore listen` to a file in the place of a microphone, and its meter."""

from __future__ import annotations

import builtins
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grucore import fileformat
from grucore.audio import read_sound, read_wav, write_wav
from grucore.cli import main
from grucore.cli.sound.meter import Meter, meter_line
from grucore.demo.clips import load_clips, microphone
from models.small_models import frames_graph
from oracle.oracles import oracle


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The demo's model, and a recording of some of its words."""
    folder = tmp_path_factory.mktemp("listen")
    assert main(["demo", "--save", str(folder / "words.gru")]) == 0
    keywords = [clip for clip in load_clips() if clip.label != "unknown"]
    recording = microphone(keywords, seed=2, length_words=6)
    write_wav(folder / "speech.wav", recording.samples, 8000)
    return folder / "words.gru", folder / "speech.wav"


def heard(capsys: pytest.CaptureFixture[str], *arguments: Any) -> list[str]:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_it_hears_what_run_hears(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    model, sound = files
    found = [
        json.loads(line) for line in heard(capsys, "listen", model, "--device", sound, "--json")
    ]
    assert found == [
        json.loads(line) for line in heard(capsys, "run", model, "-i", sound, "--json")
    ]
    assert len(found) >= 4
    for one in found:
        assert 0 < one["start"] < one["seconds"] <= one["end"] < one["start"] + 1.5
        assert 0.5 <= one["score"] <= 1
    text = heard(capsys, "listen", model, "--device", sound)
    assert [line.split()[2] for line in text] == [one["label"] for one in found]
    sure = heard(capsys, "listen", model, "--device", sound, "--threshold", "0.95")
    assert len(sure) < len(text)
    slow = heard(capsys, "listen", model, "--device", sound, "--smoothing", "40", "--json")
    assert slow != found
    first = heard(
        capsys, "listen", model, "--device", sound, "--seconds", found[1]["seconds"] - 0.1
    )
    assert len(first) == 1


def test_the_demo_hears_a_file_and_a_microphone(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sound = files
    wanted = heard(capsys, "listen", model, "--device", sound)
    assert heard(capsys, "demo", "--wav", sound)[-len(wanted) :] == wanted
    objects = heard(capsys, "listen", model, "--device", sound, "--json")
    assert heard(capsys, "demo", "--wav", sound, "--json") == objects
    assert heard(capsys, "demo", "--wav", sound, "--json", "--quantize") != []
    samples, rate = read_wav(sound)

    class Stream:
        """A microphone that hears the recording, and is then unplugged."""

        def __init__(self, **settings: Any) -> None:
            assert settings["samplerate"] == rate
            self.place = 0

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *given: object) -> None:
            pass

        def read(self, count: int) -> tuple[Any, bool]:
            self.place += count
            if self.place > len(samples):
                raise KeyboardInterrupt
            return samples[self.place - count : self.place, None], False

    fake = types.SimpleNamespace(InputStream=Stream, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    assert heard(capsys, "demo", "--mic", "--json") == objects
    assert main(["demo", "--wav", "words.gru"]) == 1
    assert "no sound file by its suffix" in capsys.readouterr().err
    assert main(["demo", "--wav", str(sound), "--mic"]) == 2


def test_refused(
    files: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, sound = files

    def error(*arguments: Any) -> str:
        assert main(["listen", *map(str, arguments)]) == 1
        return capsys.readouterr().err

    write_wav(tmp_path / "wide.wav", np.zeros(160), 4000)
    message = error(model, "--device", tmp_path / "wide.wav")
    assert "4000 Hz, expected 8000, as the model's front end has" in message
    assert "3 labels, expected 12" in error(model, "--device", sound, "--labels", "a,b,c")
    plain = tmp_path / "plain.gru"
    plain.write_bytes(fileformat.write(frames_graph(features=80, hidden_size=4, out=3)))
    assert "the model has no labels" in error(plain, "--device", sound)
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name in ("sounddevice", "soundfile"):
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "a microphone needs sounddevice: pip install" in error(model)
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(20))
    assert "other sound files need soundfile: pip install" in error(
        model, "--device", tmp_path / "a.flac"
    )


@pytest.mark.parametrize("width", [1, 7, 17, 21, 40, 79, 300])
def test_a_meter_fits_any_width(width: int) -> None:
    for ascii_only in (False, True):
        lines = [
            meter_line(decibels, "downstairs-and-up", 0.5, width, ascii_only=ascii_only)
            for decibels in (-99.0, -30.0, 9.0)
        ]
        assert all(len(line) <= width for line in lines)
        assert lines[0].isascii() or not ascii_only
        assert width < 40 or (lines[0] != lines[1] != lines[2])


def test_a_meter_is_drawn_on_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"  # type: ignore[assignment]

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "30")
    ticks = iter(np.arange(0.0, 9.0, 0.02))
    for output, count in ((Terminal(), 4), (io.StringIO(), 0)):
        meter = Meter(output, clock=lambda: float(next(ticks)))
        for _ in range(10):
            meter.show(np.full(80, 0.1, np.float32), "yes", 0.7)
        assert output.getvalue().count("\r") == count
        assert all(len(line) < 30 + 3 for line in output.getvalue().split("\r"))


def test_other_sound_files(tmp_path: Path) -> None:
    """FLAC by soundfile gives the samples that the WAV file has."""
    soundfile = oracle("soundfile")
    samples = np.round(np.sin(np.arange(500) / 9) * 20000) / 32768
    write_wav(tmp_path / "a.wav", samples, 8000)
    soundfile.write(tmp_path / "a.flac", samples, 8000, subtype="PCM_16")
    for name in ("a.wav", "a.flac"):
        found, rate = read_sound(tmp_path / name)
        assert (rate, found.tolist()) == (8000, samples.astype(np.float32).tolist())


def test_written_files_are_read_back(tmp_path: Path, rng: np.random.Generator) -> None:
    for shape in ((7,), (5, 2)):
        samples = rng.uniform(-1, 1, shape).astype(np.float32)
        write_wav(tmp_path / "a.wav", samples, 44100, bits=32)
        found, rate = read_wav(tmp_path / "a.wav")
        assert (rate, found.tobytes()) == (44100, samples.tobytes())
        write_wav(tmp_path / "a.wav", samples * 2, 44100)
        found, _ = read_wav(tmp_path / "a.wav")
        assert np.abs(found - np.clip(samples * 2, -1, 1)).max() <= 2**-15
    with pytest.raises(ValueError, match="at 24 bits, expected"):
        write_wav(tmp_path / "a.wav", samples, 44100, bits=24)  # type: ignore[arg-type]
