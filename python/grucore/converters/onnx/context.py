# SPDX-License-Identifier: Apache-2.0
"""The state of a walk over an ONNX graph, and what its operators have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from grucore.converters.onnx.evaluate import Budget
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Operand, Tracked, Unfit
from grucore.converters.trace.ops.views import axis_of
from grucore.converters.trace.sizes import Size, integers
from grucore.converters.trace.trace import Trace

__all__ = ["Operands", "Table", "Work", "axes_of", "integers_of", "number_of"]

Operands: TypeAlias = Sequence[Operand | None]
Handler: TypeAlias = "Callable[[Work, OnnxNode, Operands], Operand | list[Operand]]"
Table: TypeAlias = Mapping[str, tuple[Handler, tuple[str, ...]]]


@dataclass
class Work(Trace):
    """A trace of a file: its opset, and what bounds the constants that it makes.

    ``bounded``: nodes that end where the lengths say, and so are right with any.
    """

    opset: int = 0
    budget: Budget = field(default_factory=lambda: Budget.of({}))
    lengths_input: str | None = None
    bounded: set[str] = field(default_factory=set)

    def doubt(self, what: str) -> None:
        """Refuse what may mean something else at another number of frames than the file fixes."""
        if self.frames is not None:
            raise Unfit(
                f"{what}, and the file fixes {self.frames} frames: at any other number this may "
                "mean something else. Export with a dynamic size of time, or without the bound"
            )


def integers_of(operand: Operand | None, what: str) -> list[Size]:
    """The elements of a constant array of integers and sizes."""
    if operand is None or isinstance(operand, Tracked):
        raise Unfit(f"{what} is computed by the model, expected a constant")
    return integers(operand)


def axes_of(node: OnnxNode, operands: Operands, rank: int) -> list[int] | None:
    """The attribute ``axes``, an input since opset 13 or 18; None where it is missing."""
    found: Sequence[Size] | None = node.get("axes", None)
    if found is None and len(operands) > 1 and operands[1] is not None:
        found = integers_of(operands[1], "axes")
    if found is None:
        return None
    return [axis_of(int(axis), rank) for axis in found]  # type: ignore[arg-type]


def number_of(work: Work, operand: Operand | None, what: str) -> float:
    """A constant that is one number."""
    array = work.weights(operand, what)
    if array.size != 1:
        raise Unfit(f"{what} has {array.size} numbers, expected one")
    return float(np.reshape(array, -1)[0])
