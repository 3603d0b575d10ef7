# SPDX-License-Identifier: Apache-2.0
"""Cells of one frame: PyTorch's nn.GRUCell, and operators whose states are fed back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore.converters.build.cells import cell_in_pieces
from grucore.converters.onnx.ops.starts import add_state, writer
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Data, Held, Operand
from grucore.converters.onnx.state.context import Part, Work, arrange
from grucore.graph import gates
from grucore.graph.layers import Gru, Recurrent
from grucore.graph.node import Rate, Value

__all__ = ["cell", "in_pieces"]


def cell(work: Work, node: OnnxNode, operands: Sequence[Operand | None]) -> list[Operand]:
    """Inputs x, h, weights and biases in PyTorch's order; one frame each time."""
    x, h = operands[0], operands[1]
    assert x is not None
    data = work.data(node, x)
    if data.has(Axis.TIME) or len(data.axes) != 2 or data.axes[1] is not Axis.FEATURES:
        raise node.refuse(f"the cell reads {data.text}, expected (batch, features) of one frame")
    if data.value.rate is Rate.SEQUENCE:
        raise node.refuse("the cell reads a value per sequence, expected one per frame")
    is_delayed = bool(work.delayed) and isinstance(h, Data) and len(h.axes) == 2
    if not is_delayed and (not isinstance(h, Held) or len(h.axes) != 2 or h.axes[0] is Axis.TIME):
        raise node.refuse(
            "the state of the cell is not an input of the model: a loop over frames inside the "
            "model is not supported, export the cell for one frame"
        )
    weights = [work.weights(node, operand, "a weight or bias") for operand in operands[2:]]
    weight_ih, weight_hh, bias = gates.from_torch(weights[0], weights[1], weights[2], weights[3])
    if isinstance(h, Data):
        given: dict[str, Any] = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}
        reads = work.features(node, data), [work.features(node, h)]
        (new,) = cell_in_pieces(_added(work), Gru, node.name or "gru_cell", *reads, **given)
        return [Data(data.axes, arrange(data.axes, (1, new.features)), new)]
    value = work.builder.add(
        Gru,
        node.name or "gru_cell",
        [work.features(node, data)],
        weight_ih=weight_ih,
        weight_hh=weight_hh,
        bias=bias,
    )
    assert isinstance(h, Held)
    index = h.index.reshape(-1)
    part = Part(int(index[0]), len(index), f"{writer(work, value)}.h", value.name)
    add_state(work, node, h, index, part)
    return [Data(data.axes, arrange(data.axes, (1, value.features)), value)]


def _added(work: Work) -> Any:
    """What `cell_in_pieces` adds its layers by."""

    def add(kind: Any, inputs: list[Value], *, name: str, **given: Any) -> Value:
        return work.builder.add(kind, name, inputs, **given)

    return add


def in_pieces(
    work: Work,
    node: OnnxNode,
    kind: type[Recurrent],
    name: str,
    source: Data,
    before: Sequence[Operand | None],
    turn: int,
    batch_first: bool,
    settings: dict[str, Any],
) -> tuple[Value, ...]:
    """One direction over one frame, from values that are its states before."""
    if source.has(Axis.TIME):
        raise node.refuse("its initial state is computed by the model, expected one frame a call")
    order = (Axis.BATCH, Axis.FEATURES) if batch_first else (Axis.FEATURES, Axis.BATCH)
    states = []
    for state in before:
        if not isinstance(state, Data):
            raise node.refuse("one of its states is fed back and another one is not")
        axis = 0 if batch_first else 1
        lone = state.axes[axis] is Axis.FEATURES and state.index.shape[axis] == 1
        if len(state.axes) != 3 or (state.axes[:2] != order and not lone):
            raise node.contradict(f"its state is {state.text}, expected (directions, batch, H)")
        index = np.moveaxis(state.index, axis, 0)[0]
        states.append(work.picked(state.value, index[turn], f"{name}.state"))
    value = work.features(node, source)
    return cell_in_pieces(_added(work), kind, name, value, states, **settings)
