# SPDX-License-Identifier: Apache-2.0
"""`quantize(sparse=True)`: blocks of zeros stay zeros, and the rest is as in whole matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.cli import main
from grucore.export.c99 import export_c99
from grucore.export.engine import whole_matrices
from grucore.graph.blocks import filled_blocks
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized

FEATURES, HIDDEN = 24, 40


def pruned(kept: float, *, hidden: int = HIDDEN) -> Any:
    """A torch GRU of which that share of the blocks of 8 units and 4 inputs is not 0."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    gru = torch.nn.GRU(FEATURES, hidden, batch_first=True)
    rng = np.random.default_rng(2)
    with torch.no_grad():
        for weight in (gru.weight_ih_l0, gru.weight_hh_l0):
            rows, inputs = weight.shape
            mask = rng.random((rows // 8, inputs // 4)) < kept
            weight *= torch.from_numpy(mask.repeat(8, axis=0).repeat(4, axis=1))
    return gru.eval()


@pytest.fixture(scope="module")
def sparse() -> grucore.Model:
    return grucore.from_torch(pruned(0.3))


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    rng = np.random.default_rng(3)
    slow = np.cumsum(rng.normal(size=(2, 400, 4)), axis=1) * 0.1
    return np.asarray(np.sin(slow) @ rng.normal(size=(4, FEATURES)), np.float32)


def weights_of(model: grucore.Model) -> list[Quantized]:
    (node,) = fileformat.read(bytes(model)).nodes
    found = [getattr(node, name) for name in node.weight_fields]
    assert all(isinstance(weight, Quantized) for weight in found)
    return found


@pytest.mark.parametrize("activations", [8, 16])
@pytest.mark.parametrize("calibrated", [False, True])
def test_zeros_stay_and_outputs_hold(
    sparse: grucore.Model, recording: np.ndarray, calibrated: bool, activations: Any
) -> None:
    calibration = recording if calibrated else None
    small = sparse.quantize("int8", sparse=True, activations=activations, calibration=calibration)
    whole = sparse.quantize("int8", activations=activations, calibration=calibration)
    source = pruned(0.3)
    for weight, of in zip(
        weights_of(small), (source.weight_ih_l0, source.weight_hh_l0), strict=True
    ):
        assert weight.in_blocks
        assert not weight.values[(of.detach().numpy() == 0)].any()
        assert (filled_blocks(weight.values) == filled_blocks(of.detach().numpy())).all()
    sizes = [sum(weight.nbytes for weight in weights_of(model)) for model in (small, whole)]
    assert sizes[0] < 0.45 * sizes[1]
    import torch

    with torch.no_grad():
        expected = source(torch.from_numpy(recording))[0].numpy()
    errors = [np.abs(model.run(recording) - expected).max() for model in (small, whole)]
    assert errors[0] < 2 * errors[1] + 1e-3
    assert small.metadata["quantization"]["weights"] == {
        "gru.l0.weight_ih": f"sparse int8/{activations}",
        "gru.l0.weight_hh": f"sparse int8/{activations}",
    }


def test_the_bits_of_whole_matrices(sparse: grucore.Model, recording: np.ndarray) -> None:
    small = sparse.quantize("int8", sparse=True, activations=8)
    whole = grucore.load(fileformat.write(whole_matrices(fileformat.read(bytes(small)))))
    assert (small.run(recording) == whole.run(recording)).all()
    assert {weight.in_blocks for weight in weights_of(whole)} == {False}


def test_exported_code_has_whole_matrices(sparse: grucore.Model) -> None:
    graph = fileformat.read(bytes(sparse.quantize("int8", sparse=True)))
    assert (
        export_c99(graph, "m").multiply_adds == export_c99(whole_matrices(graph), "m").multiply_adds
    )


def test_a_dense_model_is_refused() -> None:
    model = grucore.from_torch(pruned(1.0))
    with pytest.raises(
        ValueError, match=r"100% of the blocks of 8 rows and 4 inputs are not all 0"
    ):
        model.quantize("int8", sparse=True)


def test_a_matrix_that_stays_whole_is_named() -> None:
    torch = pytest.importorskip("torch")
    gru = pruned(0.3)
    with torch.no_grad():
        gru.weight_ih_l0.fill_(0.25)
    model = grucore.from_torch(gru).quantize("int8", sparse=True, activations=8)
    entry = model.metadata["quantization"]
    assert entry["weights"]["gru.l0.weight_ih"] == "int8/8"
    assert "100% of its blocks are not all 0" in entry["wider"]["gru.l0.weight_ih"]


def test_units_that_are_no_eights() -> None:
    torch = pytest.importorskip("torch")
    model = grucore.from_torch(torch.nn.GRU(FEATURES, 20, batch_first=True))
    with pytest.raises(ValueError, match="no weight is a matrix of whole blocks"):
        model.quantize("int8", sparse=True)


@pytest.mark.parametrize("kind", ["int4", "float16"])
def test_other_kinds(sparse: grucore.Model, kind: Any) -> None:
    with pytest.raises(ValueError, match=f"goes with int8 weights, not with {kind}"):
        sparse.quantize(kind, sparse=True)


def test_on_the_command_line(
    sparse: grucore.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "m.gru", tmp_path / "s.gru"
    sparse.save(path)
    main(["quantize", str(path), "-o", str(out), "--kind", "int8", "--sparse"])
    capsys.readouterr()
    main(["inspect", str(out)])
    assert "sparse int8/16" in capsys.readouterr().out
    assert weights_of(grucore.load(out))[0].dtype is Dtype.INT8
    assert main(["quantize", str(path), "-o", str(out), "--kind", "int4", "--sparse"]) == 2
    assert "--sparse goes with --kind int8" in capsys.readouterr().err
