# SPDX-License-Identifier: Apache-2.0
"""States of stacked layers, and objects that are no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")


class Last(torch.nn.Module):  # type: ignore[misc]
    """The last layer's state of two, as one answer."""

    def __init__(self, cell: Any, bidirectional: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.rnn = cell(4, 8, num_layers=2, batch_first=True, bidirectional=bidirectional)
        self.out = torch.nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        states = self.rnn(x)[1]
        return self.out((states[0] if isinstance(states, tuple) else states)[-1])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["GRU", "LSTM", "RNN"])
def test_one_state_of_a_stack_leaves_nothing_of_the_others(name: str, bidirectional: bool) -> None:
    module = Last(getattr(torch.nn, name), bidirectional).eval()
    x = torch.randn(2, 9, 4)
    model = grucore.from_torch(module, example_inputs=(x,))
    assert np.abs(model.run(x.numpy()) - module(x).detach().numpy()).max() < 1e-6
    kinds = [layer.kind for layer in model.layers]
    assert kinds.count("take") == 1
    assert "select" not in kinds
    if not bidirectional:
        assert kinds == [name.lower(), name.lower(), "take", "dense"]


def test_objects_that_are_no_file_are_named_with_the_way_out(tmp_path: Path) -> None:
    for thing in ({"weight": 1}, torch.nn.GRU(2, 3)):
        with pytest.raises(TypeError, match=f"path is a {type(thing).__name__}, .*from_torch"):
            grucore.convert(thing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"architecture=\['gru'\]: expected a line such as"):
        grucore.convert(tmp_path / "x.pt", architecture=["gru"])  # type: ignore[arg-type]
