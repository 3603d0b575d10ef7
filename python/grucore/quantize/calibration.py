# SPDX-License-Identifier: Apache-2.0
"""The inputs of each weight when a model runs on calibration data.

The engine runs the float32 model with the values that layers multiply as outputs: of all layers
where these take little memory, else once for each layer. Three quarters of what is found are for
rounding, the rest, in pieces from everywhere, for choosing among roundings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from grucore.fileformat import write
from grucore.graph.graph import Graph
from grucore.graph.node import Node
from grucore.graph.tensors import Array
from grucore.quantize.rounding import Moments
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run
from grucore.runtime.sequences import Sequences

__all__ = ["FEWEST", "Block", "Calibration"]

FEWEST = 64  # samples of a layer that say something
PIECE = 4096
KEPT_NUMBERS = 1 << 24  # of values that are in memory for all layers at a time
KEPT_VALUES = 64  # a file has no more outputs
PIECES = 16  # into which the samples are cut, of which every fourth is for choosing
LONGEST_PIECE = 256


@dataclass(frozen=True)
class Block:
    """Rows of a matrix that multiply the same inputs, and the moments of these."""

    rows: slice
    seen: Moments | None = None
    unseen: Moments | None = None


class Calibration:
    """Sequences that the model is to be good at.

    ``data`` is what `Model.run` takes: (T, features) or (B, T, features), or several of these.
    Raises as `Model.run` does, NonFiniteError for a frame that is not finite, and ValueError if
    there is no frame.
    """

    def __init__(self, graph: Graph, data: Any) -> None:
        self._graph = graph
        names = [name for node in graph.nodes if node.weight_fields for name in _beside(node)]
        kept = tuple(name for name in dict.fromkeys(names) if name not in graph.inputs)
        model = self._with_outputs(kept[:KEPT_VALUES] or graph.outputs)
        whole = Sequences(model, data)
        self.inputs = tuple(whole.inputs)
        self.frames = whole.rows * whole.frames
        numbers = self.frames * sum(graph.value(name).features for name in kept)
        is_little = numbers <= KEPT_NUMBERS and 0 < len(kept) <= KEPT_VALUES
        self._whole = (model, kept) if is_little else None
        if not self.frames:
            raise ValueError("the calibration data has no frames")

    def blocks(self, node: Node) -> dict[str, list[Block]]:
        """For each weight of the layer, by field, its rows, and the inputs that these multiply."""
        found: dict[str, list[Block]] = {}
        for field, rows, samples in node.products(self._values(node)):
            found.setdefault(field, []).append(_block(rows, samples))
        return found

    def _with_outputs(self, names: tuple[str, ...]) -> Loaded:
        return Loaded(write(replace(self._graph, outputs=names, test=None)))

    def _values(self, node: Node) -> dict[str, Array]:
        """Values (B, values, features), or (B, features) of those that are per sequence."""
        if self._whole is not None:
            return self._all_values
        names = tuple(name for name in _beside(node) if name not in self._graph.inputs)
        return self._run(self._with_outputs(names), names)

    @cached_property
    def _all_values(self) -> dict[str, Array]:
        assert self._whole is not None
        return self._run(*self._whole)

    def _run(self, model: Loaded, names: tuple[str, ...]) -> dict[str, Array]:
        values = dict(zip(self._graph.inputs, self.inputs, strict=True))
        results = run(model, self.inputs, nonfinite="error")
        return values | dict(zip(names, results, strict=True))


def _beside(node: Node) -> list[str]:
    """The values that a layer reads and writes."""
    return [*node.inputs, node.output]


def _block(rows: slice, samples: Array) -> Block:
    if len(samples) < FEWEST:
        return Block(rows)
    seen, unseen = Moments(samples.shape[1]), Moments(samples.shape[1])
    length = min(max(len(samples) // PIECES, 1), LONGEST_PIECE)
    is_unseen = np.arange(len(samples)) // length % 4 == 3
    for moments, places in ((seen, ~is_unseen), (unseen, is_unseen)):
        chosen = samples[places]
        for first in range(0, len(chosen), PIECE):
            moments.add(chosen[first : first + PIECE].astype(np.float64))
    return Block(rows, seen, unseen)
