# SPDX-License-Identifier: Apache-2.0
"""The proof against outputs that a user recorded, of models whose order was typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.cli import main
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
ORDER = "linear(a) > gru(g) > linear(b)"
SWAPPED = "linear(b) > gru(g) > linear(a)"


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A checkpoint whose layers fit each other in two orders, and what its module computes."""
    torch: Any = oracle("torch")
    torch.manual_seed(3)
    parts = {"a": torch.nn.Linear(6, 6), "g": torch.nn.GRU(6, 6), "b": torch.nn.Linear(6, 6)}
    net = torch.nn.ModuleDict(parts)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    x = torch.randn(40, 6)
    with torch.no_grad():
        y = parts["b"](parts["g"](parts["a"](x))[0])
    return tmp_path / "net.pt", x.numpy(), y.numpy()


def test_the_order_that_was_typed_is_compared(trained: tuple[Path, Any, Any]) -> None:
    path, x, y = trained
    model = grucore.convert(path, architecture=ORDER, check=(x, y))
    assert model.proof is not None
    assert model.proof.recorded_frames == 40
    assert 0 < model.proof.recorded_difference < 1e-5
    assert "from the recorded outputs over 40 frames" in str(model.proof)
    assert not model.proof.note
    batch = (np.stack([x, x]), np.stack([y, y]))
    assert grucore.convert(path, architecture=ORDER, check=batch, verify=False).proof is None
    for options in ({}, {"verify": False}):
        with pytest.raises(grucore.ConversionError, match="does not agree with the recorded outp"):
            grucore.convert(path, architecture=SWAPPED, check=(x, y), **options)


def test_a_proof_without_a_pair_says_that_it_covers_the_weights(
    trained: tuple[Path, Any, Any],
) -> None:
    path, _, _ = trained
    model = grucore.convert(path, architecture=SWAPPED)
    assert model.proof is not None
    assert model.proof.note.startswith("it covers the weights, not the order of the layers")
    assert model.proof.note in str(model.proof)


def test_pairs_that_no_model_takes(trained: tuple[Path, Any, Any]) -> None:
    path, x, y = trained
    for pair, reason in (
        ((x[:, :5], y), r"shape"),
        ((x, y[:-1]), r"output 'y' has shape \(39, 6\), the model gives \(40, 6\)"),
        ((x, np.full_like(y, np.nan)), "not finite"),
        ((x, {"z": y}), "outputs z, expected y"),
    ):
        with pytest.raises(ValueError, match=reason):
            grucore.convert(path, architecture=ORDER, check=pair)


@pytest.mark.parametrize("kind", ["npy", "csv", "npz"])
def test_the_command_line_reads_the_pair(
    kind: str, trained: tuple[Path, Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path, x, y = trained
    names = [str(path.with_name(f"{name}.{kind}")) for name in "xy"]
    for name, array, key in zip(names, (x, y), "xy", strict=True):
        if kind == "npy":
            np.save(name, array)
        elif kind == "npz":
            np.savez(name, **{key: array})
        else:
            np.savetxt(name, array, delimiter=",", fmt="%.9g")
    line = ["convert", str(path), "-o", str(path.with_suffix(".gru")), "--json", "--check", *names]
    assert main([*line, "--architecture", ORDER]) == 0
    assert json.loads(capsys.readouterr().out)["proof"]["recorded_frames"] == 40
    assert main([*line, "--architecture", SWAPPED]) == 1
    assert "does not agree with the recorded outputs" in capsys.readouterr().err
