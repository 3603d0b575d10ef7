# SPDX-License-Identifier: Apache-2.0
"""Spectra of frames, and frames of spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.checks import check_arity, check_clock, check_code, check_float32
from grucore.graph.layers.windows import check_range
from grucore.graph.node import Call, Defect, Node, Result, Value
from grucore.graph.tensors import Array, Float, Role, Slot
from grucore.graph.weights import Weight

__all__ = ["MAX_LENGTH", "Irfft", "Rfft", "Spectrum", "is_fast", "roots"]

MAX_LENGTH = 65536


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
class _Transform(Node):
    """The base of both directions."""

    length: int
    table: Array | None = None

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

    def tensors(self) -> dict[Role, Weight]:
        return {Role.TABLE: roots(self.length) if self.table is None else self.table}

    @property
    def table_numbers(self) -> Float:
        """Cosines and negative sines in double precision."""
        return np.asarray(self.tensors()[Role.TABLE]).astype(np.float64)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.TABLE, (2, words[-1])),)


def _check_length(words: Sequence[int], index: int) -> None:
    check_range(words, index, "length", 2, MAX_LENGTH)
    if not is_fast(words[index]):
        message = f"length {words[index]}, expected no factors but 2, 3 and 5"
        raise Defect("kBadAttribute", message, index)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rfft(_Transform):
    """The spectrum of each frame, bins 0 to ``length // 2``, with zeros after it up to ``length``.

    ``length``: 2 to 65536 with no other factors than 2, 3 and 5. ``table``: `roots` of it.
    """

    spectrum: Spectrum = Spectrum.POWER

    kind: ClassVar[int] = 21
    layer: ClassVar[str] = "rfft"
    attribute_count: ClassVar[int] = 2

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.spectrum), self.length)

    def written(self, *inputs: Value) -> Value:
        features = _bins(self.length) * (2 if self.spectrum is Spectrum.COMPLEX else 1)
        return replace(inputs[0], name=self.output, features=features)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        check_code(Spectrum, words, 0, "the spectrum")
        _check_length(words, 1)
        if inputs[0].features > words[1]:
            message = f"value {inputs[0].name!r} has {inputs[0].features} features"
            raise Defect("kBadShape", f"{message}, expected at most the length {words[1]}")
        features = _bins(words[1]) * (2 if words[0] == Spectrum.COMPLEX else 1)
        if output.features != features:
            message = f"value {output.name!r} has {output.features} features"
            raise Defect("kBadShape", f"{message}, expected {features} of length {words[1]}")

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        table = tensors[Role.TABLE]
        return {"length": words[1], "spectrum": Spectrum(words[0]), "table": table}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        cosine, sine = self.table_numbers
        angles = np.outer(np.arange(x.shape[-1]), np.arange(_bins(self.length))) % self.length
        real, imaginary = x @ cosine[angles], x @ sine[angles]
        if self.spectrum is Spectrum.COMPLEX:
            return np.concatenate([real, imaginary], axis=-1), ()
        power = real**2 + imaginary**2
        return np.sqrt(power) if self.spectrum is Spectrum.MAGNITUDE else power, ()


def _bins(length: int) -> int:
    return length // 2 + 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Irfft(_Transform):
    """``length`` samples of each spectrum: the real parts of all bins, then the imaginary parts.

    `Rfft` undone, as `numpy.fft.irfft`: imaginary parts of bins that are real are not looked at.
    """

    kind: ClassVar[int] = 23
    layer: ClassVar[str] = "irfft"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.length,)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=self.length)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        _check_length(words, 0)
        for value, features in ((inputs[0], 2 * _bins(words[0])), (output, words[0])):
            if value.features != features:
                message = f"value {value.name!r} has {value.features} features"
                raise Defect("kBadShape", f"{message}, expected {features} of length {words[0]}")

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"length": words[0], "table": tensors[Role.TABLE]}

    def formula(self, call: Call) -> Result:
        (x,), bins = call.sources, _bins(self.length)
        cosine, sine = self.table_numbers
        angles = np.outer(np.arange(bins), np.arange(self.length)) % self.length
        twice = np.where(np.arange(bins) * 2 % self.length == 0, 1.0, 2.0)[:, None]  # mirrored
        real, imaginary = x[..., :bins], x[..., bins:]
        inner = 2.0 * (twice == 2.0) * sine[angles]
        return (real @ (twice * cosine[angles]) + imaginary @ inner) / self.length, ()
