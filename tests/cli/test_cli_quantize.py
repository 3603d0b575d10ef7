# SPDX-License-Identifier: Apache-2.0
"""`grucore quantize`, and the other commands on what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import grucore
from cli.cli_calls import as_json, save_array, save_models
from grucore.cli import main, quantize
from grucore.demo.clips import DATA
from grucore.fileformat import write
from grucore.quantize.quantize import KINDS
from models.small_models import frames_graph


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    return save_models(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "wide.gru"
    path.write_bytes(write(frames_graph(features=24, hidden_size=40, out=6)))
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_quantize(
    kind: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "small.gru"
    output.write_bytes(b"what was there before")
    arguments = ["quantize", model, "-o", str(output), "--kind", kind]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    unwrapped = "".join(text.split())  # a path may stand on two lines
    for word in ("gru.l0", "linear", kind, "RMS", "small.gru"):
        assert word in unwrapped
    found = grucore.load(output)
    assert found.selftest().exact
    assert bytes(found) == bytes(grucore.load(model).quantize(kind))
    report = as_json(capsys, *arguments)
    assert report["bytes"]["file"]["after"] == output.stat().st_size
    assert report["quantization"] == found.metadata["quantization"]
    assert report["speed"]["after"]["us_min"] > 0


def test_strip_leaves_the_weights(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, small = tmp_path / "whole.gru", tmp_path / "small.gru"
    arguments = ("quantize", model, "--kind", "int8", "-o")
    as_json(capsys, *arguments, str(whole))
    as_json(capsys, *arguments, str(small), "--strip")
    assert small.stat().st_size < whole.stat().st_size
    first, second = grucore.load(whole), grucore.load(small)
    assert second.metadata == {}
    with pytest.raises(ValueError, match="no test vector"):
        second.selftest()
    x = np.ones((4, 24), np.float32)
    assert (first.run(x) == second.run(x)).all()


def test_kinds_are_those_of_the_library() -> None:
    assert quantize.KINDS == KINDS


def test_all_options(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, folder = tmp_path / "small.gru", tmp_path / "new" / "report"
    frames = np.random.default_rng(0).normal(size=(3, 300, 24)).astype(np.float32)
    arguments = ["quantize", model, "-o", str(output), "--kind", "int4", "--activations", "8"]
    arguments += ["--calibration", save_array(tmp_path / "x.npy", frames), "--max-error", "0.05"]
    report = as_json(capsys, *arguments, "--report", str(folder))
    entry = report["quantization"]
    assert entry["activations"] == 8
    assert entry["calibration_frames"] == 900
    assert entry["largest_error"] <= entry["max_error"] == 0.05
    assert report["signals"]["source"] == "given"
    assert report["speed"]["after"]["us_min"] > 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.html", "report.json", "report.txt"
    ]  # fmt: skip
    saved = json.loads((folder / "report.json").read_text())
    assert saved.items() <= report.items()
    assert np.abs(grucore.load(output).run(frames) - grucore.load(model).run(frames)).max() <= 0.05


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--kind", "int7"], ["int7", "int8", "float16", "int4"]),
        ([], ["--kind"]),
        (["--kind", "int8", "--activations", "12"], ["12", "8", "16"]),
        (["--kind", "int8", "--max-error", "-1"], ["-1", "at least 0"]),
        (["--kind", "int8", "--max-error", "nan"], ["nan"]),
        (["--kind", "float16", "--activations", "8"], ["float16"]),
    ],
)
def test_usage_errors(
    more: list[str],
    words: list[str],
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["quantize", model, "-o", str(tmp_path / "small.gru"), *more]) == 2
    said = capsys.readouterr().err
    assert "usage: grucore quantize" in said
    for word in words:
        assert word in said


def test_the_model_itself_is_not_overwritten(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(model).read_bytes()
    assert main(["quantize", model, "-o", model, "--kind", "int8"]) == 2
    assert "is the model itself" in capsys.readouterr().err
    assert Path(model).read_bytes() == before


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that says why."""
    assert main(["quantize", *arguments]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("grucore quantize: ")
    assert found.err.count("\n") == 1
    return found.err


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((9, 23)), ["x.npy", "23", "24"]),
        (np.zeros((2, 2, 9, 24)), ["x.npy", "(2, 2, 9, 24)"]),
        (np.zeros((0, 24)), ["x.npy", "no frames"]),
        (np.array([[0.0] * 24, [np.nan] * 24, [np.inf] * 24]), ["frame 1 of row 0", "1 others"]),
        (np.zeros((9, 24), complex), ["x.npy", "complex"]),
    ],
)
def test_calibration_that_does_not_fit(
    frames: np.ndarray,
    words: list[str],
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = [model, "-o", str(folder / "small.gru"), "--kind", "int8"]
    arguments += ["--calibration", save_array(tmp_path / "x.npy", frames)]
    said = refused([*arguments, "--report", str(folder / "report")], capsys)
    for word in words:
        assert word in said
    assert list(folder.iterdir()) == []


def test_several_inputs_need_names(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [models["ports"], "-o", str(tmp_path / "small.gru"), "--kind", "int8"]
    path = save_array(tmp_path / "x.npy", np.zeros((9, 5)))
    assert "audio, motion" in refused([*arguments, "--calibration", path], capsys)
    named = tmp_path / "x.npz"
    rng = np.random.default_rng(0)
    np.savez(named, audio=rng.normal(size=(200, 3)), motion=rng.normal(size=(200, 2)))
    report = as_json(capsys, "quantize", *arguments, "--calibration", str(named))
    assert report["quantization"]["calibration_frames"] == 200


def test_places_that_cannot_be_written(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = ["--kind", "int8"]
    said = refused([model, "-o", str(tmp_path / "none" / "small.gru"), *kind], capsys)
    assert "none: No such file" in said
    for folder in (Path(model), Path(model) / "report"):
        output = tmp_path / "small.gru"
        said = refused([model, "-o", str(output), *kind, "--report", str(folder)], capsys)
        assert "wide.gru: Not a directory" in said
        assert not output.exists()
    said = refused([str(tmp_path / "none.gru"), "-o", str(tmp_path / "s.gru"), *kind], capsys)
    assert "none.gru: No such file" in said


def test_a_quantized_model_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small.gru"
    assert main(["quantize", model, "-o", str(small), "--kind", "int8"]) == 0
    capsys.readouterr()
    again = tmp_path / "again.gru"
    assert "quantized already" in refused([str(small), "-o", str(again), "--kind", "int4"], capsys)
    assert not again.exists()


def test_other_commands_know_quantized_models(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = str(tmp_path / "small.gru")
    assert main(["quantize", model, "-o", small, "--kind", "int4"]) == 0
    capsys.readouterr()
    assert main(["inspect", small, "--selftest"]) == 0
    text = capsys.readouterr().out
    assert "kind int4; activations 16; scheme a scale per row and 32 inputs" in text
    assert "int4/16" in text
    nodes = as_json(capsys, "inspect", small)["nodes"]
    assert [node["weights"] for node in nodes] == ["int4/16", "int4/16"]
    bench = as_json(capsys, "bench", small, "--seconds", "0.05")
    assert bench["weight_bytes"] == sum(node["bytes"] for node in nodes)
    assert bench["step"]["us_min"] > 0


def test_convert_quantizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "k.gru"
    arguments = ["convert", str(DATA / "keywords.pt"), "--architecture", "gru > linear"]
    arguments += ["-o", str(output), "--quantize", "int8"]
    assert main(arguments) == 0
    assert "quantization" in capsys.readouterr().out
    report = as_json(capsys, *arguments)
    assert report["quantization"]["kind"] == "int8"
    assert [node["weights"] for node in report["nodes"]] == ["int8/16", "int8/16"]
    assert grucore.load(output).selftest().exact
