# SPDX-License-Identifier: Apache-2.0
"""The traps of ONNX files, each by its number in the list of traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.graph.layers import Cell, Gru
from models.onnx_models import Maker, answer, gru
from models.readers import onnx_graph, proto_graph
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")
onnx = oracle("onnx")

ERROR = grucore.ConversionError
BOUND = 1e-6


def small(producer: str = "test", **attributes: Any) -> Any:
    """x (time, batch, 3) -> Y squeezed."""
    maker = Maker(np.random.default_rng(3))
    x = maker.input("x", ["time", "batch", 3])
    y, _ = gru(maker, x, 3, 4, **attributes)
    if attributes.get("direction") == "bidirectional":
        turned = maker.add("Transpose", y, perm=[0, 2, 1, 3])
        y = maker.add("Reshape", turned, maker.constant(np.array([0, 0, -1])))
    else:
        y = maker.add("Squeeze", y, maker.axes(1))
    return maker.model(y, producer=producer)


def compared(model: Any, *, time_first: bool = True) -> float:
    """The largest difference from onnxruntime."""
    x = np.random.default_rng(4).uniform(-2, 2, (2, 11, 3)).astype(np.float32)
    feeds = {"x": np.ascontiguousarray(x.swapaxes(0, 1)) if time_first else x}
    (expected,) = answer(model, feeds)
    expected = expected.swapaxes(0, 1) if time_first else expected
    return float(np.abs(grucore.from_onnx(model).run(x) - expected).max())


def cell_of(model: grucore.Model) -> Cell:
    from grucore import fileformat

    (node,) = (n for n in fileformat.read(bytes(model)).nodes if isinstance(n, Gru))
    return node.cell


@pytest.mark.parametrize("lbr", [0, 1])
def test_trap_1_both_cells(lbr: int) -> None:
    model = small(linear_before_reset=lbr)
    assert compared(model) < BOUND
    expected = Cell.RESET_AFTER if lbr else Cell.RESET_BEFORE
    assert cell_of(grucore.from_onnx(model)) is expected


def test_trap_1_a_file_of_pytorch_that_says_reset_before(tmp_path: Path) -> None:
    wrong, right = small("pytorch", linear_before_reset=0), small(linear_before_reset=1)
    with pytest.raises(ERROR, match=r"linear_before_reset is 0.*onnxscript.*pytorch_lbr_fix"):
        grucore.from_onnx(wrong)
    with pytest.raises(ERROR, match="linear_before_reset is 0"):
        grucore.from_onnx(small("pytorch"))  # the attribute's default
    fixed = grucore.from_onnx(wrong, pytorch_lbr_fix=True)
    assert "read as 1 in 1 GRU" in fixed.metadata["source"]["pytorch_lbr_fix"]
    x = np.ones((5, 3), np.float32)
    assert (fixed.run(x) == grucore.from_onnx(right).run(x)).all()
    # Another tool wrote the file anew, and its own name into it.
    rewritten = grucore.from_onnx(small("onnx.compose"), pytorch_lbr_fix=True)
    assert (rewritten.run(x) == fixed.run(x)).all()
    path = tmp_path / "wrong.onnx"
    path.write_bytes(wrong.SerializeToString())
    assert grucore.convert(path, pytorch_lbr_fix=True).proof is not None


def test_trap_2_hard_sigmoid_is_that_of_onnx_unless_the_file_says_otherwise() -> None:
    names = ["HardSigmoid", "Tanh"]
    plain = grucore.from_onnx(small(activations=names))
    stated = {"activation_alpha": [0.2], "activation_beta": [0.5]}
    assert compared(small(activations=names, **stated)) < BOUND
    x = np.random.default_rng(1).uniform(-2, 2, (9, 3)).astype(np.float32)
    same = grucore.from_onnx(small(activations=names, **stated))
    assert (plain.run(x) == same.run(x)).all()
    keras = {"activation_alpha": [1 / 6], "activation_beta": [0.5]}
    other = grucore.from_onnx(small(activations=names, **keras))
    assert np.abs(other.run(x) - plain.run(x)).max() > 1e-3
    assert compared(small(activations=names, **keras)) < BOUND


class Cells:
    """Made when torch is there."""

    @staticmethod
    def module() -> Any:
        from models.onnx_torch import nn, torch

        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.second = nn.GRUCell(3, 4), nn.GRUCell(4, 5, bias=False)
                self.out = nn.Linear(5, 2)

            def forward(self, x: Any, h: Any, g: Any) -> Any:
                h = self.first(x, h)
                g = self.second(h, g)
                return self.out(g), h, g

        torch.manual_seed(2)
        return Two().eval()


@pytest.mark.parametrize("dynamo", [False, True])
def test_trap_11_cells_in_pieces(dynamo: bool, tmp_path: Path) -> None:
    from models.onnx_torch import export, torch

    module = Cells.module()
    path = tmp_path / "cells.onnx"
    zeros = torch.zeros(2, 4), torch.zeros(2, 5)
    export(module, (torch.zeros(2, 3), *zeros), path, dynamo=dynamo, opset_version=18)
    model = grucore.convert(path)
    x = np.random.default_rng(5).uniform(-2, 2, (6, 3)).astype(np.float32)
    h, g = zeros[0][:1] + 0.5, zeros[1][:1] - 0.25
    rows = []
    states = list(model.stream().state)
    y = model.run(x, state={states[0]: h[0].numpy(), states[1]: g[0].numpy()})
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            out, h, g = module(frame[None], h, g)
            rows.append(out[0].numpy())
    assert np.abs(y - np.stack(rows)).max() < BOUND
    notes = model.metadata["source"]["states"]
    assert sorted(note.split()[-1] for note in notes.values()) == sorted(states)
    assert model.proof is not None
    assert model.proof.against.startswith("onnxruntime")


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_trap_12_what_exporters_put_around_a_gru(
    dynamo: bool, bidirectional: bool, dynamic: bool, tmp_path: Path
) -> None:
    from models.onnx_torch import export, nn, torch

    torch.manual_seed(7)
    module = nn.GRU(3, 4, bidirectional=bidirectional, batch_first=True).eval()
    options: dict[str, Any] = {"dynamo": dynamo}
    if dynamic:
        sizes = {0: torch.export.Dim("b")} if dynamo else {0: "b", 1: "t"}
        options |= {"dynamic_shapes": (sizes,)} if dynamo else {"dynamic_axes": {"x": sizes}}
    path = tmp_path / "gru.onnx"
    export(module, (torch.zeros(2, 7, 3),), path, input_names=["x"], **options)
    model = grucore.convert(path)
    x = np.random.default_rng(8).uniform(-2, 2, (3, 20, 3)).astype(np.float32)
    with torch.no_grad():
        y, h = module(torch.from_numpy(x))
    ours = model.run(x)
    assert np.abs(ours[0] - y.numpy()).max() < BOUND
    assert np.abs(ours[1] - h.numpy().swapaxes(0, 1).reshape(3, -1)).max() < BOUND


def test_trap_13_numbers_in_another_file(tmp_path: Path) -> None:
    from models.onnx_torch import export, nn, torch

    path = tmp_path / "model.onnx"
    export(nn.GRU(30, 40).eval(), (torch.zeros(5, 1, 30),), path, dynamo=True)
    assert (tmp_path / "model.onnx.data").exists()
    assert grucore.convert(path).proof is not None
    with pytest.raises(ERROR, match="another file: give the path"):
        grucore.from_onnx(onnx.load(path, load_external_data=False))
    assert grucore.from_onnx(onnx.load(path)).proof is not None


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_trap_14_lengths_as_an_input(direction: str) -> None:
    maker = Maker(np.random.default_rng(3))
    x = maker.input("x", ["time", "batch", 3])
    lengths = maker.input("n", ["batch"], onnx.TensorProto.INT64)
    lengths = maker.add("Cast", lengths, to=onnx.TensorProto.INT32)
    y, last = gru(maker, x, 3, 4, lengths=lengths, direction=direction)
    turned = maker.add("Transpose", y, perm=[0, 2, 1, 3])
    y = maker.add("Reshape", turned, maker.constant(np.array([0, 0, -1])))
    proto = maker.model(y, last)
    model = grucore.from_onnx(proto)
    assert [port.name for port in model.inputs] == ["x"]
    assert model.metadata["source"]["lengths"] == "input 'n' is lengths= of run"
    frames = np.random.default_rng(1).uniform(-2, 2, (3, 9, 3)).astype(np.float32)
    valid = np.array([9, 4, 1])
    theirs = answer(proto, {"x": frames.swapaxes(0, 1).copy(), "n": valid})
    ours = model.run(frames, lengths=valid)
    assert np.abs(ours[0] - theirs[0].swapaxes(0, 1)).max() < BOUND
    assert np.abs(ours[1] - theirs[1].swapaxes(0, 1).reshape(3, -1)).max() < BOUND


def test_trap_14_the_last_frame_of_a_padded_sequence_is_not_the_last_valid_one() -> None:
    maker = Maker(np.random.default_rng(3))
    x = maker.input("x", ["time", "batch", 3])
    lengths = maker.input("n", ["batch"], onnx.TensorProto.INT32)
    y, _ = gru(maker, x, 3, 4, lengths=lengths)
    y = maker.add("Squeeze", y, maker.axes(1))
    y = maker.add("Gather", y, maker.constant(np.array(-1)), axis=0)
    with pytest.raises(ERROR, match=r"past the lengths that input 'n' gives"):
        grucore.from_onnx(maker.model(y))


@pytest.mark.parametrize("dynamo", [False, True])
def test_trap_15_layers_are_nodes_and_share_an_initial_state(dynamo: bool, tmp_path: Path) -> None:
    from models.onnx_torch import export, nn, torch

    torch.manual_seed(9)
    module = nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True).eval()
    path = tmp_path / "deep.onnx"
    h = torch.randn(4, 2, 4)
    export(module, (torch.zeros(2, 7, 3), h), path, dynamo=dynamo, input_names=["x", "h"])
    model = grucore.convert(path)
    names = model.metadata["source"]["states"]["h"].split("state of ")[1].split(", ")
    x = np.random.default_rng(8).uniform(-2, 2, (2, 7, 3)).astype(np.float32)
    state = {name: part.numpy() for name, part in zip(names, h, strict=True)}
    ours, final = model.run(x, state=state, return_state=True)
    with torch.no_grad():
        y, last = module(torch.from_numpy(x), h)
    assert np.abs(ours - y.numpy()).max() < BOUND
    for name, theirs in zip(names, last.numpy(), strict=True):
        assert np.abs(final[name] - theirs).max() < BOUND


def test_trap_28_layout_1_is_read_and_proved() -> None:
    def made(layout: int) -> Any:
        maker = Maker(np.random.default_rng(3))
        lead = ["batch", "time"] if layout else ["time", "batch"]
        y, last = gru(
            maker,
            maker.input("x", [*lead, 3]),
            3,
            4,
            direction="bidirectional",
            linear_before_reset=1,
            **({"layout": 1} if layout else {}),
        )
        return maker.model(y, last)

    with pytest.raises(Exception, match=r"(?i)layout"):
        answer(made(1), {"x": np.zeros((1, 2, 3), np.float32)})
    one, other = grucore.from_onnx(made(1)), grucore.from_onnx(made(0))
    x = np.random.default_rng(8).uniform(-2, 2, (2, 7, 3)).astype(np.float32)
    for mine, theirs in zip(one.run(x), other.run(x), strict=True):
        assert (mine == theirs).all()
    assert one.proof is not None
    assert one.proof.against.startswith("onnxruntime")
    assert one.metadata["source"]["axes"]["x"] == "(batch, time, features)"


def test_trap_28_clip_and_double() -> None:
    with pytest.raises(ERROR, match=r"attribute clip is 1.0, which is not supported"):
        grucore.from_onnx(small(clip=1.0))
    with pytest.raises(ERROR, match=r"attribute clip is 0.0"):
        grucore.from_onnx(small(clip=0.0))
    assert compared(small(clip=float(np.finfo(np.float32).max))) < BOUND
    model = small()
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float64), tensor.name))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    assert grucore.from_onnx(model).proof is not None  # onnxruntime alone refuses it


def test_interfaces(tmp_path: Path) -> None:
    proto = small()
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    nameless = tmp_path / "net"
    nameless.write_bytes(proto.SerializeToString())
    graphs = [onnx_graph(path), proto_graph(proto)]
    assert [len(graph.nodes) for graph in graphs] == [1, 1]
    assert grucore.convert(nameless).metadata["source"]["file"] == "net"
    assert grucore.from_onnx(str(path)).metadata["source"]["producer"] == "test"
    assert grucore.from_onnx(path, verify=False).proof is None
    with pytest.raises(TypeError, match=r"a path or an onnx.ModelProto, not int"):
        grucore.from_onnx(3)


@pytest.mark.parametrize("half", [10, 16], ids=["float16", "bfloat16"])
def test_a_rounding_to_half_precision_and_back_is_refused(half: int) -> None:
    maker = Maker(np.random.default_rng(3))
    x = maker.input("x", ["time", "batch", 3])
    rounded = maker.add("Cast", maker.add("Cast", x, to=half), to=1)
    y, _ = gru(maker, rounded, 3, 4)
    model = maker.model(maker.add("Squeeze", y, maker.axes(1)))
    with pytest.raises(ERROR, match=r"Cast .*rounds numbers to half precision"):
        grucore.from_onnx(model)
