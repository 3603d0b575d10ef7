# SPDX-License-Identifier: Apache-2.0
"""PyTorch's GRU, LSTM and RNN as a graph has them: layers, directions, initial states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grucore.converters.build.cells import cell_in_pieces
from grucore.converters.torch.walk.walk import Arguments, Walk, op
from grucore.converters.trace.axes import FEATURES, Data, Held, Unfit, WrongAxes, arrange
from grucore.converters.trace.ops.recurrent import (
    Start,
    add_layer,
    beside,
    cell_states,
    check_sequence,
    final,
    initial,
    state_of,
)
from grucore.graph import gates
from grucore.graph.layers import Activation, Gru, Lstm, Recurrent, Rnn
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["CELLS", "Cell", "add_cell", "weights_of"]

PACKED = (
    "a packed sequence: convert the module without pack_padded_sequence, "
    "and give the lengths to Model.run"
)


@op("gru.data", "lstm.data", "rnn_tanh.data", "rnn_relu.data")
@op("_pack_padded_sequence.default", "_pad_packed_sequence.default")
def _packed(walk: Walk, a: Arguments) -> Any:
    raise Unfit(PACKED)


@op("quantized_gru.input", "quantized_gru.data", "quantized_gru_cell.default")
@op("quantized_lstm.input", "quantized_lstm.data", "quantized_lstm_cell.default")
def _quantized(walk: Walk, a: Arguments) -> Any:
    raise Unfit("quantized weights, expected the float module")


@dataclass(frozen=True)
class Cell:
    """A cell of PyTorch's: the layer, its gates, its settings besides the weights."""

    kind: type[Recurrent]
    word: str
    gates: int
    settings: Mapping[str, Any] = field(default_factory=dict)


CELLS = {
    "gru": Cell(Gru, "gru", 3),
    "lstm": Cell(Lstm, "lstm", 4),
    "rnn_tanh": Cell(Rnn, "rnn", 1),
    "rnn_relu": Cell(Rnn, "rnn", 1, {"activation": Activation.RELU}),
}


def weights_of(params: Sequence[Any]) -> list[Array]:
    """The parameters of a layer, which are constants."""
    for param in params:
        if not isinstance(param, np.ndarray):
            raise Unfit("its weights are computed from the input")
    return list(params)


@op("gru.input", "lstm.input", "rnn_tanh.input", "rnn_relu.input")
def _layers(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    cell = CELLS[walk.node.op.split(".")[1]]
    if a.get("train", False) and a.get("dropout", 0.0):
        raise Unfit("it drops out: call eval() before the export")
    x = walk.data(a["input"])
    time = 1 if a["batch_first"] else 0
    directions = 2 if a["bidirectional"] else 1
    layers, biased = a["num_layers"], a["has_biases"]
    params = weights_of(a["params"])
    each = 4 if biased else 2
    if cell.kind is Lstm and len(params) == (each + 1) * layers * directions:
        if a["bidirectional"]:
            raise Unfit("a bidirectional LSTM with projections (proj_size)")
        return _projected(walk, a, x, params, layers)
    rows = layers * directions
    if len(params) != each * rows:
        raise Unfit(f"it has {len(params)} weights, expected {each * rows}")
    check_sequence(walk, x, time, params[0].shape[1])
    hidden = params[1].shape[1]
    given = a["hx"] if cell.kind is Lstm else [a["hx"]]
    starts = {
        suffix: initial(walk, hx, rows, hidden, 1, suffix)
        for suffix, hx in zip(cell.kind.state_suffixes, given, strict=True)
    }
    source = x
    finals: list[Value] = []
    base = walk.node.path or cell.word
    made: list[tuple[Value, ...]] = []
    for layer in range(layers):
        written: list[tuple[Value, ...]] = []
        for turn in range(directions):
            place = layer * directions + turn
            parts = params[each * place : each * (place + 1)]
            name = f"{base}.l{layer}{'_reverse' if turn else ''}"
            own = {suffix: found[place] for suffix, found in starts.items()}
            written.append(add_cell(walk, cell, source, parts, own, name=name, reverse=bool(turn)))
            finals.append(_final(walk, written[-1][0], name, reverse=bool(turn)))
        made += written
        value = beside(walk, [each[0] for each in written], f"{base}.l{layer}.both")
        source = Data((*x.axes[:2], FEATURES), arrange((1, 1, value.features)), value)
    h_n = state_of(walk, x, finals, 1, f"{base}.h_n")
    if cell.kind is not Lstm:
        return source, h_n
    return source, h_n, cell_states(walk, x, made, 1, f"{base}.c_n")


def _projected(walk: Walk, a: Arguments, x: Data, params: Sequence[Any], layers: int) -> Any:
    """An LSTM whose h is a product of its cell's: states of the frame before, fed back."""
    assert walk.node is not None
    each, time = len(params) // layers, 1 if a["batch_first"] else 0
    check_sequence(walk, x, time, params[0].shape[1])
    sizes = params[each - 1].shape
    given = [
        initial(walk, hx, layers, size, 1, suffix)
        for hx, size, suffix in zip(a["hx"], sizes, Lstm.state_suffixes, strict=True)
    ]
    value, base = walk.ordered(x), walk.node.path or "lstm"
    ends: list[tuple[Value, ...]] = []
    for layer, starts in enumerate(zip(*given, strict=True)):
        part = params[each * layer : each * (layer + 1)]
        parts = part[:-1] if each == 5 else [*part[:-1], None, None]
        weights = dict(zip(("weight_ih", "weight_hh", "bias"), gates.summed(*parts), strict=True))
        weights["projection"] = part[-1]
        name = f"{base}.l{layer}"
        if walk.in_steps and not all(isinstance(start, Data) for start in starts):
            raise Unfit("an LSTM with projections (proj_size) whose states are no inputs")
        if not walk.in_steps and any(isinstance(start, Data | Held) for start in starts):
            raise Unfit("an LSTM with projections (proj_size) that starts from an input")
        states = [
            walk.ordered(start)
            if isinstance(start, Data)
            else walk.builder.delay(f"{name}.{end}", size, start, like=value)
            for end, size, start in zip("hc", sizes, starts, strict=True)
        ]
        new = cell_in_pieces(walk.put, Lstm, name, value, states, **weights)
        if not walk.in_steps:
            for state, after in zip(states, new, strict=True):
                walk.builder.feed_back(state, after)
        value = new[0]
        ends.append(new)
    axes = (*x.axes[:2], FEATURES)
    results = [Data(axes, arrange((1, 1, value.features)), value)]
    for place, end in enumerate("hc"):
        finals = [new[place] for new in ends]
        if not walk.in_steps:
            finals = [
                final(walk, each, name=f"{base}.l{layer}.{end}_n", reverse=False)
                for layer, each in enumerate(finals)
            ]
        results.append(state_of(walk, x, finals, 1, f"{base}.{end}_n"))
    return tuple(results)


def add_cell(
    walk: Walk,
    cell: Cell,
    x: Data,
    parts: Sequence[Any],
    starts: Mapping[str, Start],
    *,
    name: str,
    reverse: bool = False,
) -> tuple[Value, ...]:
    """One layer in one direction, of the weights and biases that it has."""
    parts = [*parts, None, None][:4]
    rows, hidden = parts[1].shape
    if rows != cell.gates * hidden:
        raise Unfit(f"its recurrent weights have shape {parts[1].shape}, expected (rows, features)")
    if walk.in_steps and not all(isinstance(start, Held | Data) for start in starts.values()):
        raise WrongAxes("one frame at a time, but its state is no input of the module")
    fold = gates.from_torch if cell.kind is Gru else gates.summed
    weights = dict(zip(("weight_ih", "weight_hh", "bias"), fold(*parts), strict=True))
    settings: dict[str, Any] = {**weights, **cell.settings}
    return add_layer(walk, cell.kind, x, starts, name=name, reverse=reverse, **settings)


def _final(walk: Walk, value: Value, name: str, *, reverse: bool) -> Value:
    return value if walk.in_steps else final(walk, value, name=f"{name}.h_n", reverse=reverse)
