# SPDX-License-Identifier: Apache-2.0
"""Finds out which axes of a graph's inputs are batch and time: those with which it all fits.

Every assignment of meanings to axes is walked through the whole graph; operations refuse axes that
they cannot mean. The rest is either one model, whose axes are then known, or a refusal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeAlias

from grucore._core import ConversionError
from grucore.converters.build.folding import fold
from grucore.converters.conversion import ambiguous
from grucore.converters.torch.aten import AtenGraph, InputSpec
from grucore.converters.torch.carried import are_states, feed_back
from grucore.converters.torch.ops import OPS
from grucore.converters.torch.returned import check_order, check_returned, inputs_of, states_of
from grucore.converters.torch.walk.axes import BATCH, TIME, Flow, Unfit
from grucore.converters.torch.walk.walk import Meaning, Walk
from grucore.graph.graph import Graph
from grucore.proof.signals import LENGTHS

__all__ = ["Reading", "fingerprint", "only", "read", "readings", "source_entries"]

MAX_ASSIGNMENTS = 4096
Failure: TypeAlias = tuple[tuple[bool, int], ConversionError]  # how far it came, and why
# Layers that tell time from batch and features.
ALONG_TIME = ("gru", "lstm", "rnn", "conv1d", "take", "pool", "pool1d", "flip")
IDS = ("int64", "int32")


@dataclass(frozen=True)
class Reading:
    """A graph that is understood: the model, and what the tensors around it mean."""

    graph: Graph
    walked: Walk
    outputs: tuple[Flow, ...]
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
    found: dict[Any, Reading] = {}
    failure: Failure | None = None
    for meanings, sizes in _assignments(graph.inputs):
        reading, failed = _understood(graph, meanings, sizes)
        if reading is not None:
            found.setdefault(fingerprint(reading), reading)
        elif failed is not None and (failure is None or failed[0] > failure[0]):
            failure = failed
    if not found:
        if failure is None:
            shapes = ", ".join(f"{spec.name} {spec.shape}" for spec in graph.inputs)
            raise ConversionError(f"no axes of the inputs ({shapes}) can be batch and time")
        raise failure[1]
    # What is called a state, and can be one, is one.
    states = {name for each in found.values() for name in each.walked.delays}
    found = {key: each for key, each in found.items() if states <= _state_names(each)}
    usual = {key: each for key, each in found.items() if each.walked.delays and _is_usual(each)}
    found = usual or found
    # A rule for every row of a batch holds for rows that are called features as well.
    batched = [each for each in found.values() if BATCH in each.walked.sizes]
    return batched or list(found.values())


def only(found: Sequence[Reading]) -> Reading:
    """The one reading there is; `ConversionError` that lists what the axes may be if several."""
    if len(found) > 1:
        raise ambiguous(each.axes_text for each in found)
    return found[0]


def read(graph: AtenGraph, meanings: Sequence[Meaning]) -> Reading:
    """The graph, understood with these meanings of its inputs."""
    sizes = _sizes(graph.inputs, meanings)
    if sizes is None:
        raise ConversionError("the inputs disagree about batch or time")
    reading, failure = _understood(graph, meanings, sizes)
    if reading is None:
        assert failure is not None
        raise failure[1]
    return reading


def _understood(
    graph: AtenGraph, meanings: Sequence[Meaning], sizes: Mapping[str, int]
) -> tuple[Reading | None, Failure | None]:
    """The model with these meanings, or why there is none.

    States of a step that no layer carries become delays: all of them at first, then as few as do.
    """
    failure: Failure | None = None
    pairs = zip(graph.inputs, meanings, strict=True)
    names = [spec.name for spec, meaning in pairs if meaning.is_state]
    has_delays = bool(names) and TIME not in sizes and are_states(graph, names)
    delayed: frozenset[str] | None = None
    while True:
        walked = Walk(graph, tuple(meanings), dict(sizes), OPS, delayed=delayed)
        try:
            found = finished(walked)
            break
        except ConversionError as error:
            rank = (not walked.misread, walked.done)
            if failure is None or rank > failure[0]:
                failure = (rank, error)
        if not has_delays or delayed is not None:
            return None, failure
        delayed = frozenset(names)
    for name in names if delayed is not None else ():
        fewer = (delayed or frozenset()) - {name}
        walked = Walk(graph, tuple(meanings), dict(sizes), OPS, delayed=fewer)
        with contextlib.suppress(ConversionError):
            found, delayed = finished(walked), fewer
    return found, None


def _is_usual(reading: Reading) -> bool:
    """True if the first axis of each frame is the batch."""
    return all(meaning.is_state or meaning.axes[0] == (BATCH,) for meaning in reading.meanings)


def _state_names(reading: Reading) -> set[str]:
    pairs = zip(reading.walked.graph.inputs, reading.meanings, strict=True)
    return {spec.name for spec, meaning in pairs if meaning.is_state}


def finished(walked: Walk) -> Reading:
    """The model of a walk, and the meanings of its outputs."""
    outputs = walked.run()
    given: dict[str, Any] = {}
    flows: list[Flow] = []
    kept: list[int] = []
    returned = set()
    back: list[tuple[str, int]] = []
    paired = {} if walked.delayed is None else feed_back(walked, outputs)
    for name, number in paired.items():
        if name not in walked.delays:
            walked.given_back[number] = states_of(walked, outputs[number])
            returned.update(walked.given_back[number])
    is_state_alone = len(paired) == len(outputs)
    for number, output in enumerate(outputs):
        if number in paired.values() and (not is_state_alone or output.is_state):
            continue
        if not isinstance(output, Flow):
            raise ConversionError(f"output {number} does not depend on the input")
        name = "y" if not given else f"y{len(given)}"
        try:
            flow = output if output.is_state else walked.whole(output)
            if any(TIME in axis and any(isinstance(a, int) for a in axis) for axis in flow.axes):
                raise Unfit("it has frames and features on one axis, expected frames alone")
            made_of = set() if paired else states_of(walked, flow)
            returned.update(made_of)
            if made_of:
                walked.given_back[number] = made_of
                back += [(name, number) for name in inputs_of(walked, made_of)]
                continue  # the state that a stream carries itself
            if flow.is_state:
                raise Unfit("it is an initial state")
            value = walked.ordered(flow)
        except Unfit as problem:
            raise ConversionError(f"output {number}: {problem}") from None
        given[name] = value
        flows.append(flow)
        kept.append(number)
    if walked.in_steps:
        _check_steps(walked, returned)
        check_order(walked, back)
    elif walked.states:
        check_returned(walked, dict(zip(kept, flows, strict=True)), back)
    _check_looks_along_time(walked)
    if not given:
        raise ConversionError("it has no output but its state")
    unused = [
        spec.name
        for spec, m in zip(walked.graph.inputs, walked.meanings, strict=True)
        if m.is_state
        and spec.name not in {name for name, _ in walked.states.values()} | set(walked.delays)
    ]
    if unused:
        raise ConversionError(f"input {unused[0]!r} is no sequence, and starts no recurrent layer")
    fold(walked.builder, [value.name for value in given.values()])
    graph = walked.builder.finish(given, {})
    alive = {f"{node.name}{end}" for node in graph.nodes for end in node.state_suffixes}
    walked.states = {name: row for name, row in walked.states.items() if name in alive}
    return Reading(graph, walked, tuple(flows), tuple(kept))


def _check_looks_along_time(walked: Walk) -> None:
    """Refuse to call an axis batch or time where nothing tells these two from features.

    A loop over frames that is written out looks like that: each row of the batch is one frame of
    many features.
    """
    if (
        walked.states
        or walked.delays
        or any(node.layer in ALONG_TIME for node in walked.builder.nodes)
    ):
        return
    for meaning in walked.meanings:
        atoms = {atom for axis in meaning.axes for atom in axis if isinstance(atom, str)}
        is_usual = len(atoms) == 2 and isinstance(meaning.axes[-1][0], int)
        if len(meaning.axes) > 2 and not is_usual:
            walked.misread = True
            raise ConversionError("nothing in it looks along time, and an axis of it may be time")


def _check_steps(walked: Walk, returned: set[str]) -> None:
    for name, (state, row) in walked.states.items():
        if name not in returned:
            raise ConversionError(
                f"row {row} of the state {state!r} goes into {name}, but no output gives it back"
            )


def fingerprint(reading: Reading) -> Any:
    """Equal for readings that compute the same."""
    graph = reading.graph
    nodes = tuple(
        (
            type(node),
            node.name,
            node.inputs,
            node.output,
            node.attributes,
            tuple((role, array.shape, array.tobytes()) for role, array in node.tensors().items()),
        )
        for node in graph.nodes
    )
    states = tuple(sorted(reading.walked.states.items()))
    return nodes, graph.inputs, graph.outputs, states


def _assignments(
    inputs: Sequence[InputSpec],
) -> Iterator[tuple[tuple[Meaning, ...], dict[str, int]]]:
    count = 0
    for meanings in _consistent(inputs, (), {}):
        sizes = _sizes(inputs, meanings)
        if sizes is None:
            continue
        count += 1
        if count > MAX_ASSIGNMENTS:
            raise ConversionError(f"{len(inputs)} inputs have too many possible meanings")
        yield meanings, sizes


def _consistent(
    inputs: Sequence[InputSpec], before: tuple[Meaning, ...], sizes: dict[str, int]
) -> Iterator[tuple[Meaning, ...]]:
    """Meanings of all inputs that agree about the extents of batch and time."""
    if len(before) == len(inputs):
        yield before
        return
    spec = inputs[len(before)]
    for meaning in _options(spec):
        more = dict(sizes)
        pairs = zip(spec.shape, meaning.axes, strict=True)
        if all(
            not isinstance(axis[0], str) or more.setdefault(axis[0], extent) == extent
            for extent, axis in pairs
        ):
            yield from _consistent(inputs, (*before, meaning), more)


def _sizes(inputs: Sequence[InputSpec], meanings: Sequence[Meaning]) -> dict[str, int] | None:
    """The extents of batch and time, or None if the inputs disagree."""
    sizes: dict[str, int] = {}
    if all(meaning.is_state for meaning in meanings):
        return None
    timed = {
        any(TIME in axis for axis in meaning.axes) for meaning in meanings if not meaning.is_state
    }
    if len(timed) > 1:
        return None
    stateless = not any(meaning.is_state for meaning in meanings)
    if timed == {False} and stateless and not _are_frames(meanings):
        return None
    for spec, meaning in zip(inputs, meanings, strict=True):
        for extent, axis in zip(spec.shape, meaning.axes, strict=True):
            if isinstance(axis[0], str) and sizes.setdefault(axis[0], extent) != extent:
                return None
    batched = {any(BATCH in axis for axis in meaning.axes) for meaning in meanings}
    return None if len(batched) > 1 and stateless else sizes


def _are_frames(meanings: Sequence[Meaning]) -> bool:
    """True if each input is a frame of a model that carries no state at all."""
    return all(any(BATCH in axis for axis in meaning.axes) for meaning in meanings)


def _options(spec: InputSpec) -> Iterator[Meaning]:
    """The meanings that the axes of an input can have; the most usual first."""
    rank = len(spec.shape)
    roles = [(BATCH, TIME), (TIME,), (BATCH,), ()]
    for wanted in roles:
        if len(wanted) > rank:
            continue
        for places in permutations(range(rank), len(wanted)):
            axes: list[tuple[Any, ...]] = [(extent,) for extent in spec.shape]
            for place, role in zip(places, wanted, strict=True):
                axes[place] = (role,)
            yield Meaning(tuple(axes))
            if TIME not in wanted and spec.dtype not in IDS and rank in (2, 3):
                yield Meaning(tuple(axes), is_state=True)


def source_entries(reading: Reading) -> dict[str, Any]:
    """The axes of inputs and outputs, and the inputs that are initial states."""
    specs = list(zip(reading.walked.graph.inputs, reading.meanings, strict=True))
    entries: dict[str, Any] = {
        "axes": {spec.name: str(m) for spec, m in specs if not m.is_state},
        "outputs": {
            name: str(Meaning(flow.axes))
            for name, flow in zip(reading.graph.outputs, reading.outputs, strict=True)
        },
    }
    if len(entries["axes"]) == 1:
        entries["axes"] = next(iter(entries["axes"].values()))
    states = {state: f"{name}[{row}]" for state, (name, row) in reading.walked.states.items()}
    delays = {flow.value.name.removesuffix(".out"): n for n, flow in reading.walked.delays.items()}
    states |= {f"{delay}.x": name for delay, name in delays.items()}
    if states:
        entries["states"] = states
    return entries
