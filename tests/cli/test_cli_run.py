# SPDX-License-Identifier: Apache-2.0
"""`grucore run`: files in, files out, the same bits as `Model.run`."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import grucore
from cli.cli_calls import as_json, in_a_process, save_array, save_models
from grucore.cli import main


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    return save_models(tmp_path)


@pytest.mark.parametrize("more", [[], ["--stream"], ["--isa", "scalar"]])
@pytest.mark.parametrize("name", ["frames", "last"])
@pytest.mark.parametrize("shape", [(9, 5), (3, 9, 5), (0, 5), (2, 0, 5)])
def test_run(
    name: str,
    shape: tuple[int, ...],
    more: list[str],
    models: dict[str, str],
    tmp_path: Path,
    rng: np.random.Generator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = rng.standard_normal(shape).astype(np.float32)
    output = tmp_path / "y.npy"
    arguments = ["run", models[name], "-i", save_array(tmp_path / "x.npy", x), "-o", str(output)]
    report = as_json(capsys, *arguments, *more)
    y = np.load(output)
    assert np.array_equal(y, grucore.load(models[name]).run(x))
    assert report["shapes"] == {"y": list(y.shape)}


@pytest.mark.parametrize("more", [[], ["--stream"], ["--threads", "2"]])
@pytest.mark.parametrize("name", ["frames", "last"])
def test_run_with_lengths(
    name: str, more: list[str], models: dict[str, str], tmp_path: Path, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((4, 9, 5))
    lengths = np.array([9, 1, 5, 3])
    output = tmp_path / "y.npy"
    arguments = ["run", models[name], "-i", save_array(tmp_path / "x.npy", x), "-o", str(output)]
    assert main([*arguments, "--lengths", save_array(tmp_path / "n.npy", lengths), *more]) == 0
    assert np.array_equal(np.load(output), grucore.load(models[name]).run(x, lengths=lengths))


@pytest.mark.parametrize("more", [[], ["--stream"]])
def test_run_several_inputs_and_outputs(
    more: list[str], models: dict[str, str], tmp_path: Path, rng: np.random.Generator
) -> None:
    x = {"audio": rng.standard_normal((9, 3)), "motion": rng.standard_normal((9, 2))}
    np.savez(tmp_path / "x.npz", **x)
    arguments = ["run", models["ports"], "-i", str(tmp_path / "x.npz"), "-o"]
    assert main([*arguments, str(tmp_path / "y.npz"), *more]) == 0
    expected = grucore.load(models["ports"]).run(x)
    with np.load(tmp_path / "y.npz") as found:
        assert found.files == ["gru.l0.out", "y"]
        for name, want in zip(found.files, expected, strict=True):
            assert np.array_equal(found[name], want)
    assert main([*arguments, str(tmp_path / "y.npy"), *more]) == 1
    assert not (tmp_path / "y.npy").exists()


def test_run_csv(models: dict[str, str], tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.standard_normal((9, 5)).astype(np.float32)
    np.savetxt(tmp_path / "x.csv", x, fmt="%.9g", delimiter=",")
    arguments = ["run", models["frames"], "-i", str(tmp_path / "x.csv")]
    assert main([*arguments, "-o", str(tmp_path / "y.csv")]) == 0
    y = np.loadtxt(tmp_path / "y.csv", delimiter=",", dtype=np.float32)
    assert np.array_equal(y, grucore.load(models["frames"]).run(x))


def test_run_pipe(models: dict[str, str], rng: np.random.Generator) -> None:
    x = rng.standard_normal((9, 5)).astype(np.float32)
    buffer = io.BytesIO()
    np.save(buffer, x)
    done = in_a_process("run", models["frames"], "-i", "-", "-o", "-", input=buffer.getvalue())
    assert (done.returncode, done.stderr) == (0, b"")
    y = np.load(io.BytesIO(done.stdout))
    assert np.array_equal(y, grucore.load(models["frames"]).run(x))


@pytest.mark.parametrize("more", [[], ["--stream"]])
def test_run_nonfinite(
    more: list[str],
    models: dict[str, str],
    tmp_path: Path,
    rng: np.random.Generator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = rng.standard_normal((2, 9, 5)).astype(np.float32)
    x[1, 4, 2] = np.nan
    output = tmp_path / "y.npy"
    arguments = [
        "run",
        models["frames"],
        "-i",
        save_array(tmp_path / "x.npy", x),
        "-o",
        str(output),
    ]
    assert main([*arguments, *more, "--nonfinite", "error"]) == 1
    assert "not finite" in capsys.readouterr().err
    assert not output.exists()
    assert main([*arguments, *more, "--nonfinite", "hold"]) == 0
    expected = grucore.load(models["frames"]).run(x, nonfinite="hold")
    assert np.array_equal(np.load(output), expected, equal_nan=True)


@pytest.mark.parametrize("more", [[], ["--stream"]])
@pytest.mark.parametrize(
    "contents", [b"", b"junk", b"\x93NUMPY", b"PK\3\4junk", "pickle", "shape", "text", "rank"]
)
def test_run_refuses_inputs(
    contents: bytes | str,
    more: list[str],
    models: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "x.npy"
    if isinstance(contents, bytes):
        path.write_bytes(contents)
    else:
        arrays = {
            "pickle": np.array([[print]], dtype=object),
            "shape": np.zeros((9, 4)),
            "text": np.array([["a"] * 5]),
            "rank": np.zeros(5),
        }
        np.save(path, arrays[contents], allow_pickle=True)
    output = tmp_path / "y.npy"
    assert main(["run", models["frames"], "-i", str(path), "-o", str(output), *more]) == 1
    assert capsys.readouterr().err.startswith("grucore run: ")
    assert not output.exists()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no such device")
def test_a_device_is_written_and_not_replaced(models: dict[str, str], tmp_path: Path) -> None:
    link = tmp_path / "sink"
    link.symlink_to("/dev/null")
    x = save_array(tmp_path / "x.npy", np.zeros((9, 5)))
    assert main(["run", models["frames"], "-i", x, "-o", str(link)]) == 0
    assert Path("/dev/null").is_char_device()
    assert link.is_symlink()


def test_files_that_are_no_arrays(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = save_array(tmp_path / "x.npy", np.zeros((2, 9, 5)))
    floats = save_array(tmp_path / "n.npy", np.array([1.5, 2.0]))
    archive = tmp_path / "x.npz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.npy", "no array")
    out = ["-o", str(tmp_path / "y.npy")]
    for arguments, reason in (
        (["-i", x, "--lengths", floats, *out], f"{floats}: dtype float64, expected integers"),
        (["-i", str(archive), *out], "no array of numpy's"),
        (["-i", "/dev/full", *out], "/dev/full: a device, expected a file"),
        (["-i", x, "--lengths", "/dev/zero", *out], "/dev/zero: a device, expected a file"),
        (["-i", x, "-o", "/dev/full"], "/dev/full: No space left on device"),
    ):
        assert main(["run", models["frames"], *arguments]) == 1
        assert reason in capsys.readouterr().err


def test_a_full_disk_is_named_by_the_file_that_was_asked_for(
    models: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    x, y = save_array(tmp_path / "x.npy", np.zeros((9, 5))), tmp_path / "y.npy"
    assert main(["run", models["frames"], "-i", x, "-o", str(y)]) == 1
    assert f"{y}: No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.glob(".y.npy*"))
