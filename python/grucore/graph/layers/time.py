# SPDX-License-Identifier: Apache-2.0
"""Layers that look along time without weights: take, pool, pool1d, flip, expand, mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_code,
    check_dtype,
    check_features,
    check_float32,
    check_in_time,
    check_mask,
    check_per_sequence,
)
from grucore.graph.layers.windows import (
    MAX_TAPS,
    check_history,
    check_range,
    check_window_clock,
    window_value,
)
from grucore.graph.node import Call, Defect, Node, Result, Value, float32_of
from grucore.graph.tensors import Dtype, Role

__all__ = ["Expand", "Flip", "Mask", "Pool", "Pool1d", "Pooling", "Position", "Take"]


class Position(IntEnum):
    """Which frame of a sequence."""

    LAST = 0
    FIRST = 1


class Pooling(IntEnum):
    """How the frames of a sequence become one."""

    MEAN = 0
    MAXIMUM = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Take(Node):
    """The last frame of a sequence, or the first: one output for the whole of it."""

    position: Position = Position.LAST

    kind: ClassVar[int] = 3
    layer: ClassVar[str] = "take"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.position),)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0].per_sequence(), name=self.output)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_in_time(inputs[0])
        check_per_sequence(output)
        check_dtype(inputs[0], output)
        check_features(inputs[0], output)
        check_code(Position, words, 0, "the frame to take")

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"position": Position(words[0])}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        result = np.zeros((len(x), x.shape[2]))
        for row, end in enumerate(call.ends):
            if end:
                result[row] = x[row, 0 if self.position is Position.FIRST else end - 1]
        return result, ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Node):
    """Mean or maximum over the frames; of none 0. A second input is a mask as `Gru` has."""

    pooling: Pooling = Pooling.MEAN

    kind: ClassVar[int] = 12
    layer: ClassVar[str] = "pool"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.pooling),)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0].per_sequence(), name=self.output)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 2)
        check_float32(inputs[0], output)
        check_in_time(inputs[0])
        check_per_sequence(output)
        check_features(inputs[0], output)
        check_mask(inputs)
        check_code(Pooling, words, 0, "the pooling")

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"pooling": Pooling(words[0])}

    def formula(self, call: Call) -> Result:
        x = call.sources[0]
        result = np.zeros((len(x), x.shape[2]))
        for row, end in enumerate(call.ends):
            frames = x[row, :end]
            if len(call.sources) > 1:
                frames = frames[call.sources[1][row, :end, 0] != 0]
            if len(frames):
                result[row] = frames.mean(0) if self.pooling is Pooling.MEAN else frames.max(0)
        return result, ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool1d(Node):
    """Mean or maximum over ``taps`` frames, a window that moves by ``stride``."""

    taps: int
    stride: int = 1
    pooling: Pooling = Pooling.MEAN

    kind: ClassVar[int] = 16
    layer: ClassVar[str] = "pool1d"
    attribute_count: ClassVar[int] = 3
    state_suffixes: ClassVar[tuple[str, ...]] = (".history",)

    @property
    def reach(self) -> int:
        """Frames from the oldest to the newest of a window: the history that a stream carries."""
        return self.taps - 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.pooling), self.taps, self.stride)

    def written(self, *inputs: Value) -> Value:
        return window_value(self.output, inputs[0], self.reach, self.stride)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_in_time(inputs[0])
        check_in_time(output)
        check_features(inputs[0], output)
        check_code(Pooling, words, 0, "the pooling")
        check_range(words, 1, "taps", 1, MAX_TAPS)
        check_range(words, 2, "stride", 1, MAX_TAPS)
        check_history(words[1] - 1, inputs[0].features)
        check_window_clock(inputs[0], output, words[1] - 1, words[2])

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"pooling": Pooling(words[0]), "taps": words[1], "stride": words[2]}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        history = call.history(self.reach)
        places = range(self.reach, x.shape[1], self.stride)
        result = np.zeros((len(x), len(places), x.shape[2]))
        last = np.zeros_like(history)
        for row, end in enumerate(call.ends):
            heard = np.concatenate([history[row], x[row, :end]])
            for value, place in enumerate(places):
                window = heard[place : place + self.taps]
                if place < end:
                    mean = self.pooling is Pooling.MEAN
                    result[row, value] = window.mean(0) if mean else window.max(0)
            last[row] = heard[len(heard) - self.reach :]
        return result, (last,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Flip(Node):
    """Each sequence turned around in time, within its own length."""

    kind: ClassVar[int] = 14
    layer: ClassVar[str] = "flip"

    @property
    def streamable(self) -> bool:
        return False

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_dtype(inputs[0], output)
        check_clock(inputs[0], output)
        check_in_time(inputs[0])
        check_features(inputs[0], output)

    def formula(self, call: Call) -> Result:
        result = np.zeros_like(call.sources[0])
        for row, end in enumerate(call.ends):
            result[row, :end] = call.sources[0][row, :end][::-1]
        return result, ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Expand(Node):
    """The second value, which is one per sequence, at every frame of the first."""

    kind: ClassVar[int] = 27
    layer: ClassVar[str] = "expand"

    @property
    def streamable(self) -> bool:
        return False

    def written(self, *inputs: Value) -> Value:
        return replace(
            inputs[0], name=self.output, dtype=Dtype.FLOAT32, features=inputs[1].features
        )

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 2, 2)
        check_float32(inputs[1], output)
        check_in_time(inputs[0])
        check_per_sequence(inputs[1])
        check_clock(inputs[0], output)
        check_features(inputs[1], output)

    def formula(self, call: Call) -> Result:
        frames, x = call.sources
        return np.repeat(x[:, None], frames.shape[1], axis=1), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Mask(Node):
    """1 where some feature differs from a number, 0 where all are equal to it.

    ``bits``: that number as a word of the input's dtype; of a float32, its `float32_bits`.
    """

    bits: int = 0

    kind: ClassVar[int] = 13
    layer: ClassVar[str] = "mask"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.bits & 0xFFFFFFFF,)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, dtype=Dtype.INT32, features=1)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        if output.dtype is not Dtype.INT32 or output.features != 1:
            message = f"value {output.name!r} has {output.features} features"
            raise Defect("kBadShape", f"{message} of {output.dtype.name}, expected 1 of INT32")
        check_clock(inputs[0], output)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"bits": words[0]}

    def formula(self, call: Call) -> Result:
        is_float = call.values[0].dtype is Dtype.FLOAT32
        word = self.attributes[0]
        number = float32_of(word) if is_float else float(np.uint32(word).view(np.int32))
        return (call.sources[0] != number).any(axis=-1, keepdims=True).astype(np.float64), ()
