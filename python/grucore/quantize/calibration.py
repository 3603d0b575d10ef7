# SPDX-License-Identifier: Apache-2.0
"""The inputs of each weight when a model runs on calibration data.

The engine runs the float32 model, once for each layer, with that layer's values as outputs: no
more than these are in memory. Three quarters of what is found are for rounding, the rest, in
pieces from everywhere, for choosing among roundings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
        whole = Sequences(Loaded(write(replace(graph, test=None))), data)
        self.inputs = tuple(whole.inputs)
        self.frames = whole.rows * whole.frames
        if not self.frames:
            raise ValueError("the calibration data has no frames")

    def blocks(self, node: Node) -> dict[str, list[Block]]:
        """For each weight of the layer, by field, its rows, and the inputs that these multiply."""
        names = [*node.inputs, node.output]
        found: dict[str, list[Block]] = {}
        for field, rows, samples in node.products(self._values(names)):
            found.setdefault(field, []).append(_block(rows, samples))
        return found

    def _values(self, names: list[str]) -> dict[str, Array]:
        """Values (B, values, features), or (B, features) of those that are per sequence."""
        values = dict(zip(self._graph.inputs, self.inputs, strict=True))
        wanted = tuple(name for name in names if name not in values)
        model = Loaded(write(replace(self._graph, outputs=wanted, test=None)))
        results = run(model, self.inputs, nonfinite="error")
        return values | dict(zip(wanted, results, strict=True))


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
