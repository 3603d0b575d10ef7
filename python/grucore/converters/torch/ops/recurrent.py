# SPDX-License-Identifier: Apache-2.0
"""PyTorch's GRU, LSTM and RNN as a graph has them: layers, directions, initial states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore.converters.build.cells import cell_in_pieces
from grucore.converters.torch.walk.axes import BATCH, TIME, Axis, Flow, Unfit, WrongAxes, flow_of
from grucore.converters.torch.walk.walk import Arguments, Walk, op, per_frame, rounded
from grucore.graph import gates
from grucore.graph.layers import (
    Activation,
    Concat,
    Direction,
    Gru,
    Lstm,
    Position,
    Recurrent,
    Rnn,
    Take,
)
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = [
    "CELLS",
    "Cell",
    "add_layer",
    "cell_flow",
    "one_row",
    "pieces_of",
    "row_of_state",
    "weights_of",
]

PACKED = (
    "a packed sequence: convert the module without pack_padded_sequence, "
    "and give the lengths to Model.run"
)
MIXED = "its initial state is computed: convert the two parts apart, and hand the state over"


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
INITIAL = ("initial_state", "initial_cell")  # the fields of the states


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
    flow: Flow = a["input"].simple()
    time, batch = (1, 0) if a["batch_first"] else (0, 1)
    _check_input(walk, flow, time, batch)
    directions = 2 if a["bidirectional"] else 1
    layers, biased = a["num_layers"], a["has_biases"]
    params = weights_of(a["params"])
    each = 4 if biased else 2
    if cell.kind is Lstm and len(params) == (each + 1) * layers * directions:
        if a["bidirectional"]:
            raise Unfit("a bidirectional LSTM with projections (proj_size)")
        return _projected(walk, a, flow, params, layers)
    if len(params) != each * layers * directions:
        raise Unfit(f"it has {len(params)} weights, expected {each * layers * directions}")
    rows = layers * directions
    given = a["hx"] if cell.kind is Lstm else [a["hx"]]
    states = list(zip(*(_initial(walk, hx, rows) for hx in given), strict=True))
    value = walk.ordered(flow)
    finals: list[Value] = []
    base = walk.node.path or cell.word
    names: list[str] = []
    new_cells: list[Value] = []
    for layer in range(layers):
        written = []
        for turn in range(directions):
            place = layer * directions + turn
            part = params[each * place : each * (place + 1)]
            parts = part if biased else [*part, None, None]
            name = f"{base}.l{layer}{'_reverse' if turn else ''}"
            if any(isinstance(state, Value) for state in states[place]):
                out, *cells = pieces_of(walk, cell, value, parts, states[place], name)
                new_cells += cells
                finals.append(out)
            else:
                out = add_layer(
                    walk, cell, value, parts, states[place], reverse=bool(turn), name=name
                )
                names.append(walk.layer_of(out))
                finals.append(_final(walk, out, name, reverse=bool(turn)))
            written.append(out)
        value = written[0]
        if directions > 1:
            value = walk.add(Concat, written, name=f"{base}.l{layer}.both")
    axes = [(TIME,) if number == time else flow.axes[batch] for number in range(2)]
    if walk.in_steps:
        axes[time] = (1,)
    y = flow_of(value, [*axes, (value.features,)])
    last = finals[0] if len(finals) == 1 else walk.add(Concat, finals, name=f"{base}.h_n")
    hidden = finals[0].features
    state_axes = [(rows,), flow.axes[batch], (hidden,)]
    h_n = flow_of(last, state_axes)
    if cell.kind is not Lstm:
        return y, h_n
    if not new_cells:
        return y, h_n, cell_flow(walk, names, state_axes)
    if names:
        raise Unfit("the states of some of its layers are fed back and those of others are not")
    c_n = new_cells[0] if rows == 1 else walk.add(Concat, new_cells, name=f"{base}.c_n")
    return y, h_n, flow_of(c_n, state_axes)


def _projected(walk: Walk, a: Arguments, flow: Flow, params: Sequence[Any], layers: int) -> Any:
    """An LSTM whose h is a product of its cell's: states of the frame before, fed back."""
    assert walk.node is not None
    each = len(params) // layers
    given = [_initial(walk, hx, layers) for hx in a["hx"]]
    value, base = walk.ordered(flow), walk.node.path or "lstm"
    ends: list[tuple[Value, ...]] = []
    for layer, starts in enumerate(zip(*given, strict=True)):
        part = params[each * layer : each * (layer + 1)]
        projection = rounded(part[-1])
        parts = part[:-1] if each == 5 else [*part[:-1], None, None]
        weight_ih, weight_hh, bias = gates.summed(*parts)
        weights = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}
        name = f"{base}.l{layer}"
        states = list(starts)
        if not walk.in_steps:
            if any(isinstance(start, tuple) for start in starts):
                raise Unfit("an LSTM with projections (proj_size) that starts from an input")
            states = [
                walk.builder.delay(f"{name}.{end}", size, start, like=value)
                for end, size, start in zip("hc", projection.shape, starts, strict=True)
            ]
        if not all(isinstance(state, Value) for state in states):
            raise Unfit("an LSTM with projections (proj_size) whose states are no inputs")
        weights["projection"] = projection
        new = cell_in_pieces(walk.add, Lstm, name, value, states, **weights)
        if not walk.in_steps:
            for state, after in zip(states, new, strict=True):
                walk.builder.feed_back(state, after)
        value = new[0]
        ends.append(new)
    time, batch = (1, 0) if a["batch_first"] else (0, 1)
    axes: list[Axis] = [flow.axes[batch]] * 2
    axes[time] = (1,) if walk.in_steps else (TIME,)
    results = [flow_of(value, [*axes, (value.features,)])]
    for number, end in enumerate("hc"):
        finals = [new[number] for new in ends]
        if not walk.in_steps:
            finals = [
                walk.add(Take, [final], name=f"{base}.l{layer}.{end}_n", position=Position.LAST)
                for layer, final in enumerate(finals)
            ]
        size = finals[0].features
        last = finals[0] if layers == 1 else walk.add(Concat, finals, name=f"{base}.{end}_n")
        results.append(flow_of(last, [(layers,), flow.axes[batch], (size,)]))
    return tuple(results)


def cell_flow(walk: Walk, layers: Sequence[str], axes: Sequence[Axis]) -> Flow:
    """The cell states of LSTM layers after the last frame: no value of the model has them."""
    features = math.prod(atom for axis in axes for atom in axis if isinstance(atom, int))
    value = Value(f"{layers[0]}.c_n", features, rate=Rate.SEQUENCE)
    walk.cell_states[value.name] = tuple(f"{layer}.c" for layer in layers)
    return replace(flow_of(value, axes), is_state=True)


def _check_input(walk: Walk, flow: Flow, time: int, batch: int) -> None:
    if flow.is_state:
        raise WrongAxes("it reads an initial state as its input")
    if flow.rank != 3 or not flow.feature_axis(2):
        raise WrongAxes(f"its features are not the last axis, but {flow.axes[-1]}")
    stepped = walk.in_steps and flow.axes[time] == (1,) and per_frame(flow.value)
    if flow.axes[time] != (TIME,) and not stepped:
        raise WrongAxes(f"its axis {time} is not time, but {flow.axes[time]}")
    if flow.axes[batch] not in ((BATCH,), (1,)):
        raise WrongAxes(f"its axis {batch} is not the batch, but {flow.axes[batch]}")
    if not flow.plain:
        raise Unfit(walk.padding_text(flow))


def add_layer(
    walk: Walk,
    cell: Cell,
    value: Value,
    part: Sequence[Any],
    states: Sequence[Any],
    *,
    reverse: bool,
    name: str,
) -> Value:
    """One layer in one direction; a state is None (zeros), an array (H,), or (input, row)."""
    rows, hidden = part[1].shape
    if rows != cell.gates * hidden:
        raise Unfit(f"its recurrent weights have shape {part[1].shape}, expected (rows, features)")
    fold = gates.from_torch if cell.kind is Gru else gates.summed
    weight_ih, weight_hh, bias = fold(part[0], part[1], part[2], part[3])
    initial: dict[str, Any] = {}
    for field_name, state in zip(INITIAL, states, strict=False):
        if walk.in_steps and not isinstance(state, tuple):
            raise WrongAxes("one frame at a time, but its state is no input of the module")
        if isinstance(state, tuple):
            if state in walk.states.values():
                raise Unfit(f"row {state[1]} of the initial state {state[0]!r} starts two layers")
        elif state is not None and gates.rounded(state).any():
            initial[field_name] = gates.rounded(state)
    out = walk.add(
        cell.kind,
        [value],
        name=name,
        weight_ih=weight_ih,
        weight_hh=weight_hh,
        bias=bias,
        direction=Direction.REVERSE if reverse else Direction.FORWARD,
        **cell.settings,
        **initial,
    )
    for suffix, state in zip(cell.kind.state_suffixes, states, strict=True):
        if isinstance(state, tuple):
            walk.states[f"{walk.layer_of(out)}{suffix}"] = state
    return out


def pieces_of(
    walk: Walk, cell: Cell, value: Value, part: Sequence[Any], states: Sequence[Any], name: str
) -> tuple[Value, ...]:
    """The new states of one layer and one frame, from values that are its states before."""
    if not all(isinstance(state, Value) for state in states):
        raise Unfit("one of its states is fed back and another one is not")
    fold = gates.from_torch if cell.kind is Gru else gates.summed
    weight_ih, weight_hh, bias = fold(part[0], part[1], part[2], part[3])
    weights = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}
    if [state.features for state in states] != [weight_hh.shape[1]] * len(states):
        raise WrongAxes(f"its states have other sizes than {weight_hh.shape[1]}")
    return cell_in_pieces(walk.add, cell.kind, name, value, states, **weights, **cell.settings)


def _final(walk: Walk, value: Value, name: str, *, reverse: bool) -> Value:
    if walk.in_steps:
        walk.finals[value.name] = value.name
        return value
    position = Position.FIRST if reverse else Position.LAST
    last = walk.add(Take, [value], name=f"{name}.h_n", position=position)
    walk.finals[last.name] = value.name
    return last


def _initial(walk: Walk, hx: Any, rows: int) -> list[Any]:
    """For each layer and direction None (zeros), an array (H,), or (input, row)."""
    if isinstance(hx, np.ndarray):
        if len(hx) != rows or hx.ndim != 3:
            raise Unfit(f"an initial state of shape {hx.shape}, expected {rows} rows")
        return [one_row(hx[row]) for row in range(rows)]
    if not (walk.delayed or hx.is_state) or hx.value.name in walk.cell_states:
        raise Unfit(MIXED)
    flow = hx.simple()
    if flow.rank != 3 or flow.extent(0) != rows or flow.axes[1] not in ((BATCH,), (1,)):
        raise Unfit("an initial state with other axes than (layers, batch, features)")
    index = flow.index.reshape(rows, -1)
    if not flow.is_state:
        axes, places = flow.axes[1:], flow.index
        return [walk.ordered(replace(flow, axes=axes, index=places[row])) for row in range(rows)]
    return [row_of_state(flow, index[row]) for row in range(rows)]


def one_row(batch: Array) -> Any:
    """The state (H,) of all rows of a batch; None for zeros."""
    if not batch.any():
        return None
    if (batch != batch[:1]).any():
        raise Unfit("its initial state differs between the rows of the batch")
    return batch[0]


def row_of_state(flow: Flow, index: Array) -> tuple[str, int]:
    """The input that has a state, and the row of it."""
    hidden = len(index)
    if index[0] % hidden or not np.array_equal(index, index[0] + np.arange(hidden)):
        raise Unfit(f"the initial state {flow.value.name!r} is not given row by row")
    return flow.value.name, int(index[0]) // hidden
