# SPDX-License-Identifier: Apache-2.0
"""The operators GRU, LSTM and RNN, and the cell that PyTorch's nn.GRUCell becomes in pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grucore.converters.onnx.ops.cells import cell, in_pieces
from grucore.converters.onnx.ops.starts import STATES, initial, note_state
from grucore.converters.onnx.read.source import CELL, OnnxNode
from grucore.converters.onnx.state.axes import (
    Axes,
    Axis,
    Constant,
    Data,
    Ended,
    Held,
    Operand,
    Purpose,
    Spread,
)
from grucore.converters.onnx.state.context import Work, arrange
from grucore.converters.onnx.state.sizes import integers
from grucore.graph import gates
from grucore.graph.layers import (
    Activation,
    Cell,
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

__all__ = ["RECURRENT"]

Operands = Sequence[Operand | None]
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
    weight_ih = work.weights(node, given[1], "W")
    weight_hh = work.weights(node, given[2], "R")
    directions = _directions(node)
    count = len(directions)
    hidden = node.get("hidden_size", weight_hh.shape[-1])
    rows = operator.gates * hidden
    for what, array, shape in (
        ("W", weight_ih, (count, rows, weight_ih.shape[-1])),
        ("R", weight_hh, (count, rows, hidden)),
    ):
        if array.shape != shape:
            raise node.refuse(f"{what} has shape {array.shape}, expected {shape}")
    bias = np.zeros((count, 2 * rows))
    if given[3] is not None:
        bias = work.weights(node, given[3], "B")
    if bias.shape != (count, 2 * rows):
        raise node.refuse(f"B has shape {bias.shape}, expected {(count, 2 * rows)}")
    _check_clip(node)
    _check_lstm(work, node, given[7])
    source, batch_first = _sequence(work, node, given[0], weight_ih.shape[-1])
    bounded = _lengths(work, node, given[4], source)
    kinds = _activations(node, count, operator)
    states = {suffix: STATES[suffix] for suffix in operator.kind.state_suffixes}
    starts = {
        suffix: initial(work, node, given[place], count, hidden, batch_first, what)
        for suffix, (place, what, _) in states.items()
    }
    base = _name(work, node)
    values: list[Value] = []
    names: list[str] = []
    ends: list[tuple[Value, ...]] = []
    for turn, direction in enumerate(directions):
        settings = _weights(node, weight_ih[turn], weight_hh[turn], bias[turn])
        settings |= kinds[turn]
        for suffix, start in starts.items():
            if start is not None:
                settings[STATES[suffix][2]] = gates.rounded(start[turn])
        name = f"{base}_reverse" if turn else base
        before = [given[place] for place, _, _ in states.values()]
        if work.delayed and any(isinstance(each, Data) for each in before):
            new = in_pieces(
                work, node, operator.kind, name, source, before, turn, batch_first, settings
            )
            values.append(new[0])
            ends.append(new)
            continue
        reads = [work.features(node, source)]
        values.append(work.builder.add(operator.kind, name, reads, direction=direction, **settings))
        names.append(work.builder.nodes[-1].name)
        if bounded:
            work.bounded.add(names[-1])
        for suffix, (place, _, _) in states.items():
            held = given[place]
            if isinstance(held, Held):
                note_state(work, node, held, turn, batch_first, values[-1], suffix)
    outputs: list[Operand] = [_whole(work, node, values, source, batch_first)]
    if len(node.outputs) > 1:
        if node.outputs[1]:
            outputs.append(_final(work, node, values, directions, source, batch_first, bounded))
        else:
            outputs.append(outputs[0])
    if len(node.outputs) > 2 and operator.kind is Lstm:
        axes, sizes = _state_axes(source, batch_first, count, hidden)
        if ends:
            cells = [end[1] for end in ends]
            joined = cells[0] if count == 1 else work.builder.add(Concat, f"{base}.c_n", cells)
            outputs.append(Data(axes, arrange(axes, sizes), joined))
            return outputs
        outputs.append(Ended(axes, arrange(axes, sizes), tuple(f"{name}.c" for name in names)))
    return outputs


def _weights(node: OnnxNode, weight: Array, recurrence: Array, bias: Array) -> dict[str, Any]:
    """The weights of one direction in grucore's order, and the cell of a GRU."""
    more: dict[str, Any] = {}
    if node.op == "GRU":
        lbr = node.get("linear_before_reset", 0)
        if lbr not in (0, 1):
            raise node.refuse(f"attribute linear_before_reset is {lbr}, expected 0 or 1")
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
        raise node.refuse("attribute input_forget is 1 (coupled gates), which is not supported")
    if peepholes is not None and work.weights(node, peepholes, "P").any():
        raise node.refuse("P has peephole weights that are not zero, which is not supported")


def _directions(node: OnnxNode) -> tuple[Direction, ...]:
    direction = str(node.get("direction", "forward"))
    if direction not in DIRECTIONS:
        raise node.refuse(f"attribute direction is {direction!r}, expected {', '.join(DIRECTIONS)}")
    return DIRECTIONS[direction]


def _check_clip(node: OnnxNode) -> None:
    clip = node.get("clip", float("inf"))
    # The largest float32 is how some say that there is none; 0 would leave nothing.
    if clip < 3.4e38:
        raise node.refuse(f"attribute clip is {clip}, which is not supported")


def _activations(node: OnnxNode, count: int, operator: Operator) -> list[dict[str, Activation]]:
    """The settings of each direction; parameters are used up in the order of the names."""
    each = len(operator.activations)
    names = node.get("activations", operator.activations * count)
    if len(names) != each * count:
        expected = each * count
        raise node.refuse(f"attribute activations has {len(names)} names, expected {expected}")
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
            raise node.refuse(f"attribute activations has {name}{known}: not supported")
        make, defaults = ACTIVATIONS[key]
        found = [
            numbers.pop(0) if numbers else default
            for numbers, default in zip((alphas, betas), defaults, strict=False)
        ]
        kinds.append(make(*found) if defaults else make)
    if alphas or betas:
        rest = f"activation_alpha {alphas} and activation_beta {betas}"
        raise node.refuse(f"{rest} are left over: activations {names} do not take them")
    return [
        dict(zip(operator.kinds, kinds[first : first + each], strict=True))
        for first in range(0, len(kinds), each)
    ]


def _sequence(
    work: Work, node: OnnxNode, operand: Operand | None, features: int
) -> tuple[Data, bool]:
    """X with its features checked, and whether batch comes first."""
    layout = node.get("layout", 0)
    if layout not in (0, 1):
        raise node.refuse(f"attribute layout is {layout}, expected 0 or 1")
    assert operand is not None
    x = work.data(node, operand)
    expected = (Axis.BATCH, Axis.TIME) if layout else (Axis.TIME, Axis.BATCH)
    fits = len(x.axes) == 3 and x.axes[2] is Axis.FEATURES
    for place, axis in enumerate(expected):
        # One row without a batch axis, or one frame of a model that is fed its own state.
        lone = fits and x.axes[place] is Axis.FEATURES and x.index.shape[place] == 1
        lone = lone and not x.has(axis) and x.value.rate is not Rate.SEQUENCE
        fits = fits and (x.axes[place] is axis or lone)
    if not fits:
        names = ", ".join(expected)
        raise node.contradict(f"X is {x.text}, expected ({names}, features) with layout={layout}")
    if x.index.size != features:
        raise node.contradict(f"X has {x.index.size} features, W reads {features}")
    return x, bool(layout)


def _lengths(work: Work, node: OnnxNode, operand: Operand | None, x: Data) -> bool:
    """True if sequences end where an input of the file says."""
    if operand is None:
        return False
    if isinstance(operand, Held) and operand.purpose is Purpose.LENGTHS:
        if operand.axes != (Axis.BATCH,):
            raise node.refuse(f"sequence_lens is {operand.text}, expected one number for each row")
        work.lengths_input = operand.name
        return True
    if isinstance(operand, Constant | Spread):
        array = operand.array if isinstance(operand, Constant) else operand.index
        if all(size == work.extent(Axis.TIME, x) for size in integers(array)):
            return False
    raise node.refuse("sequence_lens is neither an input of the model nor always all frames")


def _whole(work: Work, node: OnnxNode, values: list[Value], x: Data, batch_first: bool) -> Data:
    """Y: (time, directions, batch, H), or (batch, time, directions, H)."""
    count, hidden = len(values), values[0].features
    value = values[0]
    if count > 1:
        value = work.builder.add(Concat, f"{_last_name(work)}.both", values)
    shape = (1, 1, count, hidden) if batch_first else (1, count, 1, hidden)
    axes = (*x.axes[:2], Axis.FEATURES, Axis.FEATURES)
    if not batch_first:
        axes = (x.axes[0], Axis.FEATURES, x.axes[1], Axis.FEATURES)
    return Data(axes, arrange(axes, shape), value)


def _last_name(work: Work) -> str:
    return work.builder.nodes[-2].name


def _final(
    work: Work,
    node: OnnxNode,
    values: list[Value],
    directions: Sequence[Direction],
    x: Data,
    batch_first: bool,
    bounded: bool,
) -> Data:
    """Y_h: (directions, batch, H), or (batch, directions, H)."""
    finals = values
    if x.has(Axis.TIME):
        finals = []
        for value, direction in zip(values, directions, strict=True):
            last = Position.LAST if direction is Direction.FORWARD else Position.FIRST
            finals.append(
                work.builder.add(
                    Take, f"{value.name.removesuffix('.out')}.final", [value], position=last
                )
            )
            if bounded:
                work.bounded.add(work.builder.nodes[-1].name)
    count, hidden = len(values), values[0].features
    joined = finals[0]
    if count > 1:
        joined = work.builder.add(Concat, f"{finals[0].name.removesuffix('.out')}.both", finals)
    axes, shape = _state_axes(x, batch_first, count, hidden)
    return Data(axes, arrange(axes, shape), joined)


def _state_axes(
    x: Data, batch_first: bool, count: int, hidden: int
) -> tuple[Axes, tuple[int, ...]]:
    """Axes and sizes of a state: (directions, batch, H), or (batch, directions, H)."""
    batch = x.axes[0 if batch_first else 1]
    if batch_first:
        return (batch, Axis.FEATURES, Axis.FEATURES), (1, count, hidden)
    return (Axis.FEATURES, batch, Axis.FEATURES), (count, 1, hidden)


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


_COMMON = ("activation_alpha", "activation_beta", "activations", "clip", "direction")
RECURRENT = {
    "GRU": (_layer, (*_COMMON, "hidden_size", "layout", "linear_before_reset")),
    "LSTM": (_layer, (*_COMMON, "hidden_size", "input_forget", "layout")),
    "RNN": (_layer, (*_COMMON, "hidden_size", "layout")),
    CELL: (cell, ()),
}
