# SPDX-License-Identifier: Apache-2.0
"""Sizes that a file leaves open: products of batch and time, in arrays among plain integers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from grucore.graph.tensors import Array

__all__ = [
    "Size",
    "Unit",
    "Unknown",
    "divide",
    "integers",
    "is_symbolic",
    "may_be_of_frames",
    "product",
]


class Unknown(ValueError):
    """An operation whose result depends on the sizes that are left open."""


@dataclass(frozen=True, slots=True)
class Unit:
    """``coefficient`` times the symbols, plus ``offset``: "time" - 1, 2 x "batch" x "time"."""

    symbols: tuple[str, ...]
    coefficient: int = 1
    offset: int = 0

    def __str__(self) -> str:
        text = " x ".join((*([str(self.coefficient)] * (self.coefficient != 1)), *self.symbols))
        return f"{text}{self.offset:+d}" if self.offset else text

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, Unit):
            if self.offset or other.offset:
                raise Unknown(f"({self}) x ({other})")
            symbols = tuple(sorted(self.symbols + other.symbols))
            return Unit(symbols, self.coefficient * other.coefficient)
        number = _integer(other)
        if number == 0:
            return 0
        return Unit(self.symbols, self.coefficient * number, self.offset * number)

    __rmul__ = __mul__

    def __add__(self, other: Size) -> Size:
        if isinstance(other, Unit):
            if other.symbols != self.symbols:
                raise Unknown(f"({self}) + ({other})")
            coefficient = self.coefficient + other.coefficient
            offset = self.offset + other.offset
            return Unit(self.symbols, coefficient, offset) if coefficient else offset
        return Unit(self.symbols, self.coefficient, self.offset + _integer(other))

    __radd__ = __add__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + -1 * other

    def __rsub__(self, other: Size) -> Size:
        return self * -1 + other


Size: TypeAlias = int | Unit


def _integer(number: Any) -> int:
    if isinstance(number, int | np.integer | np.bool_) or float(number).is_integer():
        return int(number)
    raise Unknown(f"a size times or plus {number}")


def divide(total: Size, by: Size) -> Size:
    """The exact quotient; raises `Unknown`."""
    if isinstance(total, int) and isinstance(by, int):
        if by == 0 or total % by:
            raise Unknown(f"{total} / {by}")
        return total // by
    if isinstance(total, int):
        raise Unknown(f"{total} / ({by})")
    if total.offset:
        raise Unknown(f"({total}) / ({by})")
    symbols = list(total.symbols)
    coefficient = total.coefficient
    if isinstance(by, Unit):
        if by.offset or any(by.symbols.count(s) > symbols.count(s) for s in by.symbols):
            raise Unknown(f"({total}) / ({by})")
        for symbol in by.symbols:
            symbols.remove(symbol)
    number = by.coefficient if isinstance(by, Unit) else by
    if number == 0 or coefficient % number:
        raise Unknown(f"({total}) / ({by})")
    coefficient //= number
    return Unit(tuple(symbols), coefficient) if symbols else coefficient


def product(sizes: Iterable[Size]) -> Size:
    """The product of all."""
    return math.prod(sizes, start=1)


def is_symbolic(array: Array) -> bool:
    """True if sizes that are left open stand in the array."""
    return array.dtype == object


def integers(array: Array) -> list[Size]:
    """The elements of an array of integers and sizes."""
    return [
        number if isinstance(number, Unit) else _integer(number)
        for number in np.asarray(array).reshape(-1).tolist()
    ]


def may_be_of_frames(number: float, frames: int | None) -> bool:
    """True if an exporter may have made a factor of the number of frames that it saw.

    So are the number itself, its root where that is not whole, and their inverses.
    """
    if frames is None or frames < 3:
        return False
    root = math.sqrt(frames)
    made = [float(frames)] if root.is_integer() else [float(frames), root]
    return any(np.float32(number) in (np.float32(each), np.float32(1 / each)) for each in made)
