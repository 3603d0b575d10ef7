# SPDX-License-Identifier: Apache-2.0
"""ncnn: its GRU layer, from a parameter file and weights written here."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer

__all__ = ["NCNN"]


class NCNN(Peer):
    """An extractor for each call, as ncnn wants it."""

    name = "ncnn"
    forms = "SQL"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        import ncnn

        self.ncnn = ncnn
        self.layers, self.size = workload.layers, workload.hidden_size
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = 1
        options.use_fp16_storage = options.use_fp16_packed = options.use_bf16_storage = False
        with tempfile.TemporaryDirectory() as folder:
            graph, data = Path(folder, "gru.param"), Path(folder, "gru.bin")
            graph.write_text(self._graph(workload), "utf-8")
            data.write_bytes(self._data(weights))
            self.net.load_param(str(graph))
            self.net.load_model(str(data))
        self.reset()

    def _graph(self, workload: Workload) -> str:
        streams = workload.form == "S"
        lines, value, columns = ["Input x 0 1 x"], "x", workload.input_size
        if streams:
            lines += [f"Input h{layer} 0 1 h{layer}" for layer in range(self.layers)]
        blobs = len(lines)
        for layer in range(self.layers):
            ports = f"{value} h{layer} y{layer} next{layer}" if streams else f"{value} y{layer}"
            count = "2 2" if streams else "1 1"
            sizes = f"0={self.size} 1={3 * self.size * columns} 2=0"
            lines.append(f"GRU g{layer} {count} {ports} {sizes}")
            value, columns = f"y{layer}", self.size
            blobs += 2 if streams else 1
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])

    def _data(self, weights: dict[str, Array]) -> bytes:
        parts = []
        for layer in range(self.layers):
            ih, hh = weights[f"bias_ih_l{layer}"], weights[f"bias_hh_l{layer}"]
            gates = 2 * self.size
            bias = np.concatenate([ih[:gates] + hh[:gates], ih[gates:], hh[gates:]])
            for array in (weights[f"weight_ih_l{layer}"], bias, weights[f"weight_hh_l{layer}"]):
                parts += [bytes(4), np.ascontiguousarray(array).tobytes()]
        return b"".join(parts)

    def _own(self, array: Array) -> Any:
        """A matrix with memory of its own: one made of an array borrows the array's."""
        return self.ncnn.Mat(array).clone()

    def frames(self, x: Array) -> list[Any]:
        return [self._own(frame.copy()) for frame in x]

    def reset(self) -> None:
        zero = np.zeros(self.size, np.float32)
        self.state = [self._own(zero) for _ in range(self.layers)]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[-1]).reshape(-1)

    def steps(self, frames: Sequence[Any]) -> None:
        net, state, layers = self.net, self.state, range(self.layers)
        for frame in frames:
            extractor = net.create_extractor()
            extractor.input("x", frame)
            for layer in layers:
                extractor.input(f"h{layer}", state[layer])
            state = [extractor.extract(f"next{layer}")[1] for layer in layers]
        self.state = state

    def sequence(self, x: Array) -> Any:
        return self._own(np.ascontiguousarray(x[:, 0]))

    def run(self, x: Any) -> Any:
        extractor = self.net.create_extractor()
        extractor.input("x", x)
        return extractor.extract(f"y{self.layers - 1}")[1]

    def result(self, y: Any) -> Array:
        return np.array(y)[:, None]
