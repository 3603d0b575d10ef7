# SPDX-License-Identifier: Apache-2.0
"""The source of exported code: guards, pieces, constants, a function for each layer, the step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from grucore.export.header import header_text, state_bytes
from grucore.export.layers import WRITERS
from grucore.export.memory import Places, place_values
from grucore.export.packing import padded_rows
from grucore.export.pieces import pieces_for, with_prefix
from grucore.export.ports import Ports, parameters
from grucore.export.selftest import selftest_text
from grucore.export.unit import Call, Unit, lines
from grucore.graph.graph import Graph
from grucore.graph.layers import Conv1d, Dense, Recurrent, Rfft
from grucore.graph.tensors import Dtype

__all__ = ["Written", "write_c"]

GUARDS = """\
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \\
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "compile this file without -ffast-math and the like: operations round as they stand here"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "floats are not computed as floats here: on x86 compile with -msse2 -mfpmath=sse"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this file is for processors with the low byte first"
#endif
/* No product and sum may become one operation by themselves. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
"""
SIZE = "typedef char gc_state_has_its_bytes[sizeof(gc_state) == GC_STATE_BYTES ? 1 : -1];\n"


@dataclass(frozen=True)
class Written:
    """Both texts, and what they hold."""

    header: str
    source: str
    weight_bytes: int
    state_bytes: int
    frame_bytes: int  # of values on the stack


def _room(graph: Graph) -> dict[str, int]:
    """Whole panels for what products write, and the zeros after what a transform reads."""
    room = {
        node.output: padded_rows(graph.value(node.output).features)
        for node in graph.nodes
        if isinstance(node, Recurrent | Dense | Conv1d)
    }
    for node in graph.nodes:
        if isinstance(node, Rfft):
            room[node.inputs[0]] = max(room.get(node.inputs[0], 0), node.length)
    return room


def _nodes(graph: Graph, unit: Unit, places: Places, ports: Ports) -> None:
    """Every node's function and its lines of the step."""
    where = {
        value.name: f"{'v' if value.dtype is Dtype.FLOAT32 else 'k'} + {places.at[value.name]}"
        for value in graph.values
        if value.name in places.at
    }
    for name, port in zip(graph.inputs, ports.inputs, strict=True):
        value = graph.value(name)
        if value.dtype is Dtype.FLOAT32:
            unit.steps.append(("", f"gc_flushed({where[name]}, {port}, {value.features});"))
        else:
            where[name] = port
    for node in graph.nodes:
        reads, writes = graph.ports(node)
        sources = tuple(where[value.name] for value in reads)
        WRITERS[type(node)](Call(unit, node, reads, writes, sources, where[writes.name]))
    unit.steps += unit.last_steps
    for index, (name, port) in enumerate(zip(graph.outputs, ports.outputs, strict=True)):
        value = graph.value(name)
        copy = f"GC_COPY({port}, {where[name]}, {4 * value.features});"
        condition = unit.condition(value)
        unit.steps.append((condition, copy))
        unit.steps.append((condition, f"given |= {1 << index}u;"))


def _grouped(steps: Sequence[tuple[str, str]]) -> list[str]:
    """Statements with one condition for all that share it in a row."""
    result: list[str] = []
    at = 0
    while at < len(steps):
        condition = steps[at][0]
        end = at
        while end < len(steps) and steps[end][0] == condition:
            end += 1
        body = [text for _, text in steps[at:end]]
        result += [f"if ({condition}) {{\n{lines(*body)}}}"] if condition else body
        at = end
    return result


def _branches(steps: Sequence[tuple[str, str]]) -> list[str]:
    """Statements of one condition and of none, as two branches from its first use to its last.

    What the first branch wrote the same branch reads: nothing has to be cleared for a compiler
    that does not see that two conditions are one.
    """
    at = [index for index, (condition, _) in enumerate(steps) if condition]
    if not at:
        return [text for _, text in steps]
    middle = steps[at[0] : at[-1] + 1]
    whole = lines(*(text for _, text in middle))
    rest = lines(*(text for condition, text in middle if not condition))
    other = f" else {{\n{rest}}}" if rest else ""
    return [
        *(text for _, text in steps[: at[0]]),
        f"if ({steps[at[0]][0]}) {{\n{whole}}}{other}",
        *(text for _, text in steps[at[-1] + 1 :]),
    ]


def _step(unit: Unit, places: Places, given: str) -> str:
    # A compiler does not see that what one `if` wrote the next one reads.
    start = " = {0}" if len(unit.clocks) > 1 else ""
    body_of = _grouped if start else _branches
    declare = [f"float v[{places.floats}]{start};" if places.floats else ""]
    declare += [f"int32_t k[{places.ids}]{start};" if places.ids else ""]
    ticks = []
    for (period, skip), wait in unit.clocks.items():
        name = f"ticks_{period}_{skip}"
        declare.append(f"const uint32_t {name} = {wait} == 0;")
        ticks.append(f"{wait} = {name} ? {period - 1} : {wait} - 1;")
    body = lines(*declare, "uint32_t given = 0;", *body_of(unit.steps), *ticks, "return given;")
    unused = "" if "st->" in body or "(st," in body else lines("(void)st;")
    return f"uint32_t gc_step({given}) {{\n{_after_declarations(body, unused)}}}\n"


def _after_declarations(body: str, statement: str) -> str:
    head, mark, tail = body.partition("  uint32_t given = 0;\n")
    return head + mark + statement + tail


def _reset(unit: Unit) -> str:
    start = []
    for member in unit.fields:
        place = f"st->{member.name}"
        if not member.count:
            start.append(f"{place} = {member.initial or '0'};")
        elif member.initial:
            start.append(f"GC_COPY({place}, {member.initial}, sizeof {place});")
        else:
            zero = "0.0f" if member.c_type == "float" else "0"
            start.append(f"for (i = 0; i < {member.count}; ++i) {place}[i] = {zero};")
    loops = "uint32_t i;" if any("for (i" in line for line in start) else ""
    if not start:
        start = ["st->none = 0;"]
    return f"void gc_reset(gc_state *st) {{\n{lines(loops, *start)}}}\n"


def write_c(graph: Graph, prefix: str, origin: Sequence[str], numerics: str) -> Written:
    """The files of a checked graph that can be exported. ``origin``: lines that say whence."""
    ports = Ports.of(graph)
    unit = Unit(
        readers=Counter([*graph.outputs, *(x for node in graph.nodes for x in node.inputs)])
    )
    unit.names.take(f"test_{port}" for port in (*ports.inputs, *ports.outputs))
    places = place_values(graph, _room(graph))
    _nodes(graph, unit, places, ports)
    functions = [*unit.functions, _reset(unit), _step(unit, places, parameters(graph, ports))]
    test = "" if graph.test is None else selftest_text(graph, graph.test, ports)
    lines_of_origin = "\n".join(f"   {line}" for line in origin)
    about = f"/* Made by grucore: do not edit.\n{lines_of_origin} */\n"
    parts = [
        f'{about}#include "{prefix}.h"\n',
        GUARDS,
        SIZE,
        *pieces_for([*unit.constants, *functions, test], numerics),
        *unit.constants,
        *functions,
        test,
    ]
    header = header_text(graph, unit, places, ports, about, has_test=bool(test))
    return Written(
        header=with_prefix(header, prefix),
        source=with_prefix("\n".join(part for part in parts if part), prefix),
        weight_bytes=unit.weight_bytes,
        state_bytes=state_bytes(unit),
        frame_bytes=places.bytes,
    )
