# SPDX-License-Identifier: Apache-2.0
"""The GRU as a function of C: four units at a time, from their sums to their states."""

from __future__ import annotations

from typing import cast

from grucore.export.layers.recurrent import each_unit, state_of, write_recurrent
from grucore.export.packing import PANEL, interleaved, padded_rows
from grucore.export.products import activated, panels_of
from grucore.export.unit import Call, lines
from grucore.graph.layers import Activation, Cell, Gru

__all__ = ["write_gru"]

R, Z, N, U = range(4)  # gates as the file has them; U: the recurrent bias of n


def write_gru(call: Call) -> None:
    """Both cells; each of the two or three products with weights of its own kind."""
    node = cast(Gru, call.node)
    state = state_of(call, ".h", node.initial_state)
    write = _reset_after if node.cell is Cell.RESET_AFTER else _reset_before
    write(call, node, state)


def _reset_after(call: Call, node: Gru, state: str) -> None:
    unit, hidden = call.unit, node.hidden_size
    bias = unit.constant(f"{call.name}.bias", interleaved(node.bias, 4, (N, R, Z, U)))
    ih = panels_of(unit, f"{call.name}.weight_ih", "x", node.weight_ih, 3, (N, R, Z))
    hh = panels_of(unit, f"{call.name}.weight_hh", "h", node.weight_hh, 3, (R, Z, N))
    activations = (node.gate_activation, node.activation)
    is_usual = activations == (Activation.SIGMOID, Activation.TANH)
    panel = lines(
        "float sums[16];",
        f"GC_COPY(sums, {bias} + 16 * i, sizeof sums);",
        ih.multiply("sums", "x", 3, "i"),
        hh.multiply("sums + 4", state, 3, "i"),
        f"gc_gru_cell(y + 4 * i, {state} + 4 * i, sums);" if is_usual else _cell_after(node, state),
    )
    write_recurrent(
        call,
        state,
        ("uint32_t i;" if is_usual else "uint32_t i, j;", ih.declare, hh.declare),
        ih.prepare("x", fixed=node.input_range),
        hh.prepare(state, least=1.0),
        f"for (i = 0; i < {padded_rows(hidden) // PANEL}; ++i) {{\n{panel}}}",
    )


def _cell_after(node: Gru, state: str) -> str:
    """Four units with any activations."""
    cell = lines(
        f"const float r = {activated(node.gate_activation, 'sums[4 + j]')};",
        f"const float z = {activated(node.gate_activation, 'sums[8 + j]')};",
        "const float reset = r * sums[12 + j];",
        f"const float n = {activated(node.activation, 'sums[j] + reset')};",
        f"const float kept = z * {state}[4 * i + j], taken = (1.0f - z) * n;",
        "y[4 * i + j] = gc_flush(kept + taken);",
    )
    return each_unit(node.hidden_size, cell)


def _reset_before(call: Call, node: Gru, state: str) -> None:
    """The candidate's recurrent product reads r * h: all of r comes first."""
    unit, hidden = call.unit, node.hidden_size
    units = padded_rows(hidden)
    bias = unit.constant(f"{call.name}.bias", interleaved(node.bias, 3, (R, Z, N)))
    ih = panels_of(unit, f"{call.name}.weight_ih", "x", node.weight_ih, 3, (R, Z, N))
    split = 2 * hidden
    hh = panels_of(unit, f"{call.name}.weight_hh", "h", node.weight_hh[:split], 2, (R, Z))
    hn = panels_of(unit, f"{call.name}.weight_hn", "r", node.weight_hh[split:])
    r = activated(node.gate_activation, "sums[j]")
    z = activated(node.gate_activation, "sums[4 + j]")
    gates = lines(
        f"const float r = {r};",
        f"reset[4 * i + j] = gc_flush(r * {state}[4 * i + j]);",
        f"z[4 * i + j] = {z};",
    )
    panel = lines(
        "float sums[12];",
        f"GC_COPY(sums, {bias} + 12 * i, sizeof sums);",
        ih.multiply("sums", "x", 3, "i"),
        hh.multiply("sums", state, 2, "i"),
        each_unit(hidden, gates),
        "GC_COPY(y + 4 * i, sums + 8, 16);",
    )
    cell = lines(
        f"const float n = {activated(node.activation, 'y[i]')};",
        f"const float kept = z[i] * {state}[i], taken = (1.0f - z[i]) * n;",
        "y[i] = gc_flush(kept + taken);",
    )
    declare = (f"float reset[{units}], z[{units}];", "uint32_t i, j;")
    write_recurrent(
        call,
        state,
        (*declare, ih.declare, hh.declare, hn.declare),
        ih.prepare("x", fixed=node.input_range),
        hh.prepare(state, least=1.0),
        f"for (i = 0; i < {units // PANEL}; ++i) {{\n{panel}}}",
        hn.prepare("reset", least=1.0),
        hn.multiply("y", "reset", units // PANEL),
        f"for (i = 0; i < {hidden}; ++i) {{\n{cell}}}",
    )
