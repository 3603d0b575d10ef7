# SPDX-License-Identifier: Apache-2.0
"""A value of a loop as a sum of products: gates, and matrices times what the loop reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Concat,
    Dense,
    Operation,
    Select,
)
from grucore.graph.node import Node, Value
from grucore.graph.tensors import Array

__all__ = ["Gate", "Sum", "Sums", "Term", "TooMuch"]

MOST_NUMBERS = 1 << 22  # of a matrix that picks features
MAX_DEPTH = 24


@dataclass(frozen=True, slots=True)
class Gate:
    """An activation of some features of a value."""

    activation: Activation
    value: str
    places: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Term:
    """The product of some gates with ``matrix @ source``, or with numbers where there is none."""

    gates: tuple[Gate, ...]
    source: str | None
    matrix: Array


Sum: TypeAlias = list[Term]


class TooMuch(Exception):
    """A value is no such sum, or has too many terms."""


class Sums:
    """Values of a graph as such sums. ``looped``: those that depend on what a loop feeds back."""

    def __init__(
        self, nodes: Sequence[Node], values: Mapping[str, Value], looped: set[str]
    ) -> None:
        self._made = {node.output: node for node in nodes}
        self._values, self._looped = values, looped

    def of(self, value: str) -> Sum:
        """All features of a value."""
        return self._sum(value, np.arange(self._values[value].features), 0)

    def inside(self, gate: Gate) -> Sum:
        """The sum that an activation is applied to."""
        return self._sum(gate.value, np.array(gate.places), 0)

    def _sum(self, value: str, places: Array, depth: int) -> Sum:
        try:
            found = self._found(value, places, depth)
        except TooMuch:
            found = None
        return self._plain(value, places) if found is None else _joined(found)

    def _plain(self, value: str, places: Array) -> Sum:
        features = self._values[value].features
        if len(places) * features > MOST_NUMBERS:
            raise TooMuch
        matrix = np.zeros((len(places), features))
        matrix[np.arange(len(places)), places] = 1
        return [Term((), value, matrix)]

    def _found(self, value: str, places: Array, depth: int) -> Sum | None:
        node = self._made.get(value)
        if node is None or depth > MAX_DEPTH:
            return None
        if isinstance(node, Select):
            return self._sum(node.inputs[0], node.index[places], depth + 1)
        if isinstance(node, Concat):
            return self._part(node, places, depth)
        if isinstance(node, Affine):
            inner = self._sum(node.inputs[0], places, depth + 1)
            return [*_scaled(inner, node.scale[places]), Term((), None, node.shift[places])]
        if isinstance(node, Dense):
            linear = node.activation == Activation.LINEAR
            return self._product(node, places) if linear and _is_plain(node) else None
        if value not in self._looped:
            return None
        if isinstance(node, Activate) and node.slope is None:
            gate = Gate(node.activation, node.inputs[0], tuple(places.tolist()))
            return [Term((gate,), None, np.ones(len(places)))]
        if isinstance(node, Binary):
            one, other = (self._sum(name, places, depth + 1) for name in node.inputs)
            if node.operation is Operation.ADD:
                return one + other
            if node.operation is Operation.SUBTRACT:
                return one + _scaled(other, -np.ones(len(places)))
            if node.operation is Operation.MULTIPLY:
                return [_multiplied(a, b) for a in one for b in other]
        return None

    def _part(self, node: Concat, places: Array, depth: int) -> Sum | None:
        first = 0
        for name in node.inputs:
            last = first + self._values[name].features
            if places.min() >= first and places.max() < last:
                return self._sum(name, places - first, depth + 1)
            first = last
        return None

    def _product(self, node: Dense, places: Array) -> Sum:
        """A matrix times each value that the features read come from."""
        weight = np.asarray(node.weight, np.float64)[places]
        terms = [Term((), None, np.asarray(node.bias, np.float64)[places])]
        origins = self._origins(node.inputs[0])
        for source in dict.fromkeys(name for name, _ in origins):
            matrix = np.zeros((len(places), self._values[source].features))
            for column, (name, feature) in enumerate(origins):
                if name == source:
                    matrix[:, feature] += weight[:, column]
            terms.append(Term((), source, matrix))
        return terms

    def _origins(self, value: str) -> list[tuple[str, int]]:
        """The value and the feature that each feature is, past layers that only move them."""
        node = self._made.get(value)
        if isinstance(node, Select):
            inner = self._origins(node.inputs[0])
            return [inner[place] for place in node.index.tolist()]
        if isinstance(node, Concat):
            return [each for name in node.inputs for each in self._origins(name)]
        return [(value, place) for place in range(self._values[value].features)]


def _is_plain(node: Dense) -> bool:
    return isinstance(node.weight, np.ndarray)


def _scaled(terms: Sum, scale: Array) -> Sum:
    return [
        Term(t.gates, t.source, t.matrix * (scale if t.source is None else scale[:, None]))
        for t in terms
    ]


def _multiplied(a: Term, b: Term) -> Term:
    if a.source is not None and b.source is not None:
        raise TooMuch
    if a.source is None:
        a, b = b, a
    (found,) = _scaled([a], b.matrix)
    gates = tuple(sorted((*a.gates, *b.gates), key=lambda gate: (gate.value, gate.places)))
    return Term(gates, a.source, found.matrix)


def _joined(terms: Sum) -> Sum:
    """Terms of the same gates and source as one, none that is zero."""
    found: dict[tuple[tuple[Gate, ...], str | None], Array] = {}
    for term in terms:
        key = (term.gates, term.source)
        found[key] = found[key] + term.matrix if key in found else term.matrix
    return [Term(*key, matrix) for key, matrix in found.items() if matrix.any()]
