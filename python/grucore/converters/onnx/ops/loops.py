# SPDX-License-Identifier: Apache-2.0
"""Loops of ONNX, whose bodies stand in the graph around them."""

from __future__ import annotations

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.read.source import AFTER, BEFORE, FRAME, FRAMES, OnnxNode
from grucore.converters.trace.axes import Operand, Tracked, Unfit, spread
from grucore.converters.trace.ops.recurrent import after, before, frame_of, frames_of, sequence
from grucore.converters.trace.ops.views import axis_of
from grucore.converters.trace.sizes import Size, integers

__all__ = ["LOOPS"]


def _frame(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """One frame of a sequence; checks that the loop takes all of them, in order."""
    axis = axis_of(node.attributes["axis"], spread(operands[0]).rank)
    x = sequence(work, operands[0], axis)
    size = work.extent("time", x)
    count, turned = node.get("places", 0), bool(node.attributes["turned"])
    if count:  # a Loop picks its frames by numbers, a Scan has all of them by what it is
        first = _count_of(operands[1], "the place of a frame")
        if first not in ((size - 1, -1) if turned else (0,)):
            expected = size - 1 if turned else 0
            raise Unfit(f"a loop begins with frame {first} of {size}, expected {expected}")
        if count == 2 and _count_of(operands[2], "the end of a frame") != first + 1:
            raise Unfit("an iteration of a loop takes other pieces than one frame")
    for limit in operands[1 + count :]:
        found = _count_of(limit, "the number of iterations")
        if found != size:
            raise Unfit(f"a loop has {found} iterations over {size} frames, expected one for each")
    keep = bool(node.get("keeps", 0)) or (count > 0 and np.ndim(operands[1]) > 0)  # type: ignore[arg-type]
    return frame_of(work, x, axis, turned=turned, keep=keep)


def _count_of(operand: Operand | None, what: str) -> Size:
    """The number of an operand that is one place or one count."""
    if operand is None or isinstance(operand, Tracked):
        raise Unfit(f"{what} is computed by the model, expected a count of frames")
    found = integers(operand)
    if len(found) != 1:
        raise Unfit(f"{what} has {len(found)} numbers, expected one")
    return found[0]


def _before(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return before(work, operands[0], [sequence(work, operand) for operand in operands[1:]])


def _after(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return after(work, work.data(operands[0]), work.data(operands[1]))


def _frames(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    turned, joins = bool(node.attributes["turned"]), bool(node.get("joins", 0))
    x = work.data(operands[0])
    return frames_of(work, x, node.attributes["axis"], turned=turned, joins=joins)


LOOPS: Table = {
    FRAME: (_frame, ("axis", "keeps", "places", "turned")),
    BEFORE: (_before, ()),
    AFTER: (_after, ()),
    FRAMES: (_frames, ("axis", "joins", "turned")),
}
