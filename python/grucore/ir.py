# SPDX-License-Identifier: Apache-2.0
"""A model as Python sees it before it is a file: a graph of values and layers, with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.layers import KINDS, Activation, Cell, Concat, Dense, Direction, Gru, Take
from grucore.node import Array, Defect, Dtype, Node, Rate, Role, Slot, Value

__all__ = [
    "KINDS",
    "Activation",
    "Cell",
    "Concat",
    "Defect",
    "Dense",
    "Direction",
    "Dtype",
    "Graph",
    "Gru",
    "Node",
    "Rate",
    "Role",
    "Slot",
    "Take",
    "TestVector",
    "Value",
    "name_problem",
]

MAX_NAME_BYTES = 255
MAX_FEATURES = 1 << 20
MAX_PORTS = 64
MAX_NODES = 4096


def name_problem(name: str) -> str | None:
    """Why a value or node cannot be called that, or None."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not 1 <= length <= MAX_NAME_BYTES:
        return f"has {length} bytes, expected 1 to {MAX_NAME_BYTES}"
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in name):
        return "has control characters"
    return None


@dataclass(frozen=True, eq=False)
class TestVector:
    """Inputs and the engine's own outputs: (frames, features), or (features,) per sequence."""

    __test__ = False  # not a test case, whatever its name tells pytest

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """A model: values, the names of those that it reads and gives, nodes in topological order."""

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

    @property
    def parameter_count(self) -> int:
        """Numbers in all weights and biases."""
        return sum(array.size for node in self.nodes for array in node.tensors().values())

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all weights and biases, padding not counted."""
        return sum(array.nbytes for node in self.nodes for array in node.tensors().values())

    def multiply_adds(self, node: Node) -> int:
        """Multiply-adds of one evaluation of the node: per frame, or per sequence."""
        return type(node).multiply_adds(*self.ports(node))

    @property
    def multiply_adds_per_frame(self) -> int:
        """Multiply-adds of one frame through every node that runs once per frame."""
        return sum(
            self.multiply_adds(node)
            for node in self.nodes
            if self.value(node.output).rate is Rate.FRAME
        )

    @property
    def first_unstreamable(self) -> Node | None:
        """The first node that reads the future, or None."""
        return next((node for node in self.nodes if not node.streamable), None)

    @property
    def streamable(self) -> bool:
        """Whether the model can run frame by frame."""
        return self.first_unstreamable is None

    def validate(self) -> None:
        """Raise `ConversionError` that names the value, node or tensor which cannot be written."""
        values = self._check_values()
        self._check_ports(values)
        written = set(self.inputs)
        for node in self.nodes:
            self._check_node(node, values, written)
            written.add(node.output)
        for name in values:
            if name not in written:
                raise ConversionError(f"value {name!r} is neither an input nor written by a node")
        if self.test is not None:
            self._check_test(self.test)

    def _check_values(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for value in self.values:
            problem = name_problem(value.name)
            if problem:
                raise ConversionError(f"the name of value {value.name!r} {problem}")
            if value.name in values:
                raise ConversionError(f"two values are called {value.name!r}")
            if not 1 <= value.features <= MAX_FEATURES:
                raise ConversionError(
                    f"value {value.name!r} has {value.features} features, "
                    f"expected 1 to {MAX_FEATURES}"
                )
            least, most = (2, 65536) if value.rate is Rate.PERIOD else (1, 1)
            if not least <= value.period <= most:
                raise ConversionError(
                    f"value {value.name!r} has period {value.period}, expected {least} to {most}"
                )
            values[value.name] = value
        return values

    def _check_ports(self, values: Mapping[str, Value]) -> None:
        if not 1 <= len(self.nodes) <= MAX_NODES:
            raise ConversionError(f"{len(self.nodes)} nodes, expected 1 to {MAX_NODES}")
        for what, names in (("input", self.inputs), ("output", self.outputs)):
            if not 1 <= len(names) <= MAX_PORTS:
                raise ConversionError(f"{len(names)} {what}s, expected 1 to {MAX_PORTS}")
            for name in names:
                if name not in values:
                    raise ConversionError(f"{what} {name!r} is not among the values")
                if names.count(name) > 1:
                    raise ConversionError(f"{what} {name!r} is given twice")
        for name in self.inputs:
            if values[name].rate is not Rate.FRAME:
                raise ConversionError(f"input {name!r} is not per frame")
        order = [value.name for value in self.values if value.name in self.inputs]
        if order != list(self.inputs):
            raise ConversionError(f"inputs {self.inputs} are not in the order of the values")

    def _check_node(self, node: Node, values: Mapping[str, Value], written: set[str]) -> None:
        problem = name_problem(node.name)
        if problem:
            raise ConversionError(f"the name of node {node.name!r} {problem}")
        if sum(other.name == node.name for other in self.nodes) > 1:
            raise ConversionError(f"two nodes are called {node.name!r}")
        for name in node.inputs:
            if name not in written:
                raise ConversionError(
                    f"node {node.name!r} reads {name!r}, which no earlier node writes"
                )
        if node.output not in values:
            raise ConversionError(f"node {node.name!r} writes {node.output!r}, which is no value")
        if node.output in written:
            raise ConversionError(f"node {node.name!r} writes {node.output!r} a second time")
        inputs, output = self.ports(node)
        try:
            type(node).check(node.attributes, inputs, output)
        except Defect as defect:
            raise ConversionError(f"node {node.name!r}: {defect}") from None
        tensors = node.tensors()
        for slot in type(node).slots(node.attributes, inputs, output):
            _check_tensor(f"{node.name}.{slot.name}", tensors[slot.role], slot.shape)

    def _check_test(self, test: TestVector) -> None:
        frames = test.inputs[0].shape[0] if test.inputs else 0
        for what, names, arrays in (
            ("input", self.inputs, test.inputs),
            ("output", self.outputs, test.outputs),
        ):
            if len(arrays) != len(names):
                raise ConversionError(f"{len(arrays)} test {what}s for {len(names)} {what}s")
            for name, array in zip(names, arrays, strict=True):
                value = self.value(name)
                per_sequence = value.rate is Rate.SEQUENCE
                shape = (value.features,) if per_sequence else (frames, value.features)
                if array.shape != shape or array.dtype != value.dtype.numpy or frames < 1:
                    raise ConversionError(
                        f"test {what} {name!r} is {array.dtype} {array.shape}, "
                        f"expected {value.dtype.numpy} {shape} with at least one frame"
                    )


def _check_tensor(name: str, array: Array, shape: Sequence[int]) -> None:
    if array.shape != tuple(shape):
        raise ConversionError(f"{name} has shape {array.shape}, expected {tuple(shape)}")
    if array.dtype != np.float32:
        raise ConversionError(f"{name} has dtype {array.dtype}, expected float32")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = tuple(int(index) for index in bad[0])
        raise ConversionError(
            f"{name} has {len(bad)} infinite or not-a-number weights, the first at {where}"
        )
