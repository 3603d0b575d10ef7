# SPDX-License-Identifier: Apache-2.0
"""A graph as rows of numbers and names: ports, layers, their sizes and work."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, NamedTuple

from grucore.fileformat.layout import stored_bytes
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation
from grucore.graph.node import Node, Rate, Value
from grucore.graph.storage import SCALES
from grucore.graph.weights import kind_text

__all__ = ["LayerInfo", "Streamable", "describe", "layers_of"]


class LayerInfo(NamedTuple):
    """A layer of a model: its kind, parameters, format of its matrices, bytes, multiply-adds.

    ``inputs`` and ``output`` are features; ``multiply_adds`` are those of one output value.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    output: int
    parameters: int
    weights: str
    nbytes: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class Streamable:
    """True if a model runs frame by frame; ``reason`` says why it does not, "" where it does."""

    reason: str = ""

    def __bool__(self) -> bool:
        return not self.reason


def _attributes(node: Node) -> dict[str, str | int | float | bool]:
    """Every setting of a layer that is not a tensor: enum members by name."""
    found: dict[str, str | int | float | bool] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name in ("name", "inputs", "output"):
            continue
        if isinstance(value, Enum):
            found[field.name] = value.name.lower()
        elif isinstance(value, Activation):
            found[field.name] = str(value)
        elif isinstance(value, (bool, int, float, str)):
            found[field.name] = value
    return found


def _rate(value: Value) -> str:
    return {Rate.FRAME: "frame", Rate.SEQUENCE: "sequence"}.get(
        value.rate, f"{value.period} frames"
    )


def _value(value: Value) -> dict[str, Any]:
    return {
        "name": value.name,
        "features": value.features,
        "dtype": value.dtype.name.lower(),
        "rate": _rate(value),
    }


def _stored_bytes(graph: Graph, node: Node) -> int:
    """Bytes of the tensors of a node as they lie in the file, padding included."""
    return sum(stored_bytes(slot) for slot in graph.slots(node))


def _weights(node: Node) -> str:
    """The kinds of the matrices, such as "int8/16", or "int8/16 + float16" where they differ."""
    matrices = (weight for role, weight in node.tensors().items() if role in SCALES)
    return " + ".join(dict.fromkeys(kind_text(weight) for weight in matrices))


def _node(graph: Graph, node: Node) -> dict[str, Any]:
    inputs, output = graph.ports(node)
    return {
        "name": node.name,
        "kind": node.layer,
        "attributes": _attributes(node),
        "inputs": [value.name for value in inputs],
        "output": output.name,
        "input_features": [value.features for value in inputs],
        "output_features": output.features,
        "rate": _rate(output),
        "parameters": graph.parameters(node),
        "weights": _weights(node),
        "bytes": _stored_bytes(graph, node),
        "multiply_adds": graph.multiply_adds(node),
        "streamable": node.streamable,
    }


def describe(graph: Graph) -> dict[str, Any]:
    """Ports, layers, their sizes and work: what `grucore inspect --json` says of a graph."""
    nodes = [_node(graph, node) for node in graph.nodes]
    stopper = graph.first_unstreamable
    return {
        "inputs": [_value(graph.value(name)) for name in graph.inputs],
        "outputs": [_value(graph.value(name)) for name in graph.outputs],
        "nodes": nodes,
        "parameters": graph.parameter_count,
        "weight_bytes": sum(node["bytes"] for node in nodes),
        "multiply_adds_per_frame": graph.multiply_adds_per_frame,
        "streamable": graph.streamable,
        "unstreamable_layer": None if stopper is None else stopper.name,
    }


def layers_of(description: dict[str, Any]) -> tuple[LayerInfo, ...]:
    """The layers of a described graph."""
    return tuple(
        LayerInfo(
            node["name"],
            node["kind"],
            tuple(node["input_features"]),
            node["output_features"],
            node["parameters"],
            node["weights"],
            node["bytes"],
            node["multiply_adds"],
        )
        for node in description["nodes"]
    )
