# SPDX-License-Identifier: Apache-2.0
"""The arguments of an operation of `keras.ops`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Operand, Tracked, Unfit

__all__ = ["Handler", "axes_of", "operand", "tensor", "two"]

Handler: TypeAlias = Callable[[Context, Layer, list[Any]], Any]


def operand(argument: Any) -> Operand:
    """A tensor; or numbers, as an array of floats."""
    if isinstance(argument, Flow):
        return argument.tensor
    if isinstance(argument, bool) or not isinstance(argument, int | float | np.ndarray):
        raise Unfit(f"reads {str(argument)[:80]}, expected a tensor or numbers")
    return np.asarray(argument, np.float64)


def tensor(context: Context, arguments: Sequence[Any], count: int = 1) -> Data:
    """The first argument of so many: a tensor of floats."""
    if len(arguments) != count or not isinstance(arguments[0], Flow):
        raise Unfit(f"reads {str(arguments)[:80]}, which cannot be expressed")
    return context.numbers(arguments[0])


def two(context: Context, layer: Layer, arguments: Sequence[Any]) -> tuple[Operand, Operand]:
    """Both arguments, of which tensors are of floats."""
    if len(arguments) != 2:
        raise Unfit(f"reads {len(arguments)} tensors, expected 2")
    for each in arguments:
        if isinstance(each, Flow) and isinstance(each.tensor, Data):
            context.numbers(each)
    one, other = map(operand, arguments)
    return one, other


def axes_of(context: Context, layer: Layer, x: Tracked) -> list[int]:
    """The axes that its setting names, or all."""
    axis = layer.settings.get("axis")
    return list(range(x.rank)) if axis is None else context.axes(layer, x, axis)
