# SPDX-License-Identifier: Apache-2.0
"""A model as Python sees it before it is a file: a graph of values and layers, with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from grucore.graph.node import Node, Rate, Value
from grucore.graph.storage import apart, kind_of, stored_slots
from grucore.graph.tensors import Array, Role, Slot

__all__ = ["Graph", "TestVector"]


@dataclass(frozen=True, eq=False)
class TestVector:
    """Inputs (frames, features) and the engine's own outputs, in the shapes of `Value.shape`."""

    __test__ = False  # not a test case, whatever its name tells pytest

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """A model: values, the names of those that it reads and gives, nodes in topological order.

    A delay alone may read the value of a later node (`graph.loops`).
    """

    values: tuple[Value, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    test: TestVector | None = None

    def value(self, name: str) -> Value:
        """The value of that name; raises KeyError."""
        for value in self.values:
            if value.name == name:
                return value
        raise KeyError(name)

    def ports(self, node: Node) -> tuple[tuple[Value, ...], Value]:
        """The values that a node reads, and the one that it writes."""
        return tuple(self.value(name) for name in node.inputs), self.value(node.output)

    def with_metadata(self, **entries: Any) -> Graph:
        """A copy with these entries of metadata set."""
        return replace(self, metadata={**self.metadata, **entries})

    def slots(self, node: Node) -> tuple[Slot, ...]:
        """The tensors that a node has, in the file's order, with the shapes that they have."""
        tensors = node.tensors()
        slots = type(node).slots(node.attributes, *self.ports(node))
        slots = stored_slots(slots, {role: kind_of(array) for role, array in tensors.items()})
        arrays = apart(tensors)
        return tuple(
            slot._replace(shape=arrays[slot.role].shape) for slot in slots if slot.role in arrays
        )

    def parameters(self, node: Node) -> int:
        """Numbers in the weights and biases of a node; indices, scales and ranges do not count."""
        return sum(
            weight.size
            for role, weight in node.tensors().items()
            if role not in (Role.INDEX, Role.INPUT_RANGE)
        )

    @property
    def parameter_count(self) -> int:
        """Numbers in all weights and biases."""
        return sum(self.parameters(node) for node in self.nodes)

    def multiply_adds(self, node: Node) -> int:
        """Multiply-adds of one value that the node writes: at a frame, or per sequence."""
        return node.multiply_adds

    def frame_multiply_adds(self, node: Node) -> int:
        """Multiply-adds of a node per frame of the model's input; 0 if it runs per sequence."""
        output = self.value(node.output)
        return 0 if output.rate is Rate.SEQUENCE else node.multiply_adds // output.period

    @property
    def multiply_adds_per_frame(self) -> int:
        """Multiply-adds of one frame through every node that does not run once per sequence."""
        return sum(self.frame_multiply_adds(node) for node in self.nodes)

    @property
    def first_unstreamable(self) -> Node | None:
        """The first node that reads the future, or None."""
        return next((node for node in self.nodes if not node.streamable), None)

    @property
    def streamable(self) -> bool:
        """True if the model can run frame by frame."""
        return self.first_unstreamable is None
