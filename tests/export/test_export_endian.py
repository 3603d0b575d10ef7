# SPDX-License-Identifier: Apache-2.0
"""Machines that put the high byte first: a compiler stops there, and says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from export.c_code import compiler, write_files
from export.test_export_targets import recurrent
from grucore.export.c99 import export_c99

SOURCES = Path(__file__).parents[2] / "cpp"
MACHINES = ("s390x-linux-gnu", "powerpc-linux-gnu", "armeb-none-eabi")


def said_of(machine: str, *arguments: str) -> str:
    """The errors of a compiler for the machine, which there must be."""
    flags = [f"--target={machine}", "-ffreestanding", "-fsyntax-only", "-ffp-contract=off"]
    run = subprocess.run([compiler("clang"), *flags, *arguments], capture_output=True, text=True)
    assert run.returncode != 0
    return run.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_exported_code_is_refused(machine: str, tmp_path: Path) -> None:
    (source,) = write_files(tmp_path, [export_c99(recurrent(3, 4, 2), "model")])
    assert "low byte first" in said_of(machine, "-std=c99", str(source))


@pytest.mark.skipif(not SOURCES.exists(), reason="away from the source tree")
@pytest.mark.parametrize("machine", MACHINES)
def test_the_engine_is_refused(machine: str) -> None:
    folders = (f"-I{SOURCES / name}" for name in ("include", "src"))
    source = str(SOURCES / "src" / "format" / "header.cpp")
    said = said_of(machine, "-std=c++17", *folders, source)
    assert "it needs a little-endian machine" in said
