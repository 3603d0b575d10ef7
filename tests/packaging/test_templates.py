# SPDX-License-Identifier: Apache-2.0
"""The templates of a layer kind in docs, which CONTRIBUTING.md starts from, are layers."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.node import Call, Defect, Value, float32_bits

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="away from the source tree")


def test_the_template_of_a_class_is_a_layer() -> None:
    cls = runpy.run_path(str(DOCS / "template_layer.py"))["Offset"]
    x = Value("x", 3)
    node = cls(name="layer", inputs=("x",), output="y", offset=0.5)
    y = node.written(x)
    check(Graph(values=(x, y), inputs=("x",), outputs=("y",), nodes=(node,)))
    again = cls.build("layer", ("x",), "y", node.attributes, {})
    ones = np.ones((1, 2, 3))
    result, states = again.formula(Call((x,), (ones,), np.array([2]), ()))
    assert (result.tolist(), states) == ((ones + 0.5).tolist(), ())
    with pytest.raises(Defect, match="offset is inf, expected a finite number"):
        cls.check((float32_bits(np.inf),), (x,), y)


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_the_template_of_the_engine_compiles() -> None:
    folders = [f"-I{ROOT / 'cpp' / name}" for name in ("include", "src")]
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *folders]
    run = subprocess.run(
        ["c++", *flags, str(DOCS / "template_layer.cpp")], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
