# SPDX-License-Identifier: Apache-2.0
"""The meaning of a value of an ONNX graph: which of its axes is batch, time or features.

An operand is a constant, or a `Tracked`: its axes each have a meaning, and ``index`` (of size 1
along batch and time) says which feature of a value stands where. An operator that only relabels
(transpose, reshape, slice, split ...) changes axes and index, and nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self, TypeAlias

from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = [
    "Axes",
    "Axis",
    "Constant",
    "Data",
    "Ended",
    "Held",
    "Operand",
    "Purpose",
    "Spread",
    "Tracked",
    "Undecided",
]


class Axis(StrEnum):
    """The unit that an axis counts; a reshape makes the last two of the first two."""

    BATCH = "batch"
    TIME = "time"
    FEATURES = "features"
    BATCH_TIME = "batch x time"
    TIME_BATCH = "time x batch"

    @property
    def parts(self) -> tuple[Axis, ...]:
        """The axes that a reshape merged here."""
        if self is Axis.BATCH_TIME:
            return (Axis.BATCH, Axis.TIME)
        if self is Axis.TIME_BATCH:
            return (Axis.TIME, Axis.BATCH)
        return (self,)


Axes: TypeAlias = tuple[Axis, ...]


class Undecided(Exception):
    """The walk needs the axes of a value that nobody has decided yet: an input of the file, or the
    result of a Reshape of sizes 1 that can have any of ``options``."""

    def __init__(self, name: str, options: tuple[Axes, ...] = ()) -> None:
        super().__init__(name)
        self.name = name
        self.options = options


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers that stand in the file; of dtype object where sizes left open are among them."""

    array: Array


@dataclass(frozen=True, eq=False)
class Tracked:
    """Something with a row for every sequence, or for every frame of each."""

    axes: Axes
    index: Array

    def moved(self, axes: Axes, index: Array) -> Self:
        """The same with its features at other places."""
        return replace(self, axes=axes, index=index)

    @property
    def text(self) -> str:
        """The axes in words: (batch, time, 40 features)."""
        words = [
            f"{size} features" if axis is Axis.FEATURES else str(axis)
            for axis, size in zip(self.axes, self.index.shape, strict=True)
        ]
        return f"({', '.join(words)})"

    def has(self, part: Axis) -> bool:
        """True if it has this axis, alone or merged."""
        return any(part in axis.parts for axis in self.axes)


@dataclass(frozen=True, eq=False)
class Data(Tracked):
    """A value of the model; ``index`` has the places of its features.

    ``padding``: frames of zeros before and after each sequence, which a convolution takes over.
    """

    value: Value
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Spread(Tracked):
    """Constants, the same for every row and frame: ``index`` has the numbers themselves."""


class Purpose(StrEnum):
    """The purpose of an input that becomes an argument of `run`."""

    STATE = "state"
    LENGTHS = "lengths"


@dataclass(frozen=True, eq=False)
class Held(Tracked):
    """An initial state or the lengths; ``index`` has the places in that input of the file."""

    name: str
    purpose: Purpose


@dataclass(frozen=True, eq=False)
class Ended(Tracked):
    """Cell states of LSTMs after the last frame, by name: no value of a model has them.

    ``index`` has the places of the features, where the states stand one after the other.
    """

    states: tuple[str, ...]


Operand: TypeAlias = Constant | Tracked
