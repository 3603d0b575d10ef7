# SPDX-License-Identifier: Apache-2.0
"""Initial states of recurrent operators: constants, or inputs that are states of the model."""

from __future__ import annotations

import numpy as np

from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Constant, Data, Held, Operand, Purpose
from grucore.converters.onnx.state.context import Part, Work
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["STATES", "add_state", "initial", "note_state", "writer"]

# For each state: the input of the operator, its name in ONNX, and the field of the layer.
STATES = {
    ".h": (5, "initial_h", "initial_state"),
    ".c": (6, "initial_c", "initial_cell"),
}


def initial(
    work: Work,
    node: OnnxNode,
    operand: Operand | None,
    count: int,
    hidden: int,
    batch_first: bool,
    what: str,
) -> Array | None:
    """A constant initial state, (directions, H); None: it is 0, or an input of the file."""
    if operand is None or isinstance(operand, Held):
        return None
    if isinstance(operand, Data) and work.delayed:
        return None
    if isinstance(operand, Data):
        raise node.refuse(f"{what} is computed by the model, expected an input or a constant")
    array = operand.array if isinstance(operand, Constant) else operand.index
    place = 0 if batch_first else 1
    if array.ndim != 3 or array.dtype.kind != "f":
        raise node.refuse(f"{what} is {array.dtype} of {array.ndim} axes, expected 3")
    rows = np.moveaxis(array, place, 0)
    if rows.shape[1:] != (count, hidden):
        expected = (count, "batch", hidden)
        raise node.refuse(f"{what} has shape {array.shape}, expected {expected}")
    if (rows != rows[0]).any():
        raise node.refuse(f"{what} differs between the rows of the batch")
    return np.asarray(rows[0]) if rows.any() else None


def note_state(
    work: Work,
    node: OnnxNode,
    held: Held,
    place: int,
    batch_first: bool,
    value: Value,
    suffix: str,
) -> None:
    """Remember which part of a state input is the state of which layer."""
    what = STATES[suffix][1]
    order = (Axis.BATCH, Axis.FEATURES) if batch_first else (Axis.FEATURES, Axis.BATCH)
    lone = held.axes == (Axis.FEATURES,) * 3 and held.index.shape[0 if batch_first else 1] == 1
    if held.purpose is not Purpose.STATE or (held.axes[:2] != order and not lone):
        raise node.refuse(f"{what} is {held.text}, expected ({', '.join(order)}, features)")
    index = np.moveaxis(held.index, 0 if batch_first else 1, 0)[0]
    hidden = value.features
    if place >= len(index) or index.shape[1] != hidden:
        raise node.refuse(f"{what} is {held.text}, expected {hidden} features per direction")
    state = f"{writer(work, value)}{suffix}"
    part = Part(int(index[place][0]), hidden, state, value.name)
    add_state(work, node, held, index[place], part)


def add_state(work: Work, node: OnnxNode, held: Held, index: Array, part: Part) -> None:
    """Remember a part, whose features stand at ``index`` in the input."""
    what = STATES[part.state[-2:]][1]
    parts = work.states.setdefault(held.name, [])
    first = part.first
    if not np.array_equal(index, np.arange(first, first + len(index))):
        raise node.refuse(f"{what} is a mixture of the features of input {held.name!r}")
    for other in parts:
        if abs(other.first - first) < max(other.size, part.size):
            message = f"{what} is a part of input {held.name!r} that is also {other.state!r}"
            raise node.refuse(message)
    parts.append(part)


def writer(work: Work, value: Value) -> str:
    """The name of the layer that writes a value."""
    return next(node.name for node in work.builder.nodes if node.output == value.name)
