# SPDX-License-Identifier: Apache-2.0
"""Formats of arrays, widths of terminals, and files of other kinds, on the command line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from cli.cli_calls import in_a_process, save_models
from grucore.cli import _files, main
from models.small_models import frames


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    return save_models(tmp_path)


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return frames(rng, 7, 5)


def as_csv(array: np.ndarray, header: str = "") -> bytes:
    buffer = io.BytesIO()
    np.savetxt(buffer, array, delimiter=",", fmt="%.9g", header=header, comments="")
    return buffer.getvalue()


def read_back(path: Path) -> np.ndarray:
    if path.suffix == ".csv":
        return np.loadtxt(path, delimiter=",").astype(np.float32)
    if path.suffix == ".raw":
        return np.fromfile(path, "<f4").reshape(-1, 3)
    found = np.load(path)
    return found["y"] if path.suffix == ".npz" else found


def test_formats_of_files(models: dict[str, str], x: np.ndarray, tmp_path: Path) -> None:
    expected = grucore.load(models["frames"]).run(x)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "x.csv").write_bytes(as_csv(x))
    (tmp_path / "named.csv").write_bytes(b"\xef\xbb\xbf" + as_csv(x, "a,b,c,d,e"))
    (tmp_path / "x.raw").write_bytes(x.astype("<f4").tobytes())
    for name in ("x.npy", "x.csv", "named.csv", "x.raw"):
        for out in ("y.npy", "y.npz", "y.csv", "y.raw"):
            target = tmp_path / out
            target.unlink(missing_ok=True)
            assert (
                main(["run", models["frames"], "-i", str(tmp_path / name), "-o", str(target)]) == 0
            )
            found = read_back(target)
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("given", ["npy", "csv", "named csv", "raw"])
def test_formats_of_pipes(models: dict[str, str], x: np.ndarray, given: str) -> None:
    buffer = io.BytesIO()
    np.save(buffer, x)
    data = {
        "npy": buffer.getvalue(),
        "csv": as_csv(x),
        "named csv": as_csv(x, "a,b,c,d,e"),
        "raw": x.tobytes(),
    }[given]
    said = {"named csv": ["--input-format", "csv"], "raw": ["--input-format", "raw"]}
    command = ["run", models["frames"], "-i", "-", "-o", "-", "--output-format", "raw"]
    done = in_a_process(*command, *said.get(given, []), input=data)
    assert done.returncode == 0, done.stderr
    expected = grucore.load(models["frames"]).run(x)
    assert np.array_equal(np.frombuffer(done.stdout, "<f4").reshape(-1, 3), expected)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("x.raw", b"\0" * 19, "19 bytes, expected whole frames of 5 float32 numbers (20 bytes)"),
        ("x.csv", b"a,b\n", "contained no data"),
        ("x.csv", b"\xff\xfe1,2", "expected text"),
        ("x.txt", b"hello", "expected a .npy, .npz, .csv or .raw file"),
        ("x.npy", b"", "is empty"),
    ],
)
def test_inputs_that_are_none(
    models: dict[str, str],
    tmp_path: Path,
    name: str,
    data: bytes,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(data)
    arguments = ["run", models["frames"], "-i", str(tmp_path / name), "-o", str(tmp_path / "y.npy")]
    assert main(arguments) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize("name", ["y.txt", "y.json", "y.wav"])
def test_outputs_of_unknown_suffix_are_refused_before_anything_runs(
    models: dict[str, str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / name
    assert main(["run", models["frames"], "-i", "missing.npy", "-o", str(target)]) == 1
    assert "ends in .npy, .npz, .csv or .raw" in capsys.readouterr().err
    assert not target.exists()


def test_a_wrong_shape_names_both_forms(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((7, 4), np.float32))
    command = ["run", models["frames"], "-i", str(tmp_path / "x.npy"), "-o", "y.npy"]
    assert main(command) == 1
    found = capsys.readouterr().err
    assert "input 'x' has shape (7, 4), expected (frames, 5), or (batch, frames, 5)" in found


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
@pytest.mark.parametrize("command", ["inspect", "doctor", "bench"])
def test_tables_fit_the_terminal(
    models: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    command: str,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    arguments = {"doctor": [], "bench": [models["ports"], "--seconds", "0.1"]}
    assert main([command, *arguments.get(command, [models["bidirectional"]])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 10
    too_long = [line for line in lines if len(line) > columns and " " in line.strip()]
    assert not too_long


@pytest.mark.parametrize("command", ["inspect", "run", "quantize", "bench", "export"])
@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("net.onnx", b"\x08\x0a\x12\x07pytorch", "ONNX"),
        ("net.keras", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        ("net.safetensors", (16).to_bytes(8, "little") + b'{"a":1}         ', "safetensors"),
    ],
)
def test_a_checkpoint_is_told_from_a_damaged_model(
    tmp_path: Path,
    command: str,
    name: str,
    data: bytes,
    what: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    more = {
        "run": ["-i", "x.npy", "-o", "y.npy"],
        "quantize": ["-o", "q.gru", "--kind", "int8"],
        "export": ["-o", str(tmp_path / "out")],
    }
    assert main([command, str(path), *more.get(command, [])]) == 1
    found = capsys.readouterr().err
    assert f"{path} is no .gru file but {what}" in found
    assert f"grucore convert {path} -o OUT.gru" in found


def test_a_file_that_is_no_model_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array, page = tmp_path / "x.npy", tmp_path / "page.html"
    np.save(array, np.zeros((3, 5), np.float32))
    page.write_text("<!doctype html>")
    assert main(["inspect", str(array)]) == 1
    found = capsys.readouterr().err
    assert "no .gru file but a numpy array: frames for a model" in found
    assert f"grucore run MODEL.gru -i {array}" in found
    assert main(["inspect", str(page)]) == 1
    found = capsys.readouterr().err
    assert f"{page} is no .gru file, nor anything that `grucore convert` reads" in found


def test_a_csv_with_names_is_known_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(data: bytes) -> Any:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        return _files.read_arrays("-")

    assert given(b"left,right\n1,2\n-3,4\n").tolist() == [[1, 2], [-3, 4]]
    with pytest.raises(ValueError, match=r"--input-format says which"):
        given(b"left,right\nup,down\n")


def test_convert_takes_its_target_either_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(Path(__file__).parents[1] / "golden" / "torch" / "gru.pt")
    for target in ([str(tmp_path / "a.gru")], ["-o", str(tmp_path / "b.gru")]):
        assert main(["convert", source, *target, "--no-verify"]) == 0
        capsys.readouterr()
    assert (tmp_path / "a.gru").read_bytes() == (tmp_path / "b.gru").read_bytes()
    for wrong in ([], [str(tmp_path / "c.gru"), "-o", str(tmp_path / "d.gru")]):
        assert main(["convert", source, *wrong]) == 2
        assert "grucore convert FILE OUT.gru" in capsys.readouterr().err


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["version"], ["-V"], ["--version"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"grucore {grucore.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "quantize" in script
    assert "--nonfinite" in script or "nonfinite" in script
