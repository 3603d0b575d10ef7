# SPDX-License-Identifier: Apache-2.0
"""A frame of a recurrent cell written out in layers, where a state is not the cell's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from grucore.graph.layers import (
    Activate,
    Activation,
    Binary,
    Cell,
    Dense,
    Gru,
    Lstm,
    Operation,
    Recurrent,
    Select,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["Add", "cell_in_pieces"]

Add: TypeAlias = Callable[..., Value]
"""Adds a layer: kind, inputs, name=, and the layer's own arguments; gives the value it writes."""


def cell_in_pieces(
    add: Add, kind: type[Recurrent], name: str, x: Value, states: Sequence[Value], **given: Any
) -> tuple[Value, ...]:
    """The states (h, and of an LSTM c) after a frame ``x`` (I,), from those before it.

    ``given``: the weights and settings of that layer, as `graph.layers` has them. What reads x
    alone stands apart from what reads the states, so that it runs over blocks of frames. Of an LSTM
    ``projection`` (P, H) makes h of what would be h, or None.
    """
    pieces = _Pieces(add, name, given)
    if kind is Gru:
        return (pieces.gru(x, states[0]),)
    if kind is Lstm:
        return pieces.lstm(x, *states)
    return (pieces.rnn(x, states[0]),)


class _Pieces:
    def __init__(self, add: Add, name: str, given: dict[str, Any]) -> None:
        self._add = add
        self._name = name
        self._given = given

    def _layer(self, kind: Any, suffix: str, inputs: Sequence[Value], **arguments: Any) -> Value:
        return self._add(kind, list(inputs), name=f"{self._name}.{suffix}", **arguments)

    def _rows(self, field: str, first: int, last: int) -> Array:
        rows: Array = np.asarray(self._given[field])[first:last]
        return rows

    def _dense(self, suffix: str, value: Value, weight: Array, bias: Array | None = None) -> Value:
        bias = np.zeros(len(weight), np.float32) if bias is None else bias
        return self._layer(Dense, suffix, [value], weight=weight, bias=bias)

    def _both(self, operation: Operation, suffix: str, a: Value, b: Value) -> Value:
        return self._layer(Binary, suffix, [a, b], operation=operation)

    def _activate(self, suffix: str, value: Value, setting: str, usual: Activation) -> Value:
        activation = self._given.get(setting, usual)
        return self._layer(Activate, suffix, [value], activation=activation)

    def _part(self, suffix: str, value: Value, first: int, size: int) -> Value:
        index = np.arange(first, first + size, dtype=np.int32)
        return self._layer(Select, suffix, [value], index=index)

    def _sum(self, suffix: str, x: Value, h: Value, first: int, last: int) -> Value:
        """Both products of some rows, and their bias."""
        of_x = self._dense(
            f"{suffix}.x",
            x,
            self._rows("weight_ih", first, last),
            self._rows("bias", first, last),
        )
        of_h = self._dense(f"{suffix}.h", h, self._rows("weight_hh", first, last))
        return self._both(Operation.ADD, f"{suffix}.sum", of_x, of_h)

    def gru(self, x: Value, h: Value) -> Value:
        size = h.features
        sums = self._sum("rz", x, h, 0, 2 * size)
        gates = self._activate("rz", sums, "gate_activation", Activation.SIGMOID)
        r, z = self._part("r", gates, 0, size), self._part("z", gates, size, size)
        rows, bias = (2 * size, 3 * size), self._given["bias"]
        of_x = self._dense("n.x", x, self._rows("weight_ih", *rows), bias[rows[0] : rows[1]])
        weight = self._rows("weight_hh", *rows)
        if self._given.get("cell", Cell.RESET_AFTER) is Cell.RESET_AFTER:
            of_h = self._dense("n.h", h, weight, bias[3 * size :])
            reset = self._both(Operation.MULTIPLY, "n.reset", r, of_h)
        else:
            kept = self._both(Operation.MULTIPLY, "n.reset", r, h)
            reset = self._dense("n.h", kept, weight)
        total = self._both(Operation.ADD, "n.sum", of_x, reset)
        n = self._activate("n", total, "activation", Activation.TANH)
        apart = self._both(Operation.SUBTRACT, "change", h, n)
        share = self._both(Operation.MULTIPLY, "share", z, apart)
        return self._both(Operation.ADD, "new", n, share)

    def lstm(self, x: Value, h: Value, c: Value) -> tuple[Value, Value]:
        size = c.features
        sums = self._sum("gates", x, h, 0, 4 * size)
        open_gates = np.r_[0 : 2 * size, 3 * size : 4 * size].astype(np.int32)
        chosen = self._layer(Select, "ifo.sums", [sums], index=open_gates)
        gates = self._activate("ifo", chosen, "gate_activation", Activation.SIGMOID)
        candidate = self._part("g.sums", sums, 2 * size, size)
        g = self._activate("g", candidate, "activation", Activation.TANH)
        i, f, o = (self._part(gate, gates, at * size, size) for at, gate in enumerate("ifo"))
        kept = self._both(Operation.MULTIPLY, "kept", f, c)
        taken = self._both(Operation.MULTIPLY, "taken", i, g)
        cell = self._both(Operation.ADD, "cell", kept, taken)
        shown = self._activate("shown", cell, "cell_activation", Activation.TANH)
        new = self._both(Operation.MULTIPLY, "new", o, shown)
        projection = self._given.get("projection")
        if projection is not None:
            new = self._dense("projected", new, projection)
        return new, cell

    def rnn(self, x: Value, h: Value) -> Value:
        sums = self._sum("h", x, h, 0, h.features)
        return self._activate("new", sums, "activation", Activation.TANH)
