# SPDX-License-Identifier: Apache-2.0
"""Finds out which axes of a graph's inputs are batch and time: those with which it all fits.

Every assignment of meanings to axes is walked through the whole graph; operations refuse axes that
they cannot mean. The rest is either one model, whose axes are then known, or a refusal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.build.folding import fold
from grucore.converters.build.known_cells import known_cells
from grucore.converters.conversion import ambiguous
from grucore.converters.torch.aten import AtenGraph, Ref
from grucore.converters.torch.meanings import agree, extents, hops, meanings_of, uneven
from grucore.converters.torch.memories import attends, check_memories, memories
from grucore.converters.torch.ops import OPS
from grucore.converters.torch.walk.walk import ZEROS, Meaning, Walk
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Axis,
    Data,
    Ended,
    Tracked,
    Undecided,
    Unfit,
    text_of,
)
from grucore.converters.trace.carried import (
    Caller,
    are_called_states,
    connect,
    handed_back,
    left,
)
from grucore.converters.trace.memory import MEMORY
from grucore.converters.trace.search import Choices, Search, far, marked
from grucore.converters.trace.trace import TIMELESS
from grucore.graph.graph import Graph
from grucore.graph.layers import Attention
from grucore.graph.node import Value
from grucore.proof.signals import LENGTHS

__all__ = ["Reading", "fingerprint", "only", "read", "readings", "source_entries"]

MAX_ASSIGNMENTS = 1 << 14  # among them those of some inputs alone
# Layers that tell time from batch and features.
CELLS = ("gru", "lstm", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True)
class Reading:
    """A graph that is understood: the model, and what the tensors around it mean."""

    graph: Graph
    walked: Walk
    outputs: tuple[Data, ...]
    kept: tuple[int, ...]

    @property
    def meanings(self) -> tuple[Meaning, ...]:
        """Names of the inputs."""
        return self.walked.meanings

    @property
    def lengths(self) -> list[int]:
        """Numbers of frames to prove it on: those of a proof, but none that it cannot take."""
        return sorted({max(length, self.walked.shortest) for length in LENGTHS})

    @property
    def axes_text(self) -> str:
        """The inputs and what their axes are."""
        pairs = zip(self.walked.graph.inputs, self.meanings, strict=True)
        return ", ".join(f"{spec.name} {meaning}" for spec, meaning in pairs)

    @property
    def in_steps(self) -> bool:
        """True if each call of the module is one frame."""
        return self.walked.in_steps


def readings(graph: AtenGraph) -> list[Reading]:
    """Every way in which the graph can be understood; they differ in what they compute.

    Raises `ConversionError` of the assignment that came furthest where there is none.
    """
    specs, has_memory = {spec.name: spec for spec in graph.inputs}, attends(graph)
    spans = hops(graph)
    odd = [text for hop in spans if (text := uneven(graph.inputs, hop))]
    if odd:
        raise ConversionError(odd[0])

    def one(choices: Choices) -> Reading:
        for spec in graph.inputs:
            if spec.name not in choices:
                raise Undecided(spec.name)
        meanings = [choices[name] for name in specs]
        return _understood(graph, meanings, extents(graph.inputs, meanings) or {}, choices)

    def options(name: str, choices: Choices) -> list[Meaning]:
        before = [choices[each] for each in specs if each in choices]
        known = graph.inputs[: len(before) + 1]
        offered = [*meanings_of(specs[name], spans), *(memories(specs[name]) if has_memory else ())]
        found = [each for each in offered if agree(known, [*before, each])]
        if len(known) == len(graph.inputs):
            found = [each for each in found if extents(known, [*before, each]) is not None]
        return found

    try:
        each_one = Search(one, options, lambda choices: "", MAX_ASSIGNMENTS).readings({})
    except ConversionError as error:
        if getattr(error, "reached", -1) >= 0:
            raise
        shapes = ", ".join(f"{spec.name} {spec.shape}" for spec in graph.inputs)
        message = f"no axes of the inputs ({shapes}) can be batch and time"
        raise ConversionError(message) from None
    found: dict[Any, Reading] = {}
    for reading in each_one:
        found.setdefault(fingerprint(reading), reading)
    # An input that is called a state, and can be one, is one.
    states = {name for each in found.values() for name in each.walked.delays}
    found = {key: each for key, each in found.items() if states <= _state_names(each)}
    usual = {key: each for key, each in found.items() if each.walked.delays and _is_usual(each)}
    found = usual or found
    # A rule for every row of a batch holds for rows that are called features as well.
    batched = [each for each in found.values() if each.walked.batch is not None]
    left = batched or list(found.values())
    # The frames of one length, in a row, are features as well.
    left = [each for each in left if not each.walked.bound] or left
    fewest = min(each.walked.zeros or 0 for each in left)
    return [each for each in left if (each.walked.zeros or 0) == fewest]


def only(found: Sequence[Reading]) -> Reading:
    """The one reading there is; `ConversionError` that lists what the axes may be if several."""
    if len(found) > 1:
        raise ambiguous(each.axes_text for each in found)
    return found[0]


def read(graph: AtenGraph, meanings: Sequence[Meaning], zeros: int | None = None) -> Reading:
    """The graph, understood with these meanings of its inputs and hops of zeros after them."""
    sizes = extents(graph.inputs, meanings)
    if sizes is None:
        raise ConversionError("the inputs disagree about batch or time")
    choices: dict[str, Any] = {ZEROS: zeros}
    while True:
        try:
            return _understood(graph, meanings, sizes, choices)
        except Undecided as open_axes:
            choices[open_axes.name] = open_axes.options[0]


def _understood(
    graph: AtenGraph,
    meanings: Sequence[Meaning],
    sizes: Mapping[Axis, int],
    choices: Choices,
) -> Reading:
    """The model with these meanings; raises `ConversionError`.

    States of a step that no layer carries become delays: all of them at first, then as few as do.
    """

    def tried(delayed: frozenset[str] | None) -> Reading:
        walked = Walk(
            graph=graph,
            meanings=tuple(meanings),
            ops=OPS,
            batch=sizes.get(BATCH),
            frames=None if TIME not in sizes else sizes[TIME] + (choices.get(ZEROS) or 0),
            zeros=choices.get(ZEROS),
            memory=sizes.get(MEMORY),
            choices=choices,
            delayed=delayed,
            may_attend=attends(graph)
            and any(not m.is_state and TIME not in m.axes for m in meanings),
        )
        try:
            return finished(walked)
        except ConversionError as error:
            raise marked(error, walked.done, misread=walked.misread) from None

    pairs = list(zip(graph.inputs, meanings, strict=True))
    names = [spec.name for spec, meaning in pairs if meaning.is_state]
    held = [spec.name for spec, meaning in pairs if meaning.is_memory]
    try:
        return tried(None)
    except ConversionError as error:
        if not names or TIME in sizes or not _are_states(graph, names, held):
            raise
        failure = error
    delayed = frozenset(names)
    try:
        found = tried(delayed)
    except ConversionError as error:
        raise max(failure, error, key=far) from None
    for name in names:
        with contextlib.suppress(ConversionError):
            found, delayed = tried(delayed - {name}), delayed - {name}
    return found


def _are_states(graph: AtenGraph, names: Sequence[str], held: Sequence[str]) -> bool:
    """True if these inputs, and no others but memories, are called states or start a layer."""
    given: set[str] = set()
    for node in graph.nodes:
        if node.op.split(".")[1].removesuffix("_cell") in CELLS:
            hx = node.arguments.get("hx")
            several = hx if isinstance(hx, list) else [hx]
            given.update(each.name for each in several if isinstance(each, Ref))
    inputs = {spec.name for spec in graph.inputs} - set(held)
    return set(names) == {name for name in inputs if are_called_states(name)} | (given & inputs)


def _is_usual(reading: Reading) -> bool:
    """True if the first axis of each frame is the batch."""
    return all(meaning.is_given or meaning.axes[0] == BATCH for meaning in reading.meanings)


def _state_names(reading: Reading) -> set[str]:
    pairs = zip(reading.walked.graph.inputs, reading.meanings, strict=True)
    return {spec.name for spec, meaning in pairs if meaning.is_state}


def finished(walked: Walk) -> Reading:
    """The model of a walk, and the meanings of its outputs."""
    outputs = walked.run()
    check_memories(walked, outputs)
    tensors: dict[int, Tracked] = {}
    for number, output in enumerate(outputs):
        if not isinstance(output, Tracked):
            raise ConversionError(f"output {number} does not depend on the input")
        try:
            x = walked.whole(output) if isinstance(output, Data) else output
            if any(axis.is_mixed and TIME.parts[0] in axis.parts for axis in x.axes):
                raise Unfit("it has frames and features on one axis, expected frames alone")
        except Unfit as problem:
            raise ConversionError(f"output {number}: {problem}") from None
        tensors[number] = x
    specs = walked.graph.inputs
    axes = {spec.name: each.axes for spec, each in zip(specs, walked.meanings, strict=True)}
    caller = Caller({spec.name: len(spec.shape) for spec in specs}, tensors, {}, axes)
    walked.handed_back = handed_back(walked, caller, steps=walked.in_steps)
    connect(walked, caller, walked.handed_back)
    given: dict[str, Value] = {}
    kept: dict[int, Data] = {}
    for number in left(caller, walked.handed_back):
        name, output = "y" if not given else f"y{len(given)}", tensors[number]
        try:
            if isinstance(output, Ended):
                raise Unfit(
                    f"it is the cell state {', '.join(output.states)}, which is no value of a "
                    "frame: leave it out of the outputs, and take it from "
                    "run(..., return_state=True)"
                )
            if not isinstance(output, Data):
                raise Unfit("it is an initial state")
            given[name] = walked.ordered(output)
        except Unfit as problem:
            raise ConversionError(f"output {number}: {problem}") from None
        kept[number] = output
    _check_looks_along_time(walked)
    if not given:
        raise ConversionError("it has no output but its state")
    unused = [
        spec.name
        for spec, m in zip(walked.graph.inputs, walked.meanings, strict=True)
        if m.is_state and not walked.states.get(spec.name) and spec.name not in walked.delays
    ]
    if unused:
        raise ConversionError(f"input {unused[0]!r} is no sequence, and starts no recurrent layer")
    values = [value.name for value in given.values()]
    renamed = known_cells(walked.builder, values, walked.looped)
    fold(walked.builder, values)
    graph = walked.builder.finish(given, {})
    read_by = {name for node in graph.nodes for name in node.inputs}
    idle = sorted((walked.still & set(graph.inputs)) - read_by)
    if idle:
        raise ConversionError(f"input {idle[0]!r} comes once for a sequence, and nothing reads it")
    alive = {f"{node.name}{end}" for node in graph.nodes for end in node.state_suffixes}
    walked.states = {
        name: [
            replace(part, state=state)
            for part in parts
            if (state := renamed.get(part.state, part.state)) in alive
        ]
        for name, parts in walked.states.items()
    }
    return Reading(graph, walked, tuple(kept.values()), tuple(kept))


def _check_looks_along_time(walked: Walk) -> None:
    """Refuse to call an axis batch or time where nothing tells these two from features.

    A loop over frames that is written out looks like that: each row of the batch is one frame of
    many features.
    """
    if walked.starts or walked.delays or walked.looks_along_time:
        return
    for spec, meaning in zip(walked.graph.inputs, walked.meanings, strict=True):
        is_usual = {BATCH, TIME} <= set(meaning.axes) and meaning.axes[-1] == FEATURES
        is_row = len(meaning.axes) == 2 and meaning.axes[-1] == FEATURES and spec.shape[-1] > 1
        if (len(meaning.axes) > 2 and not is_usual) or (spec.dtype.startswith("int") and is_row):
            walked.misread = True
            raise ConversionError(TIMELESS)


def fingerprint(reading: Reading) -> Any:
    """Equal for readings that compute the same."""
    graph = reading.graph
    nodes = tuple(
        (
            type(node),
            node.name,
            node.inputs,
            node.output,
            # The example's frames are the bound of a memory: another example has more of them.
            replace(node, frames=1).attributes if isinstance(node, Attention) else node.attributes,
            tuple((role, array.shape, array.tobytes()) for role, array in node.tensors().items()),
        )
        for node in graph.nodes
    )
    states = tuple(sorted(reading.walked.starts.items()))
    return nodes, graph.inputs, graph.outputs, states, reading.in_steps


def source_entries(reading: Reading) -> dict[str, Any]:
    """The axes of inputs and outputs, and the inputs that are initial states."""
    specs = list(zip(reading.walked.graph.inputs, reading.meanings, strict=True))
    entries: dict[str, Any] = {
        "axes": {spec.name: str(m) for spec, m in specs if not m.is_given},
        "outputs": {
            name: text_of(x.axes)
            for name, x in zip(reading.graph.outputs, reading.outputs, strict=True)
        },
    }
    if len(entries["axes"]) == 1:
        entries["axes"] = next(iter(entries["axes"].values()))
    states = {state: f"{name}[{row}]" for state, (name, row) in reading.walked.starts.items()}
    delays = {x.value.name.removesuffix(".out"): n for n, x in reading.walked.delays.items()}
    states |= {f"{delay}.x": name for delay, name in delays.items()}
    if states:
        entries["states"] = states
    if reading.walked.zeros:
        entries["zeros_after"] = reading.walked.zeros
    once = [name for name in reading.graph.inputs if name in reading.walked.still]
    if once:
        entries["once"] = once
    if reading.walked.bound:
        entries["frames"] = reading.walked.frames
    if reading.walked.booleans:
        entries["booleans"] = reading.walked.booleans
    if reading.walked.memories:
        entries["memories"] = dict(reading.walked.memories)
    return entries
