# SPDX-License-Identifier: Apache-2.0
"""Operations that only give a tensor other axes: transpose, squeeze, reshape, expand, tile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    TIME,
    Axis,
    Data,
    Spread,
    Tracked,
    Undecided,
    Unfit,
)
from grucore.converters.trace.ops.reshape import reshaped, resolve, sizes_text
from grucore.converters.trace.sizes import Size, product
from grucore.converters.trace.trace import MAX_FOLDED, Trace

__all__ = [
    "axis_of",
    "check_folded",
    "expanded",
    "flattened",
    "squeezed",
    "symbol",
    "tiled",
    "transposed",
    "unsqueezed",
    "viewed",
]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < max(rank, 1):
        raise Unfit(f"axis is {axis} of {rank} axes")
    return axis % rank if rank else 0


def transposed(x: Tracked, order: Sequence[int]) -> Tracked:
    """The axes in another order."""
    order = [axis_of(axis, x.rank) for axis in order]
    if sorted(order) != list(range(x.rank)):
        raise Unfit(f"an order of axes {list(order)} for {x.rank} axes")
    return x.moved(tuple(x.axes[axis] for axis in order), x.index.transpose(order))


def viewed(trace: Trace, x: Tracked, target: Sequence[Size]) -> Tracked:
    """The tensor in another shape, one of whose extents may be -1."""
    return reshaped(trace, x, resolve(trace.sizes(x), target))


def flattened(trace: Trace, x: Tracked, first: int, last: int) -> Tracked:
    """The axes from ``first`` up to ``last``, which does not belong to them, as one."""
    sizes = trace.sizes(x)
    return reshaped(trace, x, [*sizes[:first], product(sizes[first:last]), *sizes[last:]])


def squeezed(trace: Trace, x: Tracked, axes: Sequence[int]) -> Tracked:
    """Without these axes, each of size 1."""
    for axis in axes:
        size = trace.size(x, axis)
        if size != 1:
            raise Unfit(f"squeezes axis {axis} of {x.text}, which has {size}")
        if "time" in x.axes[axis].parts and not trace.has_states:
            raise Unfit(
                f"drops the time axis of {x.text}, whose size is 1 here: this may mean the last "
                "frame, or a model for one frame; export with a dynamic size or with its state"
            )
    kept = tuple(axis for place, axis in enumerate(x.axes) if place not in axes)
    return x.moved(kept, x.index.squeeze(tuple(axes)))


def unsqueezed(x: Tracked, axes: Sequence[int]) -> Tracked:
    """With axes of size 1 at these places of the result."""
    rank = x.rank + len(axes)
    places = [axis_of(axis, rank) for axis in axes]
    if len(set(places)) < len(places):
        raise Unfit(f"axes are {places}, one of them twice")
    kinds = list(x.axes)
    for place in sorted(places):
        kinds.insert(place, FEATURES)
    return x.moved(tuple(kinds), np.expand_dims(x.index, tuple(places)))


def expanded(trace: Trace, x: Tracked, target: Sequence[Size]) -> Tracked:
    """Features of extent 1 repeated until the tensor has this shape; constants along any axis."""
    rank = max(len(target), x.rank)
    ones: list[Size] = [1]
    target = ones * (rank - len(target)) + list(target)
    lead = rank - x.rank
    x = unsqueezed(x, range(lead))
    shape: list[int] = []
    kinds: list[Axis] = []
    for place, size in enumerate(target):
        found, kind = trace.size(x, place), x.axes[place]
        if size in (1, -1, found):
            shape.append(int(x.index.shape[place]))
        elif found == 1 and (at_frames := _at_frames(trace, x, place, size)) is not None:
            x, kind = at_frames, TIME
            shape.append(1)
        elif found == 1 and isinstance(size, int) and kind == FEATURES:
            shape.append(size)
        elif found == 1 and kind == FEATURES and isinstance(x, Spread):
            kind = symbol(size)
            shape.append(1)
        else:
            raise Unfit(f"stretches axis {place} of {x.text} to {size}")
        kinds.append(kind)
    check_folded(shape)
    return x.moved(tuple(kinds), np.broadcast_to(x.index, shape))


def _at_frames(trace: Trace, x: Tracked, axis: int, size: Size) -> Data | None:
    """A value of the whole sequence at each frame, if an axis of size 1 is to have as many."""
    if not isinstance(x, Data) or not trace.per_sequence(x) or not x.is_features(axis) or size == 1:
        return None
    frames = trace.frames_of_size(size)
    if frames is not None and type(size) is int:  # a plain number: both meanings are tried
        timed = (*x.axes[:axis], TIME, *x.axes[axis + 1 :])
        if trace.result not in trace.choices:
            raise Undecided(trace.result, (timed, x.axes))
        if trace.choices[trace.result][axis] != TIME:
            return None
    return None if frames is None else trace.at_frames(x, frames)


def tiled(trace: Trace, x: Tracked, repeats: Sequence[Size]) -> Tracked:
    """The features so many times side by side; constants along any axis."""
    if len(repeats) < x.rank:
        raise Unfit(f"repeats are {sizes_text(repeats)} for {x.rank} axes")
    lead = len(repeats) - x.rank
    x = unsqueezed(x, range(lead))
    counts: list[int] = []
    kinds = list(x.axes)
    for place, count in enumerate(repeats):
        one = trace.size(x, place) == 1
        if one and (at_frames := _at_frames(trace, x, place, count)) is not None:
            x, kinds[place], count = at_frames, TIME, 1
        if not isinstance(count, int) and isinstance(x, Spread) and one:
            kinds[place] = symbol(count)
            count = 1
        if not isinstance(count, int) or count < 1 or (count > 1 and kinds[place] != FEATURES):
            raise Unfit(f"repeats axis {place} of {x.text} {count} times")
        counts.append(count)
    check_folded([*counts, x.index.size])
    return x.moved(tuple(kinds), np.tile(x.index, counts))


def symbol(size: Size) -> Axis:
    """The axis that has this size, which the source leaves open."""
    if str(size) not in ("batch", "time"):
        raise Unfit(f"makes an axis of size {size}, expected the batch or the frames")
    return Axis((str(size),))


def check_folded(shape: Sequence[int]) -> None:
    """Raise `Unfit` for a constant of this shape that is too large to make."""
    if np.prod([float(size) for size in shape]) > MAX_FOLDED:
        raise Unfit(f"makes a constant of {list(shape)}, expected at most {MAX_FOLDED} numbers")
