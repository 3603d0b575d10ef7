# SPDX-License-Identifier: Apache-2.0
"""The public calls under mypy --strict and pyright: a user's script passes, wrong words do not."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import grucore

SCRIPT = Path(__file__).with_name("typed_script.py")
SOUND = SCRIPT.with_name("typed_sound.py")
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


def public(home: Any, path: str = "grucore") -> Iterator[tuple[str, Any]]:
    """Every public name with its path: those of modules, and the members of classes."""
    for name in getattr(home, "__all__", None) or dir(home):
        if name.startswith("_") and name != "__version__":
            continue
        found = getattr(home, name, None)
        if inspect.ismethoddescriptor(found) and hasattr(tuple, name):  # of every named tuple
            continue
        if inspect.isclass(home) and issubclass(home, Exception) and hasattr(Exception, name):
            continue
        yield f"{path}.{name}", found
        if inspect.ismodule(found) or (inspect.isclass(found) and home is not found):
            yield from public(found, f"{path}.{name}")


def keywords(function: Any) -> list[str]:
    """Those parameters that have to be named in a call."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [each.name for each in found if each.kind is each.KEYWORD_ONLY]


def unused(home: Any, *scripts: str) -> list[str]:
    """Public names that no script uses, and keywords that none gives to a call of that name."""
    nodes = [node for script in scripts for node in ast.walk(ast.parse(script))]
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    given = {
        (getattr(node.func, "attr", getattr(node.func, "id", None)), word.arg)
        for node in nodes
        if isinstance(node, ast.Call)
        for word in node.keywords
    }
    missing = []
    for path, found in public(home):
        name = path.rpartition(".")[2]
        if name not in names:
            missing.append(path)
        missing += [f"{path}({word}=)" for word in keywords(found) if (name, word) not in given]
    return missing


def test_the_scripts_use_every_public_name() -> None:
    assert unused(grucore, SCRIPT.read_text(), SOUND.read_text()) == []


def test_a_new_public_name_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = SCRIPT.read_text(), SOUND.read_text()

    def forget(self: object, *, wholly: bool = False) -> None:
        pass

    monkeypatch.setattr(grucore.Stream, "forget", forget, raising=False)
    assert unused(grucore, *scripts) == ["grucore.Stream.forget", "grucore.Stream.forget(wholly=)"]
    monkeypatch.undo()
    fewer = scripts[0].replace("sparse=True", "activations=8")
    assert unused(grucore, fewer, scripts[1]) == ["grucore.Model.quantize(sparse=)"]


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
    sound = tmp_path / "sound.py"
    sound.write_text(SOUND.read_text())
    assert checker(sound) == {}
    missed = [line for number, line in enumerate(WRONG, first) if number not in found]
    assert missed == []
