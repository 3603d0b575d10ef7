# SPDX-License-Identifier: Apache-2.0
"""Exported code over many frames: the engine's bits to the end, and nothing undefined."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

import grucore
from export.c_code import FLAGS, compiler, write_files
from export.engine_code import SOURCES
from export.long_runs import noise, sum_of, sum_there
from export.targets import with_frames
from export.test_export_targets import SMALL, need, of_kind, recurrent
from grucore import fileformat
from grucore.export.c99 import export_c99
from grucore.graph.graph import Graph

pytestmark = pytest.mark.slow

KINDS = ("float32", "int8/8")
FRAMES = {"cortex-m4": 10_000, "cortex-m55": 10_000, "aarch64": 30_000, "wasm": 100_000}
HOST_FRAMES = 200_000


def graph_of(kind: str) -> Graph:
    """A small one: the frames count, and what is carried over them."""
    return of_kind(recurrent(8, 16, 4), kind)


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    """The engine's outputs for all frames, by kind."""
    x = noise(HOST_FRAMES, 8)
    return {kind: grucore.load(fileformat.write(graph_of(kind))).run(x) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cpu", FRAMES)
def test_the_sum_over_many_frames(
    cpu: str, kind: str, tmp_path: Path, expected: dict[str, np.ndarray]
) -> None:
    need(cpu)
    frames = FRAMES[cpu]
    found = sum_there(graph_of(kind), cpu, frames, tmp_path)
    assert found == sum_of(expected[kind][:frames])


@pytest.mark.skipif(not SOURCES.exists(), reason="away from the source tree")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m55", "armv7"])
def test_the_sum_of_the_engine(
    cpu: str, kind: str, tmp_path: Path, expected: dict[str, np.ndarray]
) -> None:
    need(cpu)
    frames = 5_000
    found = sum_there(graph_of(kind), cpu, frames, tmp_path, engine=True)
    assert found == sum_of(expected[kind][:frames])


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_over_many_frames_here(
    kind: str, tmp_path: Path, expected: dict[str, np.ndarray]
) -> None:
    """As a library, step by step."""
    (source,) = write_files(tmp_path, [export_c99(graph_of(kind), "model")])
    text = source.read_text("utf-8") + (
        "void each(float *y, const float *x, uint32_t frames) {\n"
        "  static model_state state;\n  uint32_t t;\n  model_reset(&state);\n"
        "  for (t = 0; t < frames; ++t) (void)model_step(&state, x + 8 * t, y + 4 * t);\n}\n"
    )
    source.write_text(text, "utf-8")
    library = tmp_path / "model.so"
    command = [compiler("gcc"), "-std=c99", *FLAGS, "-Wno-missing-prototypes", "-O2", "-shared"]
    subprocess.run([*command, "-fPIC", str(source), "-o", str(library)], check=True)
    x, y = noise(HOST_FRAMES, 8), np.zeros((HOST_FRAMES, 4), np.float32)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (y, x)]
    ctypes.CDLL(str(library)).each(*pointers, ctypes.c_uint32(HOST_FRAMES))
    assert (y.view(np.uint32) == expected[kind].view(np.uint32)).all()


MAIN = """
#include "model.h"
int main(void) { return model_selftest() != 0; }
"""


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_undefined(name: str, tmp_path: Path) -> None:
    graph = with_frames(SMALL[name](), 30, "fused")
    (source,) = write_files(tmp_path, [export_c99(graph, "model")])
    (tmp_path / "main.c").write_text(MAIN)
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    files = [str(source), str(tmp_path / "main.c"), "-o", str(tmp_path / "program")]
    command = [compiler("gcc"), "-std=c99", "-ffp-contract=off", *sanitizers, "-DMODEL_SELFTEST"]
    subprocess.run([*command, *files], check=True)
    run = subprocess.run([tmp_path / "program"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
