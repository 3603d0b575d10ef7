# SPDX-License-Identifier: Apache-2.0
"""The header of exported code: sizes as macros, the state, and the three functions."""

from __future__ import annotations

from grucore.export.memory import Places
from grucore.export.ports import Ports, parameters
from grucore.export.unit import Unit, lines
from grucore.graph.graph import Graph
from grucore.graph.node import Rate, Value

__all__ = ["header_text", "state_bytes"]

OPEN = """\
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
"""
CLOSE = """\
#ifdef __cplusplus
}
#endif
#endif
"""
SELFTEST = """\
#ifdef GC_SELFTEST
/* How many numbers differ from those that the engine gave for the stored frames: 0. */
uint32_t gc_selftest(void);
#endif
"""


def state_bytes(unit: Unit) -> int:
    """Bytes of the struct, which C does not allow to be empty."""
    return max(unit.state_bytes, 4)


def _macros(graph: Graph, unit: Unit, places: Places, ports: Ports) -> str:
    rows = []
    for what, names, port_names in (
        ("INPUTS", graph.inputs, ports.inputs),
        ("OUTPUTS", graph.outputs, ports.outputs),
    ):
        values = [graph.value(name) for name in names]
        if len(values) == 1:
            rows.append((f"GC_{what}", values[0].features))
        else:
            rows += [
                (f"GC_{what}_{port.upper()}", value.features)
                for value, port in zip(values, port_names, strict=True)
            ]
    rows += [
        ("GC_STATE_BYTES", state_bytes(unit)),
        ("GC_FRAME_BYTES", places.bytes),
        ("GC_WEIGHT_BYTES", unit.weight_bytes),
        ("GC_MULTIPLY_ADDS", graph.multiply_adds_per_frame),
    ]
    return "".join(f"#define {name} {number}\n" for name, number in rows)


def _struct(unit: Unit) -> str:
    members = [
        f"{member.c_type} {member.name}{f'[{member.count}]' if member.count else ''};"
        for member in unit.fields
    ]
    return f"typedef struct {{\n{lines(*(members or ['uint32_t none;']))}}} gc_state;\n"


def _when(value: Value) -> str:
    """At which frames an output comes."""
    if value.rate is Rate.SEQUENCE:
        return ", as if the sequence ended here"
    text = f", every {value.period} frames" if value.period > 1 else ""
    return text + (f", not at the first {value.skip}" if value.skip else "")


def _ports_text(graph: Graph, ports: Ports) -> str:
    """Inputs and outputs of a step, for a reader of the header."""
    rows = []
    for name, port in zip(graph.inputs, ports.inputs, strict=True):
        rows.append(f"   reads {port}[{graph.value(name).features}]")
    for index, (name, port) in enumerate(zip(graph.outputs, ports.outputs, strict=True)):
        value = graph.value(name)
        rows.append(f"   writes {port}[{value.features}]{_when(value)}: bit {index}")
    return "\n".join(rows)


def header_text(
    graph: Graph, unit: Unit, places: Places, ports: Ports, about: str, *, has_test: bool
) -> str:
    """The whole file. ``about``: its first comment."""
    step = (
        "/* One frame; returns a bit for each output that was written.\n"
        f"{_ports_text(graph, ports)} */\n"
        f"uint32_t gc_step({parameters(graph, ports)});\n"
    )
    parts = [
        f"{about}#ifndef GC_H\n#define GC_H\n",
        OPEN,
        _macros(graph, unit, places, ports),
        f"/* What a stream carries from frame to frame. */\n{_struct(unit)}",
        "/* To the start of a stream. */\nvoid gc_reset(gc_state *st);\n",
        step,
        SELFTEST if has_test else "",
        CLOSE,
    ]
    return "\n".join(part for part in parts if part)
