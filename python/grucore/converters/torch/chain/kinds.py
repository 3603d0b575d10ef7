# SPDX-License-Identifier: Apache-2.0
"""The layers that a PyTorch state dict may hold, with their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from grucore.converters.torch.chain.architecture import NAMED
from grucore.graph.tensors import Array

__all__ = ["Layer", "LinearLayer", "Part", "PlainLayer", "RecurrentLayer"]

Part = tuple[Array, Array, Array | None, Array | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class RecurrentLayer:
    """An nn.GRU, LSTM or RNN, or its cell: PyTorch's tensors by layer and direction.

    ``kind`` as in an architecture; ``options``: of an rnn its ``nonlinearity``; ``starts``: its
    learned initial states, ``h_0`` and ``c_0``, (rows, 1, hidden_size). In ``parts`` True is the
    reverse direction.
    """

    kind: str
    prefix: str
    parts: Mapping[tuple[int, bool], Part]
    is_cell: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    starts: Mapping[str, Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The prefix, or the kind for the tensors of a module of its own."""
        return self.prefix or self.kind

    @property
    def missing(self) -> list[str]:
        """The settings that it needs besides its tensors."""
        return [name for name in NAMED[self.kind] if name not in self.options]

    @property
    def input_size(self) -> int:
        """Features that the first layer reads."""
        return int(self.parts[0, False][0].shape[1])

    @property
    def hidden_size(self) -> int:
        """Features of the state of one direction."""
        return int(self.parts[0, False][1].shape[1])

    @property
    def layer_count(self) -> int:
        """Layers on top of each other."""
        return 1 + max(k for k, _ in self.parts)

    @property
    def bidirectional(self) -> bool:
        """True if each layer has a reverse direction."""
        return (0, True) in self.parts

    @property
    def rows(self) -> int:
        """Layers times directions, as the states have them."""
        return self.layer_count * (2 if self.bidirectional else 1)

    @property
    def output_size(self) -> int:
        """Features that the last layer writes."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    @property
    def arrays(self) -> list[Array]:
        """All tensors."""
        weights = [array for part in self.parts.values() for array in part if array is not None]
        return [*weights, *self.starts.values()]

    def __str__(self) -> str:
        kind = f"{self.kind.upper()}{'Cell' if self.is_cell else ''}"
        more = f", {self.layer_count} layers" if self.layer_count > 1 else ""
        more += ", bidirectional" if self.bidirectional else ""
        more += f", {', '.join(self.missing)} unknown" if self.missing else ""
        return f"{self.kind}({self.name}): {kind} {self.input_size} -> {self.hidden_size}{more}"


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearLayer:
    """An nn.Linear: ``weight`` (out, in), ``bias`` (out,) or None."""

    prefix: str
    weight: Array
    bias: Array | None

    @property
    def name(self) -> str:
        """The prefix, or ``linear`` for the tensors of a module of its own."""
        return self.prefix or "linear"

    @property
    def input_size(self) -> int:
        """Features that it reads."""
        return int(self.weight.shape[1])

    @property
    def output_size(self) -> int:
        """Features that it writes."""
        return int(self.weight.shape[0])

    @property
    def arrays(self) -> list[Array]:
        """All tensors."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    def __str__(self) -> str:
        bias = "" if self.bias is not None else ", no bias"
        return f"linear({self.name}): Linear {self.input_size} -> {self.output_size}{bias}"


@dataclass(frozen=True, eq=False, kw_only=True)
class PlainLayer:
    """Another layer with weights: ``kind`` as in an architecture, tensors by their last name."""

    kind: str
    prefix: str
    tensors: Mapping[str, Array]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The prefix, or the kind for the tensors of a module of its own."""
        return self.prefix or self.kind

    @property
    def _first(self) -> Array:
        return next(iter(self.tensors.values()))

    @property
    def input_size(self) -> int | None:
        """Features that it reads, where its tensors say so."""
        if self.kind == "conv1d":
            return None  # in each group; nobody says how many groups there are
        return None if self.kind in ("embedding", "prelu") else int(self._first.shape[0])

    @property
    def output_size(self) -> int | None:
        """Features that it writes, where its tensors say so."""
        if self.kind == "embedding":
            return int(self._first.shape[1])
        return None if self.kind == "prelu" else int(self._first.shape[0])

    @property
    def missing(self) -> list[str]:
        """The settings that it needs besides its tensors."""
        return [name for name in NAMED[self.kind] if name not in self.options]

    @property
    def arrays(self) -> list[Array]:
        """All tensors."""
        return list(self.tensors.values())

    def __str__(self) -> str:
        shape = " x ".join(map(str, self._first.shape))
        unknown = f", {', '.join(self.missing)} unknown" if self.missing else ""
        return f"{self.kind}({self.name}): {shape}{unknown}"


Layer: TypeAlias = RecurrentLayer | LinearLayer | PlainLayer
