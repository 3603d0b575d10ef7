# SPDX-License-Identifier: Apache-2.0
"""torch's higher-order scan over frames: cells written by hand, and PyTorch's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

torch = oracle("torch")
pytestmark = pytest.mark.oracle

scan = oracle("torch._higher_order_ops.scan").scan

BOUND = 2e-6


class Clipped(torch.nn.Module):  # type: ignore[name-defined,misc]
    """A state that is no cell's own; (time, batch, 3)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.of_x, self.of_h = torch.nn.Linear(3, 4), torch.nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        def step(h: Any, frame: Any) -> Any:
            new = torch.tanh(self.of_x(frame) + self.of_h(h)).clamp(-0.5, 0.5)
            return new, new.clone()

        last, ys = scan(step, torch.zeros(x.shape[1], 4), x, dim=0)
        return ys, last


class Gated(torch.nn.Module):  # type: ignore[name-defined,misc]
    """nn.GRUCell, and a layer of each frame in the loop; (batch, time, 3)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.cell, self.head = torch.nn.GRUCell(3, 5), torch.nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        def step(h: Any, frame: Any) -> Any:
            h = self.cell(frame, h)
            return h, self.head(h)

        return scan(step, torch.zeros(x.shape[0], 5), x, dim=1)[1]


@pytest.mark.parametrize(
    ("made", "batch_axis", "kinds"),
    [
        (Clipped, 1, {"delay", "dense", "binary", "activation", "take"}),
        (Gated, 0, {"gru", "dense"}),
    ],
)
def test_scan_of_a_live_module(
    made: Any, batch_axis: int, kinds: set[str], rng: np.random.Generator
) -> None:
    module = made().eval()
    shape = (2, 7, 3) if batch_axis == 0 else (7, 2, 3)
    model = grucore.from_torch(module, example_inputs=(torch.zeros(shape),))
    assert {layer.kind for layer in model.layers} == kinds
    x = rng.uniform(-2, 2, (2, 12, 3)).astype(np.float32)
    given = torch.from_numpy(x if batch_axis == 0 else np.swapaxes(x, 0, 1).copy())
    with torch.no_grad():
        want = module(given)
    wanted = (want[0].swapaxes(0, 1), want[1]) if made is Clipped else (want,)
    found = model.run(x)
    for have, expected in zip(found if made is Clipped else (found,), wanted, strict=True):
        assert np.abs(have - expected.numpy()).max() < BOUND
    if made is Gated:
        stream = model.stream(batch=2)
        steps = [stream.step(np.ascontiguousarray(x[:, t])) for t in range(12)]
        assert np.array_equal(np.stack(steps, 1), found)


def test_refused_with_the_way_out(tmp_path: Path) -> None:
    class Branches(torch.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, x: Any) -> Any:
            return torch.cond(x.sum() > 0, lambda y: y.sin(), lambda y: y.cos(), (x,))

    with pytest.raises(grucore.ConversionError, match=r"has 'cond', whose own graphs .*one step"):
        grucore.from_torch(Branches().eval(), example_inputs=(torch.zeros(2, 7, 3),))
    path = tmp_path / "scan.pt2"
    torch.export.save(torch.export.export(Clipped().eval(), (torch.zeros(7, 2, 3),)), path)
    with pytest.raises(grucore.ConversionError, match="convert the live module, whose scan"):
        grucore.convert(path)
