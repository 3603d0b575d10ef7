# SPDX-License-Identifier: Apache-2.0
"""Convolutions and pools over time and bands: live, and as ONNX, against the module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_torch import export
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

BANDS = 8


class Net(nn.Module):  # type: ignore[misc]
    """Layers over (batch, channels, time, bands), or with the last two turned, then a GRU."""

    def __init__(self, layers: Any, *, turned: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers, self.turned = layers, turned
        with torch.no_grad():
            y = self.rows(torch.zeros(1, 40, BANDS))
        self.gru = nn.GRU(y.shape[-1], 4, batch_first=True)

    def rows(self, x: Any) -> Any:
        y = self.layers((x.transpose(1, 2) if self.turned else x).unsqueeze(1))
        y = y.permute(0, 3, 1, 2) if self.turned else y.transpose(1, 2)
        return y.flatten(2)

    def forward(self, x: Any) -> Any:
        return self.gru(self.rows(x))[0]


def _normed() -> Any:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    return norm


LAYERS: dict[str, Callable[[], Any]] = {
    "all bands at once": lambda: nn.Conv2d(1, 3, (3, BANDS)),
    "same": lambda: nn.Conv2d(1, 3, 3, padding="same"),
    "strides and dilation": lambda: nn.Conv2d(1, 3, 3, (1, 2), (1, 2), (1, 2)),
    "of each frame": lambda: nn.Conv2d(1, 3, (1, 3), bias=False),
    "stride in time": lambda: nn.Conv2d(1, 3, (3, 3), (2, 1)),
    "two, in groups, with norm": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), _normed(), nn.ReLU(), nn.Conv2d(3, 3, (1, 3), groups=3)
    ),
    "pools of bands": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d((1, 2)), nn.AvgPool2d((1, 2), (1, 1))
    ),
    "pools of both": lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2)),
    "means of both": lambda: nn.AvgPool2d((3, 2), stride=(1, 2)),
}


@pytest.mark.parametrize("route", ["live", "onnx"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_over_bands(name: str, turned: bool, route: str, tmp_path: Path) -> None:
    layers = LAYERS[name]()
    if turned:
        for layer in layers.modules():
            for setting in ("kernel_size", "stride", "padding", "dilation"):
                pair = getattr(layer, setting, None)
                if isinstance(pair, tuple):
                    setattr(layer, setting, pair[::-1])
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = layer.weight.data.transpose(2, 3).contiguous()
    net = Net(layers, turned=turned).eval()
    example = torch.randn(3, 20, BANDS)
    if route == "live":
        model = grucore.from_torch(net, example_inputs=(example,))
    else:
        axes = {"x": {0: "batch", 1: "time"}}
        options = {"dynamo": False, "input_names": ["x"], "dynamic_axes": axes}
        export(net, (example,), tmp_path / "net.onnx", **options)
        model = grucore.convert(tmp_path / "net.onnx")
    for frames in (9, 40, 1500):
        x = torch.randn(2, frames, BANDS)
        with torch.no_grad():
            wanted = net(x).numpy()
        assert np.abs(model.run(x.numpy()) - wanted).max() < 1e-5


def test_too_wide_a_convolution_is_refused() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 96, 3, padding=1), nn.Conv2d(96, 96, 3, padding=1))
    with pytest.raises(grucore.ConversionError, match="as one over time alone it has 1769472 wei"):
        grucore.from_torch(Net(layers).eval(), example_inputs=(torch.randn(3, 20, BANDS),))
