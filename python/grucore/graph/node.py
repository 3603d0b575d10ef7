# SPDX-License-Identifier: Apache-2.0
"""The base of all layers: values, the tensors of a layer, the class Node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np

from grucore.graph.tensors import Array, Dtype, Float, Role, Slot

if TYPE_CHECKING:
    from grucore.graph.weights import Weight

__all__ = [
    "MAX_FEATURES",
    "MAX_PERIOD",
    "MAX_SKIP",
    "Call",
    "Defect",
    "Node",
    "Product",
    "Rate",
    "Result",
    "Value",
    "float32_bits",
    "float32_of",
]


MAX_FEATURES = 1 << 20
MAX_SKIP = 1 << 20
MAX_PERIOD = 65536


class Rate(IntEnum):
    """How often a value is written."""

    FRAME = 0
    PERIOD = 1
    SEQUENCE = 2


@dataclass(frozen=True, slots=True)
class Value:
    """An edge of the graph.

    Frame t of the model's input has a value where ``t >= skip`` and ``(t - skip) % period == 0``.
    ``period`` is 1 except at rate PERIOD; at rate SEQUENCE there is one value for all frames.
    """

    name: str
    features: int
    dtype: Dtype = Dtype.FLOAT32
    rate: Rate = Rate.FRAME
    period: int = 1
    skip: int = 0

    @property
    def clock(self) -> tuple[Rate, int, int]:
        """Which frames have a value."""
        return self.rate, self.period, self.skip

    def count(self, frames: int) -> int:
        """Values that the first ``frames`` frames give: at most 1 per frame, 1 per sequence."""
        if self.rate is Rate.SEQUENCE:
            return 1
        return max(0, -(-(frames - self.skip) // self.period))

    def shape(self, frames: int) -> tuple[int, ...]:
        """Shape for so many frames: (values, features), or (features,) per sequence."""
        per_sequence = self.rate is Rate.SEQUENCE
        return (self.features,) if per_sequence else (self.count(frames), self.features)

    def per_sequence(self) -> Value:
        """The same once per sequence."""
        return replace(self, rate=Rate.SEQUENCE, period=1, skip=0)


class Defect(Exception):
    """Why a layer is impossible: a Status name, a sentence, the attribute or tensor at fault."""

    def __init__(
        self,
        status: str,
        message: str,
        attribute: int | None = None,
        *,
        tensor: Role | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.attribute = attribute
        self.tensor = tensor


def float32_bits(number: float) -> int:
    """The attribute word of a float32."""
    return int(np.float32(number).view(np.uint32))


def float32_of(word: int) -> float:
    """The inverse of `float32_bits`."""
    return float(np.uint32(word).view(np.float32))


Result: TypeAlias = tuple[Float, tuple[Float, ...]]
"""The output of a layer, and its states after the last frame."""


@dataclass(frozen=True)
class Call:
    """The arguments of a layer's formula.

    ``sources``: the arrays of the ``values`` that it reads, (B, frames, features), of which row b
    has ``ends[b]`` frames, or (B, features) per sequence; nothing looks past the ends. ``states``:
    those before the first frame, in the order of the layer; None for its own initial state.
    """

    values: tuple[Value, ...]
    sources: tuple[Float, ...]
    ends: Array
    states: tuple[Float | None, ...]

    def history(self, frames: int) -> Float:
        """The frames before the first one, (B, frames, features); zeros where there is no state."""
        (x,), (state,) = self.sources, self.states
        return np.zeros((len(x), frames, x.shape[2])) if state is None else state


class Product(NamedTuple):
    """Rows of the weight in a field, and samples (count, columns) of what these multiply."""

    field: str
    rows: slice
    samples: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Node(ABC):
    """A layer: the values that it reads and the one that it writes, by name.

    ``kind`` is its number in the file, ``layer`` its name; both stand in docs/format.md. Users see
    a state that it carries from frame to frame as ``name + suffix``, one of ``state_suffixes``.
    ``weight_fields``: the fields that may be float16 or `Quantized`. ``gates``: of a layer whose
    rows belong to gates, a letter for each, in the order of the rows; ``candidate`` is the one that
    is no share from 0 to 1. ``reads_later``: its first input may be what it or a later node writes.
    """

    name: str
    inputs: tuple[str, ...]
    output: str

    kind: ClassVar[int]
    layer: ClassVar[str]
    attribute_count: ClassVar[int] = 0
    state_suffixes: ClassVar[tuple[str, ...]] = ()
    weight_fields: ClassVar[tuple[str, ...]] = ()
    gates: ClassVar[str] = ""
    candidate: ClassVar[str] = ""
    reads_later: ClassVar[bool] = False

    @property
    def attributes(self) -> tuple[int, ...]:
        """The words that stand in the file for the attributes."""
        return ()

    def tensors(self) -> dict[Role, Weight]:
        """The tensors in the shapes in which the file stores them, by ascending role."""
        return {}

    @property
    def streamable(self) -> bool:
        """True if a frame of output needs no later frame of input."""
        return True

    @property
    def initial_states(self) -> tuple[Array | None, ...]:
        """The states before the first frame, in their order; None for zeros."""
        return (None,) * len(self.state_suffixes)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one value of the output."""
        return 0

    def written(self, *inputs: Value) -> Value:
        """The value that this layer writes, called ``output``, if it reads these."""
        return replace(inputs[0], name=self.output)

    @classmethod
    @abstractmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        """Raise `Defect` where attributes, inputs and output do not fit together."""

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        """The tensors of a layer with these (checked) attributes and values, by ascending role."""
        return ()

    @classmethod  # noqa: B027  (most layers have nothing to say here)
    def check_tensors(
        cls, words: Sequence[int], inputs: Sequence[Value], tensors: Mapping[Role, Any]
    ) -> None:
        """Raise `Defect` where what stands in tensors of the right shapes is impossible."""

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        """The arguments that checked words and tensors stand for: what undoes both."""
        return {}

    @classmethod
    def build(
        cls,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        words: Sequence[int],
        tensors: Mapping[Role, Weight],
    ) -> Self:
        """The node of checked words and tensors: the inverse of `attributes` and `tensors`."""
        return cls(name=name, inputs=inputs, output=output, **cls.settings(words, tensors))

    @abstractmethod
    def formula(self, call: Call) -> Result:
        """The output and the last states in float64: slow and obvious.

        Weights are the numbers that they stand for, whatever their kind; activations are not
        quantized.
        """

    def products(self, values: Mapping[str, Array]) -> Iterator[Product]:
        """The products of weights and activations where the layer reads and writes ``values``.

        Values are (B, values, features), or (B, features) of those that are per sequence.
        """
        return iter(())

    def bias_rows(self, field: str) -> Array:
        """The element of ``bias`` that is added to each row of the weight in that field."""
        return np.arange(len(getattr(self, field)))

    def gate_values(self, values: Mapping[str, Array]) -> Iterator[tuple[Float, ...]]:
        """The gates, (count, H) each in the order of ``gates``, at some frames after others.

        ``values`` as for `products`; all frames of all rows that no mask closes come once.
        """
        return iter(())
