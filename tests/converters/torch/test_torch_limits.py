# SPDX-License-Identifier: Apache-2.0
"""Exported programs that compute with the number of their frames or rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import grucore
from models.torch_wholes import exported
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")

X = torch.linspace(-3, 3, 2 * 7 * 3).cos().reshape(2, 7, 3)
SIZES: dict[str, Callable[[Any], Any]] = {
    "quotient": lambda x: x / x.size(1),
    "half of them": lambda x: x * (x.size(1) // 2),
    "one less": lambda x: x * (x.size(1) - 1),
    "rows": lambda x: x * x.size(0),
    "as a tensor": lambda x: x * torch.tensor(x.size(1)),
    "as a bound": lambda x: x.clamp(max=x.size(1)),
}
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "mean times frames": lambda y: y.mean(1) * y.size(1),
    "mean times their root": lambda y: y.mean(1) * y.size(1) ** 0.5,
    "quotient": lambda y: y / y.size(1),
}


class Around(torch.nn.Module):
    """A GRU between two functions, each of (batch, time, features)."""

    def __init__(self, before: Callable[[Any], Any], after: Callable[[Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.gru = torch.nn.GRU(3, 8, batch_first=True)
        self.before, self.after = before, after

    def forward(self, x: Any) -> Any:
        return self.after(self.gru(self.before(x))[0])


def same(x: Any) -> Any:
    return x


def program(module: Around, path: Path) -> Path:
    auto = torch.export.Dim.AUTO
    path.write_bytes(exported(module, X, dynamic_shapes=({0: auto, 1: auto},)))
    return path


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_are_computed_with_are_refused(name: str, tmp_path: Path) -> None:
    path = program(Around(SIZES[name], same), tmp_path / "model.pt2")
    with pytest.raises(grucore.ConversionError, match="made of the number of frames or rows"):
        grucore.convert(path)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_go_with_the_example_are_refused(name: str, tmp_path: Path) -> None:
    """Torch writes the frames after a GRU as the number that the example had."""
    path = program(Around(same, NUMBERS[name]), tmp_path / "model.pt2")
    with pytest.raises(grucore.ConversionError, match="goes with the 7 frames of the example"):
        grucore.convert(path)


def test_the_number_of_features_is_one_like_any_other(tmp_path: Path) -> None:
    module = Around(lambda x: x * x.size(2), same)
    model = grucore.convert(program(module, tmp_path / "model.pt2"))
    expected = module(X).detach().numpy()
    assert abs(model.run(X.numpy()) - expected).max() < 2e-6
