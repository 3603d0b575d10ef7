# SPDX-License-Identifier: Apache-2.0
"""The command line: every command, in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grucore
from cli.cli_calls import as_json, in_a_process, save_array, save_models
from grucore.cli import main
from grucore.demo.clips import DATA
from grucore.fileformat import write
from models.small_models import GRAPHS

COMMANDS = ("convert", "inspect", "run", "listen", "denoise", "quantize", "bench", "demo")
CHECKPOINT = str(DATA / "keywords.pt")


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    return save_models(tmp_path)


# General


@pytest.mark.parametrize("arguments", [["--help"], *[[name, "--help"] for name in COMMANDS]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "usage: grucore" in text
    assert "example" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"grucore {grucore.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["convert", "x.pt"],
        ["inspect"],
        ["inspect", "x.gru", "--nonsense"],
        ["run", "x.gru", "-i", "x.npy"],
        ["run", "x.gru", "-i", "x.npy", "-o", "-", "--json"],
        ["run", "x.gru", "-i", "-", "--lengths", "-", "-o", "y.npy"],
        ["run", "x.gru", "-i", "x.npy", "-o", "y.npy", "--nonfinite", "maybe"],
        ["run", "x.gru", "-i", "x.npy", "-o", "y.npy", "--threads", "0"],
        ["run", "x.gru", "-i", "x.npy", "-o", "y.npy", "--stream", "--threads", "2"],
        ["bench", "x.gru", "--seconds", "0"],
        ["bench", "x.gru", "--seconds", "nan"],
        ["bench", "x.gru", "--batch", "0"],
    ],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: grucore" in capsys.readouterr().err


def test_help_imports_little() -> None:
    code = (
        "import sys; from grucore.cli import main; main(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'rich', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_processes(models: dict[str, str], tmp_path: Path) -> None:
    assert in_a_process().returncode == 2
    missing = in_a_process("inspect", str(tmp_path / "none.gru"))
    assert missing.returncode == 1
    assert missing.stdout == b""
    assert missing.stderr.startswith(b"grucore inspect: ")
    assert b"Traceback" not in missing.stderr
    found = in_a_process(
        "inspect", models["frames"], env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert found.returncode == 0
    assert found.stderr == b""  # no progress where there is no terminal


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break in another way there")
def test_a_reader_that_leaves_is_not_an_error_to_shout_about(models: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "grucore", "inspect", models["frames"]],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert process.returncode == 1
    assert process.stderr == b""


@pytest.mark.parametrize("command", ["inspect", "bench", "run"])
@pytest.mark.parametrize("damage", ["bit", "truncated", "empty", "other"])
def test_damaged_file(
    command: str,
    damage: str,
    frames_file: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = bytearray(frames_file)
    data[len(data) // 2] ^= 16
    contents = {"bit": data, "truncated": data[:-64], "empty": b"", "other": b"PK\3\4" * 100}
    path = tmp_path / "damaged.gru"
    path.write_bytes(contents[damage])
    output = tmp_path / "y.npy"
    more = ["-i", save_array(tmp_path / "x.npy", np.zeros((3, 5))), "-o", str(output)]
    assert main([command, str(path), *(more if command == "run" else [])]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    assert ("is no .gru file" if damage == "other" else "byte 0x") in found.err
    assert "damaged.gru" in found.err
    assert not output.exists()


def test_unknown_isa(models: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", models["frames"], "--isa", "pdp11"]) == 1
    assert "'pdp11'" in capsys.readouterr().err


# convert


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "k.gru"
    output.write_bytes(b"what was there before")
    arguments = ["convert", CHECKPOINT, "-o", str(output), "--architecture", "gru > linear"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "largest difference" in text
    assert "gru.l0" in text
    assert grucore.load(output).selftest().exact
    report = as_json(capsys, *arguments)
    assert report["output_bytes"] == output.stat().st_size
    assert report["proof"]["largest_difference"] <= report["proof"]["bound"]
    assert [node["kind"] for node in report["nodes"]] == ["gru", "dense"]


def test_convert_without_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "k.gru"
    arguments = ["convert", CHECKPOINT, "-o", str(output), "--architecture", "gru > linear"]
    assert as_json(capsys, *arguments, "--no-verify")["proof"] is None
    assert grucore.load(output).proof is None


def test_convert_and_strip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "k.gru"
    arguments = ["convert", CHECKPOINT, "-o", str(output), "--architecture", "gru > linear"]
    whole = as_json(capsys, *arguments)["output_bytes"]
    report = as_json(capsys, *arguments, "--strip")
    assert report["output_bytes"] == output.stat().st_size < whole
    assert report["proof"] is not None
    assert grucore.load(output).metadata == {}


@pytest.mark.parametrize("architecture", [None, "gru > gru", "linear > gru", "lstm"])
def test_convert_refuses_and_leaves_no_file(
    architecture: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "k.gru"
    more = [] if architecture is None else ["--architecture", architecture]
    assert main(["convert", CHECKPOINT, "-o", str(output), *more]) == 1
    assert "grucore convert: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_convert_into_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "nowhere" / "k.gru"
    arguments = ["convert", CHECKPOINT, "-o", str(output), "--architecture", "gru > linear"]
    assert main(arguments) == 1
    assert "No such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_convert_says_which_file_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path, tmp_path / "none.pt"):
        assert main(["convert", str(path), "-o", str(tmp_path / "k.gru")]) == 1
        assert path.name in capsys.readouterr().err


def test_convert_does_not_overwrite_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "k.pt"
    path.write_bytes(Path(CHECKPOINT).read_bytes())
    assert main(["convert", str(path), "-o", str(path), "--architecture", "gru > linear"]) == 2
    assert "is the checkpoint itself" in capsys.readouterr().err
    assert path.read_bytes() == Path(CHECKPOINT).read_bytes()


# inspect


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_inspect(name: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", models[name], "--selftest"]) == 0
    text = capsys.readouterr().out
    for node in GRAPHS[name]().nodes:
        assert node.name in text
    report = as_json(capsys, "inspect", models[name], "--selftest")
    graph = GRAPHS[name]()
    assert [node["name"] for node in report["nodes"]] == [node.name for node in graph.nodes]
    assert report["parameters"] == graph.parameter_count
    assert report["bytes"] == Path(models[name]).stat().st_size
    assert report["multiply_adds_per_frame"] == graph.multiply_adds_per_frame
    assert report["streamable"] == graph.streamable
    assert report["selftest"]["frames"] == report["test_frames"] == 9
    if name == "bidirectional":
        assert report["unstreamable_layer"] == "gru.l0_reverse"
        assert "no: layer 'gru.l0_reverse' reads the future" in text


def test_stored_bytes_count_the_padding(
    models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    gru, dense = as_json(capsys, "inspect", models["frames"])["nodes"]
    assert gru["bytes"] == 4 * 8 * (3 * 5 + 3 * 7 + 4)  # 7 rows take 8
    assert dense["bytes"] == 4 * 4 * (7 + 1)


def test_selftest_of_a_file_without_vector(
    frames_file: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plain.gru"
    path.write_bytes(frames_file)
    assert main(["inspect", str(path)]) == 0
    assert main(["inspect", str(path), "--selftest"]) == 1
    assert "no test vector" in capsys.readouterr().err


def test_metadata_does_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = GRAPHS["frames"]().with_metadata(
        note="\x1b[2Jcleared\nforged: line", source={"axes": "time, batch"}, proof=[1]
    )
    path = tmp_path / "odd.gru"
    path.write_bytes(write(graph))
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\\x1b[2Jcleared\\nforged: line" in text
    assert "time, batch" in text


# bench


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_bench(name: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    report = as_json(capsys, "bench", models[name], "--seconds", "0.05", "--batch", "3")
    assert [run["batch"] for run in report["run"]] == [1, 3]
    assert all(0 < run["us_per_frame_min"] <= run["us_per_frame_median"] for run in report["run"])
    step = report["step"]
    if name == "bidirectional":
        assert step is None
        return
    latency = list(step["latency_us"].values())
    assert latency == sorted(latency)
    assert 0 < step["us_min"] <= step["us_median"]
    assert sum(entry["steps"] for entry in step["histogram"]) == step["steps"]
    assert step["histogram"][-1]["up_to_us"] == step["latency_us"]["max"]


@pytest.mark.parametrize("name", ["frames", "bidirectional"])
def test_bench_in_words(
    name: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", models[name], "--seconds", "0.05", "--isa", "scalar"]) == 0
    text = capsys.readouterr().out
    assert "microseconds a frame" in text
    assert ("p99.9" in text) == (name == "frames")


# demo


@pytest.mark.slow
def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    report = as_json(capsys, "demo")
    assert report["clips"] > 0
    assert report["step_us"]["median"] > 0
    assert main(["demo"]) == 0
    text = capsys.readouterr().out
    assert "largest difference" in text
    assert "real-time factor" in text
