# SPDX-License-Identifier: Apache-2.0
"""ONNX files and protos: what they hold, which axis is which, the graph.

A file does not say which axis of an input is batch, time or features. Every assignment is tried:
those that some operator contradicts (a GRU wants time where it wants it) fall away, and if the
rest do not all give the same model, the file is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.boundary import WrongKind
from grucore.converters.build.folding import fold
from grucore.converters.build.known_cells import known_cells
from grucore.converters.conversion import Conversion
from grucore.converters.onnx.evaluate import Budget, folded
from grucore.converters.onnx.loops.inline import flattened
from grucore.converters.onnx.patterns import fuse
from grucore.converters.onnx.read.read import MAX_INPUTS, MAX_NODES, parse, source_of
from grucore.converters.onnx.read.source import BEFORE, CELL, RECURRENT, Source
from grucore.converters.onnx.reading import Reading
from grucore.converters.onnx.search import Found, decided, is_timed
from grucore.converters.onnx.witness import drops_any_axis, evidence_of
from grucore.converters.source import Given
from grucore.converters.trace.axes import FEATURES, TIME, Data, Ended, Tracked, Unfit, text_of
from grucore.converters.trace.carried import (
    Caller,
    are_called_states,
    connect,
    handed_back,
    left,
)
from grucore.converters.trace.trace import TIMELESS
from grucore.proof.signals import LENGTHS

__all__ = ["of_file", "of_proto", "read"]

STATE_PLACES = {(CELL, 1), ("LSTM", 6), *((op, 5) for op in RECURRENT)}
LEAST_LONGEST = 1009  # frames of the longest sequence of a proof
MOST_FRAMES = 5000  # numbers in the file above this are not tried
CALLS = 3  # of a file of so many frames whose states come back


def of_file(given: Given, *, pytorch_lbr_fix: bool = False) -> Conversion:
    """The conversion of an ONNX file; numbers that it keeps elsewhere lie in its folder."""
    model, folder, about = parse(given.data), given.path.parent, {"file": given.name}
    return _conversion(read(model, folder, pytorch_lbr_fix=pytorch_lbr_fix, about=about))


def of_proto(model: Any, *, pytorch_lbr_fix: bool = False) -> Conversion:
    """The conversion of an ``onnx.ModelProto`` that has its numbers in it."""
    if not hasattr(model, "graph") or not hasattr(model, "opset_import"):
        raise WrongKind(f"expected a path or an onnx.ModelProto, not {type(model).__name__}")
    return _conversion(read(model, pytorch_lbr_fix=pytorch_lbr_fix))


def _conversion(reading: Reading) -> Conversion:
    return Conversion(reading.graph, lambda: evidence_of(reading, _lengths(reading)))


def _lengths(reading: Reading) -> tuple[int, ...]:
    """The frames of the proof's sequences: one is longer than any number in the file says."""
    if reading.frames is not None and not reading.steps:
        return (reading.frames * (CALLS if reading.in_chunks else 1),)
    # Shorter than its windows, onnxruntime refuses a sequence.
    least = max(reading.shortest, 1 + max(value.skip for value in reading.graph.values))
    least += drops_any_axis(reading.source) and not reading.steps  # a time of one frame too
    several = (least, least + 1, *(length for length in LENGTHS if length > least + 1))
    if reading.steps:  # a call sees one frame only
        return several
    numbers = [
        int(number)
        for array in reading.source.constants.values()
        if array.dtype.kind in "iu" and array.size <= MAX_INPUTS
        for number in np.abs(array.astype(np.int64)).reshape(-1)
        if number < MOST_FRAMES
    ]
    return (*several, max(LEAST_LONGEST, least, 1 + max(numbers, default=0)))


def read(
    model: Any,
    folder: Path | None = None,
    *,
    pytorch_lbr_fix: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Reading:
    """Read a ModelProto and decide on the axes of its inputs; raises `ConversionError`."""
    source = source_of(model, folder, pytorch_lbr_fix=pytorch_lbr_fix)
    budget = Budget.of(source.constants)
    fused = fuse(flattened(source, lambda given: folded(given, budget)))
    states = _states_of(fused)
    # An id that comes back is the one of the frame before, whatever else may read it.
    has_ids = any(port.is_integer and port.name in states for port in source.inputs)
    called = has_ids or (
        states and not any(node.op in (*RECURRENT, CELL, BEFORE) for node in fused.nodes)
    )
    failure: ConversionError | None = None
    for delayed in (states, None) if called else (None, states):
        if delayed is not None and not states:
            continue
        try:
            if delayed is None:
                found = decided(fused, budget.fork())
                return _finished(replace(source, inputs=found.ports), found, about or {})
            return _with_delays(source, fused, budget, states, about or {})
        except ConversionError as error:
            further = getattr(error, "reached", MAX_NODES) > getattr(failure, "reached", MAX_NODES)
            if failure is None or further:
                failure = error
    assert failure is not None
    raise failure


def _states_of(source: Source) -> list[str]:
    """The inputs that are called states or start a recurrent operator, where each may come back."""
    started = {
        name
        for node in source.nodes
        for place, name in enumerate(node.inputs)
        if (node.op, place) in STATE_PLACES
    }
    ports = [port.name for port in source.inputs]
    states = [name for name in ports if name in started or are_called_states(name)]
    return states if 0 < len(states) < len(ports) and len(states) <= len(source.outputs) else []


def _with_delays(
    source: Source,
    fused: Source,
    budget: Budget,
    states: list[str],
    about: Mapping[str, Any],
) -> Reading:
    """A step whose states are values of the frame before: all of them, then as few as it takes."""

    def tried(delayed: frozenset[str]) -> Reading:
        found = decided(fused, budget.fork(), delayed)
        return _finished(replace(source, inputs=found.ports), found, about, states)

    delayed = frozenset(states)
    reading = tried(delayed)
    for name in states:
        with contextlib.suppress(ConversionError):
            reading, delayed = tried(delayed - {name}), delayed - {name}
    return reading


def _finished(
    source: Source, found: Found, about: Mapping[str, Any], states: Sequence[str] = ()
) -> Reading:
    """The reading; ``states``: inputs that have to be states in it."""
    work, operands = found.work, found.outputs
    ports = [port.name for port in source.inputs]
    layouts = {name: found.layouts[name] for name in ports if name in found.layouts}
    builder = work.builder
    order = {port.name: place for place, port in enumerate(source.inputs)}
    builder.inputs.sort(key=lambda name: order.get(name, 0))
    firsts = {value.name: value for value in builder.values if value.name in builder.inputs}
    builder.values[:] = [firsts[name] for name in builder.inputs] + [
        value for value in builder.values if value.name not in firsts
    ]
    given: dict[str, Tracked] = {}
    for name, operand in operands.items():
        if not isinstance(operand, Data | Ended):
            raise ConversionError(f"output {name!r} is not computed by the model")
        if any(axis.is_mixed for axis in operand.axes):
            raise ConversionError(
                f"output {name!r} is {operand.text}: expected features on an axis of their own"
            )
        given[name] = operand
    if not builder.inputs:
        raise ConversionError("no input of the file is a sequence that the model reads")
    # One frame each time: the file has no time axis, or one of size 1 and a state to feed back.
    steps = not is_timed(work, layouts) or (work.frames == 1 and bool(work.states))
    steps = steps or bool(work.delays)
    ids = [port.name for port in source.inputs if port.is_integer and port.dims[-1:] != (1,)]
    if not work.looks_along_time and any(layouts.get(n) == (TIME, FEATURES) for n in ids):
        raise ConversionError(TIMELESS)  # such as a loop over ids that is written out
    makers = {each: node.label for node in source.nodes for each in node.outputs}
    caller = Caller(
        {port.name: len(port.dims) for port in source.inputs}, operands, makers, layouts
    )
    if not set(states) <= set(caller.states(work)):
        raise ConversionError(f"not all of {', '.join(states)} are states of a layer")
    pairs = handed_back(work, caller, steps=steps)
    connect(work, caller, pairs)
    outputs = {}
    for name in left(caller, pairs):
        operand = operands[name]
        if isinstance(operand, Ended):
            raise ConversionError(
                f"output {name!r} is the cell state {', '.join(operand.states)}, which is no value "
                "of a frame: leave it out of the outputs, and take it from "
                "run(..., return_state=True)"
            )
        work.label = name
        try:
            outputs[name] = work.answer(operand)
        except Unfit as problem:
            raise ConversionError(f"output {name!r}: {problem}") from None
    gone = frozenset(name for name in operands if name not in outputs)
    given_out = [value.name for value in outputs.values()]
    renamed = known_cells(builder, given_out, work.looped)
    fold(builder, given_out)
    entries: dict[str, Any] = {**about, **source.about}
    entries["axes"] = {
        **{name: text_of(kinds) for name, kinds in layouts.items()},
        **{name: text_of(x.axes) for name, x in given.items()},
    }
    for name, parts in work.states.items():
        parts = sorted(parts, key=lambda part: part.first)
        note = ", ".join(renamed.get(part.state, part.state) for part in parts)
        entries.setdefault("states", {})[name] = f"the input is the state of {note}"
    for name, delay in work.delays.items():
        state = f"{delay.value.name.removesuffix('.out')}.x"
        entries.setdefault("states", {})[name] = f"the input is the state of {state}"
    if work.lengths_input is not None:
        entries["lengths"] = f"input {work.lengths_input!r} is lengths= of run"
    once = [name for name in builder.inputs if name in work.still]
    if once:
        entries["once"] = once
    if work.memories:
        entries["memories"] = dict(work.memories)
    if work.booleans:
        entries["booleans"] = work.booleans
    unused = [port.name for port in source.inputs if port.name not in layouts]
    if unused:
        entries["unused_inputs"] = unused
    if work.frames is not None and not steps:
        entries["frames"] = f"the file fixes {work.frames}: the model takes any number"
    graph = builder.finish(outputs, {"source": entries})
    sizes = work.frames, work.batch
    return Reading(graph, source, layouts, given, *sizes, pairs, steps, gone, work.shortest)
