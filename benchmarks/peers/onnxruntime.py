# SPDX-License-Identifier: Apache-2.0
"""onnxruntime: its operator by `session.run` and by IOBinding; int8 as products, or of LSTM."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer
from peers.onnx_graphs import operator_graph, step_graph

__all__ = ["ORT", "ORTBound", "ORTInt8", "ORTInt8LSTM"]


class ORT(Peer):
    """The operator with its state as input and output, `session.run` for each step."""

    name = "onnxruntime"
    forms = "SQBL"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            self.graph(workload, weights), options, providers=["CPUExecutionProvider"]
        )
        self.states = workload.states
        self.outputs = [f"{state}.next" for state in self.states]
        self.h = f"h{workload.layers - 1}"
        self.zero = np.zeros(self.state_shape(workload), np.float32)
        self.reset()

    def graph(self, workload: Workload, weights: dict[str, Array]) -> bytes:
        """The model."""
        return operator_graph(workload, weights)

    def state_shape(self, workload: Workload) -> tuple[int, ...]:
        """The initial states, of each layer."""
        return (1, workload.batch, workload.hidden_size)

    def frames(self, x: Array) -> list[Any]:
        return [frame[None].copy() for frame in x]

    def reset(self) -> None:
        self.feed = dict.fromkeys(self.states, self.zero)

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.feed[self.h].reshape(-1))

    def steps(self, frames: Sequence[Any]) -> None:
        run, outputs, feed, states = self.session.run, self.outputs, self.feed, self.states
        for frame in frames:
            feed["x"] = frame
            feed.update(zip(states, run(outputs, feed), strict=True))

    def run(self, x: Any) -> Any:
        self.feed["x"] = x
        return self.session.run(["y"], self.feed)[0]


class ORTBound(ORT):
    """Inputs and outputs bound to fixed memory; the state's two places change each step."""

    name = "onnxruntime bound"
    forms = "S"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        super().__init__(workload, weights)
        from onnxruntime import OrtValue

        def memory(*shape: int) -> Any:
            return OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))

        self.x, y = memory(1, 1, workload.input_size), memory(1, 1, workload.hidden_size)
        self.places = [[memory(*self.zero.shape) for _ in self.outputs] for _ in range(2)]
        self.bindings = []
        for turn in range(2):
            binding = self.session.io_binding()
            binding.bind_ortvalue_input("x", self.x)
            binding.bind_ortvalue_output("y", y)
            for place, (state, output) in enumerate(zip(self.states, self.outputs, strict=True)):
                binding.bind_ortvalue_input(state, self.places[turn][place])
                binding.bind_ortvalue_output(output, self.places[1 - turn][place])
            self.bindings.append(binding)
        self.turn = 0
        self.y = y

    def reset(self) -> None:
        self.feed = {}
        for value in getattr(self, "places", [[], []])[0]:
            value.update_inplace(self.zero)
        self.turn = 0

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.y.numpy().reshape(-1))

    def steps(self, frames: Sequence[Any]) -> None:
        run, update, bindings = (
            self.session.run_with_iobinding,
            self.x.update_inplace,
            self.bindings,
        )
        turn = self.turn
        for frame in frames:
            update(frame)
            run(bindings[turn])
            turn ^= 1
        self.turn = turn


class ORTInt8(ORT):
    """The operator GRU has no int8 kernel, so a step as products, by quantize_dynamic."""

    name = "onnxruntime int8"
    weights = "int8"
    forms = "S"

    def graph_of_floats(self, workload: Workload, weights: dict[str, Array]) -> bytes:
        """The network in floats, from which the library makes its integers."""
        return step_graph(workload, weights)

    def graph(self, workload: Workload, weights: dict[str, Array]) -> bytes:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory() as folder:
            whole, small = Path(folder, "whole.onnx"), Path(folder, "small.onnx")
            whole.write_bytes(self.graph_of_floats(workload, weights))
            quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True)
            return small.read_bytes()

    def state_shape(self, workload: Workload) -> tuple[int, ...]:
        return (1, workload.hidden_size)

    def frames(self, x: Array) -> list[Any]:
        return [frame.copy() for frame in x]


class ORTInt8LSTM(ORTInt8):
    """The operator LSTM, for which it has an int8 kernel."""

    name = "onnxruntime int8 operator"
    cells = ("lstm",)
    forms = "SQBL"
    state_shape = ORT.state_shape
    frames = ORT.frames

    def graph_of_floats(self, workload: Workload, weights: dict[str, Array]) -> bytes:
        return operator_graph(workload, weights)
