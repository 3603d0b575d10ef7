# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers: the axes that they read and write, their states at the start and at the end.

At the end, the bodies of loops over frames: what one reads, carries to the next frame and gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from grucore.converters.build.cells import cell_in_pieces
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Axes,
    Data,
    Ended,
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
from grucore.converters.trace.ops.pieces import flipped
from grucore.converters.trace.ops.views import axis_of
from grucore.converters.trace.trace import Part, Trace, padding_text
from grucore.graph import gates
from grucore.graph.layers import Concat, Direction, Position, Recurrent, Take
from grucore.graph.node import Node, Rate, Value
from grucore.graph.tensors import Array

__all__ = [
    "Start",
    "add_layer",
    "add_state",
    "after",
    "are_alike",
    "before",
    "beside",
    "cell_states",
    "check_sequence",
    "final",
    "frame_of",
    "frames_of",
    "initial",
    "sequence",
    "state_of",
]

# By the suffix of a state: its name in errors, and the field of the layer.
STATES = {
    ".h": ("initial_h", "initial_state"),
    ".c": ("initial_c", "initial_cell"),
    ".x": ("the first state of a loop", "initial_state"),
}
# The start of one layer in one direction: zeros, numbers (H,), a piece of an input, or a value of
# the frame before.
Start: TypeAlias = Array | Held | Data | None


def check_sequence(trace: Trace, x: Data, time: int, features: int) -> None:
    """Raise unless a recurrent layer can read it: time at this axis, batch at the other one of the
    first two, features last."""
    expected = (TIME, BATCH) if time == 0 else (BATCH, TIME)
    fits = x.rank == 3 and x.is_features(2)
    for place, axis in enumerate(expected):
        # One row without a batch axis, or one frame of a model that is fed its own state.
        lone = fits and x.is_features(place) and x.index.shape[place] == 1
        lone = lone and not x.has(axis) and x.value.rate is not Rate.SEQUENCE
        fits = fits and (x.axes[place] == axis or lone)
    if not fits or x.frame is not None:
        names = ", ".join(map(str, expected))
        raise WrongAxes(f"X is {x.text}, expected ({names}, features)")
    if x.index.size != features:
        raise WrongAxes(f"X has {x.index.size} features, its weights read {features}")
    if not x.is_plain:
        raise Unfit(padding_text(x))


def initial(
    trace: Trace, operand: Operand | None, rows: int, hidden: int, batch: int, suffix: str
) -> list[Start]:
    """The start of each row (a layer in a direction) of a state, whose axis ``batch`` is that."""
    what = STATES[suffix][0]
    if operand is None:
        return [None] * rows
    if isinstance(operand, Held) or (isinstance(operand, Data) and trace.in_frames):
        return _pieces(operand, rows, hidden, batch, what)
    if isinstance(operand, Tracked) and not isinstance(operand, Spread):
        raise Unfit(
            f"{what} is computed by the model, expected an input or a constant: convert the two "
            "parts apart, and hand the state over"
        )
    array = operand.index if isinstance(operand, Spread) else np.asarray(operand)
    if array.ndim != 3 or array.dtype.kind != "f":
        raise Unfit(f"{what} is {array.dtype} of {array.ndim} axes, expected 3")
    by_row = np.moveaxis(array, batch, 0)
    if by_row.shape[1:] != (rows, hidden):
        expected = (rows, "batch", hidden) if batch else ("batch", rows, hidden)
        raise Unfit(f"{what} has shape {array.shape}, expected {expected}")
    if (by_row != by_row[:1]).any():
        raise Unfit(f"{what} differs between the rows of the batch")
    return [row if row.any() else None for row in by_row[0]]


def _pieces(held: Held | Data, rows: int, hidden: int, batch: int, what: str) -> list[Start]:
    order: Axes = (FEATURES, BATCH) if batch else (BATCH, FEATURES)
    lone = held.axes == (FEATURES,) * 3 and held.index.shape[batch] == 1
    is_state = isinstance(held, Data) or held.purpose is Purpose.STATE
    if not is_state or held.rank != 3 or (held.axes[:2] != order and not lone):
        names = ", ".join(map(str, order))
        raise Unfit(f"{what} is {held.text}, expected ({names}, features)")
    index = np.moveaxis(held.index, batch, 0)[0]
    if index.shape != (rows, hidden):
        raise Unfit(f"{what} is {held.text}, expected {hidden} features for each of {rows} layers")
    return [held.moved((FEATURES,), row) for row in index]


def add_layer(
    trace: Trace,
    kind: type[Recurrent],
    x: Data,
    starts: Mapping[str, Start],
    *,
    name: str,
    reverse: bool = False,
    mask: Value | None = None,
    **settings: Any,
) -> tuple[Value, ...]:
    """One layer in one direction; ``starts`` has the start of each state by its suffix, ``mask``
    says which frames it reads.

    Gives what it writes. From values of the frame before it becomes a cell in pieces, which gives
    all its new states.
    """
    read = [trace.ordered(x), *([] if mask is None else [mask])]
    if any(isinstance(start, Data) for start in starts.values()):
        if mask is not None:
            raise Unfit("its states are fed back and its frames masked")
        return _in_pieces(trace, kind, x, starts, name, settings)
    for suffix, start in starts.items():
        if isinstance(start, np.ndarray):
            settings[STATES[suffix][1]] = gates.rounded(start)
    settings["direction"] = Direction.REVERSE if reverse else Direction.FORWARD
    held = {suffix: start for suffix, start in starts.items() if isinstance(start, Held)}
    if held:  # the same layer from another state is another layer
        written = trace.builder.add(kind, name, read, **settings)
    else:
        written = trace.add(kind, read, called=name, **settings)
    for suffix, start in held.items():
        add_state(trace, start, f"{trace.layer_of(written)}{suffix}", written)
    return (written,)


def _in_pieces(
    trace: Trace,
    kind: type[Recurrent],
    x: Data,
    starts: Mapping[str, Start],
    name: str,
    settings: dict[str, Any],
) -> tuple[Value, ...]:
    """A cell over one frame, from values that are its states before."""
    if x.has(TIME):
        raise Unfit("its initial state is computed by the model, expected one frame a call")
    before = [start for start in starts.values() if isinstance(start, Data)]
    if len(before) < len(starts):
        raise Unfit("one of its states is fed back and another one is not")

    def add(layer: type[Node], inputs: Sequence[Value], *, name: str, **given: Any) -> Value:
        return trace.builder.add(layer, name, inputs, **given)

    states = [trace.ordered(start) for start in before]
    return cell_in_pieces(add, kind, name, trace.ordered(x), states, **settings)


def add_state(trace: Trace, held: Held, state: str, value: Value) -> None:
    """Note the part of an input that is the initial state of a layer."""
    what = STATES[state[-2:]][0]
    index = held.index.reshape(-1)
    part = Part(int(index[0]), len(index), state, value.name)
    parts = trace.states.setdefault(held.name, [])
    if not np.array_equal(index, part.first + np.arange(part.size)):
        raise Unfit(f"{what} is a mixture of the features of input {held.name!r}")
    for other in parts:
        if abs(other.first - part.first) < max(other.size, part.size):
            raise Unfit(f"{what} is a part of input {held.name!r} that is also {other.state!r}")
    parts.append(part)


def are_alike(found: Data, before: Data) -> bool:
    """True if a state may become this: both have the same axes, but for a row of features alone."""
    if found.index.shape == before.index.shape and found.axes == before.axes:
        return True
    lone = [
        [axis for axis, size in zip(each.axes, each.index.shape, strict=True) if size > 1]
        for each in (found, before)
    ]
    sizes: Sequence[tuple[int, ...]] = [
        tuple(size for size in each.index.shape if size > 1) for each in (found, before)
    ]
    return lone[0] == lone[1] and sizes[0] == sizes[1] and not found.has(TIME)


def final(trace: Trace, value: Value, *, name: str, reverse: bool, is_own: bool = False) -> Value:
    """The state of a layer after the last frame that it reads; ``is_own``: with lengths that frame
    is another one than that of the sequence."""
    position = Position.FIRST if reverse else Position.LAST
    if is_own:
        return trace.builder.add(Take, name, [value], position=position)
    return trace.add(Take, [value], called=name, position=position)


def beside(trace: Trace, values: Sequence[Value], name: str) -> Value:
    """The features of several values."""
    return values[0] if len(values) == 1 else trace.add(Concat, values, called=name)


def state_of(trace: Trace, x: Tracked, values: Sequence[Value], batch: int, name: str) -> Data:
    """The last states of some layers; ``x`` is what they read."""
    axes, sizes = _state_axes(x, len(values), values[0].features, batch)
    return Data(axes, arrange(sizes), beside(trace, values, name))


def _state_axes(x: Tracked, rows: int, hidden: int, batch: int) -> tuple[Axes, tuple[int, ...]]:
    """(rows, batch, H), or (batch, rows, H); ``batch`` is the place of that axis."""
    kind = next((axis for axis in x.axes[:-1] if axis == BATCH), FEATURES)
    if batch == 0:
        return (kind, FEATURES, FEATURES), (1, rows, hidden)
    return (FEATURES, kind, FEATURES), (rows, 1, hidden)


def cell_states(
    trace: Trace, x: Tracked, written: Sequence[tuple[Value, ...]], batch: int, name: str
) -> Data | Ended:
    """The cell states of LSTM layers after the last frame."""
    if any(len(each) > 1 for each in written):
        return state_of(trace, x, [each[1] for each in written], batch, name)
    layers = [trace.layer_of(value) for value, *_ in written]
    axes, sizes = _state_axes(x, len(layers), written[0][0].features, batch)
    return Ended(axes, arrange(sizes), tuple(f"{layer}.c" for layer in layers))


def sequence(trace: Trace, operand: Operand | None, axis: int | None = None) -> Data:
    """A sequence that a loop takes its frames of, along this axis."""
    x = trace.data(operand)
    at = x.axes.index(TIME) if axis is None and TIME in x.axes else axis
    if at is None or x.axes[axis_of(at, x.rank)] != TIME:
        raise WrongAxes(f"a loop takes the frames of {x.text} along axis {at}, expected time there")
    if not x.is_plain or x.frame is not None:
        raise Unfit(padding_text(x))
    return x


def frame_of(trace: Trace, x: Data, axis: int, *, turned: bool, keep: bool) -> Data:
    """The frame that an iteration reads: each frame in turn, or from the last one back."""
    if turned:
        x = trace.data(flipped(trace, x, [axis]))
    axes, index = _without(x.axes, axis), x.index.squeeze(axis)
    if keep:
        axes, index = (*axes[:axis], FEATURES, *axes[axis:]), np.expand_dims(index, axis)
    return replace(x, axes=axes, index=index)


def _without(axes: Axes, axis: int) -> Axes:
    return axes[:axis] + axes[axis + 1 :]


def before(trace: Trace, start: Operand | None, sequences: Sequence[Data]) -> Data:
    """A state before a frame, from what it is at first, in a loop over these sequences."""
    trace.check_alike(sequences, "one loop over")
    like = sequences[0]
    trace.in_loop = True
    if isinstance(start, Held) and start.purpose is Purpose.STATE:
        made = _delayed(trace, start, like, None)
        trace.loops[made.value.name] = start
        return made
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
        if place in lone and numbers.shape[place] in (1, trace.batch):
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
    return _delayed(trace, Spread(tuple(axes), numbers), like, numbers.reshape(-1))


def _delayed(trace: Trace, x: Tracked, like: Data, initial: Array | None) -> Data:
    index = arrange(x.index.shape)
    starts = initial is not None and initial.any()
    name = trace.name("state")
    value = trace.builder.delay(name, index.size, initial if starts else None, like.value)
    trace.looped.append(value.name)
    return Data(x.axes, index, value)


def after(trace: Trace, past: Data, new: Data) -> Data:
    """A state after the last frame; what it is before a frame is known from here on."""
    if not are_alike(new, past):
        raise Unfit(f"a state of a loop is {past.text} and becomes {new.text}")
    if new.value.clock != past.value.clock:
        raise Unfit("a state of a loop becomes a value that does not come with its frames")
    value = trace.ordered(new)
    trace.builder.feed_back(past.value, value)
    held = trace.loops.get(past.value.name)
    if held is not None:
        add_state(trace, held, f"{trace.layer_of(past.value)}.x", value)
    last = trace.add(Take, [value], "final", position=Position.LAST)
    return Data(new.axes, arrange(new.index.shape), last)


def frames_of(trace: Trace, x: Data, axis: int, *, turned: bool, joins: bool = False) -> Data:
    """The sequence of what all frames give; ``joins``: an axis of size 1 becomes time."""
    if x.value.rate is Rate.SEQUENCE or x.has(TIME):
        raise Unfit(f"a loop gives {x.text} in each frame, expected a value of the frame")
    axis = axis_of(axis, x.rank if joins else x.rank + 1)
    axes, index = x.axes, x.index
    if joins:
        if not x.is_features(axis) or index.shape[axis] != 1:
            raise Unfit(f"a loop puts {x.text} one after the other along axis {axis}")
        axes, index = _without(axes, axis), index.squeeze(axis)
    axes, index = (*axes[:axis], TIME, *axes[axis:]), np.expand_dims(index, axis)
    made = replace(x, axes=axes, index=index)
    return trace.data(flipped(trace, made, [axis])) if turned else made
