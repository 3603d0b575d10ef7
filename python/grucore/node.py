# SPDX-License-Identifier: Apache-2.0
"""What all layers share: values, the roles of tensors, the checks of shapes, the class Node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "Defect",
    "Dtype",
    "Node",
    "Rate",
    "Role",
    "Slot",
    "Value",
    "check_arity",
    "check_code",
    "check_float32",
    "check_rate",
]

Array = npt.NDArray[Any]


class Dtype(IntEnum):
    """What a value is made of."""

    FLOAT32 = 0
    INT32 = 1

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy dtype."""
        return np.dtype("<f4" if self is Dtype.FLOAT32 else "<i4")


class Rate(IntEnum):
    """How often a value is written."""

    FRAME = 0
    PERIOD = 1
    SEQUENCE = 2


class Role(IntEnum):
    """What a stored tensor is for; its name in messages is the member's in lower case."""

    WEIGHT_IH = 1
    WEIGHT_HH = 2
    WEIGHT_HN = 3
    BIAS = 4
    WEIGHT = 5
    TEST_INPUT = 64
    TEST_OUTPUT = 65


class Slot(NamedTuple):
    """A tensor that a layer stores: `panel16` of so many gates, or `rowmajor` where gates is 0."""

    role: Role
    shape: tuple[int, ...]
    gates: int

    @property
    def name(self) -> str:
        """The role's name, as in docs/format.md."""
        return self.role.name.lower()


@dataclass(frozen=True, slots=True)
class Value:
    """What flows along an edge of the graph. ``period`` is the number of frames at rate PERIOD."""

    name: str
    features: int
    dtype: Dtype = Dtype.FLOAT32
    rate: Rate = Rate.FRAME
    period: int = 1


class Defect(Exception):
    """Why a layer is impossible: a Status name, a sentence, and the attribute at fault, if any."""

    def __init__(self, status: str, message: str, attribute: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.attribute = attribute


def check_code(kind: type[IntEnum], words: Sequence[int], index: int, what: str) -> int:
    """Return attribute ``index`` if it is a member of ``kind``; otherwise raise `Defect`."""
    try:
        return kind(words[index])
    except ValueError:
        known = ", ".join(f"{code.value} {code.name.lower()}" for code in kind)
        message = f"{what} is {words[index]}, expected one of {known}"
        raise Defect("kBadAttribute", message, index) from None


def check_arity(inputs: Sequence[Value], least: int, most: int | None) -> None:
    """Raise `Defect` unless the layer reads so many values."""
    if len(inputs) < least or (most is not None and len(inputs) > most):
        expected = f"at least {least}" if most is None else str(most)
        raise Defect("kBadShape", f"reads {len(inputs)} values, expected {expected}")


def check_float32(*values: Value) -> None:
    """Raise `Defect` unless all values are float32."""
    for value in values:
        if value.dtype is not Dtype.FLOAT32:
            raise Defect("kBadShape", f"value {value.name!r} is {value.dtype.name}, not FLOAT32")


def check_rate(value: Value, rate: Rate, period: int = 1) -> None:
    """Raise `Defect` unless the value is written that often."""
    if (value.rate, value.period) != (rate, period):
        raise Defect(
            "kBadShape", f"value {value.name!r} has rate {value.rate.name}, expected {rate.name}"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """A layer: the values that it reads and the one that it writes, by name."""

    name: str
    inputs: tuple[str, ...]
    output: str

    kind: ClassVar[int]
    layer: ClassVar[str]
    attribute_count: ClassVar[int] = 0

    @property
    def attributes(self) -> tuple[int, ...]:
        """The words that stand in the file for the attributes."""
        return ()

    def tensors(self) -> dict[Role, Array]:
        """The tensors in the shapes in which the file stores them, by ascending role."""
        return {}

    @property
    def streamable(self) -> bool:
        """Whether a frame of output needs no later frame of input."""
        return True

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        """Raise `Defect` where attributes, inputs and output do not fit together."""
        raise NotImplementedError

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        """The tensors that a layer with these (checked) attributes and values has."""
        return ()

    @classmethod
    def build(
        cls,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        words: Sequence[int],
        tensors: Mapping[Role, Array],
    ) -> Self:
        """The node of checked words and tensors: the inverse of `attributes` and `tensors`."""
        return cls(name=name, inputs=inputs, output=output)

    @classmethod
    def multiply_adds(cls, inputs: Sequence[Value], output: Value) -> int:
        """Multiply-adds of one evaluation."""
        return 0
