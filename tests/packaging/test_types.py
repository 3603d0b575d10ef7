# SPDX-License-Identifier: Apache-2.0
"""The public calls under mypy --strict: a user's script passes, wrong words do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import grucore

pytest.importorskip("mypy")

SCRIPT = Path(__file__).with_name("typed_script.py")
WRONG = {
    'model.quantize("int9")': "Literal",
    'model.stream(nonfinite="hld")': "Literal",
    'model.run(x, nonfinite="hld")': "overload",
    "y, state = model.run(x, return_state=1)": "overload",
    "model.quantise('int8')": "attribute",
}


def checked(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "script.py"
    path.write_text(text)
    package = Path(grucore.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder), str(path)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(package)},
    )


def test_a_users_script_is_typed(tmp_path: Path) -> None:
    run = checked(SCRIPT.read_text(), tmp_path)
    assert run.returncode == 0, run.stdout


@pytest.mark.slow
def test_wrong_words_are_found(tmp_path: Path) -> None:
    text = SCRIPT.read_text() + "".join(f"{line}\n" for line in WRONG)
    first = text.count("\n") - len(WRONG) + 1
    run = checked(text, tmp_path)
    for number, (line, why) in enumerate(WRONG.items(), first):
        found = [
            each for each in run.stdout.splitlines() if each.startswith(f"script.py:{number}:")
        ]
        assert found, f"{line}: nothing found in\n{run.stdout}"
        assert any(why in each for each in found), f"{line}: {found}"
