# SPDX-License-Identifier: Apache-2.0
"""MNN: a step as products, converted from ONNX by its own tool; int8 weights by the same tool."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer
from peers.onnx_graphs import step_graph

__all__ = ["MNN", "MNNInt8"]


class MNN(Peer):
    """`module.forward` for each step."""

    name = "MNN"
    options: tuple[str, ...] = ()
    memory = "normal"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        import MNN.expr
        import MNN.nn

        self.expr, self.size = MNN.expr, workload.hidden_size
        settings = {
            "backend": "CPU",
            "precision": "high",
            "memory": self.memory,
            "numThread": 1,
        }
        self.runtime = MNN.nn.create_runtime_manager((settings,))
        states = workload.states
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "step.onnx"), Path(folder, "step.mnn")
            source.write_bytes(step_graph(workload, weights))
            tool = Path(sys.executable).parent / "mnnconvert"
            command = [tool, "-f", "ONNX", "--modelFile", source, "--MNNModel", target]
            command += ["--bizCode", "benchmark", *self.options]
            subprocess.run(command, check=True, capture_output=True)
            self.module = MNN.nn.load_module_from_file(
                str(target),
                ["x", *states],
                [f"{state}.next" for state in states],
                runtime_manager=self.runtime,
            )
        self.states, self.h = len(states), states.index(f"h{workload.layers - 1}")
        self.reset()

    def _variable(self, array: Array) -> Any:
        whole = np.ascontiguousarray(array)
        return self.expr.const(whole, list(whole.shape), self.expr.NCHW)

    def frames(self, x: Array) -> list[Any]:
        return [self._variable(frame) for frame in x]

    def reset(self) -> None:
        zero = np.zeros((1, self.size), np.float32)
        self.state = [self._variable(zero) for _ in range(self.states)]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[self.h].read()).reshape(-1)

    def steps(self, frames: Sequence[Any]) -> None:
        forward, state, h = self.module.forward, self.state, self.h
        for frame in frames:
            state = forward([frame, *state])
            state[h].ptr  # noqa: B018 (it computes when it is asked)
        self.state = state


class MNNInt8(MNN):
    """Weights quantized by the converter."""

    name = "MNN int8"
    weights = "int8"
    options = ("--weightQuantBits", "8")
    memory = "low"
