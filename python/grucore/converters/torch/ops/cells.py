# SPDX-License-Identifier: Apache-2.0
"""PyTorch's GRUCell, LSTMCell and RNNCell: one frame a call, or a loop over all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.recurrent import (
    CELLS,
    MIXED,
    Cell,
    add_layer,
    cell_flow,
    one_row,
    pieces_of,
    row_of_state,
    weights_of,
)
from grucore.converters.torch.walk.axes import BATCH, TIME, Flow, Unfit, WrongAxes, flow_of
from grucore.converters.torch.walk.walk import Arguments, Walk, op, per_frame
from grucore.graph.layers import Lstm
from grucore.graph.node import Value

__all__: list[str] = []


@op("gru_cell.default", "lstm_cell.default", "rnn_tanh_cell.default", "rnn_relu_cell.default")
def _cell(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    operation = walk.node.op.split(".")[1]
    cell = CELLS[operation.removesuffix("_cell")]
    flow: Flow = a["input"].simple()
    parts: list[Any] = weights_of([a["w_ih"], a["w_hh"]])
    for name in ("b_ih", "b_hh"):
        bias = a.get(name)
        parts.append(None if bias is None else weights_of([bias])[0])
    states = list(a["hx"]) if cell.kind is Lstm else [a["hx"]]
    name = walk.node.path or operation
    if flow.is_state or not per_frame(flow.value) or flow.has(TIME):
        raise WrongAxes("its input is no frame of a sequence")
    if flow.rank != 2 or flow.axes[0] not in ((BATCH,), (1,)) or not flow.feature_axis(1):
        raise WrongAxes(f"its input has axes {flow.axes}, expected (batch, features)")
    if walk.in_steps:
        given = [_cell_state(walk, state) for state in states]
        value = walk.ordered(flow)
        if any(isinstance(each, Value) for each in given):
            new = pieces_of(walk, cell, value, parts, given, name)
            flows = [flow_of(each, [flow.axes[0], (each.features,)]) for each in new]
            return flows[0] if len(flows) == 1 else flows
        out = add_layer(walk, cell, value, parts, given, reverse=False, name=f"{name}.l0")
        walk.finals[out.name] = out.name
        h = flow_of(out, [flow.axes[0], (out.features,)])
    else:
        h = _frame_of_loop(walk, cell, flow, parts, states, name)
    if cell.kind is not Lstm:
        return h
    c = cell_flow(walk, [walk.layer_of(h.value)], h.axes)
    return h, replace(c, frame=h.frame)


def _frame_of_loop(
    walk: Walk, cell: Cell, flow: Flow, parts: Sequence[Any], states: Sequence[Any], name: str
) -> Flow:
    """A frame of a loop over all frames: the first one makes the layer, the others find it."""
    if flow.frame is None:
        raise WrongAxes("its input is no frame of a sequence")
    value = walk.ordered(flow)
    key = (value.name, tuple(id(part) for part in parts))
    last = walk.count(value) - 1
    hx = states[0]
    before = hx.frame if isinstance(hx, Flow) else None
    if before is None:
        if flow.frame not in (0, last):
            raise Unfit(f"a loop that starts at frame {flow.frame} of {last + 1}")
        reverse = flow.frame == last and last > 0
        layer = f"{name}.l0{'_reverse' if reverse else ''}"
        given = [_cell_state(walk, state) for state in states]
        out = add_layer(walk, cell, value, parts, given, reverse=reverse, name=layer)
        walk.cells[(*key, reverse)] = out
    else:
        reverse = flow.frame < before
        found = walk.cells.get((*key, reverse))
        if found is None or found != hx.value or flow.frame != before + (-1 if reverse else 1):
            raise Unfit(f"frame {flow.frame} with the state of frame {before} of {hx.value.name!r}")
        if not hx.in_order:
            raise Unfit("its state was rearranged on the way")
        for c in states[1:]:
            own = isinstance(c, Flow) and c.frame == before and c.in_order
            if not own or walk.cell_states.get(c.value.name) != (f"{walk.layer_of(found)}.c",):
                raise Unfit("its cell state is not that of the frame before")
        out = found
    return replace(flow_of(out, [flow.axes[0], (out.features,)]), frame=flow.frame)


def _cell_state(walk: Walk, hx: Any) -> Any:
    """None (zeros), an array (H,), (input, row), or a value of the frame before."""
    if hx is None:
        return None
    if isinstance(hx, np.ndarray):
        return one_row(hx)
    if walk.delayed and not hx.is_state:
        return walk.ordered(hx)
    if not hx.is_state or hx.value.name in walk.cell_states:
        raise Unfit(MIXED)
    flow = hx.simple()
    return row_of_state(flow, flow.index.reshape(-1))
