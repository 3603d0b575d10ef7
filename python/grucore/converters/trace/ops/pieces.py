# SPDX-License-Identifier: Apache-2.0
"""Operations that take tensors to pieces: selections, slices and splits, of features and frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import BATCH, FEATURES, TIME, Axes, Data, Tracked, Unfit
from grucore.converters.trace.ops.views import squeezed, unsqueezed
from grucore.converters.trace.sizes import Size, integers
from grucore.converters.trace.spectra import Spectra
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Conv1d, Delay, Flip, Pool1d, Position, Take
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = [
    "ENDLESS",
    "cropped",
    "flipped",
    "gathered",
    "later",
    "rolled",
    "selected",
    "sliced",
    "split",
]

ENDLESS = 1 << 30  # a slice that ends here or later ends with the axis
MAX_TAPS, MAX_KERNEL = 65536, 1 << 22  # of the windows that croppings become


def selected(trace: Trace, x: Tracked, axis: int, place: Size) -> Tracked:
    """One row of an axis, which is gone then: of features, or a frame."""
    if x.is_features(axis):
        size = x.index.shape[axis]
        if not isinstance(place, int) or not -size <= place < size:
            raise Unfit(f"takes {place} of {size} features")
        return x.moved(_gone(x.axes, axis), np.asarray(np.take(x.index, place, axis)))
    if (
        trace.size(x, axis) == 1
        and place in (0, -1)
        and (x.axes[axis] == BATCH or trace.has_states)
    ):
        return squeezed(trace, x, [axis])
    if x.axes[axis] != TIME:
        message = f"takes {place} along axis {axis} of {x.text}"
        raise Unfit(f"{message}, expected the first or last frame")
    return _frame(trace, trace.data(x), axis, place)


def _frame(trace: Trace, x: Data, axis: int, place: Size) -> Data:
    """One frame of a sequence."""
    if not x.is_plain:
        raise Unfit(padding_text(x))
    size = trace.size(x, axis)
    if place == -1 or (not isinstance(size, int) and place == size - 1):
        return _taken(trace, x, axis, Position.LAST)
    if not isinstance(place, int) or place < 0 or (isinstance(size, int) and place >= size):
        raise Unfit(f"takes frame {place} of {size}, expected the first, 0, or the last one, -1")
    if trace.KEEPS_FRAMES:
        return replace(x, axes=_gone(x.axes, axis), index=x.index.squeeze(axis), frame=place)
    if place:
        trace.doubt(f"takes frame {place}")
        raise Unfit(
            f"takes {place} along axis {axis} of {x.text}, expected the first or last frame"
        )
    return _taken(trace, x, axis, Position.FIRST)


def _taken(trace: Trace, x: Data, axis: int, position: Position) -> Data:
    value = trace.add(Take, [x.value], position=position)
    return replace(x, axes=_gone(x.axes, axis), index=x.index.squeeze(axis), value=value)


def _gone(axes: Axes, axis: int) -> Axes:
    return axes[:axis] + axes[axis + 1 :]


def sliced(trace: Trace, x: Tracked, axis: int, start: Size, end: Size, step: Size = 1) -> Tracked:
    """Some of the features of an axis; of frames all, the first, the last, or all but some ends."""
    if x.is_features(axis):
        if not (isinstance(start, int) and isinstance(end, int) and isinstance(step, int) and step):
            raise Unfit(f"slices features from {start} to {end} by {step}")
        stop = None if step < 0 and end <= -ENDLESS else end
        return x.moved(x.axes, x.index[(slice(None),) * axis + (slice(start, stop, step),)])
    size = trace.size(x, axis)
    fixed, is_time = isinstance(size, int), x.axes[axis] == TIME
    starts_first = start == 0 or (not fixed and start == 0 - size)
    endless = isinstance(end, int) and end >= ENDLESS
    if is_time and fixed and size != 1 and end == size:
        trace.doubt(f"a slice to {end} may mean that frame, or the end")
    ends_last = endless or end == size or (end_beyond(size, end) and not is_time)
    if isinstance(x, Data | Spectra) and is_time and starts_first and not endless and step == 1:
        before, after = x.padding if isinstance(x, Data) else (0, 0)
        removed = -end if isinstance(end, int) and end < 0 else size - end
        if (x.tail or before) and fixed and isinstance(end, int) and end > 0:
            trace.doubt(f"a slice to {end} may mean that frame, or {removed} from the end")
        if removed == x.tail > 0:
            return replace(x, tail=0)
        if isinstance(x, Data) and removed == before > 0 and not after and not x.tail:
            return _delayed(trace, x, x.value, before)
    if step == 1 and starts_first and ends_last:
        return x
    if is_time:
        found = _frames(trace, trace.data(x), axis, (start, end, step), ends_last)
        if found is not None:
            return found
        if fixed:
            trace.doubt(f"slices frames from {start} to {end}")
    shown = "its end" if endless else end
    what = f"slices axis {axis} from {start} to {shown} by {step} of {x.text}"
    if is_time and ends_last and isinstance(start, int) and start < -1 and step == 1:
        what = f"takes the last {-start} frames of {x.text}, a limit that is lost on short ones"
    raise Unfit(f"{what}: expected all of it, or the first or last frame")


def end_beyond(size: Size, end: Size) -> bool:
    """True if a number is at or past the end of an axis."""
    return isinstance(size, int) and isinstance(end, int) and end >= size


def _frames(
    trace: Trace, x: Data, axis: int, cut: tuple[Size, Size, Size], ends_last: bool
) -> Data | None:
    """Frames of a sequence; None where their number depends on a bound."""
    start, end, step = cut
    size = trace.size(x, axis)
    if not x.is_plain:
        raise Unfit(padding_text(x))
    is_last = start == -1 or start == size - 1
    if step == -1 and is_last and isinstance(end, int) and end <= -ENDLESS:
        return trace.data(flipped(trace, x, [axis]))
    if step == 1 and is_last and ends_last:
        if start != -1 and isinstance(size, int):
            trace.doubt(f"a slice from {start} may mean that frame, or the last one")
        return _kept(_taken(trace, x, axis, Position.LAST), axis)
    if step == 1 and start == 0 and end == 1:
        return _kept(_taken(trace, x, axis, Position.FIRST), axis)
    left = 0 if ends_last else -end if isinstance(end, int) and end < 0 else size - end
    by_end = ends_last or not (isinstance(end, int) and end >= 0)
    if not by_end or not isinstance(left, int) or not isinstance(start, int) or start < 0:
        return None
    if not isinstance(step, int) or step < 1 or left < 0:
        return None
    value = cropped(trace, x.value, start, left)
    if step > 1:
        value = trace.add(Pool1d, [value], "stride", taps=1, stride=step)
    trace.shortest = max(trace.shortest, value.skip + 1)
    return replace(x, value=value)


def _kept(x: Data, axis: int) -> Data:
    return x.moved((*x.axes[:axis], FEATURES, *x.axes[axis:]), np.expand_dims(x.index, axis))


def cropped(trace: Trace, value: Value, before: int, after: int) -> Value:
    """Without the first and last frames: a window that gives one of its frames."""
    step = math.gcd(before, after)
    if not step:
        return value
    if value.dtype.numpy.kind != "f":
        raise Unfit("cuts off frames of ids, expected numbers")
    taps = (before + after) // step + 1
    if taps > MAX_TAPS or taps * value.features > MAX_KERNEL:
        raise Unfit(
            f"cuts off {before} and {after} frames of {value.features} features, expected at most "
            f"{MAX_KERNEL} numbers in all"
        )
    kernel = np.zeros((value.features, taps, 1))
    kernel[:, before // step] = 1.0
    return trace.add(
        Conv1d,
        [value],
        "crop",
        weight=kernel,
        bias=np.zeros(value.features),
        dilation=step,
        groups=value.features,
    )


def later(trace: Trace, x: Data, first: Array | None = None) -> Data:
    """A sequence without its last frames, and padded by as many before it, as a delay.

    ``first`` (frames, features): what stands there instead of zeros.
    """
    node, (count, after) = trace.builder.maker(x.value), x.padding
    if not isinstance(node, Conv1d) or not count or after or x.tail or x.value.skip != count:
        return x
    weight = np.asarray(node.weight)
    is_crop = node.groups == weight.shape[0] == node.groups * node.stride and not node.bias.any()
    if not is_crop or (weight[:, 0] != 1).any() or weight[:, 1:].any():
        return x
    (source,) = (each for each in trace.builder.values if each.name == node.inputs[0])
    return _delayed(trace, x, source, count, first)


def _delayed(trace: Trace, x: Data, source: Value, frames: int, first: Array | None = None) -> Data:
    value = trace.add(Delay, [source], "before", frames=frames, initial_state=first)
    return replace(x, value=value, padding=(0, 0))


def flipped(trace: Trace, x: Tracked, axes: Sequence[int]) -> Tracked:
    """Features the other way round, or the frames."""
    for axis in axes:
        if x.is_features(axis):
            x = x.moved(x.axes, np.flip(x.index, axis))
        elif x.axes[axis] == TIME:
            data = trace.data(x)
            if not data.is_plain:
                raise Unfit(padding_text(data))
            x = replace(data, value=trace.add(Flip, [data.value]))
        else:
            raise Unfit(f"turns axis {axis} of {x.text} around, expected features or time")
    return x


def rolled(x: Tracked, shifts: int | Sequence[int], axes: Sequence[int]) -> Tracked:
    """Features moved on, the last ones first."""
    if not axes or not all(x.is_features(axis) for axis in axes):
        raise Unfit(f"turns axes {list(axes)} of {x.text} round, expected features")
    return x.moved(x.axes, np.roll(x.index, shifts, axes))


def gathered(trace: Trace, x: Tracked, axis: int, places: Array) -> Tracked:
    """Rows of an axis at these places: of features, or the first or last frame."""
    if x.is_features(axis) and places.dtype.kind in "iu":
        size = x.index.shape[axis]
        if ((places < -size) | (places >= size)).any():
            raise Unfit(f"indices are {places.tolist()} of {size}")
        axes = x.axes[:axis] + (FEATURES,) * places.ndim + x.axes[axis + 1 :]
        return x.moved(axes, np.asarray(np.take(x.index, places, axis=axis), x.index.dtype))
    if places.size != 1 or places.ndim > 1:
        raise Unfit(f"indices have shape {places.shape} along axis {axis} of {x.text}")
    (place,) = integers(places)
    found = selected(trace, x, axis, place)
    return unsqueezed(found, [axis]) if places.ndim else found


def split(trace: Trace, x: Tracked, axis: int, lengths: Sequence[int]) -> list[Tracked]:
    """Pieces of these lengths along an axis."""
    if not x.is_features(axis):
        raise Unfit(f"splits axis {axis} of {x.text}, expected features")
    size = x.index.shape[axis]
    if sum(lengths) != size or min(lengths, default=0) < 0:
        raise Unfit(f"splits {size} features into {list(lengths)}")
    pieces = np.split(x.index, np.cumsum(lengths)[:-1], axis=axis)
    return [x.moved(x.axes, piece) for piece in pieces]
