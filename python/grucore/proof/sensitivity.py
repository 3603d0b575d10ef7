# SPDX-License-Identifier: Apache-2.0
"""How far rounding alone moves what a graph computes, measured with the float64 reference.

Every weight and every input is moved to one of its two neighbours in float32, at random: that is
what float32 does to a model at the least, and the layers make of it what they make of any error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.node import Node
from grucore.graph.tensors import Array
from grucore.reference import run as reference

__all__ = ["Rounding"]

DRAWS = 4
SEED = 7


class Rounding:
    """Measures one graph; the shaken copies are made when they are first asked for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._shaken: list[Graph] = []

    def __call__(
        self, xs: Sequence[Array], state: Mapping[str, Array] | None = None
    ) -> tuple[float, ...]:
        """By how much each output moves, at most, on one sequence (T, features) for each input.

        ``state``: what it starts from, if not what the layers start from by themselves.
        """
        if not self._shaken:
            generator = np.random.default_rng(SEED)
            self._shaken = [_shaken(self._graph, generator) for _ in range(DRAWS)]
        generator = np.random.default_rng(SEED)
        with np.errstate(all="ignore"):
            still = reference.run(self._graph, tuple(xs), state=state)[0]
            moved = [0.0] * len(still)
            for graph in self._shaken:
                shaken = tuple(_neighbours(x, generator) for x in xs)
                outputs = reference.run(graph, shaken, state=state)[0]
                for place, (one, other) in enumerate(zip(still, outputs, strict=True)):
                    change = np.abs(one - other)
                    largest = float(change[np.isfinite(change)].max(initial=0.0))
                    moved[place] = max(moved[place], largest)
        return tuple(moved)


def _shaken(graph: Graph, generator: np.random.Generator) -> Graph:
    return replace(graph, nodes=tuple(_shaken_node(node, generator) for node in graph.nodes))


def _shaken_node(node: Node, generator: np.random.Generator) -> Node:
    arrays: dict[str, Any] = {}
    for field in fields(node):
        found = getattr(node, field.name)
        if isinstance(found, np.ndarray) and found.dtype == np.float32:
            arrays[field.name] = _neighbours(found, generator)
    return replace(node, **arrays)


def _neighbours(array: Array, generator: np.random.Generator) -> Array:
    if array.dtype != np.float32:
        return array
    towards = np.where(generator.random(array.shape) < 0.5, -np.inf, np.inf)
    # A zero stays: padding and missing biases are not rounded.
    moved = np.where(array == 0, array, np.nextafter(array, towards.astype(np.float32)))
    return moved.astype(np.float32)
