# SPDX-License-Identifier: Apache-2.0
"""The GRU operator, and the cell that PyTorch's nn.GRUCell becomes in pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore.converters.onnx.read.source import CELL, OnnxNode
from grucore.converters.onnx.state.axes import Axis, Constant, Data, Held, Operand, Purpose, Spread
from grucore.converters.onnx.state.context import Part, Work, arrange
from grucore.converters.onnx.state.sizes import integers
from grucore.graph import gates
from grucore.graph.layers import Activation, Cell, Concat, Direction, Gru, Position, Take
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = ["RECURRENT"]

Operands = Sequence[Operand | None]
TORCH_NAME = re.compile(r"/(?P<path>.+)/GRU(?:_(?P<layer>\d+))?")
DYNAMO_NAME = re.compile(r"node_[Gg][Rr][Uu](_+\d+)?|")

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


def _gru(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    given = [*operands, None, None, None]
    weight_ih = work.weights(node, given[1], "W")
    weight_hh = work.weights(node, given[2], "R")
    directions = _directions(node)
    count = len(directions)
    hidden = node.get("hidden_size", weight_hh.shape[-1])
    for what, array, shape in (
        ("W", weight_ih, (count, 3 * hidden, weight_ih.shape[-1])),
        ("R", weight_hh, (count, 3 * hidden, hidden)),
    ):
        if array.shape != shape:
            raise node.refuse(f"{what} has shape {array.shape}, expected {shape}")
    bias = np.zeros((count, 6 * hidden))
    if given[3] is not None:
        bias = work.weights(node, given[3], "B")
    if bias.shape != (count, 6 * hidden):
        raise node.refuse(f"B has shape {bias.shape}, expected {(count, 6 * hidden)}")
    _check_clip(node)
    lbr = node.get("linear_before_reset", 0)
    if lbr not in (0, 1):
        raise node.refuse(f"attribute linear_before_reset is {lbr}, expected 0 or 1")
    source, batch_first = _sequence(work, node, given[0], weight_ih.shape[-1])
    bounded = _lengths(work, node, given[4], source)
    kinds = _activations(node, count)
    starts = _initial(work, node, given[5], count, hidden, batch_first)
    base = _name(work, node)
    values: list[Value] = []
    for place, direction in enumerate(directions):
        name = f"{base}_reverse" if place else base
        weights = gates.from_onnx(
            weight_ih[place], weight_hh[place], bias[place], reset_after=bool(lbr)
        )
        values.append(
            work.builder.add(
                Gru,
                name,
                [work.features(node, source)],
                weight_ih=weights[0],
                weight_hh=weights[1],
                bias=weights[2],
                cell=Cell.RESET_AFTER if lbr else Cell.RESET_BEFORE,
                direction=direction,
                gate_activation=kinds[place][0],
                activation=kinds[place][1],
                initial_state=None if starts is None else _nonzero(starts, place),
            )
        )
        added = work.builder.nodes[-1].name
        if bounded:
            work.bounded.add(added)
        if isinstance(given[5], Held):
            _note_state(work, node, given[5], place, batch_first, values[-1])
    outputs: list[Operand] = [_whole(work, node, values, source, batch_first)]
    if len(node.outputs) > 1:
        if node.outputs[1]:
            outputs.append(_final(work, node, values, directions, source, batch_first, bounded))
        else:
            outputs.append(outputs[0])
    return outputs


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


def _activations(node: OnnxNode, count: int) -> list[tuple[Activation, Activation]]:
    """(of r and z, of n) for each direction; parameters are used up in the order of the names."""
    names = node.get("activations", ("Sigmoid", "Tanh") * count)
    if len(names) != 2 * count:
        raise node.refuse(f"attribute activations has {len(names)} names, expected {2 * count}")
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
    return list(zip(kinds[::2], kinds[1::2], strict=True))


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


def _initial(
    work: Work,
    node: OnnxNode,
    operand: Operand | None,
    count: int,
    hidden: int,
    batch_first: bool,
) -> Array | None:
    """A constant initial state, (directions, H); None: it is 0, or an input of the file."""
    if operand is None or isinstance(operand, Held):
        return None
    if isinstance(operand, Data):
        raise node.refuse("initial_h is computed by the model, expected an input or a constant")
    array = operand.array if isinstance(operand, Constant) else operand.index
    place = 0 if batch_first else 1
    if array.ndim != 3 or array.dtype.kind != "f":
        raise node.refuse(f"initial_h is {array.dtype} of {array.ndim} axes, expected 3")
    rows = np.moveaxis(array, place, 0)
    if rows.shape[1:] != (count, hidden):
        expected = (count, "batch", hidden)
        raise node.refuse(f"initial_h has shape {array.shape}, expected {expected}")
    if (rows != rows[0]).any():
        raise node.refuse("initial_h differs between the rows of the batch")
    return np.asarray(rows[0]) if rows.any() else None


def _nonzero(starts: Array, place: int) -> Array:
    return gates.rounded(starts[place])


def _note_state(
    work: Work,
    node: OnnxNode,
    held: Held,
    place: int,
    batch_first: bool,
    value: Value,
) -> None:
    """Remember which part of a state input is the state of which layer."""
    order = (Axis.BATCH, Axis.FEATURES) if batch_first else (Axis.FEATURES, Axis.BATCH)
    lone = held.axes == (Axis.FEATURES,) * 3 and held.index.shape[0 if batch_first else 1] == 1
    if held.purpose is not Purpose.STATE or (held.axes[:2] != order and not lone):
        raise node.refuse(f"initial_h is {held.text}, expected ({', '.join(order)}, features)")
    index = np.moveaxis(held.index, 0 if batch_first else 1, 0)[0]
    hidden = value.features
    if place >= len(index) or index.shape[1] != hidden:
        raise node.refuse(f"initial_h is {held.text}, expected {hidden} features per direction")
    part = Part(int(index[place][0]), hidden, f"{_writer(work, value)}.h", value.name)
    _add_state(work, node, held, index[place], part)


def _add_state(work: Work, node: OnnxNode, held: Held, index: Array, part: Part) -> None:
    parts = work.states.setdefault(held.name, [])
    first = part.first
    if not np.array_equal(index, np.arange(first, first + len(index))):
        raise node.refuse(f"initial_h is a mixture of the features of input {held.name!r}")
    for other in parts:
        if abs(other.first - first) < max(other.size, part.size):
            message = f"initial_h is a part of input {held.name!r} that is also {other.state!r}"
            raise node.refuse(message)
    parts.append(part)


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


def _writer(work: Work, value: Value) -> str:
    return next(node.name for node in work.builder.nodes if node.output == value.name)


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
    batch = x.axes[0 if batch_first else 1]
    axes = (batch, Axis.FEATURES, Axis.FEATURES)
    shape = (1, count, hidden)
    if not batch_first:
        axes, shape = (Axis.FEATURES, batch, Axis.FEATURES), (count, 1, hidden)
    return Data(axes, arrange(axes, shape), joined)


def _name(work: Work, node: OnnxNode) -> str:
    """As torch names states: /encoder/gru/GRU_1 is layer 1 of encoder.gru."""
    match = TORCH_NAME.fullmatch(node.name)
    if match is not None:
        return f"{match['path'].replace('/', '.')}.l{int(match['layer'] or 0)}"
    plain = re.sub(r"[^A-Za-z0-9_.]+", ".", node.name).strip(".")
    plain = "gru" if DYNAMO_NAME.fullmatch(plain) else plain
    taken = {other.name for other in work.builder.nodes}
    unique, more = plain, 0
    while f"{unique}.l0" in taken:
        more += 1
        unique = f"{plain}_{more}"
    return f"{unique}.l0"


def _cell(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    """Inputs x, h, weights and biases in PyTorch's order; one frame each time."""
    x, h = operands[0], operands[1]
    assert x is not None
    data = work.data(node, x)
    if data.has(Axis.TIME) or len(data.axes) != 2 or data.axes[1] is not Axis.FEATURES:
        raise node.refuse(f"the cell reads {data.text}, expected (batch, features) of one frame")
    if data.value.rate is Rate.SEQUENCE:
        raise node.refuse("the cell reads a value per sequence, expected one per frame")
    if not isinstance(h, Held) or len(h.axes) != 2 or h.axes[0] is Axis.TIME:
        raise node.refuse(
            "the state of the cell is not an input of the model: a loop over frames inside the "
            "model is not supported, export the cell for one frame"
        )
    weights = [work.weights(node, operand, "a weight or bias") for operand in operands[2:]]
    weight_ih, weight_hh, bias = gates.from_torch(weights[0], weights[1], weights[2], weights[3])
    value = work.builder.add(
        Gru,
        node.name or "gru_cell",
        [work.features(node, data)],
        weight_ih=weight_ih,
        weight_hh=weight_hh,
        bias=bias,
    )
    index = h.index.reshape(-1)
    part = Part(int(index[0]), len(index), f"{_writer(work, value)}.h", value.name)
    _add_state(work, node, h, index, part)
    return [Data(data.axes, arrange(data.axes, (1, value.features)), value)]


RECURRENT = {
    "GRU": (
        _gru,
        (
            "activation_alpha",
            "activation_beta",
            "activations",
            "clip",
            "direction",
            "hidden_size",
            "layout",
            "linear_before_reset",
        ),
    ),
    CELL: (_cell, ()),
}
