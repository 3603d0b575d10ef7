# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph as it was read: plain nodes, constants as arrays, inputs with their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grucore._core import ConversionError
from grucore.graph.tensors import Array

__all__ = ["Body", "OnnxNode", "Port", "Source"]


@dataclass(frozen=True)
class Body:
    """A graph inside an operator. Its names are its own, its constants stand in the `Source`."""

    nodes: tuple[OnnxNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The values of the graph around it that it reads."""
        own = {*self.inputs, *(name for node in self.nodes for name in node.outputs)}
        named = (*(name for node in self.nodes for name in node.reads), *self.outputs)
        return tuple(name for name in dict.fromkeys(named) if name and name not in own)


@dataclass(frozen=True)
class OnnxNode:
    """An operator with its attributes; names of values, "" where an optional one is left out."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads(self) -> tuple[str, ...]:
        """Its inputs, and what the graphs inside it read of the graph around them."""
        bodies = [value for value in self.attributes.values() if isinstance(value, Body)]
        return (*self.inputs, *(name for body in bodies for name in body.reads))

    @property
    def label(self) -> str:
        """Its name in errors."""
        name = self.name or next(filter(None, self.outputs), "without a name")
        return f"{self.op} {name!r}"

    def refuse(self, message: str) -> ConversionError:
        """The error, to be raised, that names this node."""
        return ConversionError(f"{self.label}: {message}")

    def get(self, name: str, default: Any) -> Any:
        """An attribute, or what ONNX takes where it is missing."""
        return self.attributes.get(name, default)

    def check_attributes(self, known: Sequence[str]) -> None:
        """Refuse an attribute that nobody looks at."""
        for name, value in self.attributes.items():
            if name not in known:
                raise self.refuse(f"attribute {name} is {value!r}, expected none of that name")

    @property
    def written(self) -> int:
        """Outputs that somebody may read."""
        return sum(bool(name) for name in self.outputs)


@dataclass(frozen=True)
class Port:
    """A graph input: sizes that the file leaves open are names, or None."""

    name: str
    dtype: str
    dims: tuple[int | str | None, ...]

    @property
    def is_integer(self) -> bool:
        """True if it holds ids, lengths or the like."""
        return self.dtype.startswith(("int", "uint"))


@dataclass(frozen=True)
class Source:
    """A graph with its nodes in topological order, and what the file says about itself."""

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    opset: int
    about: Mapping[str, Any] = field(default_factory=dict)


RECURRENT = ("GRU", "LSTM", "RNN")
CELL = "nn.GRUCell"  # the operator that onnx_patterns makes of its pieces

# The body of a loop is written with these, once it stands in the graph around it. One frame of a
# sequence: x, the place of the first frame, and counts of iterations.
FRAME = "loop.Frame"
# A state as the frame before left it: its first value, and the sequences of the loop.
BEFORE = "loop.Before"
# A state after the last frame: what BEFORE gives, and the value after a frame.
AFTER = "loop.After"
# A sequence of the values of all frames.
FRAMES = "loop.Frames"
LOOP_TEXT = (
    "Convert the module that this file was exported from; or export its recurrent layers as "
    "operators GRU, LSTM or RNN, or its cell for one frame with its states as inputs and outputs"
)
