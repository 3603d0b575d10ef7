# SPDX-License-Identifier: Apache-2.0
"""Attention pooling and statistics over time, in the forms that people write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_torch import export
from models.torch_wholes import exported
from oracle.oracles import oracle

torch = oracle("torch")
nn = torch.nn
pytestmark = pytest.mark.oracle

FEATURES, HIDDEN, FRAMES = 5, 6, 9
BOUND = 3e-6


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A GRU, and a function of its module and its frames."""

    def __init__(self, way: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.way = way
        self.gru = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.score = nn.Linear(HIDDEN, 1)
        self.heads = nn.Linear(HIDDEN, 3)
        self.key = nn.Sequential(nn.Linear(HIDDEN, 7), nn.Tanh(), nn.Linear(7, 1, bias=False))
        self.query = nn.Parameter(4 * torch.randn(HIDDEN))
        self.out = nn.Linear(HIDDEN, 4)

    def forward(self, x: Any) -> Any:
        return self.way(self, self.gru(x)[0])


def _shares(net: Any, y: Any) -> Any:
    return net.score(y).softmax(1)


STREAMS: dict[str, Callable[[Any, Any], Any]] = {
    "product and sum": lambda net, y: net.out((_shares(net, y) * y).sum(1)),
    "sum of the other way round": lambda net, y: net.out((y * _shares(net, y)).sum(dim=1)),
    "bmm": lambda net, y: net.out(torch.bmm(_shares(net, y).transpose(1, 2), y).squeeze(1)),
    "bmm of a column": lambda net, y: net.out(
        torch.bmm(y.transpose(1, 2), net.score(y).squeeze(-1).softmax(1).unsqueeze(2)).squeeze(2)
    ),
    "einsum": lambda net, y: torch.einsum("bt,bth->bh", net.score(y).flatten(1).softmax(-1), y),
    "matmul": lambda net, y: (net.score(y).squeeze(2).softmax(1).unsqueeze(1) @ y).squeeze(1),
    "additive": lambda net, y: (net.key(y).softmax(1) * y).sum(1),
    "by a vector": lambda net, y: ((y.tanh() @ net.query).softmax(1)[..., None] * y).sum(1),
    "heads": lambda net, y: (net.heads(y).softmax(1).mT @ y).flatten(1),
    "beside the last": lambda net, y: (_shares(net, y) * y).sum(1) + y[:, -1],
    "large scores": lambda net, y: ((400 * net.score(y)).softmax(1) * y).sum(1),
    "deviation": lambda net, y: y.std(1),
    "variance": lambda net, y: torch.var(y, 1, unbiased=False),
    "mean and deviation": lambda net, y: torch.cat(torch.std_mean(y + 1, 1, correction=0), -1),
    "by gates": lambda net, y: (net.score(y).sigmoid() * y).sum(1) / net.score(y).sigmoid().sum(1),
}
WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "shares": _shares,
    "logarithms of shares": lambda net, y: net.score(y).log_softmax(1),
    "deviation by hand": lambda net, y: (
        ((y - y.mean(1, keepdim=True)) ** 2).mean(1).add(1e-5).sqrt()
    ),
    "standardized": lambda net, y: (
        (y - y.mean(1, keepdim=True)) / (y.std(1, keepdim=True, unbiased=False) + 0.01)
    ),
    "heads summed": lambda net, y: torch.einsum("btk,bth->bh", net.heads(y).softmax(1), y),
    "standardized by one less": lambda net, y: (
        (y - y.mean(1, keepdim=True)) / y.std(1, keepdim=True).clamp(min=0.01)
    ),
    "by the last state": lambda net, y: torch.bmm(
        torch.bmm(y, y[:, -1].unsqueeze(2)).softmax(1).mT, y
    ).squeeze(1),
    "logarithm of a sum": lambda net, y: torch.logsumexp(y, 1),
}


def example(frames: int = FRAMES, rows: int = 2) -> Any:
    torch.manual_seed(frames)
    return torch.randn(rows, frames, FEATURES)


def answer(module: Any, x: Any) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(module(x).numpy(), np.float64)


def check(model: grucore.Model, module: Any, lengths: tuple[int, ...]) -> None:
    for frames in lengths:
        x = example(frames)
        want = answer(module, x)
        assert np.abs(model.run(x.numpy()) - want).max() < BOUND * max(1.0, np.abs(want).max())


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_of_what_is_summed(way: str) -> None:
    module = Net(STREAMS[way]).eval()
    model = grucore.from_torch(module, example_inputs=example())
    check(model, module, (2, FRAMES, 1100))
    x, stream = example(40, 1), model.stream()
    for frame in range(40):
        found = stream.step(x[0, frame].numpy())
        if frame:
            assert np.abs(found - answer(module, x[:, : frame + 1])).max() < BOUND
    whole = model.run(x.numpy())
    assert np.array_equal(whole[0], found)
    rows = np.concatenate([x.numpy(), x.numpy()])
    assert np.array_equal(model.run(rows, lengths=[40, 7])[0], found)


@pytest.mark.parametrize("way", WHOLE)
def test_what_comes_back_to_the_frames(way: str) -> None:
    module = Net(WHOLE[way]).eval()
    model = grucore.from_torch(module, example_inputs=example())
    assert not model.streamable
    check(model, module, (2, FRAMES, 300))


@pytest.mark.parametrize("way", [*STREAMS, *WHOLE])
def test_from_files(way: str, tmp_path: Path) -> None:
    module = Net({**STREAMS, **WHOLE}[way]).eval()
    path = tmp_path / "net.pt2"
    path.write_bytes(exported(module, example()))
    check(grucore.convert(path), module, (FRAMES,))
    if way in ("heads", "by the last state"):
        return  # the exporter knows no .mT
    path = tmp_path / "net.onnx"
    axes = {"x": {0: "rows", 1: "time"}}
    export(module, (example(),), path, input_names=["x"], dynamic_axes=axes, dynamo=False)
    check(grucore.convert(path), module, (2, FRAMES, 300))


def test_a_number_of_frames_that_a_file_leaves_open(tmp_path: Path) -> None:
    module = Net(lambda net, y: y.sum(1) / y.size(1) * (y.size(1) + 2)).eval()
    path, axes = tmp_path / "net.onnx", {"x": {1: "time"}}
    export(module, (example(),), path, input_names=["x"], dynamic_axes=axes, dynamo=False)
    model = grucore.convert(path)
    assert model.streamable
    check(model, module, (1, FRAMES, 300))


def test_attention_over_the_sequence_itself_is_refused() -> None:
    module = Net(lambda net, y: (y @ y.transpose(1, 2)).softmax(-1) @ y).eval()
    with pytest.raises(grucore.ConversionError, match="over the sequence itself"):
        grucore.from_torch(module, example_inputs=example())
