# SPDX-License-Identifier: Apache-2.0
"""The public calls under mypy --strict and pyright: a user's script passes, wrong words do not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import grucore

SCRIPT = Path(__file__).with_name("typed_script.py")
PACKAGE = Path(grucore.__file__).parents[1]
WRONG = (
    'model.quantize("int9")',
    'model.quantize("int8", activations=4)',
    'model.stream(nonfinite="hld")',
    'model.run(x, nonfinite="hld")',
    "model.run(object())",
    "model.run(x, lengths=object())",
    "y, state = model.run(x, return_state=1)",
    "model.run(x).shpe",
    "model.quantise('int8')",
    'model.inputs[0].dtype == "float64"',
    "stream.step(x, out=1.0)",
    "stream.state = 1",
    'pool.tick()["caller"]',
    "Port('x', 40, 'float16', 'frame')",
)

Errors = dict[int, str]
"""The words of a checker, by the number of the line."""


def mypy(path: Path) -> Errors:
    pytest.importorskip("mypy")
    options = ["--strict", "--strict-equality", "--cache-dir", str(path.parent)]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(path)],
        capture_output=True,
        text=True,
        cwd=path.parent,
        env={**os.environ, "MYPYPATH": str(PACKAGE)},
    )
    assert run.returncode in (0, 1), run.stderr
    return {int(line): text for line, text in re.findall(r"py:(\d+): error: (.*)", run.stdout)}


def pyright(path: Path) -> Errors:
    pytest.importorskip("basedpyright")  # pyright, with what it needs of node
    settings = {
        "include": [path.name],
        "extraPaths": [str(PACKAGE)],
        "typeCheckingMode": "strict",
        "reportUnusedExpression": False,
        "pythonVersion": "3.12",
    }
    (path.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(path.parent)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr
    found = json.loads(run.stdout)["generalDiagnostics"]
    return {
        each["range"]["start"]["line"] + 1: each["message"]
        for each in found
        if each["severity"] == "error"
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_users_script_passes_and_wrong_words_do_not(
    checker: Callable[[Path], Errors], tmp_path: Path
) -> None:
    text = SCRIPT.read_text()
    first = text.count("\n") + 1
    path = tmp_path / "script.py"
    path.write_text(text + "".join(f"{line}\n" for line in WRONG))
    found = checker(path)
    assert {line: text for line, text in found.items() if line < first} == {}
    missed = [line for number, line in enumerate(WRONG, first) if number not in found]
    assert missed == []
