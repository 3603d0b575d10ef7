# SPDX-License-Identifier: Apache-2.0
"""The operators that we know, and the walk over a graph with the axes of its inputs decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from grucore._core import ConversionError
from grucore.converters.onnx.evaluate import Budget, evaluate
from grucore.converters.onnx.ops.elementwise import ELEMENTWISE
from grucore.converters.onnx.ops.fold import FOLDS, fold
from grucore.converters.onnx.ops.norms import NORMS
from grucore.converters.onnx.ops.pieces import RELABELLING, normal
from grucore.converters.onnx.ops.products import PRODUCTS
from grucore.converters.onnx.ops.recurrent import RECURRENT
from grucore.converters.onnx.ops.reductions import REDUCTIONS
from grucore.converters.onnx.ops.shapes import SHAPES
from grucore.converters.onnx.ops.windows import WINDOWS
from grucore.converters.onnx.read.source import CELL, OnnxNode, Port, Source
from grucore.converters.onnx.state.axes import (
    Axes,
    Axis,
    Constant,
    Data,
    Ended,
    Held,
    Operand,
    Purpose,
    Spread,
    Undecided,
)
from grucore.converters.onnx.state.context import Work, arrange
from grucore.converters.onnx.state.sizes import Unknown
from grucore.graph.tensors import Dtype

__all__ = ["OPERATORS", "check_operators", "walk"]

Handler: TypeAlias = Callable[[Work, OnnxNode, Sequence[Operand | None]], list[Operand]]
Table: TypeAlias = Mapping[str, tuple[Handler, tuple[str, ...]]]

OPERATORS: Table = {
    **RELABELLING,
    **SHAPES,
    **ELEMENTWISE,
    **RECURRENT,
    **PRODUCTS,
    **NORMS,
    **REDUCTIONS,
    **WINDOWS,
}


def check_operators(source: Source) -> None:
    """Refuse, by name, what no reading of the inputs could make possible."""
    cells = {name for node in source.nodes if node.op == CELL for name in node.outputs}
    for node in source.nodes:
        known = OPERATORS.get(node.op)
        if node.op == CELL and node.inputs[1] in cells:
            raise node.refuse(
                "its state is that of the cell of the frame before: a loop over frames inside the "
                "model is not supported, export the cell for one frame, or convert the module"
            )
        if known is None:
            if node.op not in FOLDS and node.op != "ReduceProd":
                raise node.refuse("this operator is not supported")
            continue
        node.check_attributes(known[1])


def walk(
    source: Source,
    layouts: Mapping[str, Axes],
    purposes: Mapping[str, Purpose | None],
    budget: Budget,
    delayed: frozenset[str] = frozenset(),
) -> tuple[Work, dict[str, Operand]]:
    """Convert with these axes of the inputs; raises `Undecided` when it needs those of another.

    ``delayed``: the state inputs that are values of the frame before.

    A `ConversionError` has an attribute ``reached``: how many nodes went well.
    """
    work = Work(source.opset, budget, choices=layouts, delayed=delayed)
    work.has_states = Purpose.STATE in purposes.values()
    ports = {port.name: port for port in source.inputs}
    known: dict[str, Operand] = {}

    def read(name: str) -> Operand | None:
        if not name:
            return None
        if name not in known:
            if name in ports:
                known[name] = _input(work, ports[name], layouts, purposes[name])
            else:
                known[name] = Constant(source.constants[name])
        return known[name]

    for place, node in enumerate(source.nodes):
        try:
            results = _run(work, node, [read(name) for name in node.inputs])
            budget.spend(node, sum(map(_owned, results)))
        except ConversionError as error:
            error.reached = place  # type: ignore[attr-defined]
            raise
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
    array = operand.array if isinstance(operand, Constant) else operand.index
    return int(array.nbytes) if array.base is None else 0


def _run(work: Work, node: OnnxNode, operands: list[Operand | None]) -> Sequence[Operand]:
    if any(isinstance(operand, Ended) for operand in operands):
        return _ended(work, node, operands)
    try:
        results = _folded(work, node, operands)
        if results is not None:
            return results
        if node.op not in OPERATORS:
            raise node.refuse("this operator is supported on constants only")
        # A constant spread over the rows stays one under arithmetic with other constants.
        spread = [o for o in operands if isinstance(o, Spread)]
        if spread and node.op in FOLDS and not any(isinstance(o, Data) for o in operands):
            return _fold_spread(work, node, operands)
        handler, _ = OPERATORS[node.op]
        return handler(work, node, operands)
    except Unknown as error:
        raise node.refuse(f"depends on sizes that the file leaves open: {error}") from None
    except (IndexError, KeyError, ValueError, TypeError, AssertionError) as error:
        if isinstance(error, ConversionError):
            raise
        what = f"{type(error).__name__} {error}".strip()
        raise node.refuse(f"its inputs or attributes do not fit together ({what})") from error


def _ended(work: Work, node: OnnxNode, operands: list[Operand | None]) -> Sequence[Operand]:
    """The result of an operator on cell states: these at other places."""
    if node.op == "Concat" and all(isinstance(operand, Ended) for operand in operands):
        return [_joined(node, [operand for operand in operands if isinstance(operand, Ended)])]
    if node.op in RELABELLING and node.op != "Concat":
        return RELABELLING[node.op][0](work, node, operands)
    states = [o.states for o in operands if isinstance(o, Ended)]
    text = ", ".join(name for each in states for name in each)
    raise node.refuse(f"reads the cell state {text}, which only its LSTM may")


def _joined(node: OnnxNode, parts: Sequence[Ended]) -> Ended:
    """Cell states side by side, along an axis of features."""
    first = parts[0]
    axis = normal(node, node.get("axis", 0), len(first.axes))
    if any(part.axes != first.axes for part in parts) or first.axes[axis] is not Axis.FEATURES:
        raise node.refuse("joins cell states of different axes, or not along features")
    total, indices = 0, []
    for part in parts:
        indices.append(part.index + total)
        total += int(part.index.max()) + 1
    states = tuple(name for part in parts for name in part.states)
    return Ended(first.axes, np.concatenate(indices, axis), states)


def _folded(
    work: Work, node: OnnxNode, operands: Sequence[Operand | None]
) -> Sequence[Operand] | None:
    """The results if all inputs are constants; None where one is not, or is a size left open."""
    arrays = [operand.array for operand in operands if isinstance(operand, Constant)]
    if len(arrays) < sum(operand is not None for operand in operands) or not arrays:
        return None
    found = fold(node, operands, work.budget)
    if found is not None or any(array.dtype == object for array in arrays):
        return found
    given = [operand.array if isinstance(operand, Constant) else None for operand in operands]
    results = evaluate(node, given, work.opset, work.budget)
    return None if results is None else [Constant(array) for array in results]


def _fold_spread(
    work: Work, node: OnnxNode, operands: Sequence[Operand | None]
) -> Sequence[Operand]:
    from grucore.converters.onnx.ops.elementwise import broadcast

    tracked = [
        Spread((Axis.FEATURES,) * o.array.ndim, o.array) if isinstance(o, Constant) else o
        for o in operands
    ]
    if not all(isinstance(operand, Spread) for operand in tracked):
        raise node.refuse("computes with a state or lengths, which is not supported")
    axes, arrays = broadcast(node, tracked)  # type: ignore[arg-type]
    result = _folded(work, node, [Constant(array) for array in arrays])
    if result is None or not isinstance(result[0], Constant):
        raise node.refuse("this operator is not supported on constants for each row")
    return [Spread(axes, result[0].array)]


def _input(work: Work, port: Port, layouts: Mapping[str, Axes], purpose: Purpose | None) -> Operand:
    if port.name not in layouts:
        raise Undecided(port.name)
    axes = layouts[port.name]
    shape = []
    for axis, size in zip(axes, port.dims, strict=True):
        if axis is Axis.FEATURES:
            assert isinstance(size, int)
            shape.append(size)
            continue
        shape.append(1)
        if isinstance(size, int):
            _fix(work, port, axis, size)
    index = arrange(axes, tuple(shape))
    if port.name in work.delayed:
        value = work.builder.delay(port.name, int(np.prod(shape)))
        work.delays[port.name] = Data(axes, index, value)
        return work.delays[port.name]
    if purpose is not None:
        return Held(axes, index, port.name, purpose)
    dtype = Dtype.INT32 if port.is_integer else Dtype.FLOAT32
    if port.dtype == "bool":
        raise ConversionError(f"input {port.name!r} is bool, expected numbers or ids")
    return Data(axes, index, work.builder.input(port.name, int(np.prod(shape)), dtype))


def _fix(work: Work, port: Port, axis: Axis, size: int) -> None:
    """Remember a size that the file fixes."""
    attribute = "batch" if axis is Axis.BATCH else "frames"
    known = getattr(work, attribute)
    if known not in (None, size):
        message = f"input {port.name!r} has {size} as its {axis}"
        raise ConversionError(f"{message}, another input has {known}")
    setattr(work, attribute, size)
