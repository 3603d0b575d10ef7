# SPDX-License-Identifier: Apache-2.0
"""The demo's runner and display, on a float64 GRU in numpy that reads the shipped checkpoint."""

import io
import json
import zipfile

import numpy as np
import pytest

from grucore.demo.clips import DATA, load_clips
from grucore.demo.decisions import Detection
from grucore.demo.display import (
    ASCII_CHARACTERS,
    Display,
    TerminalDisplay,
    level_character,
    make_display,
)
from grucore.demo.features import LogMel, log_mel
from grucore.demo.runner import blocks, configuration, front_end, load_model, run_demo


def checkpoint() -> list[np.ndarray]:
    """The tensors of keywords.pt in the order of its state dict, as flat arrays."""
    with zipfile.ZipFile(DATA / "keywords.pt") as archive:
        stored = [name for name in archive.namelist() if "/data/" in name]
        stored.sort(key=lambda name: int(name.rpartition("/")[2]))
        return [np.frombuffer(archive.read(name), "<f4").astype(np.float64) for name in stored]


class Stream:
    """The features in numpy and PyTorch's GRU equations, one hop of samples at a time."""

    def __init__(self) -> None:
        flat = checkpoint()
        self.weight_ih, self.weight_hh = flat[0].reshape(192, 40), flat[1].reshape(192, 64)
        self.bias_ih, self.bias_hh = flat[2], flat[3]
        self.weight, self.bias = flat[4].reshape(-1, 64), flat[5]
        self.reset()

    def reset(self) -> None:
        self.h = np.zeros(64)
        self.features = LogMel()

    def step(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray | None:
        assert x.shape == (80,)
        assert x.dtype == np.float32
        assert out is not None
        frames = self.features.push(x)
        if not len(frames):
            return None
        (x,) = frames
        from_x = np.split(self.weight_ih @ x + self.bias_ih, 3)
        from_h = np.split(self.weight_hh @ self.h + self.bias_hh, 3)
        r = 1.0 / (1.0 + np.exp(-(from_x[0] + from_h[0])))
        z = 1.0 / (1.0 + np.exp(-(from_x[1] + from_h[1])))
        n = np.tanh(from_x[2] + r * from_h[2])
        self.h = (1.0 - z) * n + z * self.h
        out[:] = self.weight @ self.h + self.bias
        return out


class Model:
    isa = "numpy"

    def stream(self) -> Stream:
        return Stream()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def plain() -> tuple[dict, str]:
    output = io.StringIO()
    return run_demo(model=Model(), stream_output=output), output.getvalue()


class TestRunDemo:
    def test_recognises_the_words(self, plain: tuple[dict, str]) -> None:
        report = plain[0]
        assert report["accuracy"] >= 0.8
        assert report["correct"] == round(report["accuracy"] * report["clips"])
        assert report["microphone"]["recognised"] >= 0.85 * report["microphone"]["words"]
        assert sum(total for _, total in report["by_condition"].values()) == report["clips"]

    def test_bill_adds_up(self, plain: tuple[dict, str]) -> None:
        report = plain[0]
        assert report["isa"] == "numpy"
        assert 0.9 < report["frames"] / (100.0 * report["audio_seconds"]) <= 1.0
        for timing in (report["step_us"], report["frame_us"]):
            assert 0.0 < timing["median"] <= timing["p99"]
        assert report["step_us"]["median"] < report["frame_us"]["median"]
        assert report["real_time_factor"] > 0.0

    def test_plain_output_has_a_line_for_each_clip(self, plain: tuple[dict, str]) -> None:
        report, text = plain
        assert "\r" not in text
        assert len(text.splitlines()) >= report["clips"] + report["microphone"]["recognised"]
        assert f"{report['correct']} of {report['clips']} correct" in text

    def test_json_is_one_object_equal_to_the_answer(self) -> None:
        output = io.StringIO()
        report = run_demo(model=Model, json=True, stream_output=output)
        assert json.loads(output.getvalue()) == json.loads(json.dumps(report))

    def test_terminal_shows_the_same_words(self, plain: tuple[dict, str]) -> None:
        output = Terminal()
        report = run_demo(model=Model(), stream_output=output)
        assert report["by_condition"] == plain[0]["by_condition"]
        assert report["microphone"] == plain[0]["microphone"]
        assert "\r" in output.getvalue()

    def test_fast_and_realtime_exclude_each_other(self) -> None:
        with pytest.raises(ValueError, match="exclude"):
            run_demo(model=Model(), fast=True, realtime=True)

    def test_configuration_names_what_the_model_needs(self) -> None:
        settings = configuration()
        assert settings["architecture"] == "gru > linear"
        assert len(settings["labels"]) == len(checkpoint()[5])


class TestModel:
    def test_its_front_end_computes_the_features_of_training(self) -> None:
        for clip in load_clips()[:20]:
            expected = log_mel(clip.samples)
            found = front_end().run(clip.samples)
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() < 5e-6 * np.abs(expected).max()

    def test_it_hears_what_the_equations_hear(self, plain: tuple[dict, str]) -> None:
        """From samples to words in the engine: no clip and no word less than in float64."""
        model = load_model()
        assert model.inputs[0].features == 80  # type: ignore[attr-defined]
        report = run_demo(model=model, stream_output=io.StringIO())
        assert report["by_condition"] == plain[0]["by_condition"]
        assert report["microphone"] == plain[0]["microphone"]


class TestPacing:
    def test_blocks_cover_the_samples_in_order(self) -> None:
        samples = np.arange(250, dtype=np.float32)
        parts = list(blocks(samples, realtime=False))
        assert [len(part) for part in parts] == [80, 80, 80, 10]
        assert np.array_equal(np.concatenate(parts), samples)

    def test_realtime_waits_as_a_microphone_would(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]
        monkeypatch.setattr("time.monotonic", lambda: clock[0])
        monkeypatch.setattr("time.sleep", lambda pause: clock.__setitem__(0, clock[0] + pause))
        when = [clock[0] for _ in blocks(np.zeros(240, np.float32), realtime=True)]
        assert when == pytest.approx([0.01, 0.02, 0.03])


class TestDisplay:
    def test_level_goes_from_silent_to_loud(self) -> None:
        loudness = [0.0, 0.01, 0.1, 1.0]
        shown = [level_character(np.full(80, x, np.float32), "0123456789") for x in loudness]
        assert shown[0] == "0"
        assert shown[-1] == "9"
        assert shown == sorted(shown)

    def test_choice_follows_the_output(self) -> None:
        assert type(make_display(io.StringIO())) is Display
        assert type(make_display(Terminal())) is TerminalDisplay

    def test_terminal_without_block_characters_gets_ascii(self) -> None:
        class AsciiTerminal(Terminal):
            encoding = "ascii"  # type: ignore[assignment]

        display = make_display(AsciiTerminal())
        assert isinstance(display, TerminalDisplay)
        assert display.characters == ASCII_CHARACTERS

    def test_word_replaces_the_live_line_and_stays(self) -> None:
        output = Terminal()
        display = make_display(output)
        display.start("listening")
        display.sound(np.ones(320, np.float32))
        display.heard(Detection("left", 42, 0.8), 0.42)
        display.finish(None)
        lines = [line.rpartition("\r")[2].rstrip() for line in output.getvalue().split("\n")]
        assert lines == ["   0.42 s  left", ""]
