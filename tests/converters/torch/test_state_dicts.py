# SPDX-License-Identifier: Apache-2.0
"""State dicts, live and in files: architectures, wrappers, and what is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.containers.bfloat16 import bfloat16_to_float32
from grucore.proof.proof import BOUND
from models.torch_models import gru, net, quantized, run
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

ERROR = grucore.ConversionError


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-4, 4, (2, 30, 3)).astype(np.float32)


def test_architectures(x: np.ndarray) -> None:
    module = net()
    state = module.state_dict()
    expected = run(module, x)
    for architecture in ("gru > linear", "gru(encoder) > linear(head)", "gru > linear(head)"):
        model = grucore.from_torch(state, architecture=architecture)
        assert np.abs(model.run(x) - expected).max() < BOUND
        assert model.metadata["source"]["architecture"] == architecture
    last = grucore.from_torch(state, architecture="gru > last > linear")
    assert np.abs(last.run(x) - expected[:, -1]).max() < BOUND
    squashed = grucore.from_torch(state, architecture="gru > linear > sigmoid")
    assert np.abs(squashed.run(x) - 1 / (1 + np.exp(-expected))).max() < BOUND


def test_groups_of_a_first_convolution(x: np.ndarray) -> None:
    """Its weights do not tell them, as nobody says how many features come in."""
    conv, cell = torch.nn.Conv1d(3, 6, 2, groups=3), torch.nn.GRU(6, 4, batch_first=True)
    state = torch.nn.ModuleDict({"conv": conv, "gru": cell}).state_dict()
    line = "conv1d(conv, padding=0, stride=1, dilation=1, groups=3) > gru"
    with torch.inference_mode():
        expected = cell(conv(torch.from_numpy(x).mT).mT)[0].numpy()
    found = grucore.from_torch(state, architecture=line).run(x)
    assert np.abs(found - expected).max() < BOUND


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "model.net."]
)
def test_wrappers_leave_no_trace(prefix: str, x: np.ndarray) -> None:
    module = net()
    state = {prefix + name: tensor for name, tensor in module.state_dict().items()}
    for architecture in ("gru > linear", f"gru({prefix}encoder) > linear({prefix}head)"):
        model = grucore.from_torch(state, architecture=architecture)
        assert np.abs(model.run(x) - run(module, x)).max() < BOUND
    inner = {f"encoder.{prefix}{name}": t for name, t in gru().state_dict().items()}
    if prefix.startswith(("module", "_orig")):
        names = list(grucore.from_torch(inner).run(x, return_state=True)[1])
        assert names == ["encoder.l0.h"]


def test_cells_and_numpy_arrays_and_missing_biases(x: np.ndarray) -> None:
    cell = nn.GRUCell(3, 4, bias=False)
    state = {name: tensor.numpy() for name, tensor in cell.state_dict().items()}
    y = grucore.from_torch(state).run(x[0])
    h = torch.zeros(1, 4)
    with torch.no_grad():
        for frame, ours in zip(x[0], y, strict=True):
            h = cell(torch.from_numpy(frame)[None], h)
            assert np.abs(h[0].numpy() - ours).max() < BOUND


def changed(**tensors: Any) -> dict[str, Any]:
    """The state of one GRU with some tensors replaced, or removed where None."""
    state: dict[str, Any] = dict(gru().state_dict()) | tensors
    return {name: tensor for name, tensor in state.items() if tensor is not None}


STATES: dict[str, tuple[Callable[[], dict[str, Any]], str | None, str]] = {
    "lstm with projections": (
        lambda: nn.LSTM(3, 4, proj_size=2).state_dict(),
        None,
        "weight_hr_l0: an LSTM with projections",
    ),
    "rnn": (lambda: nn.RNN(3, 4).state_dict(), None, "rnn needs nonlinearity"),
    "two gates": (
        lambda: changed(weight_ih_l0=torch.zeros(8, 3), weight_hh_l0=torch.zeros(8, 4)),
        None,
        "weight_hh_l0 has shape (8, 4): no recurrent layer that grucore knows",
    ),
    "half a bias": (lambda: changed(bias_hh_l0=None), None, "has no tensor bias_hh_l0"),
    "no weight": (lambda: changed(weight_ih_l0=None), None, "has no tensor weight_ih_l0"),
    "a layer missing": (
        lambda: {
            name.replace("_l1", "_l2"): tensor
            for name, tensor in gru(num_layers=2).state_dict().items()
        },
        None,
        "has no tensor weight_ih_l1",
    ),
    "a direction missing": (
        lambda: changed(weight_hh_l0_reverse=torch.zeros(12, 4)),
        None,
        "has no tensor weight_ih_l0_reverse",
    ),
    "bias shape": (
        lambda: changed(bias_ih_l0=torch.zeros(11)),
        None,
        "bias_ih_l0 has shape (11,), expected (12,)",
    ),
    "rows": (
        lambda: changed(weight_ih_l0=torch.zeros(9, 3)),
        None,
        "weight_ih_l0 has shape (9, 3), expected (12, 3)",
    ),
    "quantized names": (
        lambda: {"_all_weight_values.0.param": torch.zeros(3)},
        None,
        "quantized weights, expected the float checkpoint",
    ),
    "no gru": (lambda: {"a.weight": torch.zeros(2, 3)}, None, "there is no GRU, LSTM or RNN in it"),
    "two grus": (
        lambda: {
            **{f"a.{k}": v for k, v in gru().state_dict().items()},
            **{f"b.{k}": v for k, v in nn.GRU(4, 5).state_dict().items()},
        },
        None,
        '--architecture "gru(a) > gru(b)"',
    ),
    "features do not fit": (
        lambda: net().state_dict() | {"head.weight": torch.zeros(2, 5)},
        "gru > linear",
        "head reads 5 features, but encoder writes 4",
    ),
    "unknown name": (
        lambda: net().state_dict(),
        "gru(decoder) > linear",
        "no gru layer called 'decoder'",
    ),
    "no gru step": (
        lambda: net().state_dict(),
        "linear(head)",
        "there is no gru, lstm or rnn in it",
    ),
    "norm between": (
        lambda: net().state_dict() | {"norm.weight": torch.zeros(4)},
        "gru > linear",
        "leaves out norm.weight",
    ),
    "extra state": (
        lambda: net().state_dict() | {"head._extra_state": {"a": 1}},
        "gru > linear",
        "leaves out head._extra_state",
    ),
    "same name twice": (
        lambda: changed() | {"module.bias_ih_l0": torch.zeros(12)},
        None,
        "are both bias_ih_l0 without wrappers",
    ),
    "cell and layer": (
        lambda: changed(weight_ih=torch.zeros(12, 3)),
        None,
        "are the same part",
    ),
    "half a weight norm": (
        lambda: changed(weight_hh_l0=None, weight_hh_l0_g=torch.zeros(12, 1)),
        None,
        "has no tensor weight_hh_l0",
    ),
    "whole and in parts": (
        lambda: changed(weight_hh_l0_g=torch.ones(12, 1), weight_hh_l0_v=torch.ones(12, 4)),
        None,
        "weight_hh_l0 is there both as it is and in parts",
    ),
    "sparse": (
        lambda: changed(weight_hh_l0=torch.zeros(12, 4).to_sparse()),
        None,
        "weight_hh_l0 is a sparse tensor",
    ),
    "complex": (
        lambda: changed(weight_hh_l0=torch.zeros(12, 4, dtype=torch.complex64)),
        None,
        "weight_hh_l0 is a complex tensor",
    ),
    "float8": (
        lambda: changed(weight_hh_l0=torch.zeros(12, 4).to(torch.float8_e4m3fn)),
        None,
        "weight_hh_l0 is of torch.float8_e4m3fn",
    ),
}


@pytest.mark.parametrize("name", sorted(STATES))
def test_state_dicts_refused_by_name(name: str) -> None:
    make, architecture, reason = STATES[name]
    with pytest.raises(ERROR) as refusal:
        grucore.from_torch(make(), architecture=architecture)
    assert reason in str(refusal.value)


def test_listed_candidates_can_be_pasted() -> None:
    with pytest.raises(ERROR) as refusal:
        grucore.from_torch(net().state_dict())
    listed = re.findall(r'--architecture "(.*)"', str(refusal.value))
    assert listed == ["gru(encoder) > last > linear(head)", "gru(encoder) > linear(head)"]
    for architecture in listed:
        grucore.from_torch(net().state_dict(), architecture=architecture)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_quantized_files(tmp_path: Path) -> None:
    path = tmp_path / "quantized.pt"
    torch.save(quantized().state_dict(), path)
    with pytest.raises(ERROR, match="quantized weights"):
        grucore.convert(path)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_safetensors(dtype: str, tmp_path: Path, x: np.ndarray) -> None:
    safetensors = oracle("safetensors.torch")
    module = net().to(getattr(torch, dtype))
    path = tmp_path / "model.safetensors"
    safetensors.save_file(module.state_dict(), path)
    model = grucore.convert(path, architecture="gru(encoder) > linear(head)")
    assert np.abs(model.run(x) - run(module.float(), x)).max() < BOUND
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(ERROR, match="safetensors file is damaged"):
        grucore.convert(path)


def test_safetensors_with_a_name_twice(tmp_path: Path) -> None:
    entry = b'"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = b"{" + entry + b"," + entry + b"}"
    path = tmp_path / "twice.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ERROR, match="the header has 'w' twice"):
        grucore.convert(path)


def test_safetensors_does_not_keep_the_order_of_layers(tmp_path: Path) -> None:
    safetensors = oracle("safetensors.torch")
    state = net().state_dict() | {"top.weight": torch.zeros(2, 2), "top.bias": torch.zeros(2)}
    safetensors.save_file(state, tmp_path / "m.safetensors")
    with pytest.raises(ERROR, match="name the linear steps"):
        grucore.convert(tmp_path / "m.safetensors", architecture="gru > linear > linear")


def test_bfloat16_bits() -> None:
    values = torch.tensor([0.0, -1.5, 3.1415, 1e-40, 3e38]).bfloat16()
    bits = values.view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(bfloat16_to_float32(bits), values.float().numpy())
