# SPDX-License-Identifier: Apache-2.0
"""LiteRT with XNNPACK: a step as FULLY_CONNECTED and element-wise operators, written node by node.

LiteRT has no GRU, and its converter needs TensorFlow: the flatbuffer is written here, by its own
schema, with float32 weights or with int8 ones (a scale per row) and inputs quantized in each call.
Its converter may make something else of such a step.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer

__all__ = ["LiteRT", "LiteRTInt8"]


class _Graph:
    """A flatbuffer in the making."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]  # the first one stands for "no data"
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, *shape: int, data: Array | None = None, scale: Array | None = None) -> int:
        """The number of a new tensor."""
        schema = self.schema
        made = schema.TensorT()
        made.shape, made.name = list(shape), f"t{len(self.graph.tensors)}"
        kinds = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32"}
        dtype = "float32" if data is None else str(data.dtype)
        made.type = getattr(schema.TensorType, kinds[dtype])
        made.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = scale.astype(np.float32)
            made.quantization.zeroPoint = np.zeros(len(scale), np.int64)
            made.quantization.quantizedDimension = 0
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def add(
        self, op: str, reads: list[int], *shapes: tuple[int, ...], kind: str = "", **options: Any
    ) -> list[int]:
        """The outputs of a new operator."""
        schema = self.schema
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        # Weights of int8 with float inputs came with version 3, a scale per row with a later one.
        code.version = 9 if op == "FULLY_CONNECTED" else 1
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(code)
        if kind:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, f"{kind}T")()
            for name, value in options.items():
                setattr(made.builtinOptions, name, value)
        made.inputs, made.outputs = reads, [self.tensor(*shape) for shape in shapes]
        self.graph.operators.append(made)
        return list(made.outputs)

    def pack(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The bytes."""
        import flatbuffers

        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _step(workload: Workload, weights: dict[str, Array], is_int8: bool) -> bytes:
    """x (1, I) and h<l> (1, H) to h<l>.next."""
    graph, size = _Graph(), workload.hidden_size
    x = graph.tensor(1, workload.input_size)
    states = [graph.tensor(1, size) for _ in range(workload.layers)]
    axis = graph.tensor(data=np.array(1, np.int32))
    row, gates = (1, size), (1, 3 * size)
    value, outputs = x, []

    def product(source: int, kind: str, layer: int) -> int:
        matrix, scale = weights[f"weight_{kind}_l{layer}"], None
        if is_int8:
            scale = np.abs(matrix).max(axis=1) / 127.0
            matrix = np.rint(matrix / scale[:, None]).astype(np.int8)
        w = graph.tensor(*matrix.shape, data=matrix, scale=scale)
        b = graph.tensor(3 * size, data=weights[f"bias_{kind}_l{layer}"])
        reads, options = [source, w, b], {"asymmetricQuantizeInputs": is_int8}
        return graph.add("FULLY_CONNECTED", reads, gates, kind="FullyConnectedOptions", **options)[
            0
        ]

    def parts(source: int) -> list[int]:
        options = {"numSplits": 3}
        return graph.add("SPLIT", [axis, source], row, row, row, kind="SplitOptions", **options)

    def combine(op: str, a: int, b: int) -> int:
        return graph.add(op, [a, b], row, kind=f"{op.capitalize()}Options")[0]

    for layer, h in enumerate(states):
        x_r, x_z, x_n = parts(product(value, "ih", layer))
        h_r, h_z, h_n = parts(product(h, "hh", layer))
        (r,) = graph.add("LOGISTIC", [combine("ADD", x_r, h_r)], row)
        (z,) = graph.add("LOGISTIC", [combine("ADD", x_z, h_z)], row)
        (n,) = graph.add("TANH", [combine("ADD", x_n, combine("MUL", r, h_n))], row)
        value = combine("ADD", n, combine("MUL", z, combine("SUB", h, n)))
        outputs.append(value)
    return graph.pack([x, *states], outputs)


class LiteRT(Peer):
    """`set_tensor`, `invoke` and `get_tensor` for each step."""

    name = "LiteRT"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ai_edge_litert.interpreter import Interpreter

            content = _step(workload, weights, self.weights == "int8")
            self.interpreter = Interpreter(model_content=content, num_threads=1)
        self.interpreter.allocate_tensors()
        self.x, *self.h = (port["index"] for port in self.interpreter.get_input_details())
        self.next = [port["index"] for port in self.interpreter.get_output_details()]
        self.zero = np.zeros((1, workload.hidden_size), np.float32)
        self.reset()

    def reset(self) -> None:
        self.state = [self.zero] * len(self.h)

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[-1]).reshape(-1)

    def steps(self, frames: Sequence[Any]) -> None:
        give, invoke, take = (
            self.interpreter.set_tensor,
            self.interpreter.invoke,
            self.interpreter.get_tensor,
        )
        x, places, after, state = self.x, self.h, self.next, self.state
        for frame in frames:
            give(x, frame)
            for place, h in zip(places, state, strict=True):
                give(place, h)
            invoke()
            state = [take(place) for place in after]
        self.state = state


class LiteRTInt8(LiteRT):
    """The same with int8 weights."""

    name = "LiteRT int8"
    weights = "int8"
