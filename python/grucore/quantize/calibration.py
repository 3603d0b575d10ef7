# SPDX-License-Identifier: Apache-2.0
"""The inputs of each weight when a model runs on calibration data.

The engine runs the float32 model, once for each layer, with that layer's values as outputs: no
more than these are in memory. Three quarters of what is found are for rounding, the rest, in
pieces from everywhere, for choosing among roundings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grucore.fileformat import write
from grucore.graph.graph import Graph
from grucore.graph.layers import Cell, Conv1d, Dense, Direction, Gru
from grucore.graph.node import Node
from grucore.graph.tensors import Array, Role
from grucore.graph.weights import as_float64
from grucore.quantize.rounding import Moments
from grucore.reference.formulas import activate
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run
from grucore.runtime.sequences import Sequences

__all__ = ["FEWEST", "Block", "Calibration", "recurrent_inputs"]

FEWEST = 64  # samples of a layer that say something
MOST_NUMBERS = 1 << 26  # in the windows of a convolution, which are looked at together
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

    def blocks(self, node: Node) -> dict[Role, list[Block]]:
        """For each matrix of the layer its rows, and the inputs that these multiply."""
        names = [*node.inputs, node.output]
        found: dict[Role, list[Block]] = {}
        for role, rows, samples in _products(node, self._values(names)):
            found.setdefault(role, []).append(_block(rows, samples))
        return found

    def _values(self, names: list[str]) -> dict[str, Array]:
        """Values (B, values, features), or (B, features) of those that are per sequence."""
        values = dict(zip(self._graph.inputs, self.inputs, strict=True))
        wanted = tuple(name for name in names if name not in values)
        model = Loaded(write(replace(self._graph, outputs=wanted, test=None)))
        results = run(model, self.inputs, nonfinite="error")
        return values | dict(zip(wanted, results, strict=True))


def _products(node: Node, values: Mapping[str, Array]) -> Iterator[tuple[Role, slice, Array]]:
    """Role, rows, and samples (count, columns) of what they multiply."""
    x = values[node.inputs[0]]
    if isinstance(node, Gru):
        yield from _gru(node, values)
    elif isinstance(node, Dense):
        yield Role.WEIGHT, slice(None), x.reshape(-1, x.shape[-1])
    elif isinstance(node, Conv1d):
        yield from _conv1d(node, x)


def recurrent_inputs(node: Gru, values: Mapping[str, Array]) -> tuple[Array, Array]:
    """The inputs of both matrices of a GRU in all frames that are not masked, row after row.

    Inputs (count, input_size) and the states before (count, hidden_size). ``values``: those that
    the layer reads and writes, (B, frames, features).
    """
    x, output = values[node.inputs[0]], values[node.output]
    mask = values[node.inputs[1]][..., 0] if len(node.inputs) > 1 else np.ones(x.shape[:2])
    if node.direction is Direction.REVERSE:
        x, output, mask = x[:, ::-1], output[:, ::-1], mask[:, ::-1]
    size, is_there = node.hidden_size, mask != 0
    states = np.empty_like(output)
    state = np.zeros((len(x), size), np.float32)
    if node.initial_state is not None:
        state[:] = node.initial_state
    for frame in range(x.shape[1]):
        states[:, frame] = state
        state = np.where(is_there[:, frame, None], output[:, frame], state)
    return x[is_there], states[is_there]


def _gru(node: Gru, values: Mapping[str, Array]) -> Iterator[tuple[Role, slice, Array]]:
    x, h = recurrent_inputs(node, values)
    size = node.hidden_size
    yield Role.WEIGHT_IH, slice(None), x
    if node.cell is Cell.RESET_AFTER:
        yield Role.WEIGHT_HH, slice(None), h
        return
    yield Role.WEIGHT_HH, slice(0, 2 * size), h
    weight_ir, weight_hr = as_float64(node.weight_ih[:size]), as_float64(node.weight_hh[:size])
    for first in range(0, len(h), PIECE):
        piece = slice(first, first + PIECE)
        r = activate(
            node.gate_activation, x[piece] @ weight_ir.T + h[piece] @ weight_hr.T + node.bias[:size]
        )
        h[piece] *= r
    yield Role.WEIGHT_HH, slice(2 * size, 3 * size), h


def _conv1d(node: Conv1d, x: Array) -> Iterator[tuple[Role, slice, Array]]:
    batch, frames, channels = x.shape
    padded = np.pad(x, ((0, 0), (node.reach, node.after), (0, 0)))
    lost = node.reach - node.before - node.after
    places = np.arange(lost, frames, node.stride)
    numbers = batch * len(places) * node.taps * channels
    places = places[:: max(1, math.ceil(numbers / MOST_NUMBERS))]
    frames_of = places[:, None] + node.after + node.dilation * np.arange(node.taps)
    windows = padded[:, frames_of].reshape(-1, node.taps, node.groups, channels // node.groups)
    outputs = len(node.weight) // node.groups
    for group in range(node.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        yield Role.WEIGHT, rows, windows[:, :, group].reshape(len(windows), -1)


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
