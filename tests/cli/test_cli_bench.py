# SPDX-License-Identifier: Apache-2.0
"""`grucore bench` side by side: kinds of weights, and the same network in other frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from cli.cli_calls import as_json, save_models
from grucore.bench.contenders import Twin, signals
from grucore.cli import main
from grucore.fileformat import read
from grucore.graph.graph import Graph
from grucore.graph.tensors import Dtype
from grucore.reference import run as reference
from models.layer_models import KIND_NAMES, make
from oracle.oracles import oracle

QUICK = ("--seconds", "0.02", "--batch", "3")
REBUILT = {"gru", "rnn", "dense", "activation", "softmax", "layer_norm", "affine", "binary"}
REBUILT |= {"lstm", "concat"}


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    return save_models(tmp_path)


def twin(name: str, graph: Graph) -> Twin:
    """The network in a framework."""
    if name == "torch":
        oracle("torch")
        from grucore.bench.torch_twin import TorchTwin

        return TorchTwin(graph, 1)
    oracle("onnxruntime")
    oracle("onnx")
    from grucore.bench.onnx_twin import OnnxTwin

    return OnnxTwin(graph, 1)


def test_kinds_of_weights_side_by_side(
    models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = as_json(capsys, "bench", models["frames"], *QUICK, "--weights", "float32,int8/8,int4")
    compared = report["compared"]
    assert [one["weights"] for one in compared] == ["float32", "int8/8", "int4"]
    errors = [one["largest_difference"] for one in compared]
    assert errors[0] < 1e-6 < errors[1] < errors[2] < 1
    for one in compared:
        step = one["step"]
        assert 0 < step["us_min"] <= step["us_median"]
        assert sum(entry["steps"] for entry in step["histogram"]) == step["steps"]
        assert [run["batch"] for run in one["run"]] == [1, 3]
    assert main(["bench", models["frames"], *QUICK, "--weights", "int8"]) == 0
    text = capsys.readouterr().out
    assert "side by side" in text
    assert "from float64" in text


@pytest.mark.oracle
@pytest.mark.parametrize("peer", ["torch", "onnxruntime"])
@pytest.mark.parametrize("name", ["frames", "bidirectional", "last"])
def test_frameworks_side_by_side(
    peer: str, name: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    twin(peer, read(Path(models[name]).read_bytes()))
    report = as_json(capsys, "bench", models[name], *QUICK, "--compare", peer)
    ours, theirs = report["compared"]
    assert (ours["name"], ours["weights"], theirs["name"]) == ("grucore", "as stored", peer)
    assert max(ours["largest_difference"], theirs["largest_difference"]) < 1e-5
    assert (theirs["step"] is None) == (name == "bidirectional")


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("peer", ["torch", "onnxruntime"])
def test_a_layer_is_rebuilt_or_refused_by_name(peer: str, kind: str, seed: int) -> None:
    graph = make(kind, seed)
    refusal = ""
    try:
        rebuilt = twin(peer, graph)
    except grucore.UnsupportedError as error:
        refusal = str(error)
    if refusal:
        named = [f"layer {node.name!r} ({node.layer}) cannot" for node in graph.nodes]
        named += [f"input {name!r} is not float32" for name in graph.inputs]
        assert any(refusal.startswith(f"--compare {peer}: {name}") for name in named)
        return
    assert all(graph.value(name).dtype is Dtype.FLOAT32 for name in graph.inputs)
    assert {node.layer for node in graph.nodes} <= REBUILT | {"take"}
    inputs = signals(graph, 1, 20)
    expected = [np.asarray(y) for y in reference.run(graph, list(inputs))[0]]
    assert rebuilt.check(graph, expected, inputs) < 1e-4
    shifted = [y + 0.1 for y in expected]
    with pytest.raises(grucore.GrucoreError, match="the rebuilt network is"):
        rebuilt.check(graph, shifted, inputs)


@pytest.mark.oracle
@pytest.mark.parametrize("peer", ["torch", "onnxruntime"])
def test_most_layers_are_rebuilt(peer: str) -> None:
    built = set()
    for kind in KIND_NAMES:
        for seed in range(12):
            graph = make(kind, seed)
            try:
                twin(peer, graph)
            except grucore.UnsupportedError:
                continue
            built |= {node.layer for node in graph.nodes}
    assert built >= REBUILT


def test_a_quantized_model_is_not_quantized_again(
    frames_model: grucore.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.gru"
    frames_model.quantize("int8").save(path)
    assert main(["bench", str(path), *QUICK, "--weights", "int4"]) == 1
    assert "this one is quantized" in capsys.readouterr().err


@pytest.mark.oracle
def test_a_quantized_model_beside_its_float32_numbers(
    frames_model: grucore.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.gru"
    frames_model.quantize("int8").save(path)
    twin("torch", read(path.read_bytes()))
    ours, theirs = as_json(capsys, "bench", str(path), *QUICK, "--compare", "torch")["compared"]
    assert theirs["largest_difference"] < 1e-5
    assert 1e-6 < ours["largest_difference"] < 1e-2


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot(
    suffix: str, models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / f"steps.{suffix}"
    more = ["--weights", "float32,int8", "--plot", str(output)]
    assert main(["bench", models["frames"], *QUICK, *more]) == 0
    assert 1000 < output.stat().st_size < 60_000
    assert main(["bench", models["bidirectional"], *QUICK, "--plot", str(output)]) == 1
    assert "reads the future" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [["--weights", "int3"], ["--compare", "tensorflow"], ["--plot", "steps.txt"]],
    ids=lambda more: more[0],
)
def test_what_it_does_not_know_is_wrong_usage(
    more: list[str], models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", models["frames"], *more]) == 2
    assert "expected " in capsys.readouterr().err


def test_a_missing_framework_is_named(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["bench", models["frames"], *QUICK, "--compare", "torch"]) == 1
    found: Any = capsys.readouterr()
    assert found.err.startswith("grucore bench: --compare torch: ")
    assert "grucore[oracles]" in found.err
