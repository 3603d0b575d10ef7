# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph as it was read: plain nodes, constants as arrays, inputs with their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grucore._core import ConversionError
from grucore.graph.tensors import Array

__all__ = ["OnnxNode", "Port", "Source"]


@dataclass(frozen=True)
class OnnxNode:
    """An operator with its attributes; names of values, "" where an optional one is left out."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

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
