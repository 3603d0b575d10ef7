# SPDX-License-Identifier: Apache-2.0
"""README and docs: each block of code runs as it is printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore.cli import main
from grucore.demo.clips import load_clips
from models.sounds import save
from oracle.oracles import oracle

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PAGES = {
    "README.md": 6,
    "docs/quantization.md": 3,
    "docs/tutorial.md": 7,
    "docs/coming_from.md": 2,
}

pytestmark = [
    pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="away from the source tree"),
]


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block of code on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def frames(features: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((400, features), np.float32)


def of_readme(folder: Path) -> dict[str, object]:
    """A clone, and a user's own models."""
    (folder / "python").symlink_to(ROOT / "python")
    shutil.copy(GOLDEN / "keras" / "keras3.keras", folder / "model.keras")
    shutil.copy(ROOT / "python/grucore/demo/data/keywords.pt", folder / "model.pt")
    np.save(folder / "frames.npy", frames(40))
    save(folder / "speech.wav", load_clips()[0].samples)
    return {}


def of_nothing(folder: Path) -> dict[str, object]:
    """A page that makes what it needs, in torch and Keras."""
    oracle("torch")
    oracle("keras")
    return {"__name__": "page"}


def of_quantization(folder: Path) -> dict[str, object]:
    data = ROOT / "python/grucore/demo/data/keywords.pt"
    model = grucore.convert(data, architecture="gru > linear")
    model.save(folder / "kws.gru")
    np.save(folder / "frames.npy", frames(40))
    return {"model": model, "frames": frames(40)}


BEFORE: dict[str, Callable[[Path], dict[str, object]]] = {
    "README.md": of_readme,
    "docs/quantization.md": of_quantization,
    "docs/tutorial.md": of_nothing,
    "docs/coming_from.md": of_nothing,
}


def installs(line: str) -> bool:
    """True for the lines of README that make an environment: .ci/run has those."""
    return "pip install" in line


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_as_printed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra in ("h5py", "safetensors"):
        pytest.importorskip(extra)
    names = BEFORE[page](tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = 0
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, f"{page}, block {ran + 1}", "exec"), names)
        else:
            assert language == "sh", f"{page}: a block of {language} that nothing runs"
            for line in text.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                if not installs(line):
                    assert program == "grucore", line
                    assert main(arguments) == 0, f"{line}\n{capsys.readouterr().err}"
        ran += 1
    assert ran == PAGES[page]


def test_the_pages_of_the_converters_are_of_this_code() -> None:
    pytest.importorskip("onnx")
    command = [sys.executable, str(ROOT / "tools" / "converter_pages.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, f"{run.stdout}{run.stderr}: run tools/converter_pages.py"


def test_the_two_commands_of_readme_are_those_of_ci() -> None:
    lines = [text for language, text in blocks("README.md") if language == "sh" and installs(text)]
    assert len(lines) == 2
    assert lines[0].rstrip().endswith("grucore demo")
    assert lines[1].rstrip().endswith("python -m pytest")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install -q -e ".[test,convert]"' in ci
    assert "python -m pytest" in ci


def test_the_demo_of_readme_runs() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "grucore", "demo"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr
    assert "22 of 24 words, 0 false alarms" in run.stdout
