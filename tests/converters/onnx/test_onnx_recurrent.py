# SPDX-License-Identifier: Apache-2.0
"""The ONNX operators LSTM and RNN: layouts, states, and the forms that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_models import Maker, answer, gru
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")

BOUND = 1e-5
ERROR = grucore.ConversionError


def lstm(maker: Maker, **options: Any) -> Any:
    """A node of 3 inputs and 5 features, and its input."""
    dims = options.pop("dims", ["time", "batch", 3])
    return gru(maker, maker.input("x", dims), 3, 5, op="LSTM", **options)


def frames_of(maker: Maker, y: str) -> str:
    return maker.add("Squeeze", y, maker.axes(1))


@pytest.mark.parametrize("op", ["LSTM", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_layout_1(op: str, direction: str, rng: np.random.Generator) -> None:
    """onnxruntime has layout 0 alone: the same weights in both layouts."""
    found = []
    x = rng.uniform(-2, 2, (2, 9, 3)).astype(np.float32)
    for layout in (0, 1):
        maker = Maker(np.random.default_rng(1))
        dims = ["batch", "time", 3] if layout else ["time", "batch", 3]
        source = maker.input("x", dims)
        options = {"direction": direction, "layout": layout} if layout else {"direction": direction}
        y = gru(maker, source, 3, 5, op=op, **options)[0]
        if not layout:
            y = maker.add("Transpose", y, perm=[2, 0, 1, 3])
        model = maker.model(maker.add("Reshape", y, maker.constant(np.array([0, 0, -1]))))
        found.append(grucore.from_onnx(model).run(x))
        if not layout:
            want = answer(model, {"x": x.swapaxes(0, 1)})[0]
            assert np.abs(found[0] - want).max() < BOUND
    assert np.array_equal(*found)


@pytest.mark.parametrize("frames", [1, "time"])
def test_states_in_and_out(frames: Any, rng: np.random.Generator) -> None:
    maker = Maker(np.random.default_rng(2))
    h0, c0 = (maker.input(name, [1, 1, 5]) for name in ("h", "c"))
    y, h, c = lstm(maker, h0=h0, c0=c0, outputs=3, dims=[frames, 1, 3])
    model = grucore.from_onnx(maker.model(frames_of(maker, y), h, c))
    layer = model.layers[0]
    assert set(model.metadata["source"]["states"]) == {"h", "c"}
    x = rng.uniform(-2, 2, (8, 3)).astype(np.float32)
    state = {"h": np.zeros((1, 1, 5), np.float32), "c": np.zeros((1, 1, 5), np.float32)}
    whole = maker.model(frames_of(maker, y), h, c)
    want = []
    for frame in x:
        out, state["h"], state["c"] = answer(whole, {"x": frame[None, None], **state})
        want.append(out.reshape(-1))
    have, final = model.run(x, return_state=True)
    assert np.abs(have - np.array(want)).max() < BOUND
    assert np.abs(final[f"{layer.name}.c"] - state["c"].reshape(-1)).max() < BOUND


@pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning")
def test_a_stack_from_torch_returns_its_states(tmp_path: Path, rng: np.random.Generator) -> None:
    torch = oracle("torch")

    class Stack(torch.nn.Module):  # type: ignore[name-defined,misc]
        """Two layers, the states of both in one tensor each."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(3, 4, num_layers=2, batch_first=True)

        def forward(self, x: Any, h: Any, c: Any) -> Any:
            y, (h, c) = self.lstm(x, (h, c))
            return y, h, c

    torch.manual_seed(3)
    module, zeros = Stack().eval(), torch.zeros(2, 1, 4)
    path = tmp_path / "stack.onnx"
    torch.onnx.export(module, (torch.ones(1, 1, 3), zeros, zeros), path, dynamo=False)
    model = grucore.convert(path)
    assert list(model.states) == ["lstm.l0.h", "lstm.l0.c", "lstm.l1.h", "lstm.l1.c"]
    x = rng.uniform(-2, 2, (12, 3)).astype(np.float32)
    with torch.no_grad():
        want, _, c = module(torch.from_numpy(x)[None], zeros, zeros)
    have, final = model.run(x, return_state=True)
    assert np.abs(have - want[0].numpy()).max() < BOUND
    assert np.abs(final["lstm.l1.c"] - c[1, 0].numpy()).max() < BOUND


def test_refused_by_name() -> None:
    maker = Maker(np.random.default_rng(4))
    model = maker.model(frames_of(maker, lstm(maker, input_forget=1)[0]))
    with pytest.raises(ERROR, match=r"input_forget is 1 \(coupled gates\)"):
        grucore.from_onnx(model)
    maker = Maker(np.random.default_rng(4))
    model = maker.model(frames_of(maker, lstm(maker, peepholes=maker.weight(1, 15))[0]))
    with pytest.raises(ERROR, match="P has peephole weights that are not zero"):
        grucore.from_onnx(model)
    maker = Maker(np.random.default_rng(4))
    y, _, c = lstm(maker, outputs=3)
    with pytest.raises(ERROR, match=r"is the cell state .*\.c.*return_state=True"):
        grucore.from_onnx(maker.model(frames_of(maker, y), c))
    product = maker.add("MatMul", c, maker.weight(5, 2))
    with pytest.raises(ERROR, match=r"reads the cell state .*, which only its LSTM may"):
        grucore.from_onnx(maker.model(product))
    maker = Maker(np.random.default_rng(4))
    y = lstm(maker, c0=maker.weight(1, 2, 5), dims=["time", 2, 3])[0]
    with pytest.raises(ERROR, match="initial_c differs between the rows of the batch"):
        grucore.from_onnx(maker.model(frames_of(maker, y)))


def test_peepholes_of_zeros_are_none(rng: np.random.Generator) -> None:
    maker = Maker(np.random.default_rng(5))
    zeros = maker.constant(np.zeros((1, 15), np.float32))
    model = maker.model(frames_of(maker, lstm(maker, peepholes=zeros)[0]))
    x = rng.uniform(-2, 2, (7, 1, 3)).astype(np.float32)
    have = grucore.from_onnx(model).run(x[:, 0])
    assert np.abs(have - answer(model, {"x": x})[0][:, 0]).max() < BOUND
