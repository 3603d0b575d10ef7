# SPDX-License-Identifier: Apache-2.0
"""Inputs that come once for a sequence, beside its frames: a speaker, a condition, an id."""

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
nn, layers = torch.nn, keras.layers
pytestmark = pytest.mark.oracle

FEATURES, WIDTH, HIDDEN, FRAMES, BATCH = 5, 4, 8, 9, 2
BOUND = 3e-6


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A GRU that a condition steers in each of `WAYS`."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        width = {"joined": FEATURES + WIDTH, "id": FEATURES + WIDTH, "strided": HIDDEN + WIDTH}
        self.gru = nn.GRU(width.get(way, FEATURES), HIDDEN, batch_first=True)
        self.table = nn.Embedding(7, WIDTH)
        self.film = nn.Linear(WIDTH, 2 * HIDDEN)
        self.conv = nn.Conv1d(FEATURES, HIDDEN, 3, stride=2)
        self.out = nn.Linear(HIDDEN + WIDTH if way == "last" else HIDDEN, 3)

    def forward(self, x: Any, cond: Any) -> Any:
        return self.out(WAYS[self.way](self, x, cond))


def film(net: Any, x: Any, cond: Any) -> Any:
    scale, shift = net.film(cond).chunk(2, -1)
    return net.gru(x)[0] * scale[:, None] + shift[:, None]


def joined(net: Any, x: Any, cond: Any) -> Any:
    return net.gru(torch.cat([x, cond.unsqueeze(1).expand(-1, x.shape[1], -1)], -1))[0]


def strided(net: Any, x: Any, cond: Any) -> Any:
    y = net.conv(x.transpose(1, 2)).transpose(1, 2)
    return net.gru(torch.cat([y, cond[:, None].repeat(1, y.shape[1], 1)], -1))[0]


WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "joined": joined,
    "film": film,
    "id": lambda net, x, cond: joined(net, x, net.table(cond)),
    "last": lambda net, x, cond: torch.cat([net.gru(x)[1][-1], cond], -1),
    "strided": strided,
}


def net(way: str) -> Any:
    torch.manual_seed(5)
    return Net(way).eval()


def example(way: str, frames: int = FRAMES) -> tuple[Any, Any]:
    torch.manual_seed(frames)
    x = torch.randn(BATCH, frames, FEATURES)
    return x, torch.tensor([3, 5]) if way == "id" else torch.randn(BATCH, WIDTH)


def check(model: grucore.Model, module: Any, lengths: tuple[int, ...] = (FRAMES, 40)) -> None:
    """`run` and a stream, which takes the condition at each step, give what torch gives."""
    assert model.metadata["source"]["once"] == ["cond"]
    for frames in lengths:
        x, cond = (each.numpy() for each in example(module.way, frames))
        with torch.inference_mode():
            want = module(*example(module.way, frames)).numpy()
        found = model.run((x, cond))
        assert found.shape == want.shape
        assert np.abs(found - want).max() < BOUND
        # The same bits: alone, as an axis of frames, in steps, in blocks.
        assert np.array_equal(model.run({"x": x[1], "cond": cond[1]}), found[1])
        rows = np.repeat(cond[:, None], frames, axis=1)
        assert np.array_equal(model.run((x, rows)), found)
        stream = model.stream(batch=BATCH)
        steps = [stream.step((x[:, t], cond.reshape(BATCH, -1))) for t in range(frames)]
        given = [step for step in steps if step is not None]
        assert np.array_equal(given[-1] if module.way == "last" else np.stack(given, 1), found)
        stream.reset()
        assert np.array_equal(stream.run((x, cond)), found)


@pytest.mark.parametrize("way", WAYS)
def test_from_a_live_module(way: str) -> None:
    module = net(way)
    check(grucore.from_torch(module, example_inputs=example(way)), module)


@pytest.mark.parametrize("way", WAYS)
def test_from_an_archive(way: str, tmp_path: Path) -> None:
    module, path = net(way), tmp_path / "net.pt2"
    path.write_bytes(exported(module, *example(way)))
    check(grucore.convert(path), module, (FRAMES,))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lengths", ["any", "one"])
def test_from_onnx(way: str, lengths: str, tmp_path: Path) -> None:
    module, path = net(way), tmp_path / "net.onnx"
    axes = {"x": {0: "batch", 1: "time"}, "cond": {0: "batch"}} if lengths == "any" else None
    names = ["x", "cond"]
    export(module, example(way), path, input_names=names, dynamic_axes=axes, dynamo=False)
    check(grucore.convert(path), module, (FRAMES, 40) if axes else (FRAMES,))


def repeated(x: Any, cond: Any) -> Any:
    return gru()(layers.Concatenate()([x, layers.RepeatVector(FRAMES)(cond)]))


def gru(**options: Any) -> Any:
    return layers.GRU(HIDDEN, return_sequences=True, **options)


def gate(cond: Any) -> Any:
    return layers.Reshape((1, HIDDEN))(layers.Dense(HIDDEN, activation="sigmoid")(cond))


OF_KERAS: dict[str, tuple[Callable[..., Any], int | None, tuple[tuple[int, str], ...]]] = {
    "repeated": (repeated, FRAMES, ((WIDTH, "float32"),)),
    "gated": (lambda x, c: layers.Multiply()([gru()(x), gate(c)]), None, ((WIDTH, "float32"),)),
    "last": (
        lambda x, c: layers.Concatenate()([layers.GRU(HIDDEN)(x), layers.Dense(3)(c)]),
        None,
        ((WIDTH, "float32"),),
    ),
    "id": (lambda x, c: gru()(x) + layers.Embedding(7, HIDDEN)(c), None, ((1, "int32"),)),
    "beside a state": (
        lambda x, c, h: layers.Multiply()([gru()(x, initial_state=h), gate(c)]),
        None,
        ((WIDTH, "float32"), (HIDDEN, "float32")),
    ),
}


@pytest.mark.parametrize("way", OF_KERAS)
def test_from_keras(way: str, rng: np.random.Generator) -> None:
    make, frames, rows = OF_KERAS[way]
    names = ("cond", "state")[: len(rows)]
    inputs = [keras.Input((frames, FEATURES), name="x")]
    inputs += [
        keras.Input((size,), dtype=dtype, name=name)
        for name, (size, dtype) in zip(names, rows, strict=True)
    ]
    network = keras.Model(inputs, make(*inputs))
    model = grucore.from_keras(network)
    assert model.metadata["source"]["once"] == ["cond"]
    x = rng.normal(size=(BATCH, FRAMES, FEATURES)).astype(np.float32)
    cond = rng.normal(size=(BATCH, WIDTH)).astype(np.float32)
    if way == "id":
        cond = np.array([[3], [5]], np.int32)
    given, state = [x, cond], None
    if len(rows) > 1:
        given.append(rng.normal(size=(BATCH, HIDDEN)).astype(np.float32))
        state = {name: given[2] for name in model.states}
    want = keras.ops.convert_to_numpy(network(given))
    found = model.run((x, cond[:, 0] if way == "id" else cond), state=state)
    assert np.abs(found - np.asarray(want)).max() < BOUND


def test_shapes_that_no_input_has() -> None:
    model = grucore.from_torch(net("film"), example_inputs=example("film"))
    x, cond = (each.numpy() for each in example("film"))
    with pytest.raises(ValueError, match=r"'cond' has shape \(2, 3\), expected \(batch, 4\), or w"):
        model.run((x, cond[:, :3]))
    with pytest.raises(ValueError, match=r"'cond' has shape \(1, 4\), expected \(2, 4\)"):
        model.run((x, cond[:1]))
    with pytest.raises(ValueError, match="no input has an axis of frames"):
        model.run((x[0, 0], cond[0]))
