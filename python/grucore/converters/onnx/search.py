# SPDX-License-Identifier: Apache-2.0
"""Which axis of an input is batch, time or features: every assignment is tried.

Those that some operator contradicts fall away (a GRU wants time where it wants it). If the rest do
not all give the same model, the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, permutations, product
from typing import Any, TypeAlias

from grucore._core import ConversionError
from grucore.converters.conversion import ambiguous
from grucore.converters.onnx.context import Work
from grucore.converters.onnx.evaluate import Budget
from grucore.converters.onnx.ops.sound import hops
from grucore.converters.onnx.read.read import MAX_NODES
from grucore.converters.onnx.read.source import BEFORE, CELL, RECURRENT, OnnxNode, Port, Source
from grucore.converters.onnx.walk import check_operators, walk
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Axes,
    Data,
    Operand,
    Purpose,
    samples,
    text_of,
)
from grucore.converters.trace.memory import MEMORY
from grucore.converters.trace.search import Search, far, marked
from grucore.graph.layers import Conv1d, Direction, Flip, Pool, Recurrent, Take

__all__ = ["Found", "Layouts", "decided", "is_timed"]

Layouts: TypeAlias = Mapping[str, Axes]
MAX_TRIALS = 512
MAX_SIZES, MAX_FORMS = 8, 32  # of features that the file leaves open
# Operators through which a state or lengths may pass on their way to a recurrent layer.
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
PURPOSES = {
    **{(op, 4): Purpose.LENGTHS for op in RECURRENT},
    **{(op, 5): Purpose.STATE for op in RECURRENT},
    ("LSTM", 6): Purpose.STATE,
    (CELL, 1): Purpose.STATE,
    (BEFORE, 0): Purpose.STATE,
}


@dataclass(frozen=True)
class Found:
    """A reading that nothing contradicts: what the walk made, with the axes that were tried."""

    work: Work
    outputs: dict[str, Operand]
    layouts: Layouts
    ports: tuple[Port, ...]


def decided(source: Source, budget: Budget, delayed: frozenset[str] | None = None) -> Found:
    """The one reading of a graph; raises `ConversionError` if there is none, or several.

    ``delayed``: the state inputs that are values of the frame before, of a file that takes one
    frame a call; None where that is not known.
    """
    check_operators(source)
    purposes = {
        port.name: Purpose.STATE if port.name in (delayed or ()) else _purpose(source, port)
        for port in source.inputs
    }
    best: ConversionError | None = None
    for ports in _sized(source):
        tried = replace(source, inputs=ports)
        try:
            readings = _search(tried, purposes, budget, delayed).readings({})
            readings = _without_twins(readings) if delayed is None else _usual(readings)
            return _only(tried, [each for each in readings if not each.work.bound] or readings)
        except ConversionError as error:
            if best is None or far(error) > far(best):
                best = error
    assert best is not None
    raise best


def _only(source: Source, found: list[Found]) -> Found:
    first = found[0]
    for other in found[1:]:
        if _signature(other) != _signature(first):
            texts = sorted({_layouts_text(source, each.layouts) for each in (first, other)})
            if len(texts) == 1:
                texts = sorted({_choices_text(source, each.layouts) for each in (first, other)})
            raise marked(ambiguous(texts), MAX_NODES)
    return first


def _sized(source: Source) -> Iterator[tuple[Port, ...]]:
    """The inputs as the file has them; then with a size for features that it leaves open, out of
    those that its weights read."""
    yield source.inputs
    sizes = sorted(_sizes(source))[:MAX_SIZES]
    choices = []
    for port in source.inputs:
        left_open = [place for place, size in enumerate(port.dims) if not isinstance(size, int)]
        forms = [port]
        # A size above 1 that the file fixes is that of the features, or of frames beside features
        # that it fixes as well: an axis left open beside it is neither.
        fixes = any(isinstance(size, int) and size > 1 for size in port.dims)
        if len(left_open) > 1 and sizes and not fixes:
            forms = [
                replace(port, dims=(*port.dims[:place], size, *port.dims[place + 1 :]))
                for place in reversed(left_open)
                for size in sizes
            ]
        choices.append(forms)
    if any(len(forms) > 1 or forms[0] not in source.inputs for forms in choices):
        yield from islice(product(*choices), MAX_FORMS)


def _sizes(source: Source) -> set[int]:
    """The sizes of features that the weights of the file read."""
    found: set[int] = set()
    for node in source.nodes:
        if node.op in ("GRU", "LSTM", "RNN", "MatMul", "Gemm", "Conv") and len(node.inputs) > 1:
            weight = source.constants.get(node.inputs[1])
            if weight is not None and weight.ndim > 1:
                last = node.op in RECURRENT or bool(node.get("transB", 0))
                place = 1 if node.op == "Conv" else -1 if last else -2
                found.add(int(weight.shape[place]) * node.get("group", 1))
                if node.op in RECURRENT:
                    found.add(int(node.get("hidden_size", 1)))
    return found


def _search(
    source: Source,
    purposes: Mapping[str, Purpose | None],
    budget: Budget,
    delayed: frozenset[str] | None,
) -> Search[Found]:
    ports, spans = {port.name: port for port in source.inputs}, hops(source)
    attends = len(ports) > 1 and any(node.op == "Softmax" for node in source.nodes)

    def one(layouts: Layouts) -> Found:
        work, outputs = walk(source, layouts, purposes, budget.fork(), delayed)
        _check_lengths(work)
        unused = {n for n, axes in layouts.items() if MEMORY in axes} - {*work.memories.values()}
        if unused:
            message = f"input {min(unused)!r} is no memory: nothing attends to it"
            raise marked(ConversionError(message), MAX_NODES)
        if work.still.issuperset(work.builder.inputs):
            raise marked(ConversionError("no input of the file has frames"), MAX_NODES)
        return Found(work, outputs, layouts, source.inputs)

    def options(name: str, _: Layouts) -> list[Axes]:
        found = list(_candidates(ports[name], purposes, in_steps=delayed is not None))
        if ports[name].dtype.startswith("float"):
            found = [*_of_samples(ports[name], found, spans), *found]
        if attends and purposes[name] is None:
            found += _memories(ports[name])
        if not found:
            dims = ", ".join("?" if size is None else str(size) for size in ports[name].dims)
            raise ConversionError(
                f"input {name!r} of shape ({dims}) has no reading with batch and time"
            )
        return found

    return Search(one, options, lambda layouts: _layouts_text(source, layouts), MAX_TRIALS)


def _candidates(
    port: Port, purposes: Mapping[str, Purpose | None], *, in_steps: bool = False
) -> Iterator[Axes]:
    """The axes that an input may have; features need a size."""
    rank = len(port.dims)
    purpose = purposes[port.name]
    has_states = Purpose.STATE in purposes.values()
    has_others = sum(each is None for each in purposes.values()) > 1
    kinds: list[Axes] = [(BATCH, TIME)]
    if in_steps:
        kinds = [(BATCH,), ()]
    elif purpose is not None:
        kinds = [(BATCH,)]
        if purpose is Purpose.STATE and rank in (1, 2):
            kinds.append(())
    elif rank < 3:
        kinds.append((TIME,))
        if has_states or has_others:  # one frame a call, or once for a sequence
            kinds.append((BATCH,))
    for outer in kinds:
        for places in permutations(range(rank), len(outer)):
            axes = [FEATURES] * rank
            for place, axis in zip(places, outer, strict=True):
                axes[place] = axis
            if all(
                isinstance(size, int)
                for axis, size in zip(axes, port.dims, strict=True)
                if axis == FEATURES
            ):
                yield tuple(axes)


def _of_samples(port: Port, found: Iterable[Axes], spans: Iterable[int]) -> Iterator[Axes]:
    """The same with samples along time, so many in each frame."""
    for hop in spans:
        for axes in found:
            if BATCH not in axes and len(axes) > 1:
                continue
            size = port.dims[axes.index(TIME)] if TIME in axes else None
            if TIME in axes and (not isinstance(size, int) or size % hop == 0):
                yield tuple(samples(hop) if axis == TIME else axis for axis in axes)


def _memories(port: Port) -> Iterator[Axes]:
    """The axes of an input of frames that are attended to; the file has to say how many."""
    rank = len(port.dims)
    wanted: list[Axes] = [(BATCH, MEMORY), (MEMORY,)]
    for outer in wanted:
        if len(outer) >= rank or port.is_integer or port.dtype == "bool":
            continue
        for places in permutations(range(rank), len(outer)):
            axes = [FEATURES] * rank
            for place, axis in zip(places, outer, strict=True):
                axes[place] = axis
            sizes = zip(axes, port.dims, strict=True)
            if all(isinstance(size, int) for axis, size in sizes if axis != BATCH):
                yield tuple(axes)


def _purpose(source: Source, port: Port) -> Purpose | None:
    """True if an input is a state or lengths; None: frames."""
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
    """With lengths, only a recurrent layer that has them may look at what lies past the end."""
    if work.lengths_input is None:
        return
    for node in work.builder.nodes:
        if node.name in work.bounded:
            continue
        is_reverse = isinstance(node, Recurrent) and node.direction is Direction.REVERSE
        looks_ahead = isinstance(node, Conv1d) and not node.streamable
        if is_reverse or looks_ahead or isinstance(node, Take | Pool | Flip):
            raise marked(
                ConversionError(
                    f"{node.layer} {node.name!r} also reads what lies past the lengths that input "
                    f"{work.lengths_input!r} gives: the file means the padding there"
                ),
                MAX_NODES,
            )
    for value in work.builder.values:
        if value.skip or value.period != 1:
            raise marked(
                ConversionError(
                    f"{value.name!r} has fewer frames than its input, and the lengths that input "
                    f"{work.lengths_input!r} gives count those of the padded sequence"
                ),
                MAX_NODES,
            )


def is_timed(work: Work, layouts: Layouts) -> bool:
    """True if an input has frames along an axis."""
    return any(axis == TIME or axis.hop for name in work.builder.inputs for axis in layouts[name])


def _without_twins(found: list[Found]) -> list[Found]:
    """The readings; of a model that is fed its state an axis of size 1 is time, not a feature.

    An id (batch, 1) can be read both ways, and either way it is one frame in each call.
    """
    if not all(each.work.states for each in found):
        return found
    timed = [each for each in found if is_timed(each.work, each.layouts)]
    return timed if timed and all(each.work.frames == 1 for each in timed) else found


def _usual(found: list[Found]) -> list[Found]:
    """The likelier readings of one frame: each input has a batch, and it comes first in those that
    are no states. Where none is so, all of them."""
    batched = [each for each in found if all(BATCH in axes for axes in each.layouts.values())]
    first = [
        each
        for each in batched
        if all(each.layouts[name][0] == BATCH for name in each.work.builder.inputs)
    ]
    return first or batched or found


def _signature(found: Found) -> tuple[Any, ...]:
    work, outputs, layouts = found.work, found.outputs, found.layouts
    # Batch and time may change places where a model takes row after row; features may not.
    places = {
        name: tuple(axis == FEATURES for axis in axes)
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
        f"input {port.name!r} read as {text_of(layouts[port.name])}"
        for port in source.inputs
        if port.name in layouts
    )


def _choices_text(source: Source, layouts: Layouts) -> str:
    """The choice for each Reshape that leaves more than one possible."""
    makers = {name: node.label for node in source.nodes for name in node.outputs}
    found = [f"{makers[n]} giving {text_of(a)}" for n, a in layouts.items() if n in makers]
    return f"{', '.join(found)} (export with dynamic sizes)"
