# SPDX-License-Identifier: Apache-2.0
"""Exported code on this machine: compiled with its compilers, run by ctypes, compared by bits."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from grucore.export.c99 import Export
from grucore.graph.graph import Graph

__all__ = ["COMPILERS", "FLAGS", "compiler", "frames_of", "shared_library", "write_files"]

FLAGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffreestanding", "-ffp-contract=off")

# Compiler, language and standard: C from 99 on, C++ from 11 on.
COMPILERS: tuple[tuple[str, ...], ...] = (
    ("gcc", "-std=c99"),
    ("gcc", "-x", "c++", "-std=c++11"),
    ("clang", "-std=c99"),
    ("clang", "-x", "c++", "-std=c++17"),
)


def compiler(name: str) -> str:
    """Its path; a missing one skips the test, and fails it where the environment says so."""
    if sys.platform != "linux":
        pytest.skip("compiles with gcc and clang as Linux has them")
    path = shutil.which(name)
    if path is None:
        if os.environ.get("GRUCORE_REQUIRE_FREESTANDING") == "1":
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is missing")
    return path


def write_files(folder: Path, exports: Sequence[Export]) -> list[Path]:
    """All files of the exports; the sources."""
    for export in exports:
        for name, text in export.files.items():
            (folder / name).write_text(text, "utf-8")
    return [folder / f"{export.prefix}.c" for export in exports]


def shared_library(
    folder: Path, exports: Sequence[Export], command: Sequence[str], *flags: str
) -> ctypes.CDLL:
    """The exports in one library, with their self-tests."""
    sources = write_files(folder, exports)
    target = folder / "exported.so"
    macros = [f"-D{export.prefix.upper()}_SELFTEST" for export in exports]
    subprocess.run(
        [
            compiler(command[0]),
            *command[1:],
            *(flags or FLAGS),
            "-O1",
            "-shared",
            "-fPIC",
            *macros,
            *map(str, sources),
            "-o",
            str(target),
        ],
        check=True,
        cwd=folder,
    )
    return ctypes.CDLL(str(target))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def frames_of(
    library: ctypes.CDLL, export: Export, graph: Graph, inputs: Sequence[np.ndarray]
) -> list[list[np.ndarray | None]]:
    """Frame by frame what the code gives for inputs (frames, features); None: nothing written."""
    step = getattr(library, f"{export.prefix}_step")
    step.restype = ctypes.c_uint32
    state = np.full(export.state_bytes, 0xA5, np.uint8)
    getattr(library, f"{export.prefix}_reset")(_pointer(state))
    ports = [graph.value(name) for name in graph.outputs]
    found: list[list[np.ndarray | None]] = []
    for frame in zip(*inputs, strict=True):
        rows = [np.ascontiguousarray(row) for row in frame]
        outputs = [np.zeros(port.features, port.dtype.numpy) for port in ports]
        given = step(_pointer(state), *map(_pointer, rows), *map(_pointer, outputs))
        found.append([row if given >> i & 1 else None for i, row in enumerate(outputs)])
    return found
