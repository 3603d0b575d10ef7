# SPDX-License-Identifier: Apache-2.0
"""Joins: tensors side by side along an axis of features, frames put together, padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    TIME,
    Data,
    Ended,
    Held,
    Operand,
    Spread,
    Tracked,
    Unfit,
    arrange,
    spread,
)
from grucore.converters.trace.ops.elementwise import alike
from grucore.converters.trace.ops.flat import flat
from grucore.converters.trace.ops.pieces import ENDLESS, later, sliced
from grucore.converters.trace.ops.views import squeezed, unsqueezed
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Concat, Dense, Flip
from grucore.graph.node import MAX_FEATURES

__all__ = ["joined", "padded", "stacked"]


def joined(trace: Trace, operands: Sequence[Operand], axis: int) -> Tracked:
    """The tensors side by side along an axis."""
    if len(operands) == 1:
        return spread(operands[0])
    sequence = _padded(trace, operands, axis)
    if sequence is not None:
        return sequence
    last = [x.rank - 1 for x in operands if isinstance(x, Data)]
    if last and axis == last[0]:
        operands = [flat(trace, x) if isinstance(x, Data) else x for x in operands]
    pieces = _beside(trace, operands, axis)
    frames = _in_sequence(trace, pieces)
    if frames:
        others = [place for place in range(pieces[0].rank) if place != axis]
        return _sequence(trace, [squeezed(trace, x, others) for x in frames], axis)
    return _along(trace, pieces, axis)


def stacked(trace: Trace, operands: Sequence[Operand], axis: int) -> Tracked:
    """The tensors side by side along a new axis."""
    pieces = [spread(operand) for operand in operands]
    frames = _in_sequence(trace, pieces)
    if frames:
        return _sequence(trace, frames, axis)
    return _along(trace, [unsqueezed(x, [axis]) for x in pieces], axis)


def _padded(trace: Trace, operands: Sequence[Operand], axis: int) -> Data | None:
    """Zeros joined to a sequence along time are padding; any constant before all but its last
    frames is what comes first of the sequence, that much later."""
    moving = [place for place, x in enumerate(operands) if isinstance(x, Data)]
    if len(moving) != 1 or len(operands) < 2:
        return None
    x = trace.data(operands[moving[0]])
    front, back = (
        [spread(each) for each in some]
        for some in (operands[: moving[0]], operands[moving[0] + 1 :])
    )
    if x.axes[axis] != TIME or not all(isinstance(each, Spread) for each in (*front, *back)):
        return None
    before, after = (sum(each.index.shape[axis] for each in some) for some in (front, back))
    if not any(each.index.any() for each in (*front, *back)):
        return later(trace, replace(x, padding=(x.padding[0] + before, x.padding[1] + after)))
    if back or x.padding != (0, 0):
        return None
    rows = np.concatenate([np.moveaxis(alike(trace, x, e.index), axis, 0) for e in front])
    shape = (before, *(size for place, size in enumerate(x.index.shape) if place != axis))
    first = np.zeros((before, x.value.features))
    first[:, x.index.reshape(-1)] = np.broadcast_to(rows, shape).reshape(before, -1)
    found = later(trace, replace(x, padding=(before, 0)), first)
    return found if found.is_plain else None


def padded(trace: Trace, x: Data, axis: int, before: int, after: int, fill: float = 0.0) -> Data:
    """So many more before and after: features, or frames of zeros for a window that comes next.

    Negative numbers cut off.
    """
    if not before and not after:
        return x
    if x.is_features(axis):
        size = x.index.shape[axis]
        kept = sliced(trace, x, axis, max(-before, 0), size - max(-after, 0))
        parts: list[Operand] = [kept]
        shape = [1] * x.rank
        for count, place in ((after, 1), (before, 0)):
            if count > 0:
                shape[axis] = count
                parts.insert(place, np.full(shape, fill))
        return trace.data(joined(trace, parts, axis))
    if x.axes[axis].hop and fill == 0:
        return replace(x, silence=(x.silence[0] + before, x.silence[1] + after))
    if x.axes[axis] != TIME:
        raise Unfit(
            f"pads axis {axis} of {x.text} by {before} and {after}: expected time or features"
        )
    if fill != 0:
        raise Unfit(f"pads frames of {fill}, expected zeros")
    if after < 0 and x.tail == -after and not before:
        return replace(x, tail=0)
    if min(before, after) < 0 and not x.tail:
        x = padded(trace, x, axis, max(before, 0), max(after, 0))
        end = after if after < 0 else ENDLESS
        return trace.data(sliced(trace, x, axis, max(-before, 0), end))
    if x.tail:
        raise Unfit(f"pads {x.text} by {before} and {after} frames: expected zeros in time")
    return later(trace, replace(x, padding=(x.padding[0] + before, x.padding[1] + after)))


def _beside(trace: Trace, operands: Sequence[Operand], axis: int) -> list[Tracked]:
    """The tensors; beside values also the constants as values."""
    moving = [x for x in operands if isinstance(x, Data)]
    if not moving or not moving[0].is_features(axis):
        return [spread(operand) for operand in operands]
    return [
        x
        if isinstance(x, Tracked) and not isinstance(x, Spread)
        else _frames_of(trace, moving[0], x, axis)
        for x in operands
    ]


def _frames_of(trace: Trace, beside: Data, constant: Operand, axis: int) -> Data:
    """A constant in each frame of a value, whose axes it has but for its own extent along one."""
    if isinstance(constant, Spread):
        array, axes = constant.index, constant.axes
    else:
        array = alike(trace, beside, trace.weights(constant, "the constant"))
        axes = (FEATURES,) * array.ndim
    fits = array.ndim == beside.rank and all(
        kind in (FEATURES, wanted) for kind, wanted in zip(axes, beside.axes, strict=True)
    )
    if not fits:
        raise Unfit(f"joins {beside.text} and a constant of shape {array.shape}")
    shape = list(beside.index.shape)
    shape[axis] = array.shape[axis]
    numbers = np.broadcast_to(array, shape).reshape(-1)
    if numbers.any() and not beside.is_plain:  # frames of zeros would have these numbers too
        raise Unfit(padding_text(beside))
    value = trace.add(
        Dense,
        [beside.value],
        "constant",
        weight=np.zeros((numbers.size, beside.value.features)),
        bias=numbers,
    )
    return replace(beside, index=arrange(shape), value=value)


def _in_sequence(trace: Trace, pieces: Sequence[Tracked]) -> list[Data]:
    """The tensors if they are all frames of one value, forwards or backwards."""
    found = [x for x in pieces if isinstance(x, Data) and x.frame is not None]
    if len(found) < len(pieces) or trace.frames is None:
        return []
    first = found[0]
    frames = [x.frame for x in found]
    whole = list(range(first.value.count(trace.frames)))
    if set(frames) <= {0, whole[-1]} and len(frames) < len(whole):
        return []  # its ends, which are values of the whole sequence
    if frames not in (whole, whole[::-1]):
        raise Unfit(f"joins frames {frames} of a sequence of {len(whole)}")
    for x in found:
        same = x.value == first.value and x.axes == first.axes
        if not same or not np.array_equal(x.index, first.index):
            raise Unfit("joins frames of several values, or that are computed in several ways")
    return found


def _sequence(trace: Trace, frames: Sequence[Tracked], axis: int) -> Data:
    """All frames of a value, in time again."""
    first = frames[0]
    assert isinstance(first, Data)
    value = trace.add(Flip, [first.value]) if first.frame else first.value
    axes = (*first.axes[:axis], TIME, *first.axes[axis:])
    index = np.expand_dims(first.index, axis)
    return replace(first, value=value, axes=axes, index=index, frame=None)


def _along(trace: Trace, pieces: Sequence[Tracked], axis: int) -> Tracked:
    """Tensors side by side along an axis of features."""
    first = pieces[0]
    found = " and ".join(dict.fromkeys(x.text for x in pieces))
    if len({type(x) for x in pieces}) > 1:
        raise Unfit(f"joins {found} of several kinds: values, constants or states")
    if any(not x.is_features(axis) for x in pieces):
        raise Unfit(f"joins along axis {axis} of {found}, expected features")
    sizes = {x.index.shape[:axis] + x.index.shape[axis + 1 :] for x in pieces}
    if any(x.axes != first.axes for x in pieces) or len(sizes) > 1:
        clocks = [x for x in pieces if isinstance(x, Data)]
        if len({x.value.clock for x in clocks}) > 1:
            trace.check_alike(clocks, "joins")
        raise Unfit(f"joins {found}, expected tensors of the same axes")
    total = sum(x.index.size for x in pieces)
    if total > MAX_FEATURES:
        raise Unfit(f"joins {total} features, expected at most {MAX_FEATURES}")
    if isinstance(first, Spread):
        return first.moved(first.axes, np.concatenate([x.index for x in pieces], axis))
    if isinstance(first, Ended):
        return _ended([x for x in pieces if isinstance(x, Ended)], axis)
    if isinstance(first, Held):
        if any(isinstance(x, Held) and x.name != first.name for x in pieces):
            raise Unfit("joins several initial states")
        return first.moved(first.axes, np.concatenate([x.index for x in pieces], axis))
    data = trace.level([trace.data(x) for x in pieces])
    trace.check_alike(data, "joins")
    values = {x.value.name: x.value for x in data}
    starts = dict(zip(values, np.cumsum([0, *(v.features for v in values.values())]), strict=False))
    index = np.concatenate([x.index + starts[x.value.name] for x in data], axis=axis)
    value = data[0].value
    if len(values) > 1:
        value = trace.add(Concat, list(values.values()))
    return replace(data[0], index=index, value=value)


def _ended(parts: Sequence[Ended], axis: int) -> Ended:
    """Cell states side by side."""
    total, indices = 0, []
    for part in parts:
        indices.append(part.index + total)
        total += int(part.index.max()) + 1
    states = tuple(name for part in parts for name in part.states)
    return Ended(parts[0].axes, np.concatenate(indices, axis), states)
