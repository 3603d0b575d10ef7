# SPDX-License-Identifier: Apache-2.0
"""LiteRT with its operators of an LSTM and an RNN, which its converter makes of those of Keras.

They keep their state in the interpreter. Float weights, or int8 ones (a scale for each matrix) with
inputs quantized in each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer
from peers.litert import LiteRTGraph, interpreter_of

__all__ = ["LiteRTFused", "LiteRTFusedInt8"]

ABSENT = -1


def _graph(workload: Workload, weights: dict[str, Array], is_int8: bool) -> bytes:
    """x (T, B, I) to y (T, B, H)."""
    graph, size = LiteRTGraph(), workload.hidden_size
    shape = (workload.frames or 1, workload.batch, size)
    x = graph.tensor(*shape[:2], workload.input_size)

    def matrix(array: Array) -> int:
        if not is_int8:
            return graph.tensor(*array.shape, data=array)
        scale = np.abs(array).max() / 127.0
        whole = np.rint(array / scale).astype(np.int8)
        return graph.tensor(*array.shape, data=whole, scale=np.array([scale]))

    def parts(name: str, layer: int) -> list[Array]:
        return np.split(weights[f"{name}_l{layer}"], workload.gates)

    options = {"timeMajor": True, "asymmetricQuantizeInputs": is_int8}
    options["fusedActivationFunction"] = graph.schema.ActivationFunctionType.TANH
    value = x
    for layer in range(workload.layers):
        w, r = ([*map(matrix, parts(f"weight_{k}", layer))] for k in ("ih", "hh"))
        biases = zip(parts("bias_ih", layer), parts("bias_hh", layer), strict=True)
        b = [graph.tensor(size, data=ours + theirs) for ours, theirs in biases]
        states = [
            graph.tensor(workload.batch, size, is_variable=True)
            for state in workload.states
            if state.endswith(str(layer))
        ]
        if workload.cell == "rnn":
            name, kind, version = "UNIDIRECTIONAL_SEQUENCE_RNN", "SequenceRNNOptions", 3
            reads = [value, *w, *r, *b, *states]
        else:
            name, kind = "UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTMOptions"
            version = 3
            w, r, b = ([i, f, g, o] for i, f, g, o in (w, r, b))
            peepholes, projection, norms = [ABSENT] * 3, [ABSENT] * 2, [ABSENT] * 4
            reads = [value, *w, *r, *peepholes, *b, *projection, *states, *norms]
        (value,) = graph.add(name, reads, shape, kind=kind, version=version, **options)
    return graph.pack([x], [value])


class LiteRTFused(Peer):
    """`set_tensor`, `invoke` and `get_tensor` for each step or sequence."""

    name = "LiteRT fused"
    forms = "SQBL"
    cells = ("lstm", "rnn")

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.interpreter = interpreter_of(_graph(workload, weights, self.weights == "int8"))
        self.x = self.interpreter.get_input_details()[0]["index"]
        self.y = self.interpreter.get_output_details()[0]["index"]
        self.reset()

    def reset(self) -> None:
        self.interpreter.reset_all_variables()

    def frames(self, x: Array) -> list[Any]:
        return [frame[None].copy() for frame in x]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.interpreter.get_tensor(self.y)).reshape(-1)

    def steps(self, frames: Sequence[Any]) -> None:
        x, y = self.x, self.y
        give, invoke, take = (
            self.interpreter.set_tensor,
            self.interpreter.invoke,
            self.interpreter.get_tensor,
        )
        for frame in frames:
            give(x, frame)
            invoke()
            take(y)

    def run(self, x: Any) -> Any:
        self.interpreter.reset_all_variables()
        self.interpreter.set_tensor(self.x, x)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.y)


class LiteRTFusedInt8(LiteRTFused):
    """The same with int8 weights."""

    name = "LiteRT fused int8"
    weights = "int8"
