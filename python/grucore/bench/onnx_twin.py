# SPDX-License-Identifier: Apache-2.0
"""A graph as ONNX, run by onnxruntime: one file of any number of frames, its states as ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grucore.bench.contenders import FRAMES, Twin, check_ports, float32, signals
from grucore.graph import gates
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Binary,
    Cell,
    Concat,
    Dense,
    Direction,
    Gru,
    LayerNorm,
    Operation,
    Position,
    Recurrent,
    Rnn,
    Softmax,
    Take,
)
from grucore.graph.node import Node
from grucore.graph.tensors import Array

__all__ = ["OnnxTwin"]

OPSET, IR_VERSION = 20, 9
ACTIVATIONS = {  # the operator, and the attributes that alpha and beta are
    ActivationCode.SIGMOID: ("Sigmoid", ()),
    ActivationCode.TANH: ("Tanh", ()),
    ActivationCode.RELU: ("Relu", ()),
    ActivationCode.LEAKY_RELU: ("LeakyRelu", ("alpha",)),
    ActivationCode.ELU: ("Elu", ("alpha",)),
    ActivationCode.HARD_SIGMOID: ("HardSigmoid", ("alpha", "beta")),
    ActivationCode.SOFTSIGN: ("Softsign", ()),
    ActivationCode.SOFTPLUS: ("Softplus", ()),
    ActivationCode.GELU: ("Gelu", ()),
    ActivationCode.HARD_SWISH: ("HardSwish", ()),
    ActivationCode.EXP: ("Exp", ()),
}
OPERATIONS = {
    Operation.ADD: "Add",
    Operation.SUBTRACT: "Sub",
    Operation.MULTIPLY: "Mul",
    Operation.MAXIMUM: "Max",
    Operation.MINIMUM: "Min",
}


class OnnxTwin(Twin):
    """`session.run`, once for each step. Sequences are (frames, batch, features)."""

    name = "onnxruntime"

    def __init__(self, graph: Graph, threads: int) -> None:
        import onnxruntime

        check_ports(graph, self)
        self.graph = graph
        self.names = {value.name: f"v{index}" for index, value in enumerate(graph.values)}
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.sizes: dict[str, int] = {}  # of each state
        for node in graph.nodes:
            self._add(node)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self.session: Any = onnxruntime.InferenceSession(self._file(), options, providers=providers)
        self.reads = [self.names[name] for name in graph.inputs]
        self.writes = [self.names[name] for name in graph.outputs]
        self.after = [*self.writes, *(f"{state}.next" for state in self.sizes)]
        self.feed = self._start(1)
        self.frames = []
        self.step = self._step
        if graph.streamable:
            self.frames = self._native(signals(graph, FRAMES))

    def _start(self, batch: int) -> dict[str, Array]:
        return {state: np.zeros((1, batch, size), np.float32) for state, size in self.sizes.items()}

    def _native(self, columns: tuple[Array, ...]) -> list[Any]:
        count = len(columns[0])
        return [[column[i][None, None].copy() for column in columns] for i in range(count)]

    def _step(self, frame: Any) -> Any:
        feed = self.feed
        feed.update(zip(self.reads, frame, strict=True))
        found = self.session.run(self.after, feed)
        feed.update(zip(self.sizes, found[len(self.writes) :], strict=True))
        return found

    def _run(self, inputs: tuple[Array, ...]) -> list[Array]:
        feed = dict(zip(self.reads, inputs, strict=True)) | self._start(inputs[0].shape[1])
        found: list[Array] = self.session.run(self.writes, feed)
        return found

    def runs(self, inputs: tuple[Array, ...]) -> Callable[[], Any]:
        native = tuple(array.swapaxes(0, 1).copy() for array in inputs)
        return lambda: self._run(native)

    def outputs(self, inputs: tuple[Array, ...]) -> list[Array]:
        found = self._run(tuple(array.swapaxes(0, 1).copy() for array in inputs))
        return [array.swapaxes(0, 1) if array.ndim == 3 else array for array in found]

    def last_step(self, columns: tuple[Array, ...]) -> list[Array]:
        self.feed = self._start(1)
        found: list[Any] = []
        for frame in self._native(columns):
            found = self._step(frame)
        return [array.reshape(-1) for array in found[: len(self.writes)]]

    def _file(self) -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        def port(name: str, *shape: Any) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        inputs = [
            port(self.names[name], "frames", "batch", self.graph.value(name).features)
            for name in self.graph.inputs
        ]
        inputs += [port(state, 1, "batch", size) for state, size in self.sizes.items()]
        outputs = [port(self.names[name]) for name in self.graph.outputs]
        for output in outputs:  # of any number of axes
            output.type.tensor_type.ClearField("shape")
        outputs += [port(f"{state}.next", 1, "batch", n) for state, n in self.sizes.items()]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "grucore", inputs, outputs, tensors)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        found: bytes = model.SerializeToString()
        return found

    def _put(self, op: str, reads: list[str], writes: list[str], **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(op, reads, writes, **attributes))

    def _constant(self, array: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def _add(self, node: Node) -> None:
        """The operators of a layer."""
        x, y = [self.names[name] for name in node.inputs], self.names[node.output]
        match node:
            case Recurrent():
                self._recurrent(node, x[0], y)
            case Take() if node.position is Position.LAST:
                self._put("Gather", [x[0], self._constant(np.array(-1))], [y], axis=0)
            case Dense():
                product, total = f"{y}.product", f"{y}.total"
                self._put("MatMul", [x[0], self._constant(float32(node.weight).T)], [product])
                self._put("Add", [product, self._constant(float32(node.bias))], [total])
                self._activation(node, node.activation, total, y)
            case Activate() if node.slope is None:
                self._activation(node, node.activation, x[0], y)
            case Softmax():
                self._put("LogSoftmax" if node.logarithm else "Softmax", x, [y], axis=-1)
            case LayerNorm():
                reads = [x[0], self._constant(node.scale), self._constant(node.shift)]
                self._put("LayerNormalization", reads, [y], axis=-1, epsilon=float(node.epsilon))
            case Affine():
                self._put("Mul", [x[0], self._constant(node.scale)], [f"{y}.product"])
                self._put("Add", [f"{y}.product", self._constant(node.shift)], [y])
            case Binary() if node.operation in OPERATIONS:
                self._put(OPERATIONS[node.operation], x, [y])
            case Concat():
                self._put("Concat", x, [y], axis=-1)
            case _:
                raise self.refuse(node)

    def _recurrent(self, node: Recurrent, x: str, y: str) -> None:
        self.check_recurrent(node, plain=(Activation.TANH, Activation.RELU))
        count, rows = len(node.gates), len(node.weight_ih)
        two = gates.unfolded(node.bias, rows)
        bias = np.concatenate([gates.to_onnx(part, count) for part in two])
        weights = [
            gates.to_onnx(float32(weight), count) for weight in (node.weight_ih, node.weight_hh)
        ]
        states = [f"{y}.state{suffix}" for suffix in node.state_suffixes]
        self.sizes |= dict.fromkeys(states, node.hidden_size)
        constants = [self._constant(array[None]) for array in (*weights, bias)]
        reverse = node.direction is Direction.REVERSE
        more: dict[str, Any] = {"direction": "reverse" if reverse else "forward"}
        if isinstance(node, Gru):
            more["linear_before_reset"] = int(node.cell is Cell.RESET_AFTER)
        if isinstance(node, Rnn):
            more["activations"] = [ACTIVATIONS[node.activation.code][0]]
        whole = f"{y}.directions"
        self._put(
            node.layer.upper(),
            [x, *constants, "", *states],
            [whole, *(f"{state}.next" for state in states)],
            hidden_size=node.hidden_size,
            **more,
        )
        self._put("Squeeze", [whole, self._constant(np.array([1]))], [y])

    def _activation(self, node: Node, activation: Activation, x: str, y: str) -> None:
        code, parameters = activation.code, (activation.alpha, activation.beta)
        if code is ActivationCode.LINEAR:
            self._put("Identity", [x], [y])
        elif code is ActivationCode.GELU_TANH:
            self._put("Gelu", [x], [y], approximate="tanh")
        elif code is ActivationCode.SILU:
            self._put("Sigmoid", [x], [f"{y}.gate"])
            self._put("Mul", [x, f"{y}.gate"], [y])
        elif code is ActivationCode.CLIP:
            bounds = [self._constant(np.float32(bound)) for bound in parameters]
            self._put("Clip", [x, *bounds], [y])
        elif code not in ACTIVATIONS:
            raise self.refuse(node, f" with {activation}")
        else:
            op, names = ACTIVATIONS[code]
            self._put(op, [x], [y], **dict(zip(names, parameters, strict=False)))
