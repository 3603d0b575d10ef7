# SPDX-License-Identifier: Apache-2.0
"""C functions that recurrent layers share: states, masks, the units of a panel."""

from __future__ import annotations

from typing import cast

import numpy as np

from grucore.export.packing import PANEL, padded_rows
from grucore.export.unit import Call
from grucore.graph.layers import MaskedOutput, Recurrent
from grucore.graph.tensors import Array

__all__ = ["each_unit", "state_of", "write_recurrent"]


def each_unit(hidden: int, statements: str) -> str:
    """A loop over the units j of panel i."""
    units = str(PANEL)
    if hidden % PANEL:
        units = f"({hidden} - {PANEL} * i < {PANEL} ? {hidden} - {PANEL} * i : {PANEL})"
    return f"for (j = 0; j < {units}; ++j) {{\n{statements}}}"


def state_of(call: Call, suffix: str, initial: Array | None) -> str:
    """A state (hidden_size,) as functions read it; units past the end of its panels stay 0."""
    node = cast(Recurrent, call.node)
    units, start = padded_rows(node.hidden_size), ""
    if initial is not None:
        array = np.pad(initial, (0, units - node.hidden_size))
        start = call.unit.constant(f"{call.name}.initial{suffix}", array)
    return call.unit.state(f"{call.name}{suffix}", units, initial=start)


def _masked(call: Call, state: str) -> str:
    """The lines for a frame that the mask closes."""
    node = cast(Recurrent, call.node)
    if len(call.reads) == 1:
        return ""
    if node.masked_output is MaskedOutput.ZERO:
        closed = f"for (i = 0; i < {node.hidden_size}; ++i) y[i] = 0.0f;"
    else:
        closed = f"GC_COPY(y, {state}, {4 * node.hidden_size});"
    return f"if (!mask[0]) {{\n  {closed}\n  return;\n}}"


def write_recurrent(call: Call, state: str, declare: tuple[str, ...], *body: str) -> None:
    """The function of a layer and its line of the step. ``state``: h, which becomes ``y``."""
    node = cast(Recurrent, call.node)
    mask = ", const int32_t *mask" if len(call.reads) > 1 else ""
    keep = f"GC_COPY({state}, y, {4 * node.hidden_size});"
    parameters = f"gc_state *st, float *y, const float *x{mask}"
    name = call.function(parameters, *declare, _masked(call, state), *body, keep)
    arguments = ["st", call.target, *call.sources]
    call.step(f"{name}({', '.join(arguments)});")
