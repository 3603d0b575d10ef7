# SPDX-License-Identifier: Apache-2.0
"""The parameters of a step: what the inputs and outputs of a model are called in C."""

from __future__ import annotations

from dataclasses import dataclass

from grucore.export.names import Names
from grucore.graph.graph import Graph
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype

__all__ = ["Ports", "c_type", "parameters"]


def c_type(value: Value) -> str:
    """C type of one of its numbers."""
    return "float" if value.dtype is Dtype.FLOAT32 else "int32_t"


@dataclass(frozen=True)
class Ports:
    """Names of the parameters of a step."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph) -> Ports:
        if len(graph.inputs) == len(graph.outputs) == 1:
            return cls(("x",), ("y",))
        names = Names("st", "v", "k", "i", "given")
        return cls(
            tuple(names.new(name) for name in graph.inputs),
            tuple(names.new(name) for name in graph.outputs),
        )


def parameters(graph: Graph, ports: Ports) -> str:
    """All of a step: the state, inputs, outputs."""
    inputs = [
        f"const {c_type(graph.value(name))} *{port}"
        for name, port in zip(graph.inputs, ports.inputs, strict=True)
    ]
    outputs = [
        f"{c_type(graph.value(name))} *{port}"
        for name, port in zip(graph.outputs, ports.outputs, strict=True)
    ]
    return ", ".join(["gc_state *st", *inputs, *outputs])
