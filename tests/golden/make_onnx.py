# SPDX-License-Identifier: Apache-2.0
"""Makes the ONNX files in this folder, and what onnxruntime computes with them.

    python tests/golden/make_onnx.py

Run with torch 2.13 (both exporters), onnxscript 0.7, onnx 1.23 and onnxruntime 1.32. ``keras.onnx``
is not tf2onnx's own work, which does not install beside a current Python: it is written from the
nodes that tf2onnx documents. ``expected.npz`` holds ``<name>.x`` (T, features) and ``<name>.y``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from models.onnx_models import Maker, gru
from models.onnx_torch import export

FOLDER = Path(__file__).parent / "onnx"
FRAMES = 12


class Net(nn.Module):
    """An encoder, the last frame, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0][:, -1])


def keras() -> onnx.ModelProto:
    """Embedding, GRU with its reset gate after, a time-distributed dense layer, as tf2onnx does."""
    maker = Maker(np.random.default_rng(1), opset=15)
    x = maker.input("x", ["batch", "time"], onnx.TensorProto.INT32)
    embedded = maker.add("Gather", maker.weight(9, 3), maker.add("Cast", x, to=7))
    turned = maker.add("Transpose", embedded, perm=[1, 0, 2])
    sizes = maker.add("Shape", embedded)
    batch = maker.add("Slice", sizes, maker.axes(0), maker.axes(1), maker.axes(0))
    shape = maker.add("Concat", maker.axes(1), batch, maker.axes(4), axis=0)
    zeros = maker.add("Expand", maker.constant(np.zeros((1, 1, 1), np.float32)), shape)
    y, _ = gru(maker, turned, 3, 4, h0=zeros, linear_before_reset=1)
    y = maker.add("Transpose", maker.add("Squeeze", y, maker.axes(1)), perm=[1, 0, 2])
    flat = maker.add("Reshape", y, maker.constant(np.array([-1, 4])))
    dense = maker.add("Add", maker.add("MatMul", flat, maker.weight(4, 2)), maker.weight(2))
    time = maker.add("Slice", sizes, maker.axes(1), maker.axes(2), maker.axes(0))
    shape = maker.add("Concat", maker.axes(-1), time, maker.axes(2), axis=0)
    y = maker.add("Softmax", maker.add("Reshape", dense, shape), axis=2)
    return maker.model(y, producer="tf2onnx")


def old() -> onnx.ModelProto:
    """Opset 7: a reset gate before, attributes that are inputs today."""
    maker = Maker(np.random.default_rng(2), opset=7)
    x = maker.input("x", ["time", "batch", 3])
    names = ["HardSigmoid", "Softsign"]
    y, _ = gru(maker, x, 3, 4, activations=names, activation_alpha=[0.2], activation_beta=[0.5])
    y = maker.add("Squeeze", y, axes=[1])
    cut = maker.add("Slice", y, starts=[1], ends=[4], axes=[2])
    return maker.model(maker.add("Clip", cut, min=-0.3, max=0.3))


def without_paths(path: Path) -> None:
    """Forget what the exporter says about the machine and the lines of code it ran on."""
    model = onnx.load(path, load_external_data=False)
    model.ClearField("metadata_props")
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
    path.write_bytes(model.SerializeToString())


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(6)
    net = Net().eval()
    x = torch.randn(1, FRAMES, 3)
    dynamic = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch", 1: "time"}}}
    for opset in (11, 17, 20):
        path = FOLDER / f"torch_legacy_{opset}.onnx"
        export(net, (x,), path, dynamo=False, opset_version=opset, **dynamic)
    export(net, (x,), FOLDER / "torch_dynamo.onnx", dynamo=True, external_data=True)
    export(net, (x,), FOLDER / "torch_dynamo_inside.onnx", dynamo=True, external_data=False)
    cell = nn.GRUCell(3, 4).eval()
    start = torch.zeros(1, 4)
    export(cell, (x[:, 0], start), FOLDER / "torch_cell.onnx", dynamo=False)
    onnx.save(keras(), FOLDER / "keras.onnx")
    onnx.save(old(), FOLDER / "opset_7.onnx")

    expected: dict[str, np.ndarray] = {}
    for path in sorted(FOLDER.glob("torch_*.onnx")):
        without_paths(path)
    for path in sorted(FOLDER.glob("*.onnx")):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        given = x.numpy()
        if path.stem == "keras":
            given = np.arange(FRAMES, dtype=np.int32)[None] % 9
        if path.stem == "torch_cell":
            rows, h = [], start.numpy()
            for frame in given[0]:
                (h,) = session.run(None, {names[0]: frame[None], names[1]: h})
                rows.append(h[0])
            y = np.stack(rows)
        elif path.stem == "opset_7":
            y = session.run(None, {names[0]: given.swapaxes(0, 1)})[0][:, 0]
        else:
            y = session.run(None, {names[0]: given})[0][0]
        expected[f"{path.stem}.x"], expected[f"{path.stem}.y"] = given[0], y
    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
