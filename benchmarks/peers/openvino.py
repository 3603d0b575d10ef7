# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: its GRUSequence and the like, from ONNX; int8 as products, weights by NNCF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer
from peers.onnx_graphs import operator_graph, step_graph

__all__ = ["OpenVINO", "OpenVINOInt8"]

SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "INFERENCE_PRECISION_HINT": "f32",
    "ENABLE_CPU_PINNING": False,
    "PERFORMANCE_HINT": "LATENCY",
}


class OpenVINO(Peer):
    """One inference request; arguments are copied into the tensors that it owns."""

    name = "OpenVINO"
    forms = "SQBL"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        import openvino

        core = openvino.Core()
        graph = self.changed(core.read_model(self.graph(workload, weights)))
        self.request = core.compile_model(graph, "CPU", SETTINGS).create_infer_request()
        compiled = self.request.get_compiled_model()
        inputs = {port.any_name: self.request.get_tensor(port).data for port in compiled.inputs}
        outputs = {port.any_name: self.request.get_tensor(port).data for port in compiled.outputs}
        self.x, self.h = inputs["x"], [inputs[state] for state in workload.states]
        self.next = [outputs[f"{state}.next"] for state in workload.states]
        self.y = outputs.get("y", outputs[f"h{workload.layers - 1}.next"])
        self.reset()

    def graph(self, workload: Workload, weights: dict[str, Array]) -> bytes:
        """The model."""
        return operator_graph(workload, weights)

    def changed(self, graph: Any) -> Any:
        """The model that is run."""
        return graph

    def reset(self) -> None:
        for array in (*self.h, *self.next):
            array[...] = 0

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.y.reshape(-1))

    def steps(self, frames: Sequence[Any]) -> None:
        x, infer, pairs = self.x, self.request.infer, list(zip(self.h, self.next, strict=True))
        for frame in frames:
            x[...] = frame
            for h, after in pairs:
                h[...] = after
            infer()

    def run(self, x: Any) -> Any:
        self.x[...] = x
        self.request.infer()
        return self.y


class OpenVINOInt8(OpenVINO):
    """Its sequences have no int8, so a step as products, weights by NNCF."""

    name = "OpenVINO int8"
    weights = "int8"
    forms = "S"

    def graph(self, workload: Workload, weights: dict[str, Array]) -> bytes:
        return step_graph(workload, weights)

    def changed(self, graph: Any) -> Any:
        import nncf

        return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_SYM)
