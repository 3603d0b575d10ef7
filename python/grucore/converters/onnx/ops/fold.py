# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on constants, among them sizes that the file leaves open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grucore.converters.onnx.evaluate import Budget
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Operand, Tracked
from grucore.converters.trace.sizes import Size, Unit, Unknown, divide, integers, is_symbolic
from grucore.converters.trace.trace import MAX_FOLDED
from grucore.graph.tensors import Array

__all__ = ["fold"]

Arrays = Sequence[Array]


def _each(function: Callable[[Any, Any], Any], a: Array, b: Array) -> Array:
    """Element by element; what sizes cannot tell raises `Unknown`."""
    first, second = np.broadcast_arrays(a, b)
    result = np.empty(first.shape, object)
    for place in np.ndindex(first.shape):
        result[place] = function(_plain(first[place]), _plain(second[place]))
    return result


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.generic) else number


def _quotient(a: Array, b: Array) -> Array:
    if is_symbolic(a) or is_symbolic(b):
        return _each(divide, a, b)
    if a.dtype.kind in "iu":
        if (b == 0).any():
            raise Unknown("a division by 0")
        # Towards zero, as C.
        quotient = np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)
        return quotient.astype(a.dtype)
    return a / b


def _equal(a: Array, b: Array) -> Array:
    def same(x: Any, y: Any) -> bool:
        if isinstance(x, Unit) and isinstance(y, Unit):
            if x != y:
                raise Unknown(f"whether {x} is {y}")
            return True
        if isinstance(x, Unit) or isinstance(y, Unit):
            number = y if isinstance(x, Unit) else x
            if number > 0:
                raise Unknown(f"whether a size that the file leaves open is {number}")
            return False  # sizes are positive
        return bool(x == y)

    return np.asarray(_each(same, a, b), bool)


def _where(condition: Array, a: Array, b: Array) -> Array:
    if is_symbolic(a) or is_symbolic(b):
        a, b = a.astype(object), b.astype(object)
    return np.where(condition, a, b)


def _range(start: Array, limit: Array, delta: Array) -> Array:
    numbers = [array.reshape(-1)[0] for array in (start, limit, delta)]
    if any(isinstance(number, Unit) for number in numbers):
        raise Unknown("as many numbers as a size that the file leaves open")
    if numbers[2] == 0 or (numbers[1] - numbers[0]) / numbers[2] > MAX_FOLDED:
        raise Unknown("too many numbers")
    return np.arange(*numbers)


def _product(x: Array, *_: Array) -> Array:
    total: Size = 1
    for size in integers(x):
        total = total * size
    return np.array(total, object if isinstance(total, Unit) else x.dtype)


FOLDS: dict[str, Callable[..., Array]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": _quotient,
    "Neg": lambda a: -a,
    "Equal": _equal,
    "Where": _where,
    "Range": _range,
    "Sqrt": np.sqrt,
    "Pow": lambda a, b: a**b,
    "Exp": np.exp,
    "Reciprocal": lambda a: 1 / a,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Not": np.logical_not,
    "Abs": np.abs,
    "MatMul": lambda a, b: a @ b,
    "Max": lambda *arrays: np.maximum.reduce(arrays),
    "Min": lambda *arrays: np.minimum.reduce(arrays),
}


def _cost(node: OnnxNode, arrays: Arrays) -> int:
    """Multiply-adds, not below what they are."""
    if node.op == "MatMul" and arrays[1].ndim:
        rows = arrays[0].size // max(1, *arrays[0].shape[-1:])
        return int(rows * arrays[1].size)
    shapes = [array.shape for array in arrays]
    try:
        return 0 if node.op == "Range" else int(np.prod(np.broadcast_shapes(*shapes), dtype=float))
    except ValueError:
        return sum(array.size for array in arrays)


def fold(
    node: OnnxNode, operands: Sequence[Operand | None], budget: Budget
) -> list[Operand] | None:
    """The result if all inputs are constants and it is arithmetic; otherwise None."""
    arrays = [x for x in operands if x is not None and not isinstance(x, Tracked)]
    if len(arrays) < len(operands) or not arrays:
        return None
    function = FOLDS.get(node.op)
    if node.op == "ReduceProd" and not node.get("keepdims", 1) and len(arrays) == 1:
        function = _product
    if function is None:
        return None
    node.check_attributes(("keepdims", "noop_with_empty_axes"))
    budget.spend(node, 0, _cost(node, arrays))
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(function(*arrays))
    except (Unknown, ValueError, TypeError) as error:
        raise node.refuse(f"cannot be computed while reading: {error}") from None
    if result.size > MAX_FOLDED:
        raise node.refuse(f"makes a constant of {result.size} numbers")
    if result.dtype == object and not any(isinstance(n, Unit) for n in result.reshape(-1)):
        result = result.astype(np.int64)
    elif arrays[0].dtype.kind == "f" and result.dtype.kind == "f":
        result = result.astype(arrays[0].dtype)
    return [result]
