# SPDX-License-Identifier: Apache-2.0
"""A graph in PyTorch: cells for steps, layers for sequences, and functions of torch around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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

__all__ = ["TorchTwin"]

Function = Callable[..., Any]


class TorchTwin(Twin):
    """Sequences are (frames, batch, features), as torch has them by default."""

    name = "torch"

    def __init__(self, graph: Graph, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch: Any = torch
        check_ports(graph, self)
        self.graph = graph
        self.state: dict[str, Any] = {}
        self.calls: list[tuple[Function, Function, tuple[str, ...], str]] = []
        for node in graph.nodes:
            step, run = self._functions(node)
            self.calls.append((step, run, node.inputs, node.output))
        self.frames = []
        self.step = self._step
        if graph.streamable:
            self.frames = self._native(signals(graph, FRAMES))

    def _native(self, columns: tuple[Array, ...]) -> list[Any]:
        count = len(columns[0])
        return [
            [self.torch.from_numpy(column[i : i + 1].copy()) for column in columns]
            for i in range(count)
        ]

    def _step(self, frame: Sequence[Any]) -> list[Any]:
        values = dict(zip(self.graph.inputs, frame, strict=True))
        with self.torch.inference_mode():
            for step, _, reads, writes in self.calls:
                values[writes] = step(*[values[name] for name in reads])
        return [values[name] for name in self.graph.outputs]

    def _run(self, inputs: Sequence[Any]) -> list[Any]:
        values = dict(zip(self.graph.inputs, inputs, strict=True))
        with self.torch.inference_mode():
            for _, run, reads, writes in self.calls:
                values[writes] = run(*[values[name] for name in reads])
        return [values[name] for name in self.graph.outputs]

    def _sequences(self, inputs: tuple[Array, ...]) -> list[Any]:
        return [self.torch.from_numpy(array.swapaxes(0, 1).copy()) for array in inputs]

    def runs(self, inputs: tuple[Array, ...]) -> Callable[[], Any]:
        native = self._sequences(inputs)
        return lambda: self._run(native)

    def outputs(self, inputs: tuple[Array, ...]) -> list[Array]:
        found = [array.numpy() for array in self._run(self._sequences(inputs))]
        return [array.swapaxes(0, 1) if array.ndim == 3 else array for array in found]

    def last_step(self, columns: tuple[Array, ...]) -> list[Array]:
        self.state.clear()
        found: list[Any] = []
        for frame in self._native(columns):
            found = self._step(frame)
        return [array[0].numpy() for array in found]

    def _functions(self, node: Node) -> tuple[Function, Function]:
        """Two calls of a layer: for one frame, and for a sequence."""
        if isinstance(node, Recurrent):
            return self._recurrent(node)
        if isinstance(node, Take) and node.position is Position.LAST:
            return lambda x: x, lambda x: x[-1]
        both = self._pointwise(node)
        return both, both

    def _recurrent(self, node: Recurrent) -> tuple[Function, Function]:
        torch, kind = self.torch, node.layer.upper()
        self.check_recurrent(node, plain=(Activation.TANH, Activation.RELU))
        if isinstance(node, Gru) and node.cell is not Cell.RESET_AFTER:
            raise self.refuse(node, " with the cell that resets before the product")
        more = {"nonlinearity": node.activation.name} if isinstance(node, Rnn) else {}
        sizes = node.input_size, node.hidden_size
        layer = getattr(torch.nn, kind)(*sizes, **more).eval()
        cell = getattr(torch.nn, f"{kind}Cell")(*sizes, **more).eval()
        both = gates.unfolded(node.bias, len(node.weight_ih))
        weights = (float32(node.weight_ih), float32(node.weight_hh), *both)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        with torch.no_grad():
            for name, values in zip(names, weights, strict=True):
                getattr(layer, f"{name}_l0").copy_(torch.from_numpy(values))
                getattr(cell, name).copy_(torch.from_numpy(values))

        def step(x: Any) -> Any:
            state = self.state[node.name] = cell(x, self.state.get(node.name))
            return state[0] if isinstance(state, tuple) else state

        if node.direction is Direction.FORWARD:
            return step, lambda x: layer(x)[0]
        return step, lambda x: layer(x.flip(0))[0].flip(0)

    def _pointwise(self, node: Node) -> Function:
        torch, functional = self.torch, self.torch.nn.functional

        def tensor(array: Any) -> Any:
            return torch.from_numpy(float32(array))

        match node:
            case Dense():
                weight, bias = tensor(node.weight), tensor(node.bias)
                after = self._activation(node, node.activation)
                return lambda x: after(functional.linear(x, weight, bias))
            case Activate():
                if node.slope is not None:
                    raise self.refuse(node, " with a slope for each feature")
                return self._activation(node, node.activation)
            case Softmax():
                function = torch.log_softmax if node.logarithm else torch.softmax
                return lambda x: function(x, -1)
            case LayerNorm():
                scale, shift = tensor(node.scale), tensor(node.shift)
                size, epsilon = scale.shape, float(node.epsilon)
                return lambda x: functional.layer_norm(x, size, scale, shift, epsilon)
            case Affine():
                scale, shift = tensor(node.scale), tensor(node.shift)
                return lambda x: scale * x + shift
            case Binary():
                operations = {
                    Operation.ADD: torch.add,
                    Operation.SUBTRACT: torch.sub,
                    Operation.MULTIPLY: torch.mul,
                    Operation.MAXIMUM: torch.maximum,
                    Operation.MINIMUM: torch.minimum,
                }
                if node.operation not in operations:
                    raise self.refuse(node, f" with {node.operation.name.lower()}")
                found: Function = operations[node.operation]
                return found
            case Concat():
                return lambda *values: torch.cat(values, -1)
        raise self.refuse(node)

    def _activation(self, node: Node, activation: Activation) -> Function:
        torch, functional = self.torch, self.torch.nn.functional
        a, b = activation.alpha, activation.beta
        functions: dict[ActivationCode, Function] = {
            ActivationCode.LINEAR: lambda x: x,
            ActivationCode.SIGMOID: torch.sigmoid,
            ActivationCode.TANH: torch.tanh,
            ActivationCode.RELU: torch.relu,
            ActivationCode.LEAKY_RELU: lambda x: functional.leaky_relu(x, a),
            ActivationCode.ELU: lambda x: functional.elu(x, a),
            ActivationCode.HARD_SIGMOID: lambda x: torch.clamp(a * x + b, 0.0, 1.0),
            ActivationCode.SOFTSIGN: functional.softsign,
            ActivationCode.SOFTPLUS: functional.softplus,
            ActivationCode.GELU: functional.gelu,
            ActivationCode.GELU_TANH: lambda x: functional.gelu(x, approximate="tanh"),
            ActivationCode.SILU: functional.silu,
            ActivationCode.HARD_SWISH: functional.hardswish,
            ActivationCode.CLIP: lambda x: torch.clamp(x, a, b),
            ActivationCode.EXP: torch.exp,
            ActivationCode.LOG: lambda x: b * torch.log(torch.clamp(x, min=a)),
            ActivationCode.LOG1P: lambda x: b * torch.log1p(torch.clamp(x, min=a)),
        }
        if activation.code not in functions:
            raise self.refuse(node, f" with {activation}")
        return functions[activation.code]
