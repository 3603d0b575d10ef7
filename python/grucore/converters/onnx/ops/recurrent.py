# SPDX-License-Identifier: Apache-2.0
"""The operators GRU, LSTM and RNN, and the cell that PyTorch's nn.GRUCell becomes in pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.read.source import CELL, OnnxNode
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Axes,
    Data,
    Held,
    Operand,
    Purpose,
    Spread,
    Unfit,
    arrange,
)
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
from grucore.converters.trace.sizes import integers
from grucore.graph import gates
from grucore.graph.layers import (
    Activation,
    Cell,
    Direction,
    Gru,
    Lstm,
    Recurrent,
    Rnn,
)
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = ["RECURRENT"]

TORCH_NAME = re.compile(r"/(?P<path>.+)/(?:GRU|LSTM|RNN)(?:_(?P<layer>\d+))?")
DYNAMO_NAME = re.compile(r"node_(?:gru|lstm|rnn)(_+\d+)?|", re.IGNORECASE)

DIRECTIONS = {
    "forward": (Direction.FORWARD,),
    "reverse": (Direction.REVERSE,),
    "bidirectional": (Direction.FORWARD, Direction.REVERSE),
}
# Our activation, and the parameters that it takes, with their defaults in ONNX.
ACTIVATIONS: dict[str, tuple[Any, tuple[float, ...]]] = {
    "sigmoid": (Activation.SIGMOID, ()),
    "tanh": (Activation.TANH, ()),
    "relu": (Activation.RELU, ()),
    "softsign": (Activation.SOFTSIGN, ()),
    "leakyrelu": (Activation.leaky_relu, (0.01,)),
    "elu": (Activation.elu, (1.0,)),
    "hardsigmoid": (Activation.hard_sigmoid, (0.2, 0.5)),
}
# Those with parameters that no layer here has: affine is one where it is the identity.
OTHERS = {"affine": 2, "thresholdedrelu": 1, "scaledtanh": 2, "softplus": 0}


@dataclass(frozen=True)
class Operator:
    """A recurrent operator of ONNX: the layer, its gates, the activations that it has by default.

    ``kinds``: the settings that these activations are.
    """

    kind: type[Recurrent]
    gates: int
    activations: tuple[str, ...]
    kinds: tuple[str, ...]


OPERATORS = {
    "GRU": Operator(Gru, 3, ("Sigmoid", "Tanh"), ("gate_activation", "activation")),
    "LSTM": Operator(
        Lstm,
        4,
        ("Sigmoid", "Tanh", "Tanh"),
        ("gate_activation", "activation", "cell_activation"),
    ),
    "RNN": Operator(Rnn, 1, ("Tanh",), ("activation",)),
}


def _layer(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    operator = OPERATORS[node.op]
    given = [*operands, *[None] * (8 - len(operands))]
    weight_ih = work.weights(given[1], "W")
    weight_hh = work.weights(given[2], "R")
    directions = _directions(node)
    count = len(directions)
    hidden = node.get("hidden_size", weight_hh.shape[-1])
    rows = operator.gates * hidden
    for what, array, shape in (
        ("W", weight_ih, (count, rows, weight_ih.shape[-1])),
        ("R", weight_hh, (count, rows, hidden)),
    ):
        if array.shape != shape:
            raise Unfit(f"{what} has shape {array.shape}, expected {shape}")
    bias = np.zeros((count, 2 * rows))
    if given[3] is not None:
        bias = work.weights(given[3], "B")
    if bias.shape != (count, 2 * rows):
        raise Unfit(f"B has shape {bias.shape}, expected {(count, 2 * rows)}")
    _check_clip(node)
    _check_lstm(work, node, given[7])
    layout = node.get("layout", 0)
    if layout not in (0, 1):
        raise Unfit(f"attribute layout is {layout}, expected 0 or 1")
    source = work.data(given[0])
    batch = 0 if layout else 1
    check_sequence(work, source, 1 - batch, weight_ih.shape[-1])
    bounded = _lengths(work, given[4], source)
    kinds = _activations(node, count, operator)
    starts: dict[str, list[Start]] = {
        suffix: initial(work, given[place], count, hidden, batch, suffix)
        for suffix, place in zip(operator.kind.state_suffixes, (5, 6), strict=False)
    }
    base = _name(work, node)
    written: list[tuple[Value, ...]] = []
    for turn, direction in enumerate(directions):
        settings = _weights(node, weight_ih[turn], weight_hh[turn], bias[turn]) | kinds[turn]
        written.append(
            add_layer(
                work,
                operator.kind,
                source,
                {suffix: rows[turn] for suffix, rows in starts.items()},
                name=f"{base}_reverse" if turn else base,
                reverse=direction is Direction.REVERSE,
                **settings,
            )
        )
    values = [each[0] for each in written]
    if bounded:
        work.bounded.update(work.layer_of(value) for value in values)
    outputs: list[Operand] = [_whole(work, values, source, batch)]
    if len(node.outputs) > 1:
        last = outputs[0]
        if node.outputs[1]:
            last = _final(work, values, directions, source, batch, bounded=bounded)
        outputs.append(last)
    if len(node.outputs) > 2 and operator.kind is Lstm:
        outputs.append(cell_states(work, source, written, batch, f"{base}.c_n"))
    return outputs


def _weights(node: OnnxNode, weight: Array, recurrence: Array, bias: Array) -> dict[str, Any]:
    """The weights of one direction in grucore's order, and the cell of a GRU."""
    more: dict[str, Any] = {}
    if node.op == "GRU":
        lbr = node.get("linear_before_reset", 0)
        if lbr not in (0, 1):
            raise Unfit(f"attribute linear_before_reset is {lbr}, expected 0 or 1")
        found = gates.from_onnx(weight, recurrence, bias, reset_after=bool(lbr))
        more["cell"] = Cell.RESET_AFTER if lbr else Cell.RESET_BEFORE
    elif node.op == "LSTM":
        found = gates.from_onnx_lstm(weight, recurrence, bias)
    else:
        found = gates.summed(weight, recurrence, *np.split(bias, 2))
    return dict(zip(("weight_ih", "weight_hh", "bias"), found, strict=True)) | more


def _check_lstm(work: Work, node: OnnxNode, peepholes: Operand | None) -> None:
    """Refuse the forms of an LSTM whose gates read the cell state, or each other."""
    if node.op != "LSTM":
        return
    if node.get("input_forget", 0):
        raise Unfit("attribute input_forget is 1 (coupled gates), which is not supported")
    if peepholes is not None and work.weights(peepholes, "P").any():
        raise Unfit("P has peephole weights that are not zero, which is not supported")


def _directions(node: OnnxNode) -> tuple[Direction, ...]:
    direction = str(node.get("direction", "forward"))
    if direction not in DIRECTIONS:
        raise Unfit(f"attribute direction is {direction!r}, expected {', '.join(DIRECTIONS)}")
    return DIRECTIONS[direction]


def _check_clip(node: OnnxNode) -> None:
    clip = node.get("clip", float("inf"))
    # The largest float32 is how some say that there is none; 0 would leave nothing.
    if clip < 3.4e38:
        raise Unfit(f"attribute clip is {clip}, which is not supported")


def _activations(node: OnnxNode, count: int, operator: Operator) -> list[dict[str, Activation]]:
    """The settings of each direction; parameters are used up in the order of the names."""
    each = len(operator.activations)
    names = node.get("activations", operator.activations * count)
    if len(names) != each * count:
        expected = each * count
        raise Unfit(f"attribute activations has {len(names)} names, expected {expected}")
    alphas, betas = list(node.get("activation_alpha", ())), list(node.get("activation_beta", ()))
    kinds: list[Activation] = []
    for name in names:
        key = name.lower()
        if key not in ACTIVATIONS:
            parameters = OTHERS.get(key)
            if key == "affine" and alphas[:1] == [1.0] and betas[:1] in ([0.0], []):
                del alphas[:1], betas[:1]
                kinds.append(Activation.LINEAR)
                continue
            known = "" if parameters is not None else ", which ONNX does not know"
            raise Unfit(f"attribute activations has {name}{known}: not supported")
        make, defaults = ACTIVATIONS[key]
        found = [
            numbers.pop(0) if numbers else default
            for numbers, default in zip((alphas, betas), defaults, strict=False)
        ]
        kinds.append(make(*found) if defaults else make)
    if alphas or betas:
        rest = f"activation_alpha {alphas} and activation_beta {betas}"
        raise Unfit(f"{rest} are left over: activations {names} do not take them")
    return [
        dict(zip(operator.kinds, kinds[first : first + each], strict=True))
        for first in range(0, len(kinds), each)
    ]


def _lengths(work: Work, operand: Operand | None, x: Data) -> bool:
    """True if sequences end where an input of the file says."""
    if operand is None:
        return False
    if isinstance(operand, Held) and operand.purpose is Purpose.LENGTHS:
        if operand.axes != (BATCH,):
            raise Unfit(f"sequence_lens is {operand.text}, expected one number for each row")
        work.lengths_input = operand.name
        return True
    array = operand.index if isinstance(operand, Spread) else operand
    if isinstance(array, np.ndarray) and all(
        size == work.extent("time", x) for size in integers(array)
    ):
        return False
    raise Unfit("sequence_lens is neither an input of the model nor always all frames")


def _whole(work: Work, values: list[Value], x: Data, batch: int) -> Data:
    """Y: (time, directions, batch, H), or (batch, time, directions, H)."""
    count, hidden = len(values), values[0].features
    value = beside(work, values, f"{work.layer_of(values[0])}.both")
    axes: Axes = (*x.axes[:2], FEATURES, FEATURES)
    shape = (1, 1, count, hidden)
    if batch:
        axes, shape = (x.axes[0], FEATURES, x.axes[1], FEATURES), (1, count, 1, hidden)
    return Data(axes, arrange(shape), value)


def _final(
    work: Work,
    values: list[Value],
    directions: Sequence[Direction],
    x: Data,
    batch: int,
    *,
    bounded: bool,
) -> Data:
    """Y_h: (directions, batch, H), or (batch, directions, H)."""
    finals = values
    if x.has(TIME):
        finals = []
        for value, direction in zip(values, directions, strict=True):
            name = f"{value.name.removesuffix('.out')}.final"
            reverse = direction is Direction.REVERSE
            finals.append(final(work, value, name=name, reverse=reverse, is_own=bounded))
            if bounded:
                work.bounded.add(work.layer_of(finals[-1]))
    return state_of(work, x, finals, batch, f"{finals[0].name.removesuffix('.out')}.both")


def _name(work: Work, node: OnnxNode) -> str:
    """As torch names states: /encoder/gru/GRU_1 is layer 1 of encoder.gru."""
    match = TORCH_NAME.fullmatch(node.name)
    if match is not None:
        return f"{match['path'].replace('/', '.')}.l{int(match['layer'] or 0)}"
    plain = re.sub(r"[^A-Za-z0-9_.]+", ".", node.name).strip(".")
    plain = node.op.lower() if DYNAMO_NAME.fullmatch(plain) else plain
    taken = {other.name for other in work.builder.nodes}
    unique, more = plain, 0
    while f"{unique}.l0" in taken:
        more += 1
        unique = f"{plain}_{more}"
    return f"{unique}.l0"


def _cell(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """Inputs x, h, weights and biases in PyTorch's order; one frame each time."""
    data, h = work.data(operands[0]), operands[1]
    if data.has(TIME) or data.rank != 2 or not data.is_features(1):
        raise Unfit(f"the cell reads {data.text}, expected (batch, features) of one frame")
    if data.value.rate is Rate.SEQUENCE:
        raise Unfit("the cell reads a value per sequence, expected one per frame")
    is_state = isinstance(h, Held) or (isinstance(h, Data) and work.in_frames)
    if not is_state or not isinstance(h, Held | Data) or h.rank != 2 or h.axes[0] == TIME:
        raise Unfit(
            "the state of the cell is not an input of the model: a loop over frames inside the "
            "model is not supported, export the cell for one frame"
        )
    weights = [work.weights(operand, "a weight or bias") for operand in operands[2:]]
    found = gates.from_torch(weights[0], weights[1], weights[2], weights[3])
    settings: dict[str, Any] = dict(zip(("weight_ih", "weight_hh", "bias"), found, strict=True))
    start = h.moved((FEATURES,), h.index.reshape(-1))
    name = node.name or "gru_cell"
    (value,) = add_layer(work, Gru, data, {".h": start}, name=name, **settings)
    return Data(data.axes, arrange((1, value.features)), value)


_COMMON = ("activation_alpha", "activation_beta", "activations", "clip", "direction")
RECURRENT: Table = {
    "GRU": (_layer, (*_COMMON, "hidden_size", "layout", "linear_before_reset")),
    "LSTM": (_layer, (*_COMMON, "hidden_size", "input_forget", "layout")),
    "RNN": (_layer, (*_COMMON, "hidden_size", "layout")),
    CELL: (_cell, ()),
}
