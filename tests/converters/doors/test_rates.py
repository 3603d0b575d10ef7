# SPDX-License-Identifier: Apache-2.0
"""Inputs and values of several rates: refused by name, and the way out that the refusal names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn
ERROR = grucore.ConversionError
FRAMES, EVERY = 40, 4


class Held(nn.Module):
    """A condition that comes once in four frames, and stands for all of them."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.slow = nn.GRU(6, 8, batch_first=True)
        self.fast = nn.GRU(4 + 8, 10, batch_first=True)

    def forward(self, x: Any, condition: Any) -> Any:
        held, _ = self.slow(condition)
        if self.way == "repeat_interleave":
            held = held.repeat_interleave(EVERY, dim=1)
        else:
            turned = held.transpose(1, 2)
            held = nn.functional.interpolate(turned, scale_factor=EVERY).transpose(1, 2)
        return self.fast(torch.cat([x, held], -1))[0]


class Seldom(nn.Module):
    """A strided convolution's frames beside an input of as many."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv1d(4, 8, EVERY, stride=EVERY)
        self.gru = nn.GRU(8 + 6, 8, batch_first=True)

    def forward(self, x: Any, condition: Any) -> Any:
        down = self.down(x.transpose(1, 2)).transpose(1, 2)
        return self.gru(torch.cat([down, condition], -1))[0]


def example() -> tuple[Any, Any]:
    return torch.randn(1, FRAMES, 4), torch.randn(1, FRAMES // EVERY, 6)


@pytest.mark.parametrize("way", ["repeat_interleave", "interpolate"])
def test_frames_that_are_repeated(way: str) -> None:
    with pytest.raises(ERROR, match="several frames for one, which no layer does"):
        grucore.from_torch(Held(way).eval(), example_inputs=example())


def test_an_input_that_comes_seldom() -> None:
    with pytest.raises(ERROR, match="of each and one in 4 of the frames"):
        grucore.from_torch(Seldom().eval(), example_inputs=example())


def test_onnx(tmp_path: Path) -> None:
    from models.onnx_torch import export

    path = tmp_path / "held.onnx"
    axes = {"x": {1: "T"}, "condition": {1: "S"}}
    names = {"input_names": list(axes), "dynamic_axes": axes}
    export(Held("interpolate").eval(), example(), path, dynamo=False, **names)
    with pytest.raises(ERROR, match=r"Resize .*several frames for one, which no layer does"):
        grucore.convert(path)


def test_keras() -> None:
    layers = oracle("keras").layers
    x, condition = layers.Input((None, 4)), layers.Input((None, 6))
    held = layers.UpSampling1D(EVERY)(layers.GRU(8, return_sequences=True)(condition))
    y = layers.GRU(8, return_sequences=True)(layers.Concatenate()([x, held]))
    with pytest.raises(ERROR, match=r"UpSampling1D .*several frames for one, which no layer does"):
        grucore.from_keras(oracle("keras").Model([x, condition], y))


def test_the_way_out() -> None:
    """Two models, the second of which reads each answer of the first as often as it holds."""
    torch.manual_seed(1)
    whole = Held("repeat_interleave").eval()
    x, condition = example()
    with torch.no_grad():
        want = whole(x, condition)[0].numpy()
    slow, fast = grucore.from_torch(whole.slow), grucore.from_torch(whole.fast)
    held = np.repeat(slow.run(condition[0].numpy()), EVERY, axis=0)
    found = fast.run(np.concatenate([x[0].numpy(), held], axis=1))
    assert np.abs(found - want).max() < 2e-6
    streams, rows = (slow.stream(), fast.stream()), []
    for frame, given in enumerate(x[0].numpy()):
        if frame % EVERY == 0:
            now = streams[0].step(condition[0, frame // EVERY].numpy())
        rows.append(streams[1].step(np.concatenate([given, now])))
    assert np.array_equal(np.array(rows), found)
