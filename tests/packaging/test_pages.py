# SPDX-License-Identifier: Apache-2.0
"""README's commands, and pages that a script writes; test_blocks.py runs what is printed."""

from __future__ import annotations

import os
import re
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


def test_the_page_of_the_benchmarks_has_each_script() -> None:
    """And a script is what stands outside the two folders that scripts share."""
    folder = ROOT / "benchmarks"
    if not folder.exists():
        pytest.skip("away from the repository")
    scripts, shared = set(), set()
    for path in folder.rglob("*.py"):
        is_script = '__name__ == "__main__"' in path.read_text(encoding="utf-8")
        (scripts if is_script else shared).add(path.relative_to(folder).as_posix())
    rows = re.findall(r"^\| (`.*?`) \|", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([\w/]+\.py)`", row)} == scripts
    homes = {name.split("/")[0] for name in shared}
    assert homes == {"common", "peers", "mcu"}


def test_the_demo_of_readme_runs() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "grucore", "demo"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr
    assert "24 of 24 words, 0 false alarms" in run.stdout
