# SPDX-License-Identifier: Apache-2.0
"""Live torch objects: every attribute is used or refused by name, every trap of state dicts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

import grucore
from grucore.graph import gates
from grucore.proof.proof import BOUND
from models.readers import torch_object
from models.torch_models import gru, net, quantized, run
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn
prune = oracle("torch.nn.utils.prune")

ERROR = grucore.ConversionError


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-4, 4, (2, 30, 3)).astype(np.float32)


class MyGru(nn.GRU):
    """May do anything."""


def test_metadata_says_what_was_converted() -> None:
    model = grucore.from_torch(nn.GRU(3, 4, num_layers=2, dropout=0.5))
    source = model.metadata["source"]
    assert source["framework"] == "torch"
    assert source["version"] == torch.__version__
    assert source["axes"] == "(time, batch, features)"
    assert source["dropout"].startswith("0.5 between layers in training, none at inference")
    assert grucore.from_torch(gru()).metadata["source"]["axes"] == "(batch, time, features)"


def test_training_mode_stays_as_it_was(x: np.ndarray) -> None:
    module = gru(num_layers=2, dropout=0.5).train()
    model = grucore.from_torch(module)
    assert module.training
    assert np.abs(model.run(x) - run(module.eval(), x)).max() < BOUND


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_precisions(dtype: str, x: np.ndarray) -> None:
    module = gru(dtype=getattr(torch, dtype))
    model = grucore.from_torch(module)
    assert np.abs(model.run(x) - run(module.float(), x)).max() < BOUND
    assert model.metadata["source"]["dtype"] == dtype
    # float64 weights are rounded, and the file says by how much; the others are exact.
    assert ("largest_rounding" in model.metadata["source"]) == (dtype == "float64")


def test_example_inputs_take_part_in_the_proof(x: np.ndarray) -> None:
    plain = torch_object(gru()).proof.frames
    assert torch_object(gru(), example_inputs=torch.from_numpy(x)).proof.frames == plain + 60
    turned = torch.from_numpy(x).transpose(0, 1)
    assert torch_object(nn.GRU(3, 4), example_inputs=turned).proof.frames == plain + 60
    assert torch_object(nn.GRUCell(3, 4), example_inputs=x[0]).proof.frames == plain + 30
    assert torch_object(gru().state_dict(), example_inputs=x[0]).proof.frames == plain + 30
    with pytest.raises(ValueError, match="two or three axes"):
        torch_object(gru(), example_inputs=np.zeros(3))


@pytest.mark.parametrize("kind", ["parametrized", "legacy"])
def test_weight_norm(kind: str, x: np.ndarray) -> None:
    for dim in (0, 1, None):
        module = gru()
        if kind == "parametrized":
            if dim is None:
                continue  # torch's parametrization wants a number
            nn.utils.parametrizations.weight_norm(module, "weight_hh_l0", dim=dim)
            weight = module.parametrizations.weight_hh_l0.original0
        else:
            with pytest.warns(FutureWarning, match="weight_norm"):
                nn.utils.weight_norm(module, "weight_hh_l0", dim=dim)
            weight = module.weight_hh_l0_g
        with torch.no_grad():
            weight *= 1.7  # the plain attribute is stale now
        expected = run(module, x)
        for source in (module, module.state_dict()):
            assert np.abs(grucore.from_torch(source).run(x) - expected).max() < BOUND


def test_pruning(x: np.ndarray) -> None:
    module = gru()
    prune.random_unstructured(module, "weight_hh_l0", 0.5)
    expected = run(module, x)
    for source in (module, module.state_dict()):
        assert np.abs(grucore.from_torch(source).run(x) - expected).max() < BOUND


def other_parametrization() -> nn.GRU:
    module = gru()
    nn.utils.parametrizations.orthogonal(module, "weight_hh_l0")
    return module


def test_other_parametrizations_of_a_live_module(x: np.ndarray) -> None:
    module = other_parametrization()
    assert np.abs(grucore.from_torch(module).run(x) - run(module, x)).max() < BOUND
    with pytest.raises(ERROR, match="a parametrization other than weight_norm"):
        grucore.from_torch(module.state_dict())


def hooked() -> nn.GRU:
    module = gru()
    module.register_forward_hook(lambda *_: None)
    return module


def replaced() -> nn.GRU:
    module = gru()
    module.forward = lambda x: x
    return module


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (MyGru, "MyGru is a subclass of nn.GRU"),
        (hooked, "a hook in _forward_hooks: builtins.function"),
        (replaced, "forward has been replaced"),
        (quantized, "is quantized"),
        (lambda *_: net(), "encoder: GRU, head: Linear"),
        (lambda *_: nn.LSTM(3, 4, proj_size=2), "proj_size is 2, expected 0"),
        (lambda *_: nn.GRU(3, 4, device="meta"), "weight_ih_l0 is a meta tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_modules_refused_by_name(make: Callable[..., nn.Module], reason: str) -> None:
    module = make(3, 4) if make is MyGru else make()
    with pytest.raises(ERROR, match=re.escape(reason)):
        grucore.from_torch(module)


def test_other_objects_are_type_errors() -> None:
    with pytest.raises(TypeError, match=r"builtins\.int is not a torch module"):
        grucore.from_torch(3)
    with pytest.raises(ERROR, match="has only one reading"):
        grucore.from_torch(gru(), architecture="gru")


def test_the_proof_finds_a_bias_that_was_folded_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = gates.fold_reset_after

    def merged(bias_ih: np.ndarray, bias_hh: np.ndarray) -> np.ndarray:
        n = bias_hh[8:].copy()
        return fold(bias_ih + np.concatenate([np.zeros(8), n]), np.zeros(12)).astype(np.float32)

    for source in (gru(), gru().state_dict()):
        grucore.from_torch(source)
        with monkeypatch.context() as patch:
            patch.setattr(gates, "fold_reset_after", merged)
            with pytest.raises(ERROR, match="does not agree with its source: largest difference"):
                grucore.from_torch(source)


def test_nonfinite_weights_are_named() -> None:
    module = gru()
    with torch.no_grad():
        module.weight_hh_l0[2, 1] = float("nan")
    with pytest.raises(ERROR, match="weight_hh_l0 has 1 infinite or not-a-number"):
        grucore.from_torch(module)
    wide = {name: tensor.double() for name, tensor in gru().state_dict().items()}
    wide["weight_ih_l0"][0, 0] = 1e39  # finite in float64 alone
    with pytest.raises(ERROR, match=r"gru\.l0\.weight_ih has 1 infinite"):
        grucore.from_torch(wide)


def test_converting_a_module_imports_no_torch_by_itself() -> None:
    code = (
        "import sys, grucore.converters.torch.sources.live_layer; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
