# SPDX-License-Identifier: Apache-2.0
"""The body of a loop over frames: what it reads, what it carries to the next one and gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.read.source import AFTER, BEFORE, FRAME, FRAMES, OnnxNode
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Axes,
    Data,
    Held,
    Operand,
    Purpose,
    Spread,
    Tracked,
    Unfit,
    WrongAxes,
    arrange,
    spread,
)
from grucore.converters.trace.pieces import flipped
from grucore.converters.trace.recurrent import add_state, are_alike
from grucore.converters.trace.sizes import Size, integers
from grucore.converters.trace.trace import padding_text
from grucore.converters.trace.views import axis_of
from grucore.graph.layers import Position, Take
from grucore.graph.node import Rate
from grucore.graph.tensors import Array

__all__ = ["LOOPS"]


def _sequence(work: Work, operand: Operand | None, axis: int | None = None) -> Data:
    """A sequence that a loop takes its frames of."""
    x = work.data(operand)
    at = x.axes.index(TIME) if axis is None and TIME in x.axes else axis
    if at is None or x.axes[axis_of(at, x.rank)] != TIME:
        raise WrongAxes(f"a loop takes the frames of {x.text} along axis {at}, expected time there")
    if not x.is_plain or x.frame is not None:
        raise Unfit(padding_text(x))
    return x


def _frame(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """One frame of a sequence; checks that the loop takes all of them, in order."""
    axis = axis_of(node.attributes["axis"], spread(operands[0]).rank)
    x = _sequence(work, operands[0], axis)
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
    if turned:
        x = work.data(flipped(work, x, [axis]))
    axes, index = _without(x.axes, axis), x.index.squeeze(axis)
    if node.get("keeps", 0) or (count and np.ndim(operands[1]) > 0):  # type: ignore[arg-type]
        axes, index = (*axes[:axis], FEATURES, *axes[axis:]), np.expand_dims(index, axis)
    return replace(x, axes=axes, index=index)


def _count_of(operand: Operand | None, what: str) -> Size:
    """The numbers of an operand that is one place or one count."""
    if operand is None or isinstance(operand, Tracked):
        raise Unfit(f"{what} is computed by the model, expected a count of frames")
    found = integers(operand)
    if len(found) != 1:
        raise Unfit(f"{what} has {len(found)} numbers, expected one")
    return found[0]


def _without(axes: Axes, axis: int) -> Axes:
    return axes[:axis] + axes[axis + 1 :]


def _before(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """A state before a frame, from what it is at first."""
    sequences = [_sequence(work, operand) for operand in operands[1:]]
    work.check_alike(sequences, "one loop over")
    like = sequences[0]
    start = operands[0]
    work.in_loop = True
    if isinstance(start, Held) and start.purpose is Purpose.STATE:
        return _delayed(work, start, like, None, start)
    if isinstance(start, Tracked) and not isinstance(start, Spread):
        raise Unfit(
            "the first state of a loop is computed by the model, expected an input or a constant: "
            "convert the two parts apart, and hand the state over"
        )
    x = spread(start)
    axes, numbers = list(x.axes), x.index
    lone = [place for place in range(min(x.rank - 1, like.rank)) if axes[place] == FEATURES]
    if BATCH not in axes and BATCH in like.axes:
        # A constant has a row of the batch where the frames have theirs.
        place = _without(like.axes, like.axes.index(TIME)).index(BATCH)
        if place in lone and numbers.shape[place] in (1, work.batch):
            axes[place] = BATCH
    for place, axis in enumerate(axes):
        if axis == BATCH:
            rows = np.moveaxis(numbers, place, 0)
            if (rows != rows[:1]).any():
                raise Unfit("the first state of a loop differs between the rows of the batch")
            numbers = np.expand_dims(rows[0], place)
        elif axis != FEATURES:
            raise Unfit(f"the first state of a loop is {x.text}, expected batch and features")
    if numbers.dtype.kind not in "fiu":
        raise Unfit(f"a state of a loop is {numbers.dtype}, expected numbers")
    return _delayed(work, Spread(tuple(axes), numbers), like, numbers.reshape(-1))


def _delayed(
    work: Work, x: Tracked, like: Data, initial: Array | None, held: Held | None = None
) -> Data:
    index = arrange(x.index.shape)
    starts = initial is not None and initial.any()
    value = work.builder.delay(
        f"{work.label}.state", index.size, initial if starts else None, like.value
    )
    work.looped.append(value.name)
    made = Data(x.axes, index, value)
    if held is not None:
        work.loops[value.name] = held
    return made


def _after(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """A state after the last frame; what it is before a frame is known from here on."""
    before = work.data(operands[0])
    new = work.data(operands[1])
    if not are_alike(new, before):
        raise Unfit(f"a state of a loop is {before.text} and becomes {new.text}")
    if new.value.clock != before.value.clock:
        raise Unfit("a state of a loop becomes a value that does not come with its frames")
    value = work.ordered(new)
    work.builder.feed_back(before.value, value)
    held = work.loops.get(before.value.name)
    if held is not None:
        add_state(work, held, f"{work.layer_of(before.value)}.x", value)
    last = work.add(Take, [value], "final", position=Position.LAST)
    return Data(new.axes, arrange(new.index.shape), last)


def _frames(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """The sequence of what all frames give."""
    x = work.data(operands[0])
    if x.value.rate is Rate.SEQUENCE or x.has(TIME):
        raise Unfit(f"a loop gives {x.text} in each frame, expected a value of the frame")
    joins = node.get("joins", 0)
    axis = axis_of(node.attributes["axis"], x.rank if joins else x.rank + 1)
    axes, index = x.axes, x.index
    if joins:
        if not x.is_features(axis) or index.shape[axis] != 1:
            raise Unfit(f"a loop puts {x.text} one after the other along axis {axis}")
        axes, index = _without(axes, axis), index.squeeze(axis)
    axes, index = (*axes[:axis], TIME, *axes[axis:]), np.expand_dims(index, axis)
    made = replace(x, axes=axes, index=index)
    return flipped(work, made, [axis]) if node.attributes["turned"] else made


LOOPS: Table = {
    FRAME: (_frame, ("axis", "keeps", "places", "turned")),
    BEFORE: (_before, ()),
    AFTER: (_after, ()),
    FRAMES: (_frames, ("axis", "joins", "turned")),
}
