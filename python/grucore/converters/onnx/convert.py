# SPDX-License-Identifier: Apache-2.0
"""ONNX files and protos: what they hold, which axis is which, the graph.

A file does not say which axis of an input is batch, time or features. Every assignment is tried:
those that some operator contradicts (a GRU wants time where it wants it) fall away, and if the
rest do not all give the same model, the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from grucore._core import ConversionError
from grucore.converters.build.folding import fold
from grucore.converters.conversion import Conversion, ambiguous
from grucore.converters.onnx.carried import feedback_of
from grucore.converters.onnx.evaluate import Budget, folded
from grucore.converters.onnx.patterns import fuse
from grucore.converters.onnx.read.read import MAX_INPUTS, MAX_NODES, parse, source_of
from grucore.converters.onnx.read.source import CELL, AxesError, OnnxNode, Port, Source
from grucore.converters.onnx.reading import Layouts, Reading
from grucore.converters.onnx.state.axes import Axes, Axis, Data, Operand, Purpose
from grucore.converters.onnx.state.context import Work
from grucore.converters.onnx.walk import Undecided, check_operators, walk
from grucore.converters.onnx.witness import evidence_of
from grucore.converters.source import Given
from grucore.graph.layers import Conv1d, Direction, Flip, Gru, Pool, Take
from grucore.proof.signals import LENGTHS

__all__ = ["of_file", "of_proto", "read"]

MAX_TRIALS = 512
LEAST_LONGEST = 1009  # frames of the longest sequence of a proof
MOST_FRAMES = 5000  # numbers in the file above this are not tried
CALLS = 3  # of a file of so many frames whose states come back
# Operators through which a state or lengths may pass on their way to a GRU.
MOVING = {
    "Cast",
    "Concat",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
PURPOSES = {("GRU", 5): Purpose.STATE, ("GRU", 4): Purpose.LENGTHS, (CELL, 1): Purpose.STATE}


def of_file(given: Given, *, pytorch_lbr_fix: bool = False) -> Conversion:
    """The conversion of an ONNX file; numbers that it keeps elsewhere lie in its folder."""
    model, folder, about = parse(given.data), given.path.parent, {"file": given.name}
    return _conversion(read(model, folder, pytorch_lbr_fix=pytorch_lbr_fix, about=about))


def of_proto(model: Any, *, pytorch_lbr_fix: bool = False) -> Conversion:
    """The conversion of an ``onnx.ModelProto`` that has its numbers in it."""
    if not hasattr(model, "graph") or not hasattr(model, "opset_import"):
        raise TypeError(f"expected a path or an onnx.ModelProto, not {type(model).__name__}")
    return _conversion(read(model, pytorch_lbr_fix=pytorch_lbr_fix))


def _conversion(reading: Reading) -> Conversion:
    return Conversion(reading.graph, lambda: evidence_of(reading, _lengths(reading)))


def _lengths(reading: Reading) -> tuple[int, ...]:
    """The frames of the proof's sequences: one is longer than any number in the file says."""
    if reading.frames is not None and not reading.steps:
        return (reading.frames * (CALLS if reading.in_chunks else 1),)
    # Shorter than its windows, onnxruntime refuses a sequence.
    least = 1 + max(value.skip for value in reading.graph.values)
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
    fused = fuse(folded(source, budget))
    check_operators(fused)
    purposes = {port.name: _purpose(fused, port) for port in fused.inputs}
    search = _Search(fused, purposes, budget)
    found = _without_twins(search.readings({}))
    first = found[0]
    for other in found[1:]:
        if _signature(other) != _signature(first):
            raise ambiguous(
                sorted({_layouts_text(fused, first[2]), _layouts_text(fused, other[2])})
            )
    return _finished(source, first, about or {})


_Found: TypeAlias = tuple[Work, dict[str, Operand], Layouts]


class _Search:
    """Tries axes for one input after the other, as the walk comes to need them."""

    def __init__(
        self, source: Source, purposes: Mapping[str, Purpose | None], budget: Budget
    ) -> None:
        self.budget = budget
        self.source = source
        self.purposes = purposes
        self.trials = 0

    def readings(self, layouts: Layouts) -> list[_Found]:
        self.trials += 1
        if self.trials > MAX_TRIALS:
            raise ConversionError(f"{len(self.source.inputs)} inputs have too many readings")
        try:
            work, outputs = walk(self.source, layouts, self.purposes, self.budget.fork())
            _check_lengths(work)
            return [(work, outputs, layouts)]
        except Undecided as undecided:
            port = undecided.port
        results: list[_Found] = []
        best: tuple[int, bool, str] | None = None
        for axes in _candidates(port, self.purposes):
            tried = {**layouts, port.name: axes}
            try:
                results += self.readings(tried)
            except ConversionError as error:
                reached = getattr(error, "reached", -1)
                sound = not isinstance(error, AxesError)
                if best is None or (reached, sound) > best[:2]:
                    text = str(error)
                    if reached >= 0 and " read as " not in text:
                        text = f"{text} (with {_layouts_text(self.source, tried)})"
                    best = reached, sound, text
        if not results:
            dims = ", ".join("?" if size is None else str(size) for size in port.dims)
            what = f"input {port.name!r} of shape ({dims}) has no reading with batch and time"
            sort = ConversionError if best is None or best[1] else AxesError
            failure = sort(best[2] if best else what)
            failure.reached = best[0] if best else -1  # type: ignore[attr-defined]
            raise failure
        return results


def _candidates(port: Port, purposes: Mapping[str, Purpose | None]) -> Iterator[Axes]:
    """The axes that an input may have; features need a size."""
    rank = len(port.dims)
    purpose = purposes[port.name]
    has_states = Purpose.STATE in purposes.values()
    kinds: list[tuple[Axis, ...]] = [(Axis.BATCH, Axis.TIME)]
    if purpose is not None:
        kinds = [(Axis.BATCH,)]
        if purpose is Purpose.STATE and rank in (1, 2):
            kinds.append(())
    elif rank < 3:
        kinds.append((Axis.TIME,))
        if has_states:
            kinds.append((Axis.BATCH,))
    for outer in kinds:
        for places in permutations(range(rank), len(outer)):
            axes = [Axis.FEATURES] * rank
            for place, axis in zip(places, outer, strict=True):
                axes[place] = axis
            if all(
                isinstance(size, int)
                for axis, size in zip(axes, port.dims, strict=True)
                if axis is Axis.FEATURES
            ):
                yield tuple(axes)


def _purpose(source: Source, port: Port) -> Purpose | None:
    """Whether an input is a state or lengths; None: frames."""
    reached = {port.name}
    found: dict[Purpose | None, OnnxNode] = {}
    for node in source.nodes:
        for place, name in enumerate(node.inputs):
            if name not in reached or node.op == "Shape":
                continue
            purpose = PURPOSES.get((node.op, place))
            if purpose is None and node.op in MOVING:
                reached.update(filter(None, node.outputs))
            else:
                found.setdefault(purpose, node)
    is_special = any(purpose is not None for purpose in found)
    if is_special and (len(found) > 1 or reached.intersection(source.outputs)):
        places = " and ".join(node.label for node in found.values())
        raise ConversionError(
            f"input {port.name!r} is a state or lengths, and is read otherwise as well ({places})"
        )
    return next(iter(found), None)


def _check_lengths(work: Work) -> None:
    """With lengths, nothing but a GRU that has them may look at what lies past the end."""
    if work.lengths_input is None:
        return
    for node in work.builder.nodes:
        if node.name in work.bounded:
            continue
        is_reverse = isinstance(node, Gru) and node.direction is Direction.REVERSE
        looks_ahead = isinstance(node, Conv1d) and not node.streamable
        if is_reverse or looks_ahead or isinstance(node, Take | Pool | Flip):
            late = ConversionError(
                f"{node.layer} {node.name!r} also reads what lies past the lengths that input "
                f"{work.lengths_input!r} gives: the file means the padding there"
            )
            late.reached = MAX_NODES  # type: ignore[attr-defined]
            raise late


def _is_timed(layouts: Layouts) -> bool:
    return any(Axis.TIME in kinds for kinds in layouts.values())


def _without_twins(found: list[_Found]) -> list[_Found]:
    """The readings; of a model that is fed its state an axis of size 1 is time, not a feature.

    An id (batch, 1) can be read both ways, and either way it is one frame in each call.
    """
    if not all(work.states for work, _, _ in found):
        return found
    timed = [each for each in found if _is_timed(each[2])]
    return timed if timed and all(work.frames == 1 for work, _, _ in timed) else found


def _signature(found: _Found) -> tuple[Any, ...]:
    work, outputs, layouts = found
    # Batch and time may change places where a model takes row after row; features may not.
    places = {
        name: tuple(axis is Axis.FEATURES for axis in axes)
        for name, axes in layouts.items()
        if name in work.builder.inputs
    }
    return (
        sorted(places.items()),
        tuple(
            (type(node), node.name, node.inputs, node.output, node.attributes, _bytes(node))
            for node in work.builder.nodes
        ),
        tuple(
            (name, operand.value.name, operand.index.tobytes())
            for name, operand in outputs.items()
            if isinstance(operand, Data)
        ),
        tuple(work.builder.values),
        sorted((name, part.first, part.state) for name, ps in work.states.items() for part in ps),
        work.lengths_input,
    )


def _bytes(node: Any) -> tuple[Any, ...]:
    return tuple(
        (role, array.shape, hash(array.tobytes())) for role, array in node.tensors().items()
    )


def _layouts_text(source: Source, layouts: Layouts) -> str:
    return ", ".join(
        f"input {port.name!r} read as ({', '.join(layouts[port.name])})"
        for port in source.inputs
        if port.name in layouts
    )


def _finished(
    source: Source,
    found: _Found,
    about: Mapping[str, Any],
) -> Reading:
    work, operands, layouts = found
    builder = work.builder
    order = {port.name: place for place, port in enumerate(source.inputs)}
    builder.inputs.sort(key=lambda name: order.get(name, 0))
    firsts = {value.name: value for value in builder.values if value.name in builder.inputs}
    builder.values[:] = [firsts[name] for name in builder.inputs] + [
        value for value in builder.values if value.name not in firsts
    ]
    outputs = {}
    axes = {}
    for name, operand in operands.items():
        if not isinstance(operand, Data):
            raise ConversionError(f"output {name!r} is not computed by the model")
        outputs[name] = work.features(OnnxNode("output", name, (), ()), operand)
        axes[name] = operand.axes
    if not builder.inputs:
        raise ConversionError("no input of the file is a sequence that the model reads")
    # One frame each time: the file has no time axis, or one of size 1 and a state to feed back.
    steps = not _is_timed(layouts) or (work.frames == 1 and bool(work.states))
    feedback = feedback_of(source, work, operands, steps=steps)
    fold(builder, [value.name for value in outputs.values()])
    entries: dict[str, Any] = {**about, **source.about}
    entries["axes"] = {
        **{name: f"({', '.join(kinds)})" for name, kinds in layouts.items()},
        **{name: f"({', '.join(kinds)})" for name, kinds in axes.items()},
    }
    for name, parts in work.states.items():
        note = ", ".join(part.state for part in sorted(parts, key=lambda part: part.first))
        entries.setdefault("states", {})[name] = f"the input is the state of {note}"
    if work.lengths_input is not None:
        entries["lengths"] = f"input {work.lengths_input!r} is lengths= of run"
    unused = [port.name for port in source.inputs if port.name not in layouts]
    if unused:
        entries["unused_inputs"] = unused
    if work.frames is not None and not steps:
        entries["frames"] = f"the file fixes {work.frames}: the model takes any number"
    graph = builder.finish(outputs, {"source": entries})
    return Reading(graph, source, layouts, axes, work.frames, work.batch, feedback, steps)
