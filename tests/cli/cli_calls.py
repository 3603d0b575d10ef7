# SPDX-License-Identifier: Apache-2.0
"""Helpers of the tests of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grucore.cli import main
from models.small_models import GRAPHS, with_test_vector


def in_a_process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """`python -m grucore`, in a process of its own."""
    command = [sys.executable, "-m", "grucore", *arguments]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The answer of a command to --json."""
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def save_models(folder: Path) -> dict[str, str]:
    """Paths of small models with test vectors, by name."""
    paths = {}
    for name, make in GRAPHS.items():
        path = folder / f"{name}.gru"
        path.write_bytes(with_test_vector(make()))
        paths[name] = str(path)
    return paths


def save_array(path: Path, array: np.ndarray) -> str:
    """The path, with the array in it as .npy."""
    np.save(path, array)
    return str(path)
