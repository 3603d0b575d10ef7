# SPDX-License-Identifier: Apache-2.0
"""The LSTM as functions of C."""

from __future__ import annotations

from typing import cast

from grucore.export.layers.recurrent import each_unit, state_of, write_recurrent
from grucore.export.packing import PANEL, interleaved, padded_rows
from grucore.export.products import activated, panels_of
from grucore.export.unit import Call, lines
from grucore.graph.layers import Activation, Lstm

__all__ = ["write_lstm"]

GATES = (0, 1, 2, 3)  # i, f, g, o, as the file has them


def write_lstm(call: Call) -> None:
    """Four units at a time: the sums of i, f, g and o, then c and h."""
    node = cast(Lstm, call.node)
    unit, hidden = call.unit, node.hidden_size
    h = state_of(call, ".h", node.initial_state)
    c = state_of(call, ".c", node.initial_cell)
    bias = unit.constant(f"{call.name}.bias", interleaved(node.bias, 4, GATES))
    ih = panels_of(unit, f"{call.name}.weight_ih", "x", node.weight_ih, 4, GATES)
    hh = panels_of(unit, f"{call.name}.weight_hh", "h", node.weight_hh, 4, GATES)
    activations = (node.gate_activation, node.activation, node.cell_activation)
    is_usual = activations == (Activation.SIGMOID, Activation.TANH, Activation.TANH)
    usual = f"gc_lstm_cell(y + 4 * i, {c} + 4 * i, sums);"
    panel = lines(
        "float sums[16];",
        f"GC_COPY(sums, {bias} + 16 * i, sizeof sums);",
        ih.multiply("sums", "x", 4, "i"),
        hh.multiply("sums", h, 4, "i"),
        usual if is_usual else each_unit(hidden, _cell(node, f"{c}[4 * i + j]")),
    )
    write_recurrent(
        call,
        h,
        ("uint32_t i;" if is_usual else "uint32_t i, j;", ih.declare, hh.declare),
        ih.prepare("x", fixed=node.input_range),
        hh.prepare(h, least=1.0),
        f"for (i = 0; i < {padded_rows(hidden) // PANEL}; ++i) {{\n{panel}}}",
    )


def _cell(node: Lstm, c: str) -> str:
    """A unit with any activations."""
    gate = node.gate_activation
    return lines(
        f"const float kept = {activated(gate, 'sums[4 + j]')} * {c};",
        f"const float taken = {activated(gate, 'sums[j]')}"
        f" * {activated(node.activation, 'sums[8 + j]')};",
        f"{c} = gc_flush(kept + taken);",
        f"y[4 * i + j] = gc_flush({activated(gate, 'sums[12 + j]')}"
        f" * {activated(node.cell_activation, c)});",
    )
