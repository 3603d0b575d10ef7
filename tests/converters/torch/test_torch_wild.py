# SPDX-License-Identifier: Apache-2.0
"""Files as they are found: look-alike classes, old pickles, tensors beside the weights."""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

BOUND = 1e-5
X = torch.linspace(-2, 2, 2 * 9 * 3).cos().reshape(2, 9, 3)


class Between(nn.Module):
    """A GRU, a layer of any class, and a head."""

    def __init__(self, middle: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.gru = nn.GRU(3, 8, batch_first=True)
        self.mid = middle
        self.fc = nn.Linear(8, 2)
        for parameter in middle.parameters():
            nn.init.uniform_(parameter, 0.5, 1.5)

    def forward(self, x: Any) -> Any:
        y = self.gru(x)[0]
        if isinstance(self.mid, nn.LayerNorm):
            return self.fc(self.mid(y))
        return self.fc(self.mid(y.transpose(1, 2)).transpose(1, 2))


class Scaled(nn.LayerNorm):
    """A layer norm that computes something else."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) * 2


FOREIGN: dict[str, tuple[Callable[[], Any], str]] = {
    "group norm": (lambda: nn.GroupNorm(4, 8), "of a GroupNorm"),
    "instance norm": (lambda: nn.InstanceNorm1d(8, affine=True), "of a InstanceNorm1d"),
    "batch norm of the batch": (
        lambda: nn.BatchNorm1d(8, track_running_stats=False),
        "of a BatchNorm1d without running statistics",
    ),
    "transposed": (lambda: nn.ConvTranspose1d(8, 8, 3, padding=1), "of a ConvTranspose1d"),
    "around": (
        lambda: nn.Conv1d(8, 8, 3, padding=1, padding_mode="circular"),
        "of a Conv1d that pads with",
    ),
    "a subclass": (lambda: Scaled(8), "of a Scaled"),
}


@pytest.mark.parametrize("is_script", [False, True], ids=["pickle", "TorchScript"])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_class_that_only_looks_like_a_layer(name: str, is_script: bool, tmp_path: Path) -> None:
    made, words = FOREIGN[name]
    path = tmp_path / "net.pt"
    module = Between(made()).eval()
    if is_script:
        torch.jit.trace(module, X).save(path)
    else:
        torch.save(module, path)
    with pytest.raises(grucore.ConversionError) as caught:
        grucore.convert(path)
    assert words in str(caught.value)
    assert "--architecture" not in str(caught.value)


def test_a_traced_layer_says_its_epsilon(tmp_path: Path) -> None:
    module = Between(nn.LayerNorm(8, eps=0.1)).eval()
    torch.jit.trace(module, X).save(tmp_path / "net.pt")
    model = grucore.convert(
        tmp_path / "net.pt", architecture="gru(gru) > layer_norm(mid) > linear(fc)"
    )
    assert np.abs(model.run(X.numpy()) - module(X).detach().numpy()).max() < BOUND


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_legacy_files_of_each_pickle_protocol(protocol: int, tmp_path: Path) -> None:
    module = nn.GRU(3, 4, batch_first=True)
    path = tmp_path / "gru.pt"
    torch.save(
        module.state_dict(), path, pickle_protocol=protocol, _use_new_zipfile_serialization=False
    )
    got = grucore.convert(path).run(X.numpy())
    assert np.abs(got - module(X)[0].detach().numpy()).max() < BOUND


class OfPython2(dict[str, Any]):
    """An OrderedDict with its items as argument, as Python 2 pickles it."""

    def __reduce__(self) -> Any:
        return collections.OrderedDict, ([[name, each] for name, each in self.items()],)


def test_beside_the_weights(tmp_path: Path) -> None:
    module = nn.GRU(3, 4, batch_first=True)
    state, path = module.state_dict(), tmp_path / "all.pt"
    wanted = module(X)[0].detach().numpy()
    for content in (
        {"model": state, "loss": torch.tensor(0.3), "epoch": torch.tensor(4)},
        {"state_dict": state, "mean": torch.zeros(3), "rng": torch.get_rng_state()},
        {"state_dict": OfPython2(state), "epoch": 1},
        (state, 3, {"lr": 0.1}),
        [{"loss": torch.tensor(0.3)}, state],
    ):
        torch.save(content, path)
        assert np.abs(grucore.convert(path).run(X.numpy()) - wanted).max() < BOUND


def test_a_batch_norm_of_the_last_frame(tmp_path: Path) -> None:
    module = nn.ModuleDict({"gru": nn.GRU(3, 4, batch_first=True), "bn": nn.BatchNorm1d(4)}).eval()
    module["bn"].running_mean.uniform_(-1, 1)
    torch.save(module.state_dict(), tmp_path / "s.pt")
    model = grucore.convert(tmp_path / "s.pt", architecture="gru > last > batch_norm(bn, eps=1e-5)")
    wanted = module["bn"](module["gru"](X)[0][:, -1]).detach().numpy()
    assert np.abs(model.run(X.numpy()) - wanted).max() < BOUND


def test_no_line_is_offered_that_drops_a_tensor_in_silence(tmp_path: Path) -> None:
    module = nn.ModuleDict({"gru": nn.GRU(3, 4), "fc": nn.Linear(4, 2)})
    torch.save({**module.state_dict(), "q": torch.ones(7, 7)}, tmp_path / "s.pt")
    with pytest.raises(grucore.ConversionError) as caught:
        grucore.convert(tmp_path / "s.pt")
    lines = [line for line in str(caught.value).splitlines() if "--architecture" in line]
    assert len(lines) == 2
    assert all("--ignore q" in line and "without q" in line for line in lines)
    with pytest.raises(grucore.ConversionError, match="leaves out q"):
        grucore.convert(tmp_path / "s.pt", architecture="gru > linear")
