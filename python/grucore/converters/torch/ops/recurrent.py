# SPDX-License-Identifier: Apache-2.0
"""PyTorch's GRU and GRUCell as a graph has them: initial states, directions, loops over frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.walk.axes import BATCH, TIME, Flow, Unfit, WrongAxes, flow_of
from grucore.converters.torch.walk.walk import Arguments, Walk, op, per_frame
from grucore.graph import gates
from grucore.graph.layers import Concat, Direction, Gru, Position, Take
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__: list[str] = []

PACKED = (
    "a packed sequence: convert the module without pack_padded_sequence, "
    "and give the lengths to Model.run"
)
MIXED = "its initial state is computed: convert the two parts apart, and hand the state over"


@op("gru.data", "_pack_padded_sequence.default", "_pad_packed_sequence.default")
def _packed(walk: Walk, a: Arguments) -> Any:
    raise Unfit(PACKED)


@op("lstm.input", "lstm.data", "lstm_cell.default")
def _lstm(walk: Walk, a: Arguments) -> Any:
    raise Unfit("an LSTM, expected a GRU")


@op("rnn_tanh.input", "rnn_relu.input", "rnn_tanh_cell.default", "rnn_relu_cell.default")
def _rnn(walk: Walk, a: Arguments) -> Any:
    raise Unfit("a plain RNN, expected a GRU")


@op("quantized_gru.input", "quantized_gru.data", "quantized_gru_cell.default")
def _quantized(walk: Walk, a: Arguments) -> Any:
    raise Unfit("quantized weights, expected the float module")


def _weights(params: Sequence[Any]) -> list[Array]:
    for param in params:
        if not isinstance(param, np.ndarray):
            raise Unfit("its weights are computed from the input")
    return list(params)


@op("gru.input")
def _gru(walk: Walk, a: Arguments) -> Any:
    if a.get("train", False) and a.get("dropout", 0.0):
        raise Unfit("it drops out: call eval() before the export")
    flow: Flow = a["input"].simple()
    time, batch = (1, 0) if a["batch_first"] else (0, 1)
    _check_input(walk, flow, time, batch)
    directions = 2 if a["bidirectional"] else 1
    layers, biased = a["num_layers"], a["has_biases"]
    params = _weights(a["params"])
    each = 4 if biased else 2
    if len(params) != each * layers * directions:
        raise Unfit(f"it has {len(params)} weights, expected {each * layers * directions}")
    states = _initial(walk, a["hx"], layers * directions)
    value = walk.ordered(flow)
    finals: list[Value] = []
    base = walk.node.path if walk.node and walk.node.path else "gru"
    for layer in range(layers):
        written = []
        for turn in range(directions):
            place = layer * directions + turn
            part = params[each * place : each * (place + 1)]
            parts = part if biased else [*part, None, None]
            name = f"{base}.l{layer}{'_reverse' if turn else ''}"
            out = _layer(walk, value, parts, states[place], reverse=bool(turn), name=name)
            written.append(out)
            finals.append(_final(walk, out, name, reverse=bool(turn)))
        value = written[0]
        if directions > 1:
            value = walk.add(Concat, written, name=f"{base}.l{layer}.both")
    axes = [(TIME,) if number == time else flow.axes[batch] for number in range(2)]
    if walk.in_steps:
        axes[time] = (1,)
    y = flow_of(value, [*axes, (value.features,)])
    last = finals[0] if len(finals) == 1 else walk.add(Concat, finals, name=f"{base}.h_n")
    hidden = finals[0].features
    return y, flow_of(last, [(len(finals),), flow.axes[batch], (hidden,)])


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


def _layer(
    walk: Walk, value: Value, part: Sequence[Any], state: Any, *, reverse: bool, name: str
) -> Value:
    weight_ih, weight_hh, bias = gates.from_torch(part[0], part[1], part[2], part[3])
    initial = None if state is None or isinstance(state, tuple) else gates.rounded(state)
    if walk.in_steps and not isinstance(state, tuple):
        raise WrongAxes("one frame at a time, but its state is no input of the module")
    if initial is not None and not initial.any():
        initial = None
    if isinstance(state, tuple) and state in walk.states.values():
        raise Unfit(f"row {state[1]} of the initial state {state[0]!r} starts two layers")
    out = walk.add(
        Gru,
        [value],
        name=name,
        weight_ih=weight_ih,
        weight_hh=weight_hh,
        bias=bias,
        direction=Direction.REVERSE if reverse else Direction.FORWARD,
        initial_state=initial,
    )
    if isinstance(state, tuple):
        walk.states[walk.builder.nodes[-1].name] = state
    return out


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
        return [_one_row(hx[row]) for row in range(rows)]
    if not hx.is_state:
        raise Unfit(MIXED)
    flow = hx.simple()
    if flow.rank != 3 or flow.extent(0) != rows or flow.axes[1] not in ((BATCH,), (1,)):
        raise Unfit("an initial state with other axes than (layers, batch, features)")
    index = flow.index.reshape(rows, -1)
    return [_state_row(flow, index[row]) for row in range(rows)]


def _one_row(batch: Array) -> Any:
    if not batch.any():
        return None
    if (batch != batch[:1]).any():
        raise Unfit("its initial state differs between the rows of the batch")
    return batch[0]


def _state_row(flow: Flow, index: Array) -> tuple[str, int]:
    hidden = len(index)
    if index[0] % hidden or not np.array_equal(index, index[0] + np.arange(hidden)):
        raise Unfit(f"the initial state {flow.value.name!r} is not given row by row")
    return flow.value.name, int(index[0]) // hidden


@op("gru_cell.default")
def _cell(walk: Walk, a: Arguments) -> Any:
    flow: Flow = a["input"].simple()
    parts = _weights([a["w_ih"], a["w_hh"]])
    biases = [a.get("b_ih"), a.get("b_hh")]
    given = [None if bias is None else _weights([bias])[0] for bias in biases]
    name = walk.node.path if walk.node and walk.node.path else "gru_cell"
    if flow.is_state or not per_frame(flow.value) or flow.has(TIME):
        raise WrongAxes("its input is no frame of a sequence")
    if flow.rank != 2 or flow.axes[0] not in ((BATCH,), (1,)) or not flow.feature_axis(1):
        raise WrongAxes(f"its input has axes {flow.axes}, expected (batch, features)")
    if walk.in_steps:
        state = _cell_state(a["hx"])
        if not isinstance(state, tuple):
            raise WrongAxes("one frame at a time, but its state is no input of the module")
        value = walk.ordered(flow)
        out = _layer(walk, value, [*parts, *given], state, reverse=False, name=f"{name}.l0")
        walk.finals[out.name] = out.name
        return flow_of(out, [flow.axes[0], (out.features,)])
    return _frame_of_loop(walk, flow, [*parts, *given], a["hx"], name)


def _frame_of_loop(walk: Walk, flow: Flow, parts: Sequence[Any], hx: Any, name: str) -> Flow:
    """A frame of a loop over all frames: the first one makes the layer, the others find it."""
    if flow.frame is None:
        raise WrongAxes("its input is no frame of a sequence")
    value = walk.ordered(flow)
    key = (value.name, tuple(id(part) for part in parts))
    last = walk.count(value) - 1
    before = hx.frame if isinstance(hx, Flow) else None
    if before is None:
        if flow.frame not in (0, last):
            raise Unfit(f"a loop that starts at frame {flow.frame} of {last + 1}")
        reverse = flow.frame == last and last > 0
        layer = f"{name}.l0{'_reverse' if reverse else ''}"
        out = _layer(walk, value, parts, _cell_state(hx), reverse=reverse, name=layer)
        walk.cells[(*key, reverse)] = out
    else:
        reverse = flow.frame < before
        found = walk.cells.get((*key, reverse))
        if found is None or found != hx.value or flow.frame != before + (-1 if reverse else 1):
            raise Unfit(f"frame {flow.frame} with the state of frame {before} of {hx.value.name!r}")
        if not hx.in_order:
            raise Unfit("its state was rearranged on the way")
        out = found
    return replace(flow_of(out, [flow.axes[0], (out.features,)]), frame=flow.frame)


def _cell_state(hx: Any) -> Any:
    if hx is None:
        return None
    if isinstance(hx, np.ndarray):
        return _one_row(hx)
    if not hx.is_state:
        raise Unfit(MIXED)
    flow = hx.simple()
    return _state_row(flow, flow.index.reshape(-1))
