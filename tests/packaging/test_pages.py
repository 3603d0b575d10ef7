# SPDX-License-Identifier: Apache-2.0
"""README's commands, and pages that a script writes; test_blocks.py runs what is printed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from page_blocks import ROOT, blocks

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="away from the sources")


def installs(line: str) -> bool:
    """True for the lines of README that make an environment: .ci/run has those."""
    return "pip install" in line


def test_the_pages_of_the_converters_are_of_this_code() -> None:
    pytest.importorskip("onnx")
    command = [sys.executable, str(ROOT / "tools" / "converter_pages.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, f"{run.stdout}{run.stderr}: run tools/converter_pages.py"


def test_the_two_commands_of_readme_are_those_of_ci() -> None:
    lines = [block.text for block in blocks("README.md") if installs(block.text)]
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
    assert "24 of 24 words, 0 false alarms" in run.stdout
