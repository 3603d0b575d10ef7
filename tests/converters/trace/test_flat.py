# SPDX-License-Identifier: Apache-2.0
"""Sequences of one length, all of whose frames a product reads in one row."""

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
keras = oracle("keras")
nn = torch.nn
pytestmark = pytest.mark.oracle

FEATURES, HIDDEN, FRAMES, BATCH = 5, 8, 9, 2
BOUND = 3e-6
WAYS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "flat": (lambda net, x: net.gru(x)[0].flatten(1), FRAMES * HIDDEN),
    "bent": (
        lambda net, x: torch.relu(net.gru(x)[0].reshape(x.shape[0], -1)),
        FRAMES * HIDDEN,
    ),
    "channels first": (
        lambda net, x: net.gru(x)[0].transpose(1, 2).flatten(1),
        FRAMES * HIDDEN,
    ),
    "convolution": (lambda net, x: net.conv(x.transpose(1, 2)).flatten(1), (FRAMES - 2) * HIDDEN),
    "joined": (
        lambda net, x: torch.cat([net.gru(x)[0].flatten(1), net.gru(x)[1][-1]], -1),
        (FRAMES + 1) * HIDDEN,
    ),
}


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A product of all frames of what a GRU or a convolution gives."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.gru = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.conv = nn.Conv1d(FEATURES, HIDDEN, 3)
        self.way, width = WAYS[way]
        self.out = nn.Linear(width, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.way(self, x))


def net(way: str) -> Any:
    torch.manual_seed(5)
    return Net(way).eval()


def example() -> Any:
    torch.manual_seed(7)
    return torch.randn(BATCH, FRAMES, FEATURES)


def check(model: grucore.Model, module: Any) -> None:
    """At that length what torch gives; a stream answers for the newest frames, the same bits."""
    x = example()
    with torch.inference_mode():
        want = module(x).numpy()
    found = model.run(x.numpy())
    assert np.abs(found - want).max() < BOUND
    stream = model.stream(batch=BATCH)
    for t in range(FRAMES):
        answer = stream.step(x.numpy()[:, t])
    assert np.array_equal(answer, found)


@pytest.mark.parametrize("way", WAYS)
def test_from_a_live_module(way: str) -> None:
    module = net(way)
    model = grucore.from_torch(module, example_inputs=example())
    assert model.metadata["source"]["frames"] == FRAMES
    check(model, module)


@pytest.mark.parametrize("way", WAYS)
def test_from_an_archive(way: str, tmp_path: Path) -> None:
    module, path = net(way), tmp_path / "net.pt2"
    path.write_bytes(exported(module, example()))
    model = grucore.convert(path)
    assert model.metadata["source"]["frames"] == FRAMES
    check(model, module)


@pytest.mark.parametrize("way", WAYS)
def test_from_onnx(way: str, tmp_path: Path) -> None:
    module, path = net(way), tmp_path / "net.onnx"
    export(module, (example(),), path, input_names=["x"], dynamo=False)
    model = grucore.convert(path)
    assert model.metadata["source"]["frames"].startswith(f"the file fixes {FRAMES}")
    check(model, module)


def test_a_module_that_takes_other_lengths_as_well() -> None:
    class Padded(Net):
        def forward(self, x: Any) -> Any:
            y = self.gru(x)[0]
            if y.shape[1] < FRAMES:
                y = torch.cat([y, y.new_zeros(len(y), FRAMES - y.shape[1], HIDDEN)], 1)
            return self.out(y[:, :FRAMES].flatten(1))

    with pytest.raises(grucore.ConversionError):
        grucore.from_torch(Padded("flat"), example_inputs=example())


def test_axes_that_nothing_tells_apart() -> None:
    class Plain(Net):
        def forward(self, x: Any) -> Any:
            return self.out(torch.relu(x).flatten(1))

    WAYS["plain"] = (lambda net, x: x, FRAMES * FEATURES)
    try:
        module = Plain("plain")
    finally:
        del WAYS["plain"]
    with pytest.raises(grucore.ConversionError, match="can mean several things"):
        grucore.from_torch(module, example_inputs=example())


@pytest.mark.parametrize("first", ["gru", "conv"])
def test_from_keras(first: str, rng: np.random.Generator) -> None:
    layers = keras.layers
    start = {
        "gru": lambda: [layers.GRU(HIDDEN, return_sequences=True)],
        "conv": lambda: [layers.Conv1D(HIDDEN, 3, activation="relu"), layers.MaxPooling1D(2)],
    }[first]()
    tail = [layers.Flatten(), layers.Dropout(0.2), layers.Dense(6, activation="relu")]
    network = keras.Sequential([keras.Input((FRAMES, FEATURES)), *start, *tail, layers.Dense(3)])
    model = grucore.from_keras(network)
    assert model.metadata["source"]["frames"] == FRAMES
    x = rng.normal(size=(BATCH, FRAMES, FEATURES)).astype(np.float32)
    want = np.asarray(keras.ops.convert_to_numpy(network(x)))
    assert np.abs(model.run(x) - want).max() < BOUND
