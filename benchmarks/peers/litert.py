# SPDX-License-Identifier: Apache-2.0
"""LiteRT with XNNPACK: a step as FULLY_CONNECTED and element-wise operators, written node by node.

LiteRT has no GRU, and its converter needs TensorFlow: the flatbuffer is written here, by its own
schema (`LiteRTGraph`), with float32 weights or with int8 ones (a scale per row) and inputs
quantized in each call. Its converter may make something else of such a step.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer

__all__ = ["LiteRT", "LiteRTGraph", "LiteRTInt8", "interpreter_of"]


class LiteRTGraph:
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

    def tensor(
        self,
        *shape: int,
        data: Array | None = None,
        scale: Array | None = None,
        is_variable: bool = False,
    ) -> int:
        """The number of a new tensor."""
        schema = self.schema
        made = schema.TensorT()
        made.shape, made.name = list(shape), f"t{len(self.graph.tensors)}"
        kinds = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32"}
        dtype = "float32" if data is None else str(data.dtype)
        made.type = getattr(schema.TensorType, kinds[dtype])
        made.buffer, made.isVariable = 0, is_variable
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
        self,
        op: str,
        reads: list[int],
        *shapes: tuple[int, ...],
        kind: str = "",
        version: int = 1,
        **options: Any,
    ) -> list[int]:
        """The outputs of a new operator."""
        schema = self.schema
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
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
    """x (1, I) and states (1, H) to the states after it."""
    graph, size = LiteRTGraph(), workload.hidden_size
    x = graph.tensor(1, workload.input_size)
    states = {name: graph.tensor(1, size) for name in workload.states}
    axis = graph.tensor(data=np.array(1, np.int32))
    row, gates = (1, size), (1, workload.gates * size)
    value, outputs = x, []

    def product(source: int, kind: str, layer: int) -> int:
        matrix, scale = weights[f"weight_{kind}_l{layer}"], None
        if is_int8:
            scale = np.abs(matrix).max(axis=1) / 127.0
            matrix = np.rint(matrix / scale[:, None]).astype(np.int8)
        w = graph.tensor(*matrix.shape, data=matrix, scale=scale)
        b = graph.tensor(workload.gates * size, data=weights[f"bias_{kind}_l{layer}"])
        reads, options = [source, w, b], {"asymmetricQuantizeInputs": is_int8}
        # Weights of int8 with float inputs came with version 3, a scale per row with a later one.
        words = {"kind": "FullyConnectedOptions", "version": 9}
        return graph.add("FULLY_CONNECTED", reads, gates, **words, **options)[0]

    def parts(source: int) -> list[int]:
        count = workload.gates
        return graph.add(
            "SPLIT", [axis, source], *[row] * count, kind="SplitOptions", numSplits=count
        )

    def bent(op: str, source: int) -> int:
        return graph.add(op, [source], row)[0]

    def combine(op: str, a: int, b: int) -> int:
        return graph.add(op, [a, b], row, kind=f"{op.capitalize()}Options")[0]

    for layer in range(workload.layers):
        h = states[f"h{layer}"]
        of_x, of_h = product(value, "ih", layer), product(h, "hh", layer)
        if workload.cell == "gru":
            x_r, x_z, x_n = parts(of_x)
            h_r, h_z, h_n = parts(of_h)
            r = bent("LOGISTIC", combine("ADD", x_r, h_r))
            z = bent("LOGISTIC", combine("ADD", x_z, h_z))
            n = bent("TANH", combine("ADD", x_n, combine("MUL", r, h_n)))
            value = combine("ADD", n, combine("MUL", z, combine("SUB", h, n)))
            outputs.append(value)
            continue
        (total,) = graph.add("ADD", [of_x, of_h], gates, kind="AddOptions")
        if workload.cell == "rnn":
            value = bent("TANH", total)
            outputs.append(value)
            continue
        i, f, g, o = parts(total)
        kept = combine("MUL", bent("LOGISTIC", f), states[f"c{layer}"])
        c = combine("ADD", kept, combine("MUL", bent("LOGISTIC", i), bent("TANH", g)))
        value = combine("MUL", bent("LOGISTIC", o), bent("TANH", c))
        outputs += [value, c]
    return graph.pack([x, *states.values()], outputs)


def interpreter_of(content: bytes) -> Any:
    """An interpreter with one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


class LiteRT(Peer):
    """`set_tensor`, `invoke` and `get_tensor` for each step."""

    name = "LiteRT"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.interpreter = interpreter_of(_step(workload, weights, self.weights == "int8"))
        self.x, *self.h = (port["index"] for port in self.interpreter.get_input_details())
        self.next = [port["index"] for port in self.interpreter.get_output_details()]
        self.last = workload.states.index(f"h{workload.layers - 1}")
        self.zero = np.zeros((1, workload.hidden_size), np.float32)
        self.reset()

    def reset(self) -> None:
        self.state = [self.zero] * len(self.h)

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[self.last]).reshape(-1)

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
