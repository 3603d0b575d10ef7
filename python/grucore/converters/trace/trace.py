# SPDX-License-Identifier: Apache-2.0
"""The state of one walk over a source: the builder, sizes of batch and time, states, names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from grucore.converters.build.builder import GraphBuilder
from grucore.converters.trace.axes import (
    TIME,
    Axes,
    Data,
    Ended,
    Held,
    Operand,
    Purpose,
    Tracked,
    Unfit,
    arrange,
)
from grucore.converters.trace.memory import Memory, Scores
from grucore.converters.trace.sizes import Size, Unit, product
from grucore.converters.trace.spectra import Spectra
from grucore.graph.layers import (
    Activate,
    Activation,
    Concat,
    Expand,
    Pool1d,
    Pooling,
    Position,
    Select,
    Take,
)
from grucore.graph.node import Node, Rate, Value
from grucore.graph.tensors import Array, Dtype

__all__ = ["MAX_FOLDED", "TIMELESS", "Part", "Trace", "clock_text", "padding_text"]

ALONG_TIME = ("gru", "lstm", "rnn", "conv1d", "take", "pool", "pool1d", "flip", "window")
TIMELESS = "nothing in it looks along time, and an axis of it may be time"
MAX_FOLDED = 1 << 27  # elements of a constant that we compute


@dataclass(frozen=True)
class Part:
    """A piece of a state input, from feature ``first`` on: whose state it is, and the value that
    the layer writes, whose last row in its direction is the new state."""

    first: int
    size: int
    state: str
    value: str


@dataclass
class Trace:
    """State shared by operations. ``batch`` and ``frames`` are the sizes that the source fixes.

    ``memory``: the frames of the memory that the source attends to, at most; ``memories`` has for
    each layer that does the input that it comes from.

    ``label`` names the layers of the operation at hand, ``result`` what it gives: ``choices`` has
    the axes of those results that a reshape leaves open.
    """

    ORDER: ClassVar[str] = "order"  # how a layer is called that only moves features
    KEEPS_FRAMES: ClassVar[bool] = False  # a frame stays one until something needs it as a value

    builder: GraphBuilder = field(default_factory=GraphBuilder)
    batch: int | None = None
    frames: int | None = None
    memory: int | None = None
    memories: dict[str, str] = field(default_factory=dict)
    has_states: bool = False
    choices: Mapping[str, Axes] = field(default_factory=dict)
    label: str = ""
    result: str = ""
    shortest: int = 1
    # State inputs that are values of the frame before and no layer's own; None: nobody asked.
    delayed: frozenset[str] | None = None
    delays: dict[str, Data] = field(default_factory=dict)
    # In the body of a loop; the values of its states, and those of them that begin with an input.
    in_loop: bool = False
    looped: list[str] = field(default_factory=list)
    loops: dict[str, Held] = field(default_factory=dict)
    # Values that are the same at each frame, since they are made of inputs that come once.
    still: set[str] = field(default_factory=set)
    # True once a layer holds all frames of the one length that the source has.
    bound: bool = False
    # Values that are 0 or 1, and inputs of booleans among the model's.
    masks: set[str] = field(default_factory=set)
    booleans: list[str] = field(default_factory=list)
    # For each state input of the source: what its features are the state of.
    states: dict[str, list[Part]] = field(default_factory=dict)
    # An input that has no frames may be what attends, or a memory: no other product is meant.
    may_attend: bool = False
    # The scores of each value that is a softmax over time.
    shares: dict[str, Value] = field(default_factory=dict)
    # The value of which each value is the error function.
    errors: dict[str, str] = field(default_factory=dict)
    _made: dict[Any, Value] = field(default_factory=dict)

    @property
    def in_frames(self) -> bool:
        """True if a value without time may be one of a frame, and not of the sequence."""
        return bool(self.delayed) or self.in_loop

    @property
    def looks_along_time(self) -> bool:
        """True if a layer tells time from batch and features."""
        return any(node.layer in ALONG_TIME for node in self.builder.nodes)

    def name(self, suffix: str = "") -> str:
        """A name for a layer of the operation at hand."""
        return ".".join(part for part in (self.label, suffix) if part)

    def reaches_beyond(self, frames: int) -> None:
        """Hear of so many frames that begin before the end of a recording and reach beyond."""

    def doubt(self, what: str) -> None:
        """Note, or refuse, what may mean something else at another number of frames."""

    def add(
        self,
        kind: type[Node],
        inputs: Sequence[Value],
        suffix: str = "",
        *,
        called: str = "",
        **given: Any,
    ) -> Value:
        """Add a layer, or find the one that reads the same and is the same."""
        key = (kind, tuple(value.name for value in inputs), *map(_key, sorted(given.items())))
        if key not in self._made:
            value = self.builder.add(kind, called or self.name(suffix), inputs, **given)
            self._made[key] = value
            is_moving = kind.state_suffixes or value.rate is not Rate.FRAME
            if not is_moving and self.still.issuperset(each.name for each in inputs):
                self.still.add(value.name)
        return self._made[key]

    def once(self, name: str, axes: Axes, index: Array, dtype: Dtype) -> Data:
        """An input that comes once for a sequence, and stands at each of its frames."""
        value = self.builder.input(name, index.size, dtype)
        self.still.add(value.name)
        return Data(axes, index, value)

    def masked(self, x: Data) -> Data:
        """An input of booleans: its numbers within 0 and 1, which its readers may rely on."""
        name, bounds = x.value.name, Activation.clip(0.0, 1.0)
        inside = self.add(Activate, [x.value], called=f"{name}.mask", activation=bounds)
        self.booleans.append(name)
        self.masks.add(inside.name)
        return replace(x, value=inside)

    def is_still(self, x: Data) -> bool:
        """True of what has no frames, since it is the same at each of them."""
        return x.value.name in self.still and not x.has(TIME)

    def answer(self, x: Operand) -> Value:
        """The value of an output."""
        data = self.data(x)
        return self.ordered(self.whole(data) if self.is_still(data) else data)

    def put(
        self, kind: type[Node], inputs: Sequence[Value], *, name: str = "", **given: Any
    ) -> Value:
        """The same for those who name their layers."""
        return self.add(kind, inputs, called=name, **given)

    def delay(self, name: str, axes: Axes, index: Array, dtype: Dtype = Dtype.FLOAT32) -> Data:
        """A state input as the value of the frame before."""
        value = self.builder.delay(name, index.size, dtype=dtype)
        self.delays[name] = Data(axes, index, value)
        return self.delays[name]

    def layer_of(self, value: Value) -> str:
        """The name of the layer that writes a value."""
        return next(node.name for node in self.builder.nodes if node.output == value.name)

    def size(self, x: Tracked, axis: int) -> Size:
        """How long an axis is."""
        parts = x.axes[axis].parts
        if not parts:
            return int(x.index.shape[axis])
        size = product(part if isinstance(part, int) else self.extent(part, x) for part in parts)
        is_padded = isinstance(x, Data) and x.axes[axis].hop
        return size + sum(x.silence) if is_padded and isinstance(x, Data) else size

    def extent(self, part: str, x: Tracked) -> Size:
        """The number of rows, or of frames that a tensor has."""
        if part == "batch":
            return Unit(("batch",)) if self.batch is None else self.batch
        if part == "memory":
            return Unit(("memory",)) if self.memory is None else self.memory
        if isinstance(x, Data | Spectra):
            return self.extent_of(x.value) + x.tail + (sum(x.padding) if isinstance(x, Data) else 0)
        return Unit(("time",)) if self.frames is None else self.frames

    def sizes(self, operand: Operand) -> list[Size]:
        """The shape."""
        if isinstance(operand, Tracked):
            return [self.size(operand, axis) for axis in range(operand.rank)]
        return list(operand.shape)

    def data(self, operand: Operand | None) -> Data:
        """The operand, which has to be a value of the model."""
        if isinstance(operand, Data):
            return operand
        if isinstance(operand, Ended):
            names = ", ".join(operand.states)
            raise Unfit(f"reads the cell state {names}, which only its LSTM may")
        if isinstance(operand, Held) and operand.purpose is Purpose.STATE:
            raise Unfit(
                f"reads the initial state {operand.name!r}, which only a recurrent layer may"
            )
        if isinstance(operand, Spectra):
            raise Unfit(
                "reads complex numbers of a spectrum, expected their magnitudes (abs), or real and "
                "imaginary parts"
            )
        if isinstance(operand, Memory | Scores):
            what = f"what is made of the memory {operand.name!r}"
            raise Unfit(f"reads {what}, of which attention alone makes a value")
        what = "the lengths" if isinstance(operand, Held) else "a constant"
        raise Unfit(f"reads {what} where a value that the model computes is expected")

    def ordered(self, operand: Operand | None) -> Value:
        """The value whose features are those of the operand, in the order in which they stand."""
        data = self.data(operand)
        if not data.is_plain:
            raise Unfit(padding_text(data))
        return self.picked(data.value, data.index)

    def picked(self, value: Value, index: Array) -> Value:
        """The features of a value in the order of an index; of one part of a joint, that part's."""
        order = np.ascontiguousarray(index.reshape(-1), np.int32)
        if np.array_equal(order, np.arange(value.features)):
            return value
        maker = self.builder.maker(value)
        if isinstance(maker, Concat) and order.size:
            known = {one.name: one for one in self.builder.values}
            start = 0
            for part in (known[name] for name in maker.inputs):
                end = start + part.features
                if start <= order.min() and order.max() < end:
                    return self.picked(part, order - start)
                start = end
        return self.add(Select, [value], self.ORDER, index=order)

    def fresh(self, like: Data, value: Value) -> Data:
        """A value with as many features in the same places, now in C order."""
        return replace(like, index=arrange(like.index.shape), value=value)

    def constant(self, operand: Operand | None, what: str) -> Array:
        """The operand's numbers, which have to stand in the source."""
        if operand is None or isinstance(operand, Tracked):
            raise Unfit(f"{what} is computed by the model, expected a constant")
        if operand.dtype == object:
            raise Unfit(f"{what} depends on sizes that the file leaves open")
        return operand

    def weights(self, operand: Operand | None, what: str) -> Array:
        """The operand's numbers as float64, rounded to float32 only when all folding is done."""
        array = self.constant(operand, what)
        if array.dtype.kind != "f":
            raise Unfit(f"{what} is {array.dtype}, expected floating point")
        return array.astype(np.float64)

    def whole(self, x: Data) -> Data:
        """One frame of a value as a value of its own."""
        if self.is_still(x):
            return replace(x, value=self.add(Take, [x.value], "frame", position=Position.LAST))
        if x.frame is None or self.frames is None:
            return x
        last = x.value.count(self.frames) - 1
        if x.frame == last:
            self.doubt(f"frame {x.frame} may be the last one, or that one always")
        elif x.frame != 0:
            raise Unfit(
                f"frame {x.frame} of a sequence is neither its first nor its last: of a cell "
                "written by hand convert one step, forward(x, h) -> (y, h), which then streams"
            )
        position = Position.LAST if x.frame == last else Position.FIRST
        return replace(x, value=self.add(Take, [x.value], "frame", position=position), frame=None)

    def level(self, tensors: Sequence[Data]) -> list[Data]:
        """Tensors to be combined: the first and the last frame become values of the sequence, and
        these, beside a sequence, stand at every frame of it."""
        frames = {x.frame for x in tensors}
        found = list(tensors) if len(frames) == 1 else [self.whole(x) for x in tensors]
        timed = [x.value for x in found if x.has(TIME)]
        if timed:
            return [x if x.has(TIME) else self.at_frames(x, timed[0]) for x in found]
        if any(x.value.rate is Rate.SEQUENCE for x in found):
            return [self.whole(x) for x in found]
        return found

    def at_frames(self, x: Data, frames: Value) -> Data:
        """A value of the whole sequence, at each frame of another."""
        if not self.per_sequence(x):
            return x
        if self.is_still(x):
            if frames.clock == x.value.clock:
                return x
            # The largest of equal numbers, as late and as seldom as the frames come.
            taps, stride, most = frames.skip + 1, frames.period, Pooling.MAXIMUM
            value = self.add(Pool1d, [x.value], "frames", taps=taps, stride=stride, pooling=most)
            return replace(x, value=value)
        x = self.whole(x)
        return replace(x, value=self.add(Expand, [frames, x.value], "expand"))

    def per_sequence(self, x: Tracked) -> bool:
        """True of what is one for the whole sequence."""
        if not isinstance(x, Data) or x.has(TIME):
            return False
        return x.frame is not None or x.value.rate is Rate.SEQUENCE or self.is_still(x)

    def frames_of_size(self, size: Size) -> Value | None:
        """A value that has so many frames."""
        for value in self.builder.values:
            if value.rate is not Rate.SEQUENCE and size == self.extent_of(value):
                return value
        return None

    def extent_of(self, value: Value) -> Size:
        """How many frames a value has."""
        if self.frames is not None:
            return value.count(self.frames)
        clock = "" if value.clock == (Rate.FRAME, 1, 0) else f" of {value.clock}"
        return Unit((f"time{clock}",))

    def check_alike(self, tensors: Sequence[Data], what: str) -> None:
        """Raise `Unfit` for tensors of different rates, frames or padding."""
        first = tensors[0]
        for x in tensors[1:]:
            if x.value.clock != first.value.clock:
                raise Unfit(f"{what} values of different rates: {clock_text(tensors)}")
            if x.frame != first.frame:
                raise Unfit(f"{what} frames {first.frame} and {x.frame} of sequences: feedback")
            if (x.padding, x.tail, x.silence) != (first.padding, first.tail, first.silence):
                raise Unfit(f"{what} values with different padding")


def clock_text(tensors: Sequence[Data]) -> str:
    """Words for an error where values of different rates meet."""
    periods = sorted({x.value.period for x in tensors})
    if len(periods) > 1 and all(x.value.rate is not Rate.SEQUENCE for x in tensors):
        words = " and ".join("each" if k == 1 else f"one in {k}" for k in periods)
        return (
            f"of {words} of the frames. An input comes with every frame or once for a sequence: "
            "give one that comes seldom to a second model, which reads what this one gives"
        )
    if len({x.has(TIME) for x in tensors}) > 1:
        return "one of each frame and one of the whole sequence, which is known at its end only"
    return "per frame, per sequence or strided"


def padding_text(x: Data) -> str:
    """Why a padded sequence cannot be read by anything but a window."""
    if x.tail:
        return f"reads {x.tail} frames past the end that a convolution's padding makes"
    if x.silence != (0, 0):
        before, after = x.silence
        return f"reads samples padded by {before} and {after}, which only frames of them may"
    before, after = x.padding
    return f"reads a sequence padded by {before} and {after} frames, which only a window may"


def _key(item: tuple[str, Any]) -> Any:
    name, given = item
    if isinstance(given, np.ndarray):
        digest = hashlib.blake2b(np.ascontiguousarray(given).tobytes()).digest()
        return name, given.shape, given.dtype.str, digest
    return name, given
