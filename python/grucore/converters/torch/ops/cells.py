# SPDX-License-Identifier: Apache-2.0
"""PyTorch's GRUCell, LSTMCell and RNNCell: one frame a call, or a loop over all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grucore.converters.torch.ops.recurrent import CELLS, Cell, add_cell, weights_of
from grucore.converters.torch.walk.walk import Arguments, Walk, op, per_frame
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Data,
    Ended,
    Tracked,
    Unfit,
    WrongAxes,
    arrange,
)
from grucore.converters.trace.ops.recurrent import Start, initial
from grucore.converters.trace.ops.views import unsqueezed
from grucore.graph.layers import Lstm

__all__: list[str] = []


@op("gru_cell.default", "lstm_cell.default", "rnn_tanh_cell.default", "rnn_relu_cell.default")
def _cell(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    operation = walk.node.op.split(".")[1]
    cell = CELLS[operation.removesuffix("_cell")]
    if not isinstance(a["input"], Data):
        raise WrongAxes("its input is no frame of a sequence")
    x = a["input"]
    parts: list[Any] = weights_of([a["w_ih"], a["w_hh"]])
    for name in ("b_ih", "b_hh"):
        bias = a.get(name)
        parts.append(None if bias is None else weights_of([bias])[0])
    states = list(a["hx"]) if cell.kind is Lstm else [a["hx"]]
    name = walk.node.path or operation
    if not per_frame(x.value) or x.has(TIME):
        raise WrongAxes("its input is no frame of a sequence")
    if x.rank != 2 or x.axes[0] not in (BATCH, FEATURES) or not x.is_features(1):
        raise WrongAxes(f"its input is {x.text}, expected (batch, features)")
    if walk.in_steps or (walk.in_loop and x.frame is None):
        starts = _starts(walk, cell, parts, states)
        out, *cells = add_cell(walk, cell, x, parts, starts, name=f"{name}.l0")
        h = Data(x.axes, arrange((1, out.features)), out)
        if cells:
            return h, replace(h, value=cells[0])
    else:
        h = _frame_of_loop(walk, cell, x, parts, states, name)
    if cell.kind is not Lstm:
        return h
    return h, Ended(h.axes, h.index, (f"{walk.layer_of(h.value)}.c",), h.frame)


def _frame_of_loop(
    walk: Walk, cell: Cell, x: Data, parts: Sequence[Any], states: Sequence[Any], name: str
) -> Data:
    """A frame of a loop over all frames: the first one makes the layer, the others find it."""
    if x.frame is None:
        raise WrongAxes("its input is no frame of a sequence")
    value = walk.ordered(x)
    key = (value.name, tuple(id(part) for part in parts))
    last = value.count(walk.frames or 1) - 1
    hx = states[0]
    before = hx.frame if isinstance(hx, Data) else None
    if before is None:
        if x.frame not in (0, last):
            raise Unfit(f"a loop that starts at frame {x.frame} of {last + 1}")
        reverse = x.frame == last and last > 0
        layer = f"{name}.l0{'_reverse' if reverse else ''}"
        starts = _starts(walk, cell, parts, states)
        (out,) = add_cell(walk, cell, x, parts, starts, name=layer, reverse=reverse)
        walk.cells[(*key, reverse)] = out
    else:
        reverse = x.frame < before
        found = walk.cells.get((*key, reverse))
        if found is None or found != hx.value or x.frame != before + (-1 if reverse else 1):
            raise Unfit(f"frame {x.frame} with the state of frame {before} of {hx.value.name!r}")
        if not hx.in_order:
            raise Unfit("its state was rearranged on the way")
        for c in states[1:]:
            own = isinstance(c, Ended) and c.frame == before and c.in_order
            if not own or c.states != (f"{walk.layer_of(found)}.c",):
                raise Unfit("its cell state is not that of the frame before")
        out = found
    return replace(Data(x.axes, arrange((1, out.features)), out), frame=x.frame)


def _starts(
    walk: Walk, cell: Cell, parts: Sequence[Any], states: Sequence[Any]
) -> dict[str, Start]:
    """The starts of a cell, whose states have no axis of layers."""
    hidden = parts[1].shape[1]
    starts = {}
    for suffix, hx in zip(cell.kind.state_suffixes, states, strict=True):
        wide = unsqueezed(hx, [0]) if isinstance(hx, Tracked) else None if hx is None else hx[None]
        (starts[suffix],) = initial(walk, wide, 1, hidden, 1, suffix)
    return starts
