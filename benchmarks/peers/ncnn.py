# SPDX-License-Identifier: Apache-2.0
"""ncnn: its GRU, LSTM and RNN layers, from a parameter file and weights written here."""

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
        self.workload, self.size = workload, workload.hidden_size
        self.states, self.last = workload.states, f"y{workload.layers - 1}"
        self.h = self.states.index(f"h{workload.layers - 1}")
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
            lines += [f"Input {state} 0 1 {state}" for state in self.states]
        blobs = len(lines)
        for layer in range(workload.layers):
            own = [one for one in self.states if one.endswith(str(layer))] if streams else []
            reads, writes = [value, *own], [f"y{layer}", *(f"{one}.next" for one in own)]
            sizes = f"0={self.size} 1={workload.gates * self.size * columns} 2=0"
            words = [workload.cell.upper(), f"g{layer}", str(len(reads)), str(len(writes))]
            lines.append(" ".join([*words, *reads, *writes, sizes]))
            value, columns = f"y{layer}", self.size
            blobs += len(writes)
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])

    def _data(self, weights: dict[str, Array]) -> bytes:
        parts = []
        for layer in range(self.workload.layers):
            ih, hh = weights[f"bias_ih_l{layer}"], weights[f"bias_hh_l{layer}"]
            gates = 2 * self.size
            bias = ih + hh
            if self.workload.cell == "gru":
                bias = np.concatenate([bias[:gates], ih[gates:], hh[gates:]])
            for array in (weights[f"weight_ih_l{layer}"], bias, weights[f"weight_hh_l{layer}"]):
                parts += [bytes(4), self._gates(array).tobytes()]
        return b"".join(parts)

    def _gates(self, array: Array) -> Array:
        """In ncnn's order: i, f, o, g of an LSTM."""
        if self.workload.cell != "lstm":
            return np.ascontiguousarray(array)
        i, f, g, o = np.split(array, 4)
        return np.concatenate([i, f, o, g])

    def _own(self, array: Array) -> Any:
        """A matrix with memory of its own: one made of an array borrows the array's."""
        return self.ncnn.Mat(array).clone()

    def frames(self, x: Array) -> list[Any]:
        return [self._own(frame.copy()) for frame in x]

    def reset(self) -> None:
        zero = np.zeros(self.size, np.float32)
        self.state = [self._own(zero) for _ in self.states]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[self.h]).reshape(-1)

    def steps(self, frames: Sequence[Any]) -> None:
        net, state, states = self.net, self.state, self.states
        for frame in frames:
            extractor = net.create_extractor()
            extractor.input("x", frame)
            for name, array in zip(states, state, strict=True):
                extractor.input(name, array)
            state = [extractor.extract(f"{name}.next")[1] for name in states]
        self.state = state

    def sequence(self, x: Array) -> Any:
        return self._own(np.ascontiguousarray(x[:, 0]))

    def run(self, x: Any) -> Any:
        extractor = self.net.create_extractor()
        extractor.input("x", x)
        return extractor.extract(self.last)[1]

    def result(self, y: Any) -> Array:
        return np.array(y)[:, None]
