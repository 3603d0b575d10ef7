# SPDX-License-Identifier: Apache-2.0
"""Layers from samples to features: window, spectrum, filterbank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar, Self

import numpy as np

from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_code,
    check_float32,
    check_in_time,
)
from grucore.graph.layers.windows import MAX_TAPS, check_range, check_window_clock, window_value
from grucore.graph.node import Call, Defect, Node, Result, Value, float32_bits, float32_of
from grucore.graph.tensors import Array, Dtype, Float, Role, Slot
from grucore.graph.weights import Weight

__all__ = ["MAX_LENGTH", "Filterbank", "Rfft", "Spectrum", "Window", "is_fast", "roots"]

MAX_LENGTH = 65536


@dataclass(frozen=True, eq=False, kw_only=True)
class Window(Node):
    """The newest samples times ``weight`` (samples,): a frame of the input is a hop of samples.

    ``delay`` samples after the window's last one have come already; the first ``lost`` frames have
    no output. Before the first sample there are zeros. ``emphasis``, within [0, 1] and rounded to
    float32, times the sample before is taken away from each sample.
    """

    weight: Array
    delay: int = 0
    lost: int = 0
    emphasis: float = 0.0

    kind: ClassVar[int] = 20
    layer: ClassVar[str] = "window"
    attribute_count: ClassVar[int] = 3
    state_suffixes: ClassVar[tuple[str, ...]] = (".history",)

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.delay, self.lost, float32_bits(self.emphasis))

    def tensors(self) -> dict[Role, Weight]:
        return {Role.WEIGHT: self.weight}

    def written(self, *inputs: Value) -> Value:
        return replace(
            window_value(self.output, inputs[0], self.lost, 1), features=len(self.weight)
        )

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_in_time(inputs[0])
        check_in_time(output)
        check_range(words, 0, "delay", 0, MAX_TAPS)
        check_range(words, 1, "lost frames", 0, MAX_TAPS)
        emphasis = float32_of(words[2])
        if not 0 <= emphasis <= 1:
            raise Defect("kBadAttribute", f"emphasis is {emphasis}, expected 0 to 1", 2)
        check_window_clock(inputs[0], output, words[1], 1)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.WEIGHT, (output.features,)),)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        emphasis = float32_of(words[2])
        weight = tensors[Role.WEIGHT]
        return {"weight": weight, "delay": words[0], "lost": words[1], "emphasis": emphasis}

    def history_samples(self, hop: int) -> int:
        """Samples before a hop that a stream carries."""
        reach = len(self.weight) + self.delay + (self.attributes[2] != 0)
        return max(0, reach - hop)

    def formula(self, call: Call) -> Result:
        (x,), (state,) = call.sources, call.states
        batch, frames, hop = x.shape
        history = self.history_samples(hop)
        past = np.zeros((batch, history)) if state is None else state
        last, size = np.zeros((batch, history)), len(self.weight)
        result = np.zeros((batch, max(0, frames - self.lost), size))
        for row, end in enumerate(call.ends):
            heard = np.concatenate([past[row], x[row, :end].reshape(-1)])
            before = np.concatenate([[0.0], heard[:-1]])
            emphasized = heard - float(np.float32(self.emphasis)) * before
            for frame in range(self.lost, end):
                stop = history + (frame + 1) * hop - self.delay
                result[row, frame - self.lost] = emphasized[stop - size : stop] * self.weight
            last[row] = heard[len(heard) - history :]
        return result, (last,)


class Spectrum(IntEnum):
    """The number that is made of each bin."""

    POWER = 0
    MAGNITUDE = 1
    COMPLEX = 2  # the real parts of all bins, then the imaginary parts


def is_fast(length: int) -> bool:
    """True of products of 2, 3 and 5."""
    for factor in (2, 3, 5):
        while length % factor == 0:
            length //= factor
    return length == 1


def roots(length: int) -> Array:
    """Cosine and negative sine of each ``2 pi k / length``, (2, length) float32.

    Each number is correctly rounded, and a symmetry of the circle is one of the bits.
    """
    eighths = 8 * np.arange(length)
    octant, rest = eighths // length, eighths % length
    odd = octant % 2 == 1
    angle = np.pi / 4 * np.where(odd, length - rest, rest) / length
    near, far = np.cos(angle), np.sin(angle)
    quarter = (octant + 1) // 2 % 4  # the axis that is nearest
    sign = np.where(odd, -1.0, 1.0)
    cosine = np.choose(quarter, [near, -sign * far, -near, sign * far])
    sine = np.choose(quarter, [sign * far, near, -sign * far, -near])
    table = np.stack([cosine, -sine])
    return np.where(table == 0, 0.0, table).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rfft(Node):
    """The spectrum of each frame, bins 0 to ``length // 2``, with zeros after it up to ``length``.

    ``length``: 2 to 65536 with no other factors than 2, 3 and 5. ``table``: `roots` of it.
    """

    length: int
    spectrum: Spectrum = Spectrum.POWER
    table: Array | None = None

    kind: ClassVar[int] = 21
    layer: ClassVar[str] = "rfft"
    attribute_count: ClassVar[int] = 2

    @property
    def numbers(self) -> int:
        """Complex numbers of the transform that the engine does: two samples in each, if it can."""
        return self.length if self.length % 2 else self.length // 2

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix in which they lie."""
        count = self.numbers
        rows = next(n for n in range(1, count + 1) if count % n == 0 and n * n >= count)
        return rows, count // rows

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.spectrum), self.length)

    def tensors(self) -> dict[Role, Weight]:
        return {Role.TABLE: roots(self.length) if self.table is None else self.table}

    def written(self, *inputs: Value) -> Value:
        features = _bins(self.length) * (2 if self.spectrum is Spectrum.COMPLEX else 1)
        return replace(inputs[0], name=self.output, features=features)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        check_code(Spectrum, words, 0, "the spectrum")
        check_range(words, 1, "length", 2, MAX_LENGTH)
        if not is_fast(words[1]):
            message = f"length {words[1]}, expected no factors but 2, 3 and 5"
            raise Defect("kBadAttribute", message, 1)
        if inputs[0].features > words[1]:
            message = f"value {inputs[0].name!r} has {inputs[0].features} features"
            raise Defect("kBadShape", f"{message}, expected at most the length {words[1]}")
        features = _bins(words[1]) * (2 if words[0] == Spectrum.COMPLEX else 1)
        if output.features != features:
            message = f"value {output.name!r} has {output.features} features"
            raise Defect("kBadShape", f"{message}, expected {features} of length {words[1]}")

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.TABLE, (2, words[1])),)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        table = tensors[Role.TABLE]
        return {"length": words[1], "spectrum": Spectrum(words[0]), "table": table}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        cosine, sine = np.asarray(self.tensors()[Role.TABLE]).astype(np.float64)
        angles = np.outer(np.arange(x.shape[-1]), np.arange(_bins(self.length))) % self.length
        real, imaginary = x @ cosine[angles], x @ sine[angles]
        if self.spectrum is Spectrum.COMPLEX:
            return np.concatenate([real, imaginary], axis=-1), ()
        power = real**2 + imaginary**2
        return np.sqrt(power) if self.spectrum is Spectrum.MAGNITUDE else power, ()


def _bins(length: int) -> int:
    return length // 2 + 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Filterbank(Node):
    """Sums of neighbouring features: a matrix whose rows are zero outside of a band each.

    ``index`` (features out, 2), int32: the first feature of each row's band and how many there are.
    ``weight`` (count,): the numbers of one band after the other.
    """

    weight: Array
    index: Array

    kind: ClassVar[int] = 22
    layer: ClassVar[str] = "filterbank"

    @classmethod
    def of_matrix(cls, matrix: Float | Array, **names: Any) -> Self:
        """The layer of a matrix (features out, features in), not all zero, rounded to float32."""
        rounded = np.asarray(matrix, np.float32)
        index = np.zeros((len(rounded), 2), np.int32)
        bands = []
        for row, numbers in enumerate(rounded):
            (places,) = np.nonzero(numbers)
            if len(places):
                index[row] = places[0], places[-1] + 1 - places[0]
                bands.append(numbers[places[0] : places[-1] + 1])
        if not bands:
            raise ValueError(f"the matrix {rounded.shape} of a filterbank is zero everywhere")
        return cls(weight=np.concatenate(bands), index=index, **names)

    def tensors(self) -> dict[Role, Weight]:
        return {Role.WEIGHT: self.weight, Role.INDEX: self.index}

    @property
    def multiply_adds(self) -> int:
        return len(self.weight)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=len(self.index))

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        # Any number of weights.
        index = Slot(Role.INDEX, (output.features, 2), dtype=Dtype.INT32)
        return Slot(Role.WEIGHT, (0,)), index

    @classmethod
    def check_tensors(
        cls, words: Sequence[int], inputs: Sequence[Value], tensors: Mapping[Role, Any]
    ) -> None:
        features, weight = inputs[0].features, tensors[Role.WEIGHT]
        bands = tensors[Role.INDEX].astype(np.int64) & 0xFFFFFFFF  # as the engine reads them
        for first, count in bands[bands.sum(axis=1) > features][:1]:
            message = f"reads features {first} to {first + count} of value {inputs[0].name!r}"
            raise Defect("kBadIndex", f"{message}, which has {features}", tensor=Role.INDEX)
        total = int(bands[:, 1].sum())
        if total != len(weight):
            message = f"has {len(weight)} numbers, expected {total} of all bands"
            raise Defect("kBadShape", message, tensor=Role.WEIGHT)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"weight": tensors[Role.WEIGHT], "index": tensors[Role.INDEX]}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        result = np.zeros((*x.shape[:-1], len(self.index)))
        at = 0
        for row, (first, count) in enumerate(self.index):
            band = self.weight[at : at + count].astype(np.float64)
            result[..., row] = x[..., first : first + count] @ band
            at += count
        return result, ()
