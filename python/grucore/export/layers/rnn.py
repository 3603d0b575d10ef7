# SPDX-License-Identifier: Apache-2.0
"""The plain recurrent layer as functions of C."""

from __future__ import annotations

from typing import cast

from grucore.export.layers.recurrent import state_of, write_recurrent
from grucore.export.packing import PANEL, interleaved, padded_rows
from grucore.export.products import activated, panels_of
from grucore.export.unit import Call
from grucore.graph.layers import Rnn

__all__ = ["write_rnn"]


def write_rnn(call: Call) -> None:
    """Two products on the bias, then the activation."""
    node = cast(Rnn, call.node)
    unit, hidden = call.unit, node.hidden_size
    h = state_of(call, ".h", node.initial_state)
    panels = padded_rows(hidden) // PANEL
    bias = unit.constant(f"{call.name}.bias", interleaved(node.bias, 1, (0,)))
    ih = panels_of(unit, f"{call.name}.weight_ih", "x", node.weight_ih)
    hh = panels_of(unit, f"{call.name}.weight_hh", "h", node.weight_hh)
    write_recurrent(
        call,
        h,
        ("uint32_t i;", ih.declare, hh.declare),
        ih.prepare("x", fixed=node.input_range),
        hh.prepare(h, least=1.0),
        f"GC_COPY(y, {bias}, sizeof {bias});",
        ih.multiply("y", "x", panels),
        hh.multiply("y", h, panels),
        f"for (i = 0; i < {hidden}; ++i) y[i] = gc_flush({activated(node.activation, 'y[i]')});",
    )
