# SPDX-License-Identifier: Apache-2.0
"""Branches that sizes decide, as torch's exporter writes a squeeze of an axis of open size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

torch: Any = oracle("torch")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning"),
]


def exported(path: Path, tail: Callable[[Any], Any]) -> Any:
    class Net(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(3, 4, batch_first=True)

        def forward(self, x: Any) -> Any:
            return tail(self.gru(x)[0])

    torch.manual_seed(0)
    net, sizes = Net().eval(), {"x": {0: "batch", 1: "time"}}
    options = {"dynamo": False, "input_names": ["x"], "dynamic_axes": sizes, "opset_version": 17}
    torch.onnx.export(net, (torch.zeros(2, 9, 3),), path, **options)
    return net


def test_the_squeeze_of_the_last_frame(tmp_path: Path) -> None:
    onnx = oracle("onnx")
    net = exported(tmp_path / "m.onnx", lambda y: y[:, -1:].squeeze(1) * 2.0)
    assert "If" in {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
    model = grucore.convert(tmp_path / "m.onnx")
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    with torch.no_grad():
        assert np.abs(model.run(x) - net(torch.from_numpy(x)).numpy()).max() < 1e-5


def test_a_squeeze_that_depends_on_the_frames_is_refused(tmp_path: Path) -> None:
    exported(tmp_path / "m.onnx", lambda y: y.squeeze(1) * 2.0)
    with pytest.raises(grucore.ConversionError, match="chooses between two graphs"):
        grucore.convert(tmp_path / "m.onnx")
