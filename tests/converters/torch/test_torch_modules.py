# SPDX-License-Identifier: Apache-2.0
"""Whole modules in files: pickles, TorchScript, Lightning; and what an architecture must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import grucore
from models.torch_made import X, close, gru, made, source
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

ERROR = grucore.ConversionError


def test_modules_in_files(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    layers = nn.Sequential(
        nn.Conv1d(3, 4, 3, dilation=2),
        nn.BatchNorm1d(4),
        nn.Softsign(),
        nn.Conv1d(4, 6, 1, groups=2),
    ).eval()
    torch.save(layers, path)
    found = grucore.convert(path)
    assert close(found.run(X.numpy()).swapaxes(1, 2)[..., :5], layers(X.transpose(1, 2)))
    torch.save(made(lambda m, x: m.gru(x)[0], gru=gru()).gru, path)
    assert close(grucore.convert(path).run(X.numpy()), gru()(X)[0])


class Custom(nn.Module):
    """Somebody's own class."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = gru()
        self.norm = nn.LayerNorm(4, eps=1e-3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.gru(x)[0]))


class Alone(nn.Module):
    """A recurrent layer, and code around it that no file says."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = gru()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gru(x.clamp(-0.1, 0.1))[0]


@pytest.mark.parametrize("kind", ["pickle", "script"])
def test_a_lone_layer_in_somebodys_own_class_asks_for_an_architecture(
    kind: str, tmp_path: Path
) -> None:
    module, path = Alone().eval(), tmp_path / "alone.pt"
    if kind == "script":
        torch.jit.save(torch.jit.trace(module, X), path)
    else:
        torch.save(module, path)
    with pytest.raises(ERROR, match=r"of class .*Alone, whose code is not in the file"):
        grucore.convert(path)
    assert close(grucore.convert(path, architecture="gru").run(X.numpy()), module.gru(X)[0])


@pytest.mark.parametrize("kind", ["pickle", "script", "dict"])
def test_custom_modules_in_files_ask_for_an_architecture(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    module, path = Custom().eval(), tmp_path / "custom.pt"
    if kind == "script":
        torch.jit.save(torch.jit.script(module), path)
    else:
        torch.save(module if kind == "pickle" else {"model": module, "epoch": 3}, path)
    with pytest.raises(ERROR, match="whose code is not in the file") as refusal:
        grucore.convert(path)
    (listed, _) = re.findall(r'--architecture "(.*)"', str(refusal.value))
    assert listed == "gru(gru) > layer_norm(norm) > linear(head)"
    assert close(grucore.convert(path, architecture=listed).run(X.numpy()), module(X))
    with pytest.raises(ERROR, match=r"the architecture says eps=1e-05, the file 0\.001"):
        grucore.convert(path, architecture="gru > layer_norm(eps=1e-5) > linear")


def test_what_a_state_dict_does_not_hold_must_be_said() -> None:
    state = Custom().state_dict()
    with pytest.raises(ERROR, match=re.escape("layer_norm(norm, eps=1e-05)")):
        grucore.from_torch(state, architecture="gru > layer_norm > linear")
    grucore.from_torch(state, architecture="gru > layer_norm(eps=1e-3) > linear")


def test_lightning_checkpoints(tmp_path: Path) -> None:
    path, module = tmp_path / "model.ckpt", Custom().eval()
    torch.save(
        {
            "state_dict": {f"net.{name}": tensor for name, tensor in module.state_dict().items()},
            "pytorch-lightning_version": "2.4.0",
            "hyper_parameters": {"hidden": 4, "name": "kws", "net": module},
            "callbacks": {"stopping": {"best": torch.zeros(1)}},
        },
        path,
    )
    found = grucore.convert(path, architecture="gru > layer_norm(eps=1e-3) > linear")
    assert close(found.run(X.numpy()), module(X))
    assert source(found)["hyper_parameters"] == {"hidden": 4, "name": "kws"}


def test_hooks_and_foreign_objects_in_files(tmp_path: Path) -> None:
    path, module = tmp_path / "m.pt", gru()
    module.register_forward_hook(print)
    torch.save(module, path)
    with pytest.raises(ERROR, match=r"has a hook in _forward_hooks: __builtin__\.print"):
        grucore.convert(path)
    torch.save(nn.Sequential(gru(), nn.Linear(4, 2)), path)
    with pytest.raises(ERROR, match="gives a tuple"):
        grucore.convert(path)
