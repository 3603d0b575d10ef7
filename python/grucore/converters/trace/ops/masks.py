# SPDX-License-Identifier: Apache-2.0
"""Masks: numbers that are 0 or 1, of inputs of booleans and of comparisons with a number.

A mask is a value of floats like any other, so that it is multiplied, added up and pooled as such.
"""

from __future__ import annotations

import math

import numpy as np

from grucore.converters.build.powers import logarithm
from grucore.converters.trace.axes import Data, Operand, Spread, Tracked, Unfit
from grucore.converters.trace.ops.elementwise import (
    ABSOLUTE,
    activated,
    arithmetic,
    binary,
    broadcast,
    scaled,
)
from grucore.converters.trace.trace import Trace
from grucore.graph.layers import Activation, Operation

__all__ = [
    "COMPARISONS",
    "chosen",
    "compared",
    "is_mask",
    "joined_masks",
    "negated",
    "ordered_by",
    "sign",
]

COMPARISONS = ("eq", "ne", "gt", "lt", "ge", "le")
STEEP = 2.0**127  # times any number that is not 0, it is beyond 1


def _noted(trace: Trace, x: Data) -> Data:
    trace.masks.add(x.value.name)
    return x


def is_mask(trace: Trace, x: Operand | None) -> bool:
    """True of a value that is 0 or 1."""
    return isinstance(x, Data) and x.value.name in trace.masks


def _mask(trace: Trace, x: Operand | None) -> Data:
    data = trace.data(x)
    if not is_mask(trace, data):
        raise Unfit("takes numbers for truth values, expected a mask or a comparison")
    return data


def ordered_by(trace: Trace, a: Operand | None, b: Operand | None, word: str) -> Data:
    """1 where two values compare so, or a value and one number; see `compared`."""
    turned = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}
    for one, other, way in ((a, b, word), (b, a, turned.get(word, word))):
        number = _number(other)
        if isinstance(one, Data) and number is not None:
            return compared(trace, one, number, way)
    return compared(trace, arithmetic(trace, a, b, "sub"), 0.0, word)


def sign(trace: Trace, x: Operand | None) -> Data:
    """-1, 0 or 1."""
    near = activated(trace, x, Activation.clip(-1.0, 1.0))
    return activated(trace, scaled(trace, near, STEEP), Activation.clip(-1.0, 1.0))


def compared(trace: Trace, x: Operand | None, number: float, word: str) -> Data:
    """1 where a value and a number compare so: "eq", "ne", "gt", "lt", "ge" or "le", else 0."""
    if word in ("eq", "ge", "le"):
        opposite = {"eq": "ne", "ge": "lt", "le": "gt"}[word]
        return negated(trace, compared(trace, x, number, opposite))
    data = trace.data(x)
    if word == "lt":
        data, number, word = scaled(trace, data, -1.0), -number, "gt"
    if number:
        data = scaled(trace, data, 1.0, -number)
    # The difference is 0 where both are equal alone: numbers are rounded, but not to 0.
    near = ABSOLUTE if word == "ne" else Activation.clip(-1.0, 1.0)
    steep = scaled(trace, activated(trace, data, near), STEEP)
    return _noted(trace, activated(trace, steep, Activation.clip(0.0, 1.0)))


def negated(trace: Trace, x: Operand | None) -> Data:
    """1 where a mask is 0."""
    return _noted(trace, scaled(trace, _mask(trace, x), -1.0, 1.0))


def joined_masks(trace: Trace, a: Operand | None, b: Operand | None, word: str) -> Data:
    """1 where both masks are ("and"), or one of them ("or")."""
    operation = Operation.MINIMUM if word == "and" else Operation.MAXIMUM
    return _noted(trace, binary(trace, _mask(trace, a), _mask(trace, b), operation))


def chosen(trace: Trace, mask: Operand | None, a: Operand | None, b: Operand | None) -> Data:
    """``a`` where the mask is 1, ``b`` where it is 0; either may be a constant."""
    data = _mask(trace, mask)
    for one, other, where in ((a, b, data), (b, a, negated(trace, data))):
        number = _number(one)
        if number is not None and isinstance(other, Data):
            return _filled(trace, other, where, number)
    sides = ((a, data), (b, negated(trace, data)))
    first, second = (arithmetic(trace, x, where, "mul") for x, where in sides)
    return arithmetic(trace, first, second, "add")


def _number(x: Operand | None) -> float | None:
    """The one number that a constant is."""
    if x is None or (isinstance(x, Tracked) and not isinstance(x, Spread)):
        return None
    numbers = np.asarray(x.index if isinstance(x, Spread) else x).reshape(-1)
    if not numbers.size or numbers.dtype.kind not in "biuf" or (numbers != numbers[0]).any():
        return None
    return float(numbers[0])


def _filled(trace: Trace, x: Data, mask: Data, number: float) -> Data:
    """A number where the mask is 1; ``x``, which is finite, where it is 0."""
    kept = negated(trace, mask)
    if math.isinf(number):  # the logarithm of 0, times 1 or -1
        factor = -math.copysign(1.0, number)
        logs = logarithm(trace.put, trace.name("log"), trace.ordered(kept), factor)
        return arithmetic(trace, x, trace.fresh(kept, logs), "add")
    if math.isnan(number):
        raise Unfit("fills what is masked with NaN")
    rest = arithmetic(trace, x, kept, "mul")
    if number == 0:
        return rest
    axes, (_, index) = broadcast([rest, mask])
    return arithmetic(trace, rest, scaled(trace, mask.moved(axes, index), number), "add")
