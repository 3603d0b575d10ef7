# SPDX-License-Identifier: Apache-2.0
"""Paths that are no files, links, files that are too large, models that ask for too much memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore.cli import main
from grucore.converters import source as files
from grucore.fileformat import write
from grucore.graph.graph import Graph
from grucore.graph.layers import Activate, Activation
from grucore.graph.node import Value
from grucore.runtime import memory as _limits
from models.chain import Chain
from models.small_models import frames_graph

posix = pytest.mark.skipif(os.name != "posix", reason="devices and links of POSIX")


@pytest.fixture
def model() -> grucore.Model:
    return grucore.load(write(frames_graph()))


@posix
@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device_is_not_replaced(device: str, model: grucore.Model, tmp_path: Path) -> None:
    before = Path(device).stat()
    link = tmp_path / "link.gru"
    link.symlink_to(device)
    for path in (device, link):
        with pytest.raises(OSError, match="not a regular file"):
            model.save(path)
    assert stat.S_ISCHR(Path(device).stat().st_mode)
    assert Path(device).stat().st_ino == before.st_ino


@posix
def test_a_pipe_is_not_replaced(model: grucore.Model, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        model.save(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert main(["convert", str(pipe), "-o", str(tmp_path / "y.gru")]) == 1


def test_a_folder_is_not_replaced(model: grucore.Model, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        model.save(folder)
    assert list(tmp_path.iterdir()) == [folder]


@posix
def test_a_link_stays_a_link(model: grucore.Model, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.gru"
    link.symlink_to(tmp_path / "real" / "model.gru")
    for _ in range(2):  # the target missing, and there
        model.save(link)
        assert link.is_symlink()
        assert (tmp_path / "real" / "model.gru").read_bytes() == bytes(model)
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(OSError, match="circle"):
        model.save(circle)


def test_folders_are_told_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(grucore.ConversionError, match=r": a folder, expected a file$"):
        grucore.convert(tmp_path)
    (tmp_path / "model.onnx").touch()
    (tmp_path / "model.onnx.data").touch()
    with pytest.raises(grucore.ConversionError, match=r"expected a file; it holds model\.onnx$"):
        grucore.convert(tmp_path)
    assert main(["convert", str(tmp_path), "-o", str(tmp_path / "y.gru")]) == 1
    assert "it holds model.onnx" in capsys.readouterr().err
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(grucore.ConversionError, match=r"SavedModel: .* save it as \.keras"):
        grucore.convert(tmp_path)
    archive = tmp_path / "unpacked"
    archive.mkdir()
    (archive / "data.pkl").touch()
    with pytest.raises(grucore.ConversionError, match="expected the archive itself"):
        grucore.convert(archive)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "endless.pt"
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)  # it takes no room
    with pytest.raises(grucore.ConversionError, match=r"4294967297 bytes, expected at most 4294"):
        grucore.convert(path)


def wide(count: int) -> Graph:
    """A file of a few kilobytes, whose values take 4 MiB each for every frame."""
    chain = Chain(Value("x", 1 << 20))
    for _ in range(count):
        chain.add(Activate, activation=Activation.TANH)
    return chain.graph()


def test_a_small_file_cannot_ask_for_all_memory() -> None:
    model = grucore.load(write(wide(500)))
    assert model.nbytes < 100_000
    text = r"values take \d+ bytes for one row and one frame, expected at most \d+ for a file of "
    with pytest.raises(grucore.UnsupportedError, match=text):
        model.stream()
    with pytest.raises(grucore.UnsupportedError, match=text):
        model.run(np.zeros((1, 1 << 20), np.float32))


def test_what_a_caller_asks_for_is_compared_with_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = grucore.load(write(wide(2)))
    with pytest.raises(MemoryError, match=r"\d+ rows by 1 frames at a time take \d+ bytes of"):
        model.stream(batch=1 << 24)
    monkeypatch.setattr(_limits, "_machine_bytes", lambda: None)
    _limits.check_memory(model, 64, 1)
    # Wide models are run a few rows at a time.
    x = np.zeros((40, 1, 1 << 20), np.float32)
    x[:, 0, 0] = 1
    assert np.array_equal(model.run(x)[:, 0, 0], np.repeat(model.run(x[0])[0, 0], 40))
