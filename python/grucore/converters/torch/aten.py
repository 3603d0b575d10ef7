# SPDX-License-Identifier: Apache-2.0
"""The output of torch.export in a neutral form: from a live program or a file, the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grucore._core import ConversionError
from grucore.graph.tensors import Array

__all__ = ["AtenGraph", "AtenNode", "InputSpec", "Ref"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that an earlier node, a parameter or an input gave, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class InputSpec:
    """An argument of the module's forward; ``dtype`` as torch calls it: "float32", "int64"."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class AtenNode:
    """A call: ``op`` such as "aten.linear.default", arguments by the names of its schema.

    ``outputs``: the names of its results, one for each, or (``is_tuple``) one for all of them;
    ``shapes`` those of the results that are tensors, where known.
    ``path``: the module that it stands in, as in `named_modules`; ``module`` that one's class.
    """

    op: str
    arguments: Mapping[str, Any]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...] | None, ...] = ()
    path: str = ""
    module: str = ""
    is_tuple: bool = False

    @property
    def where(self) -> str:
        """For error messages."""
        place = f"module {self.path!r}" if self.path else "the module"
        kind = self.module.rpartition(".")[2]
        return f"{self.op} in {place}{f' ({kind})' if kind else ''}"

    def refuse(self, why: str) -> ConversionError:
        """The error that names the operation and the module that it stands in."""
        return ConversionError(f"{self.where}: {why}")


@dataclass(frozen=True, eq=False)
class AtenGraph:
    """Calls in order; ``constants``: parameters, buffers and constants by the names in the graph.

    ``parameters``: for these names what the state dict calls them.
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[Ref | Any, ...]
    nodes: tuple[AtenNode, ...]
    constants: Mapping[str, Array]
    parameters: Mapping[str, str] = field(default_factory=dict)
