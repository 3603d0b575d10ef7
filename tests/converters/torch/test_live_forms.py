# SPDX-License-Identifier: Apache-2.0
"""Modules as people hold them in memory: scripted, traced, exported, with hooks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from models.torch_models import gru, net, run
from oracle.oracles import oracle

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),  # of torch.export
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),  # of torch.jit
]
torch = oracle("torch")
nn = torch.nn

ERROR = grucore.ConversionError
EVERYWHERE = torch.nn.modules.module


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-4, 4, (2, 30, 3)).astype(np.float32)


X = torch.randn(2, 7, 3)


def script(kind: str, module: Any) -> Any:
    if kind == "traced":
        return torch.jit.trace(module, (X,))
    scripted = torch.jit.script(module)
    return torch.jit.freeze(scripted) if kind == "frozen" else scripted


@pytest.mark.parametrize("kind", ["scripted", "traced", "frozen"])
def test_torch_jit_with_examples(kind: str, x: np.ndarray) -> None:
    module = net()
    model = grucore.from_torch(script(kind, module), example_inputs=(X,))
    assert np.abs(model.run(x) - run(module, x)).max() < BOUND
    assert "itself" in model.proof.against


@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_torch_jit_without_examples(kind: str, x: np.ndarray) -> None:
    module = net()
    with pytest.raises(ERROR, match=r"gru\(encoder\) > linear\(head\).*\n.*\n.*example_inputs"):
        grucore.from_torch(script(kind, module))
    model = grucore.from_torch(script(kind, module), architecture="gru > linear")
    assert np.abs(model.run(x) - run(module, x)).max() < BOUND


class Limited(nn.Module):  # type: ignore[misc]
    """Something else after a number of frames that stands in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x):  # type: ignore[no-untyped-def]
        y = self.gru(x)[0]
        if x.size(1) > 1500:
            y = y * 2.0
        return y


def test_a_branch_in_the_code_of_a_script() -> None:
    with pytest.raises(ERROR):
        grucore.from_torch(torch.jit.script(Limited()), example_inputs=(X,))


class Scaled(nn.Module):  # type: ignore[misc]
    """Constants that stand in its code."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.gru = nn.GRU(3, 4, batch_first=True)
        self.offset = torch.tensor([0.5, -1.5, 2.0, 0.25])

    def forward(self, x: Any) -> Any:
        y = self.gru(x)[0] + self.offset
        return y * torch.tensor([1.0, -2.0, 3.0, 0.5]) + torch.arange(4) / 3


def test_an_exported_program_in_memory(x: np.ndarray) -> None:
    module = Scaled().eval()
    program = torch.export.export(module, (X,))
    model = grucore.from_torch(program)
    assert np.abs(model.run(x) - run(module, x)).max() < 2 * BOUND
    assert model.metadata["source"]["container"] == "ExportedProgram"
    with pytest.raises(ERROR, match="a program has only one reading"):
        grucore.from_torch(program, architecture="gru")


def test_constants_in_a_saved_program(x: np.ndarray, tmp_path: Path) -> None:
    class Plain(Scaled):
        def forward(self, x: Any) -> Any:
            return (self.gru(x)[0] + self.offset) * torch.tensor([1.0, -2.0, 3.0, 0.5])

    module = Plain().eval()
    torch.export.save(torch.export.export(module, (X,)), tmp_path / "m.pt2")
    model = grucore.convert(tmp_path / "m.pt2")
    assert np.abs(model.run(x) - run(module, x)).max() < 2 * BOUND


def test_the_module_of_an_exported_program(x: np.ndarray) -> None:
    module = net()
    batch, time = torch.export.Dim("batch", min=1, max=64), torch.export.Dim.STATIC
    program = torch.export.export(module, (X,), dynamic_shapes=({0: batch, 1: time},))
    model = grucore.from_torch(program)
    assert np.abs(model.run(x) - run(module, x)).max() < BOUND
    # It has one number of frames, so that time could be anything.
    with pytest.raises(ERROR):
        grucore.from_torch(program.module(), example_inputs=(X,))


def doubled(_: Any, __: Any, y: Any) -> Any:
    return (y[0] * 2, y[1]) if isinstance(y, tuple) else y * 2


def test_hooks_of_modules_are_a_part_of_them(x: np.ndarray) -> None:
    for place in ("", "encoder", "head"):
        module = copy.deepcopy(net())
        (module.get_submodule(place) if place else module).register_forward_hook(doubled)
        model = grucore.from_torch(module, example_inputs=(X,))
        assert np.abs(model.run(x) - run(module, x)).max() < 2 * BOUND


def test_hooks_of_a_bare_layer_are_refused_by_name() -> None:
    layer = gru()
    layer.register_forward_hook(doubled)
    with pytest.raises(ERROR, match="a hook in _forward_hooks"):
        grucore.from_torch(layer)
    handle = EVERYWHERE.register_module_forward_hook(doubled)
    try:
        with pytest.raises(ERROR, match="hooks of all modules in _global_forward_hooks"):
            grucore.from_torch(gru())
    finally:
        handle.remove()


def test_a_source_that_disagrees_with_itself_proves_nothing(monkeypatch: Any) -> None:
    """One of two runs of a source is wrong: their difference loosens no bound."""
    from grucore.converters.torch.sources import live_layer

    monkeypatch.setattr(live_layer, "_check_hooks", lambda _: None)
    handle = EVERYWHERE.register_module_forward_hook(doubled)
    try:
        with pytest.raises(ERROR, match="does not agree with its source"):
            grucore.from_torch(gru())
    finally:
        handle.remove()
