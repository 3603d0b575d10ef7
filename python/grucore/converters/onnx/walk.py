# SPDX-License-Identifier: Apache-2.0
"""The operators that we know, and the walk over a graph with the axes of its inputs decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from grucore._core import ConversionError
from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.evaluate import Budget, evaluate
from grucore.converters.onnx.ops.attention import ON_MEMORY, reads_memory
from grucore.converters.onnx.ops.elementwise import ELEMENTWISE
from grucore.converters.onnx.ops.fold import FOLDS, fold
from grucore.converters.onnx.ops.loops import LOOPS
from grucore.converters.onnx.ops.norms import NORMS
from grucore.converters.onnx.ops.products import PRODUCTS
from grucore.converters.onnx.ops.recurrent import RECURRENT
from grucore.converters.onnx.ops.reductions import REDUCTIONS
from grucore.converters.onnx.ops.shapes import SHAPES
from grucore.converters.onnx.ops.sound import SOUND
from grucore.converters.onnx.ops.windows import WINDOWS
from grucore.converters.onnx.read.source import CELL, LOOP_TEXT, Body, OnnxNode, Port, Source
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    RISING,
    TIME,
    Axes,
    Axis,
    Data,
    Held,
    Operand,
    Purpose,
    Spread,
    Tracked,
    Undecided,
    Unfit,
    WrongAxes,
    arrange,
    spread,
)
from grucore.converters.trace.memory import MEMORY, Memory, Scores
from grucore.converters.trace.ops.elementwise import broadcast
from grucore.converters.trace.search import marked
from grucore.converters.trace.sizes import Unknown
from grucore.graph.tensors import Array, Dtype

__all__ = ["OPERATORS", "check_operators", "walk"]

OPERATORS: Table = {
    **SHAPES,
    **ELEMENTWISE,
    **RECURRENT,
    **PRODUCTS,
    **NORMS,
    **REDUCTIONS,
    **WINDOWS,
    **LOOPS,
    **SOUND,
}


# Operators with a graph inside that stand where it can not be read, and others with a way out.
LEFT = {
    "If": (
        "it chooses between two graphs by what depends on the input, which is not read. Export "
        "with fixed sizes, or write squeeze with the axis and no condition on sizes"
    ),
    **dict.fromkeys(("Resize", "Upsample", "ConvTranspose"), f"it {RISING}"),
    "SequenceMap": f"it is a loop over a list of tensors. {LOOP_TEXT}",
}
HALVES, WHOLES = (10, 16), (1, 11)  # TensorProto's float16, bfloat16; float, double


def check_operators(source: Source) -> None:
    """Refuse, by name, what no reading of the inputs could make possible."""
    nodes = list(_with_branches(source.nodes))
    cells = {name for node in nodes if node.op == CELL for name in node.outputs}
    for node in nodes:
        known = OPERATORS.get(node.op)
        if node.op == CELL and node.inputs[1] in cells:
            raise node.refuse(
                "its state is that of the cell of the frame before: a loop over frames inside the "
                "model is not supported, export the cell for one frame, or convert the module"
            )
        if known is None and node.op != "If":
            if node.op in LEFT:
                raise node.refuse(LEFT[node.op])
            if node.op not in FOLDS and node.op != "ReduceProd":
                raise node.refuse("this operator is not supported")
        elif known is not None:
            node.check_attributes(known[1])
    _check_rounding(source)


def _with_branches(nodes: Iterable[OnnxNode]) -> Iterator[OnnxNode]:
    """The nodes, and those of both branches of an If, which sizes may decide."""
    for node in nodes:
        yield node
        for body in _branches(node):
            yield from _with_branches(body.nodes)


def _branches(node: OnnxNode) -> list[Body]:
    found = [node.attributes.get(f"{word}_branch") for word in ("then", "else")]
    return [body for body in found if isinstance(body, Body)] if node.op == "If" else []


def _taken(node: OnnxNode, condition: Operand | None) -> list[OnnxNode]:
    """The nodes of the branch that a known condition takes."""
    branches = _branches(node)
    if isinstance(condition, Tracked) or condition is None or len(branches) != 2:
        raise node.refuse(LEFT["If"])
    body = branches[0 if condition.all() else 1]
    pairs = zip(body.outputs, node.outputs, strict=False)
    ends = [OnnxNode("Identity", node.name, (inner,), (name,)) for inner, name in pairs if name]
    return [*body.nodes, *ends]


def _check_rounding(source: Source) -> None:
    """Refuse numbers that go to half precision and come straight back.

    A file in mixed precision, which has half-precision weights, is read as float32 throughout, as
    `.half()` is. In any other file the rounding is the program's own.
    """
    if any(array.dtype == np.float16 for array in source.constants.values()):
        return
    readers: dict[str, list[OnnxNode]] = {}
    for node in source.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    for node in source.nodes:
        if node.op == "Cast" and node.attributes.get("to") in HALVES:
            back = readers.get(node.outputs[0], [])
            if back and all(
                one.op == "Cast" and one.attributes.get("to") in WHOLES for one in back
            ):
                raise node.refuse(
                    "rounds numbers to half precision, and the next Cast takes them back: this "
                    "rounding cannot be expressed, export the model without it"
                )


def walk(
    source: Source,
    layouts: Mapping[str, Axes],
    purposes: Mapping[str, Purpose | None],
    budget: Budget,
    delayed: frozenset[str] | None = None,
) -> tuple[Work, dict[str, Operand]]:
    """Convert with these axes of the inputs; raises `Undecided` when it needs those of another.

    ``delayed``: the state inputs that are values of the frame before.

    A `ConversionError` has an attribute ``reached``: how many nodes went well.
    """
    work = Work(choices=layouts, opset=source.opset, budget=budget, delayed=delayed)
    work.has_states = Purpose.STATE in purposes.values()
    ports = {port.name: port for port in source.inputs}
    known: dict[str, Operand] = {}

    def has_frames(name: str) -> bool:
        """True if another input has frames: beside states, one without is else one of a call."""
        return not work.has_states or any(
            len(other.dims) > 2 and other.name != name and purposes[other.name] is None
            for other in source.inputs
            if MEMORY not in layouts.get(other.name, ())
        )

    def read(name: str) -> Operand | None:
        if not name:
            return None
        if name not in known:
            if name in ports:
                known[name] = _input(work, ports[name], layouts, purposes[name], has_frames(name))
            else:
                known[name] = source.constants[name]
        return known[name]

    framed = [port for port in source.inputs if purposes[port.name] is None]
    if len(framed) > 1:  # whatever comes once is repeated for the frames of another
        used = {name for node in source.nodes for name in node.inputs}
        for port in sorted(framed, key=lambda port: -len(port.dims)):
            if port.name in used:
                try:
                    read(port.name)
                except ConversionError as error:
                    raise marked(error, 0) from None
    choosing = {node.inputs[0]: node for node in source.nodes if node.op == "If"}
    waiting, place = deque(source.nodes), -1
    while waiting:
        node, place = waiting.popleft(), place + 1
        try:
            if node.op == "If":
                waiting.extendleft(reversed(_taken(node, read(node.inputs[0]))))
                continue
            results = _run(work, node, [read(name) for name in node.inputs])
            budget.spend(node, sum(map(_owned, results)))
        except ConversionError as error:
            chooser = choosing.get(node.outputs[0])
            said = error if chooser is None else chooser.refuse(LEFT["If"])
            raise marked(said, place, misread=getattr(error, "misread", False)) from None
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                known[name] = result
        missing = [name for name in node.outputs[len(results) :] if name]
        if missing:
            raise node.refuse(f"has {len(node.outputs)} outputs, expected {len(results)}")
    found = {}
    for name in source.outputs:
        operand = read(name)
        assert operand is not None
        found[name] = operand
    return work, found


def _owned(operand: Operand) -> int:
    """Bytes that an operand takes beyond what it is a view of."""
    array = operand.index if isinstance(operand, Tracked) else operand
    return int(array.nbytes) if array.base is None else 0


def _run(work: Work, node: OnnxNode, operands: list[Operand | None]) -> list[Operand]:
    work.label, work.result = node.name or node.op.lower(), node.outputs[0]
    try:
        results = _folded(work, node, operands)
        if results is not None:
            return results
        if node.op not in OPERATORS:
            raise Unfit("this operator is supported on constants only")
        # A constant spread over the rows stays one under arithmetic with other constants.
        is_spread = any(isinstance(operand, Spread) for operand in operands)
        is_constant = not any(isinstance(o, Data | Memory | Scores) for o in operands)
        if is_spread and node.op in FOLDS and is_constant:
            return _fold_spread(work, node, [o for o in operands if o is not None])
        table = ON_MEMORY if reads_memory(operands) and node.op in ON_MEMORY else OPERATORS
        handler, _ = table[node.op]
        found = handler(work, node, operands)
        return [_plain(x) for x in (found if isinstance(found, list) else [found])]
    except Unknown as error:
        raise node.refuse(f"depends on sizes that the file leaves open: {error}") from None
    except WrongAxes as problem:
        raise marked(node.refuse(str(problem)), 0, misread=True) from None
    except Unfit as problem:
        raise node.refuse(str(problem)) from None
    except (IndexError, KeyError, ValueError, TypeError, AssertionError) as error:
        if isinstance(error, ConversionError):
            raise
        what = f"{type(error).__name__} {error}".strip()
        raise node.refuse(f"its inputs or attributes do not fit together ({what})") from error


def _plain(operand: Operand) -> Operand:
    """A constant without batch or time is an array."""
    lone = isinstance(operand, Spread) and set(operand.axes) <= {FEATURES}
    return operand.index if lone and isinstance(operand, Tracked) else operand


def _folded(work: Work, node: OnnxNode, operands: Operands) -> list[Operand] | None:
    """The results if all inputs are constants; None where one is not, or is a size left open."""
    given: list[Array | None] = []
    for operand in operands:
        if isinstance(operand, Tracked):
            return None
        given.append(operand)
    arrays = [array for array in given if array is not None]
    if not arrays:
        return None
    found = fold(node, operands, work.budget)
    if found is not None or any(array.dtype == object for array in arrays):
        return found
    results = evaluate(node, given, work.opset, work.budget)
    return None if results is None else list(results)


def _fold_spread(work: Work, node: OnnxNode, operands: Sequence[Operand]) -> list[Operand]:
    tracked = [spread(operand) for operand in operands]
    if not all(isinstance(operand, Spread) for operand in tracked):
        raise Unfit("computes with a state or lengths, which is not supported")
    axes, arrays = broadcast(tracked)
    result = _folded(work, node, arrays)
    if result is None or isinstance(result[0], Tracked):
        raise Unfit("this operator is not supported on constants for each row")
    return [Spread(axes, result[0])]


def _input(
    work: Work,
    port: Port,
    layouts: Mapping[str, Axes],
    purpose: Purpose | None,
    others_have_frames: bool,
) -> Operand:
    if port.name not in layouts:
        raise Undecided(port.name)
    axes = layouts[port.name]
    shape = []
    for axis, size in zip(axes, port.dims, strict=True):
        if axis == FEATURES:
            assert isinstance(size, int)
            shape.append(size)
            continue
        shape.append(axis.hop or 1)
        if isinstance(size, int):
            _fix(work, port, axis, size // (axis.hop or 1))
    index = arrange(shape)
    if port.name in (work.delayed or ()):
        kind = Dtype.INT32 if port.is_integer else Dtype.FLOAT32
        return work.delay(port.name, axes, index, kind)
    if purpose is not None:
        return Held(axes, index, port.name, purpose)
    if MEMORY in axes:
        return Memory(axes, index, port.name, np.eye(index.size), np.zeros(index.size))
    dtype = Dtype.INT32 if port.is_integer else Dtype.FLOAT32
    has_time = any(axis == TIME or axis.hop for axis in axes)
    if not has_time and work.delayed is None and others_have_frames:
        found = work.once(port.name, axes, index, dtype)
    else:
        found = Data(axes, index, work.builder.input(port.name, int(np.prod(shape)), dtype))
    return work.masked(found) if port.dtype == "bool" else found


def _fix(work: Work, port: Port, axis: Axis, size: int) -> None:
    """Remember a size that the file fixes."""
    attribute = {BATCH: "batch", MEMORY: "memory"}.get(axis, "frames")
    known = getattr(work, attribute)
    if known not in (None, size):
        message = f"input {port.name!r} has {size} as its {axis}"
        raise ConversionError(f"{message}, another input has {known}")
    setattr(work, attribute, size)
