# SPDX-License-Identifier: Apache-2.0
"""The way of a file through the converters: one frontend, one reading, one packing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters import convert as converter
from grucore.converters import source
from grucore.converters.source import Kind, sniff
from grucore.converters.torch.sources import state_dict
from grucore.fileformat import read, write, writer
from grucore.proof import proof

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = {
    "torch/gru.pt": ("torch", Kind.TORCH),
    "torch/legacy.pt": ("torch", Kind.TORCH),
    "torch_models/frames.pt2": ("torch", Kind.PT2),
    "torch_models/sequential_script.pt": ("torch", Kind.TORCH),
    "keras/keras3.keras": ("keras", Kind.KERAS),
    "keras/keras2_layout.h5": ("keras", Kind.HDF5),
    "onnx/opset_7.onnx": ("onnx", Kind.ONNX),
    "plugin/amp.json": ("plugin", Kind.JSON),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_loads_the_readers_of_its_own_framework_alone(name: str) -> None:
    code = f"""
import sys, grucore
grucore.convert({str(GOLDEN / name)!r}, verify=False)
print(*sorted({{module.split(".")[2] for module in sys.modules
               if module.startswith("grucore.converters.") and module.count(".") > 2}}))
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(found.stdout.split())
    assert loaded & {"torch", "keras", "onnx", "plugin"} == {FILES[name][0]}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_known_by_its_content(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    for called in ("model", "model.bin"):
        assert sniff(data, called).kind is FILES[name][1]


def test_each_piece_of_work_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        def wrapper(*given: Any, **options: Any) -> Any:
            count[name] += 1
            return function(*given, **options)

        monkeypatch.setattr(module, name, wrapper)

    for module, name in (
        (source, "open_archive"),
        (converter, "read_file"),
        (state_dict, "read"),
        (writer, "check"),
        (writer, "_stored"),
        (proof, "Loaded"),
    ):
        counted(module, name)
    found = converter.convert_path(GOLDEN / "torch" / "gru.pt")
    assert set(count.values()) == {1}, count
    assert len(count) == 6
    assert write(found.graph) == found.data
    assert found.proof == grucore.load(found.data).proof


def test_the_graph_that_comes_with_a_file_is_the_one_in_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.GRU(3, 4)
    with torch.no_grad():
        layer.weight_ih_l0[0, 0] = 1e-40  # denormal: a zero in the file
    torch.save(layer.state_dict(), tmp_path / "gru.pt")
    found = converter.convert_path(tmp_path / "gru.pt")
    graph, again = found.graph, read(found.data)
    assert graph.metadata == again.metadata
    assert graph.metadata["denormal_weights_zeroed"] == 1
    for mine, other in zip(graph.nodes, again.nodes, strict=True):
        for role, array in mine.tensors().items():
            assert np.array_equal(array, other.tensors()[role])
