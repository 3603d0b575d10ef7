# SPDX-License-Identifier: Apache-2.0
"""Layers at both ends of a spectrum: windows of samples, bands of bins, overlapping frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from grucore.graph.layers.checks import check_arity, check_clock, check_float32, check_in_time
from grucore.graph.layers.windows import MAX_TAPS, check_range, check_window_clock, window_value
from grucore.graph.node import Call, Defect, Node, Result, Value, float32_bits, float32_of
from grucore.graph.tensors import Array, Dtype, Float, Role, Slot
from grucore.graph.weights import Weight

__all__ = ["Filterbank", "OverlapAdd", "Window"]


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


@dataclass(frozen=True, eq=False, kw_only=True)
class OverlapAdd(Node):
    """Frames of samples times ``weight`` (samples,), each ``hop`` after the one before, added up.

    A frame of the output is the ``hop`` samples that no later frame reaches.
    """

    weight: Array
    hop: int

    kind: ClassVar[int] = 24
    layer: ClassVar[str] = "overlap_add"
    attribute_count: ClassVar[int] = 1
    state_suffixes: ClassVar[tuple[str, ...]] = (".overlap",)

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.hop,)

    def tensors(self) -> dict[Role, Weight]:
        return {Role.WEIGHT: self.weight}

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=self.hop)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        check_in_time(output)
        check_range(words, 0, "hop", 1, inputs[0].features)
        if output.features != words[0]:
            message = f"value {output.name!r} has {output.features} features"
            raise Defect("kBadShape", f"{message}, expected {words[0]}, a hop")

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.WEIGHT, (inputs[0].features,)),)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"weight": tensors[Role.WEIGHT], "hop": words[0]}

    def formula(self, call: Call) -> Result:
        (x,), (state,) = call.sources, call.states
        batch, frames, size = x.shape
        result, last = np.zeros((batch, frames, self.hop)), np.zeros((batch, size - self.hop))
        for row, end in enumerate(call.ends):
            total = np.zeros(size + self.hop * end)
            if state is not None:
                total[: size - self.hop] = state[row]
            for frame in range(end):
                total[frame * self.hop :][:size] += x[row, frame] * self.weight
            result[row, :end] = total[: end * self.hop].reshape(end, self.hop)
            last[row] = total[end * self.hop :][: size - self.hop]
        return result, (last,)


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
