# SPDX-License-Identifier: Apache-2.0
"""The meaning of a tensor of a source: which of its axes is batch, time or features.

A tensor is a constant, a plain array, or a `Tracked`: its axes each have a meaning, and ``index``
says which feature of a value stands where. Operations that only relabel (transpose, reshape, slice,
split ...) change axes and index, and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self, TypeAlias

import numpy as np

from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = [
    "BATCH",
    "FEATURES",
    "RISING",
    "TIME",
    "Axes",
    "Axis",
    "Data",
    "Ended",
    "Held",
    "Operand",
    "Purpose",
    "Spread",
    "Tracked",
    "Undecided",
    "Unfit",
    "WrongAxes",
    "arrange",
    "samples",
    "spread",
    "text_of",
]


# Why nothing gives several frames for one, and what a user does instead.
RISING = (
    "gives several frames for one, which no layer does: convert what comes before and what follows "
    "as two models, and give the second one each answer of the first as often, as an input beside "
    "its own frames"
)


class Unfit(Exception):
    """Why an operation cannot be expressed; the frontend adds which one, and where."""


class WrongAxes(Unfit):
    """Axes that an operation cannot have: rather a wrong reading than an operation too many."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The unit that an axis counts.

    ``parts`` are empty for features alone. Otherwise they are "batch" and "time", and numbers: the
    extents of features that a reshape merged with these, the outermost first.
    """

    parts: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        words = (f"{part} features" if isinstance(part, int) else part for part in self.parts)
        return " x ".join(words) or "features"

    @property
    def outer(self) -> tuple[str, ...]:
        """Batch and time, without features."""
        return tuple(part for part in self.parts if isinstance(part, str))

    @property
    def hop(self) -> int:
        """Samples of a frame, of an axis that counts samples: so many after one another in each
        frame. Else 0."""
        is_hops = len(self.parts) == 2 and self.parts[0] == "time"
        return self.parts[1] if is_hops and isinstance(self.parts[1], int) else 0

    @property
    def is_mixed(self) -> bool:
        """True if it counts batch or time and features at once."""
        return any(isinstance(part, int) for part in self.parts)


BATCH, TIME, FEATURES = Axis(("batch",)), Axis(("time",)), Axis()
Axes: TypeAlias = tuple[Axis, ...]


def samples(hop: int) -> Axis:
    """The axis of samples of which a frame of the model has so many."""
    return Axis(("time", hop))


def text_of(axes: Iterable[Axis]) -> str:
    """The axes in words: (batch, time, features)."""
    return f"({', '.join(map(str, axes))})"


class Undecided(Exception):
    """The walk needs the axes of a tensor that nobody has decided yet: an input of the source, or
    the result of a reshape of sizes 1 that can have any of ``options``; or something else that has
    these options."""

    def __init__(self, name: str, options: tuple[Any, ...] = ()) -> None:
        super().__init__(name)
        self.name = name
        self.options = options


@dataclass(frozen=True, eq=False)
class Tracked:
    """Something with a row for every sequence, or for every frame of each.

    ``index`` has the tensor's rank: the extents of features, and 1 along batch and time.
    """

    axes: Axes
    index: Array

    def moved(self, axes: Axes, index: Array) -> Self:
        """The same with its features at other places."""
        return replace(self, axes=axes, index=index)

    @property
    def rank(self) -> int:
        """Axes of the tensor."""
        return len(self.axes)

    @property
    def text(self) -> str:
        """The axes in words: (batch, time, 40 features)."""
        words = [
            f"{size} features" if axis == FEATURES else str(axis)
            for axis, size in zip(self.axes, self.index.shape, strict=True)
        ]
        return f"({', '.join(words)})"

    def has(self, axis: Axis) -> bool:
        """True if it has batch or time, alone or merged."""
        return any(axis.parts[0] in each.parts for each in self.axes)

    def is_features(self, axis: int) -> bool:
        """True if an axis holds nothing but features."""
        return self.axes[axis] == FEATURES


@dataclass(frozen=True, eq=False)
class Data(Tracked):
    """A value of the model; ``index`` has the places of its features.

    ``padding``: frames of zeros before and after each sequence, which a convolution takes over.
    ``tail``: frames at the end that the value does not have, since a slice is to remove them.
    ``silence``: samples of zeros before and after each sequence, of an axis of samples.
    ``frame``: if not None, the tensor is this frame of the value alone.
    """

    value: Value
    padding: tuple[int, int] = (0, 0)
    tail: int = 0
    frame: int | None = None
    silence: tuple[int, int] = (0, 0)

    @property
    def is_plain(self) -> bool:
        """True if its frames are those of the value."""
        return self.padding == self.silence == (0, 0) and not self.tail

    @property
    def in_order(self) -> bool:
        """True if all features of the value stand in their order."""
        return np.array_equal(self.index.reshape(-1), np.arange(self.value.features))


@dataclass(frozen=True, eq=False)
class Spread(Tracked):
    """Constants, the same for every row and frame: ``index`` has the numbers themselves."""


class Purpose(StrEnum):
    """The purpose of an input that becomes an argument of `run`."""

    STATE = "state"
    LENGTHS = "lengths"


@dataclass(frozen=True, eq=False)
class Held(Tracked):
    """An initial state or the lengths; ``index`` has the places in that input of the source."""

    name: str
    purpose: Purpose


@dataclass(frozen=True, eq=False)
class Ended(Tracked):
    """Cell states of LSTMs after the last frame, by name: no value of a model has them.

    ``index`` has the places of the features, where the states stand one after the other. ``frame``:
    if not None, they are those after this frame.
    """

    states: tuple[str, ...]
    frame: int | None = None

    @property
    def in_order(self) -> bool:
        """True if all features stand in their order."""
        return np.array_equal(self.index.reshape(-1), np.arange(self.index.size))


Operand: TypeAlias = Array | Tracked


def arrange(sizes: Iterable[int]) -> Array:
    """The index of features that stand in C order: ``sizes`` are 1 along batch and time."""
    shape = tuple(sizes)
    return np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)


def spread(operand: Operand | None) -> Tracked:
    """The operand; a constant as something whose axes are all features."""
    if isinstance(operand, Tracked):
        return operand
    array = np.asarray(operand)
    return Spread((FEATURES,) * array.ndim, array)
