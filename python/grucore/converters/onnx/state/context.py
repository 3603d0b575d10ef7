# SPDX-License-Identifier: Apache-2.0
"""The state of one conversion: the builder, the meaning of each value, sizes, states, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from grucore.converters.build.builder import GraphBuilder
from grucore.converters.onnx.evaluate import Budget
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axes, Axis, Constant, Data, Operand, Tracked
from grucore.converters.onnx.state.sizes import Size, Unit, product
from grucore.graph.layers import Select
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = ["MAX_FOLDED", "Part", "Work", "arrange"]

MAX_FOLDED = 1 << 27  # elements of a constant that we compute


def arrange(axes: Axes, sizes: tuple[int, ...]) -> Array:
    """The index of features that stand in C order: ``sizes`` are 1 but along features."""
    return np.arange(int(np.prod(sizes)), dtype=np.int64).reshape(sizes)


@dataclass(frozen=True)
class Part:
    """A piece of a state input, from feature ``first`` on: whose state it is, and the value that
    the layer writes, whose last row in its direction is the new state."""

    first: int
    size: int
    state: str
    value: str


@dataclass
class Work:
    """State shared by operators. ``batch`` and ``frames`` are the sizes that the file fixes."""

    opset: int
    budget: Budget
    # Axes that were chosen where a Reshape leaves several possible.
    choices: Mapping[str, Axes] = field(default_factory=dict)
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    batch: int | None = None
    frames: int | None = None
    has_states: bool = False
    # For each state input of the file: what its features are the state of.
    states: dict[str, list[Part]] = field(default_factory=dict)
    lengths_input: str | None = None
    # State inputs that are values of the frame before, and no layer's own state.
    delayed: frozenset[str] = frozenset()
    delays: dict[str, Data] = field(default_factory=dict)
    # Nodes that end where the lengths say, and so are right with any.
    bounded: set[str] = field(default_factory=set)
    _picked: dict[tuple[str, bytes], Value] = field(default_factory=dict)

    def size(self, operand: Tracked, axis: int) -> Size:
        """How long an axis is."""
        kind = operand.axes[axis]
        if kind is Axis.FEATURES:
            return int(operand.index.shape[axis])
        return product(self.extent(part, operand) for part in kind.parts)

    def extent(self, part: Axis, operand: Tracked) -> Size:
        """The number of rows, or of frames that the operand has."""
        if part is Axis.BATCH:
            return Unit(("batch",)) if self.batch is None else self.batch
        value = operand.value if isinstance(operand, Data) else None
        extra = sum(operand.padding) if isinstance(operand, Data) else 0
        if self.frames is not None:
            return (self.frames if value is None else value.count(self.frames)) + extra
        clock = "" if value is None or value.clock == (Rate.FRAME, 1, 0) else f" of {value.clock}"
        return Unit((f"time{clock}",)) + extra

    def sizes(self, operand: Operand) -> list[Size]:
        """The shape."""
        if isinstance(operand, Constant):
            return list(operand.array.shape)
        return [self.size(operand, axis) for axis in range(len(operand.axes))]

    def features(self, node: OnnxNode, operand: Operand) -> Value:
        """The value whose features are those of the operand, in the order in which they stand."""
        data = self.data(node, operand)
        if data.padding != (0, 0):
            raise node.refuse(f"reads a Pad of {data.padding} frames, which only Conv can")
        return self.picked(data.value, data.index, node.name or node.op)

    def picked(self, value: Value, index: Array, name: str) -> Value:
        """The features of a value in the order of an index."""
        order = np.ascontiguousarray(index.reshape(-1), np.int32)
        if np.array_equal(order, np.arange(value.features)):
            return value
        key = value.name, order.tobytes()
        if key not in self._picked:
            self._picked[key] = self.builder.add(Select, f"{name}.order", [value], index=order)
        return self._picked[key]

    def data(self, node: OnnxNode, operand: Operand) -> Data:
        """The operand, which has to be a value of the model."""
        if isinstance(operand, Data):
            return operand
        what = "a constant" if isinstance(operand, Constant) else type(operand).__name__.lower()
        if isinstance(operand, Tracked):
            what = f"{what} {operand.text}"
        raise node.refuse(f"reads {what} where a value that the model computes is expected")

    def constant(self, node: OnnxNode, operand: Operand | None, what: str) -> Array:
        """The operand's numbers, which have to stand in the file."""
        if not isinstance(operand, Constant):
            raise node.refuse(f"{what} is computed by the model, expected a constant")
        if operand.array.dtype == object:
            raise node.refuse(f"{what} depends on sizes that the file leaves open")
        return operand.array

    def weights(self, node: OnnxNode, operand: Operand | None, what: str) -> Array:
        """The operand's numbers as float64, rounded to float32 only when all folding is done."""
        array = self.constant(node, operand, what)
        if array.dtype.kind != "f":
            raise node.refuse(f"{what} is {array.dtype}, expected floating point")
        return array.astype(np.float64)

    def fresh(self, like: Data, value: Value) -> Data:
        """A value with as many features in the same places, now in C order."""
        return Data(like.axes, arrange(like.axes, like.index.shape), value)
