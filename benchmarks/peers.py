# SPDX-License-Identifier: Apache-2.0
"""Who is timed: grucore, and whatever else is installed. One small class each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from workloads import Array, Workload

__all__ = ["PEERS", "OnnxRuntime", "Peer", "TorchCell"]

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before anybody imports a framework


class Peer:
    """A runtime for one workload. The constructor raises ImportError where it is not installed."""

    name: ClassVar[str]
    bound: ClassVar[float] = 1e-5  # largest difference from float64 before it may be timed

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        raise NotImplementedError

    def native(self, x: Array) -> list[Any]:
        """The frames (count, input_size) as what `step` takes."""
        return [row.copy() for row in x]

    def reset(self) -> None:
        """Back to the zero state."""
        raise NotImplementedError

    def step(self, frame: Any) -> Array:
        """One frame, for the check: the output (hidden_size,)."""
        raise NotImplementedError

    def steps(self, frames: Sequence[Any]) -> None:
        """What is timed: a step for each frame, the state carried."""
        raise NotImplementedError


class Grucore(Peer):
    """`stream.step(x, out=out)`."""

    name = "grucore"
    bound = 2e-6

    def __init__(
        self, workload: Workload, weights: dict[str, Array], isa: str | None = None
    ) -> None:
        import grucore

        self.model = grucore.load(bytes(grucore.from_torch(weights)), isa=isa)
        self.stream = self.model.stream()
        self.out = np.empty(workload.hidden_size, np.float32)

    def reset(self) -> None:
        self.stream.reset()

    def step(self, frame: Any) -> Array:
        return np.array(self.stream.step(frame, out=self.out))

    def steps(self, frames: Sequence[Any]) -> None:
        step, out = self.stream.step, self.out
        for frame in frames:
            step(frame, out=out)


class TorchCell(Peer):
    """`torch.nn.GRUCell`, one for each layer: the documented way to step in torch."""

    name = "torch GRUCell"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(1)
        self.cells = []
        for layer in range(workload.layers):
            size = workload.hidden_size if layer else workload.input_size
            cell = torch.nn.GRUCell(size, workload.hidden_size).eval()
            with torch.no_grad():
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    getattr(cell, name).copy_(torch.from_numpy(weights[f"{name}_l{layer}"]))
            self.cells.append(cell)
        self.size = workload.hidden_size
        self.reset()

    def native(self, x: Array) -> list[Any]:
        return [self.torch.from_numpy(row[None].copy()) for row in x]

    def reset(self) -> None:
        self.state = [self.torch.zeros(1, self.size) for _ in self.cells]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[-1][0])

    def steps(self, frames: Sequence[Any]) -> None:
        cells, state = self.cells, self.state
        with self.torch.inference_mode():
            for frame in frames:
                for layer, cell in enumerate(cells):
                    frame = state[layer] = cell(frame, state[layer])


class OnnxRuntime(Peer):
    """The ONNX operator GRU with its state as input and output, `session.run` for each step."""

    name = "onnxruntime"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            _onnx_model(workload, weights), options, providers=["CPUExecutionProvider"]
        )
        self.layers, self.size = workload.layers, workload.hidden_size
        self.outputs = [f"h{layer}.next" for layer in range(self.layers)]
        self.reset()

    def native(self, x: Array) -> list[Any]:
        return [row[None, None].copy() for row in x]

    def reset(self) -> None:
        zero = np.zeros((1, 1, self.size), np.float32)
        self.feed = {f"h{layer}": zero for layer in range(self.layers)}

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.feed[f"h{self.layers - 1}"].reshape(-1))

    def steps(self, frames: Sequence[Any]) -> None:
        run, outputs, feed = self.session.run, self.outputs, self.feed
        for frame in frames:
            feed["x"] = frame
            for layer, h in enumerate(run(outputs, feed)):
                feed[f"h{layer}"] = h


def _onnx_model(workload: Workload, weights: dict[str, Array]) -> bytes:
    """A GRU node for each layer, one frame long, written by hand: gate order z, r, n."""
    from onnx import TensorProto, helper, numpy_helper

    def swap(array: Array) -> Array:
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])

    size = workload.hidden_size
    nodes, constants = [], []
    value = "x"
    inputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, 1, None])]
    outputs: list[Any] = []
    for layer in range(workload.layers):
        bias = np.concatenate([swap(weights[f"bias_{kind}_l{layer}"]) for kind in ("ih", "hh")])
        tensors = {
            f"w{layer}": swap(weights[f"weight_ih_l{layer}"])[None],
            f"r{layer}": swap(weights[f"weight_hh_l{layer}"])[None],
            f"b{layer}": bias[None],
        }
        constants += [numpy_helper.from_array(array, name) for name, array in tensors.items()]
        state = f"h{layer}"
        nodes.append(
            helper.make_node(
                "GRU",
                [value, *tensors, "", state],
                ["", f"{state}.next"],
                hidden_size=size,
                linear_before_reset=1,
            )
        )
        for names, which in ((inputs, state), (outputs, f"{state}.next")):
            names.append(helper.make_tensor_value_info(which, TensorProto.FLOAT, [1, 1, size]))
        value = f"{state}.next"  # (directions 1, batch 1, size) is (frames 1, batch 1, size) too
    graph = helper.make_graph(nodes, "gru", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: bytes = model.SerializeToString()
    return found


PEERS: tuple[type[Peer], ...] = (TorchCell, OnnxRuntime)
