# SPDX-License-Identifier: Apache-2.0
"""A mask as an input, and what programs do with one: products, means, extremes, choices."""

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

FEATURES, HIDDEN, FRAMES, BATCH = 5, 8, 9, 3
BOUND = 2e-5  # a sum divided by a small one adds roundings up

NUMBERS: dict[str, Callable[[Any, Any], Any]] = {  # of a mask of floats
    "product": lambda y, m: y * m[..., None],
    "mean": lambda y, m: (y * m[..., None]).sum(1) / m.sum(1, keepdim=True).clamp(min=1),
    "quotient": lambda y, m: (y * m[..., None]).sum(1) / (m.sum(1, keepdim=True) + 1e-6),
    "largest": lambda y, m: y.masked_fill(m[..., None] == 0, -1e9).amax(1),
    "penalty": lambda y, m: (y + (1 - m[..., None]) * -1e9).amax(1),
    "where": lambda y, m: torch.where(m[..., None] > 0.5, y, torch.full_like(y, 2.0)),
    "between": lambda y, m: torch.where((y >= -0.1) & (y <= 0.2), y, m[..., None]),
}
BOOLEANS: dict[str, Callable[[Any, Any], Any]] = {
    "product": lambda y, m: y * m.unsqueeze(-1).float(),
    "mean": lambda y, m: (y * m[..., None]).sum(1) / m.sum(1, keepdim=True).clamp(min=1),
    "filled": lambda y, m: y.masked_fill(~m[..., None], float("-inf")).amax(1),
    "zeros": lambda y, m: y.masked_fill(m.logical_not()[..., None], 0.0),
    "where": lambda y, m: torch.where(m[..., None], y, -y),
    "either": lambda y, m: torch.where(m[..., None] | (y < 0), y, 0.5),
}
WAYS = [(way, "float") for way in NUMBERS] + [(way, "bool") for way in BOOLEANS]


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A GRU whose output goes through one of these."""

    def __init__(self, way: str, dtype: str) -> None:
        super().__init__()
        self.gru = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, 3)
        self.way = (NUMBERS if dtype == "float" else BOOLEANS)[way]
        self.dtype = dtype

    def forward(self, x: Any, mask: Any) -> Any:
        return self.out(self.way(self.gru(x)[0], mask))


def net(way: str, dtype: str) -> Any:
    torch.manual_seed(5)
    return Net(way, dtype).eval()


def example(dtype: str, frames: int = FRAMES) -> tuple[Any, Any]:
    torch.manual_seed(frames)
    mask = torch.rand(BATCH, frames) > 0.4
    mask[:, 0] = True
    return torch.randn(BATCH, frames, FEATURES), mask if dtype == "bool" else mask.float()


def check(model: grucore.Model, module: Any, lengths: tuple[int, ...] = (FRAMES, 30)) -> None:
    assert model.metadata["source"].get("booleans", []) == ["mask"] * (module.dtype == "bool")
    for frames in lengths:
        x, mask = example(module.dtype, frames)
        with torch.inference_mode():
            want = module(x, mask).numpy()
        given = (x.numpy(), mask.numpy()[..., None])
        found = model.run(given)
        assert np.abs(found - want).max() <= BOUND * max(1.0, np.abs(want).max())
        stream = model.stream(batch=BATCH)
        steps = [stream.step(tuple(each[:, t] for each in given)) for t in range(frames)]
        assert np.array_equal(steps[-1] if found.ndim == 2 else np.stack(steps, 1), found)


@pytest.mark.parametrize(("way", "dtype"), WAYS)
def test_from_a_live_module(way: str, dtype: str) -> None:
    module = net(way, dtype)
    check(grucore.from_torch(module, example_inputs=example(dtype)), module)


@pytest.mark.parametrize(("way", "dtype"), WAYS)
def test_from_an_archive(way: str, dtype: str, tmp_path: Path) -> None:
    module, path = net(way, dtype), tmp_path / "net.pt2"
    path.write_bytes(exported(module, *example(dtype)))
    check(grucore.convert(path), module, (FRAMES,))


@pytest.mark.parametrize(("way", "dtype"), WAYS)
def test_from_onnx(way: str, dtype: str, tmp_path: Path) -> None:
    module, path = net(way, dtype), tmp_path / "net.onnx"
    axes = {name: {0: "batch", 1: "time"} for name in ("x", "mask")}
    export(
        module,
        example(dtype),
        path,
        input_names=["x", "mask"],
        dynamic_axes=axes,
        dynamo=False,
    )
    check(grucore.convert(path), module)


def test_numbers_that_are_no_truth_values() -> None:
    class Odd(Net):
        def forward(self, x: Any, mask: Any) -> Any:
            return self.out(self.gru(x)[0].logical_not().float())

    message = "takes numbers for truth values, expected a mask or a comparison"
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.from_torch(Odd("product", "float"), example_inputs=example("float"))


@pytest.mark.parametrize("frames", [None, FRAMES])
def test_a_mask_that_keras_is_given(frames: int | None, rng: np.random.Generator) -> None:
    layers = keras.layers
    x = keras.Input((frames, FEATURES), name="x")
    mask = keras.Input((frames,), dtype="bool", name="mask")
    y = layers.GRU(HIDDEN, return_sequences=True)(x, mask=mask)
    network = keras.Model([x, mask], layers.GlobalAveragePooling1D()(y, mask=mask))
    model = grucore.from_keras(network)
    signal = rng.normal(size=(BATCH, FRAMES, FEATURES)).astype(np.float32)
    given = rng.random((BATCH, FRAMES)) < 0.6
    given[:, 0] = True
    want = keras.ops.convert_to_numpy(network([signal, given]))
    found = model.run((signal, given[..., None]))
    assert np.abs(found - np.asarray(want)).max() < BOUND
