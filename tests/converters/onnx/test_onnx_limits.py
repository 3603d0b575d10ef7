# SPDX-License-Identifier: Apache-2.0
"""ONNX: the forms of auto_pad, and what no layer expresses, refused by operator and attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import grucore
from models.onnx_models import Maker, answer, gru
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")
oracle("onnx")

ERROR = grucore.ConversionError
BOUND = 2e-6


def convolution(taps: int, *, padded: int = 0, **attributes: Any) -> Any:
    """x (batch, time, 6) -> (batch, time, 5), with the axes that Conv wants in between."""
    made = Maker(np.random.default_rng(taps))
    x = made.add("Transpose", made.input("x", ["batch", "time", 6]), perm=[0, 2, 1])
    if padded:
        x = made.add("Pad", x, made.constant(np.array([0, 0, padded, 0, 0, 0])))
    y = made.add("Conv", x, made.weight(5, 6, taps), made.weight(5), **attributes)
    return made.model(made.add("Transpose", y, perm=[0, 2, 1]))


def check(proto: Any, frames: int = 11) -> grucore.Model:
    x = np.random.default_rng(2).uniform(-2, 2, (2, frames, 6)).astype(np.float32)
    (expected,) = answer(proto, {"x": x})
    model = grucore.from_onnx(proto)
    assert model.run(x).shape == expected.shape
    assert np.abs(model.run(x) - expected).max() < BOUND
    assert model.proof is not None
    assert model.proof.against.startswith("onnxruntime")
    return model


@pytest.mark.parametrize("taps", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
def test_forms_of_auto_pad(kind: str, taps: int) -> None:
    check(convolution(taps, auto_pad=kind))


def test_dilations_with_auto_pad() -> None:
    """A file that onnxruntime cannot run, proved against the reference: the same as with pads."""
    check(convolution(4, auto_pad="VALID", dilations=[3]))
    x = np.random.default_rng(2).uniform(-2, 2, (2, 13, 6)).astype(np.float32)
    for kind, pads in (("SAME_UPPER", [4, 5]), ("SAME_LOWER", [5, 4])):
        automatic = grucore.from_onnx(convolution(4, auto_pad=kind, dilations=[3]))
        assert automatic.proof is not None
        assert "onnxruntime refuses the model" in automatic.proof.against
        stated = check(convolution(4, pads=pads, dilations=[3]))
        assert np.array_equal(automatic.run(x), stated.run(x))


@pytest.mark.parametrize("stride", [2, 3])
def test_strides(stride: int) -> None:
    for pads in ([0, 0], [2, 0], [1, 1]):
        for frames in range(5, 5 + stride):
            check(convolution(3, strides=[stride], pads=pads), frames)
    check(convolution(3, strides=[stride], auto_pad="VALID"))
    # One tap needs no padding at any length.
    check(convolution(1, strides=[stride], auto_pad="SAME_UPPER"))


@pytest.mark.parametrize("kind", ["SAME_UPPER", "SAME_LOWER"])
def test_same_with_a_stride_depends_on_the_length(kind: str) -> None:
    with pytest.raises(ERROR, match=rf"Conv .*: attribute auto_pad is '{kind}' with stride 2"):
        grucore.from_onnx(convolution(3, strides=[2], auto_pad=kind))


def test_paddings_that_no_stream_has() -> None:
    text = r"Conv .*: pads are 1 and 0: expected|Conv .*: pads are 3 and 0: expected at most 2 "
    with pytest.raises(ERROR, match=text):
        grucore.from_onnx(convolution(3, pads=[3, 0]))
    with pytest.raises(ERROR, match=r"output .*: reads 1 frames past the end that a convolution"):
        grucore.from_onnx(convolution(3, pads=[0, 1]))
    with pytest.raises(ERROR, match=r"output .*: reads 1 frames past the end that a convolution"):
        grucore.from_onnx(convolution(3, padded=1, auto_pad="SAME_UPPER"))
    with pytest.raises(ERROR, match=r"Conv .*: attribute auto_pad is 'SAME' with stride 1"):
        grucore.from_onnx(convolution(3, auto_pad="SAME"))


def test_an_encoder_s_state_for_a_decoder_is_refused_by_name() -> None:
    made = Maker(np.random.default_rng(0))
    x = made.input("x", ["time", "batch", 3])
    _, last = gru(made, x, 3, 4)
    y, _ = gru(made, x, 3, 4, h0=last)
    with pytest.raises(ERROR, match=r"GRU .*: initial_h is computed by the model, expected an "):
        grucore.from_onnx(made.model(made.add("Squeeze", y, made.axes(1))))


def test_a_loop_over_ids_that_is_written_out_is_no_model_of_a_frame() -> None:
    made = Maker(np.random.default_rng(0))
    ids = made.input("ids", [7, 9], onnx.TensorProto.INT64)
    h = made.constant(np.zeros((7, 4), np.float32))
    for place in range(9):
        row = made.add("Gather", ids, made.constant(np.array(place)), axis=1)
        x = made.add("Gather", made.weight(11, 4), row)
        h = made.add("Tanh", made.add("Add", x, made.add("MatMul", h, made.weight(4, 4))))
    with pytest.raises(ERROR, match="nothing in it looks along time"):
        grucore.from_onnx(made.model(h))


def test_cells_unrolled_in_the_model_are_refused(tmp_path: Path) -> None:
    torch = oracle("torch")
    from models.onnx_torch import export

    class Loop(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.GRUCell(3, 4)

        def forward(self, x: Any) -> Any:
            h = x.new_zeros(x.shape[0], 4)
            rows = []
            for frame in x.unbind(1):
                h = self.cell(frame, h)
                rows.append(h)
            return torch.stack(rows, 1)

    path = tmp_path / "loop.onnx"
    export(Loop().eval(), (torch.randn(1, 5, 3),), path, dynamo=False)
    with pytest.raises(ERROR, match=r"nn.GRUCell .*: its state is that of the cell of the frame "):
        grucore.convert(path)
