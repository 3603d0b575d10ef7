# SPDX-License-Identifier: Apache-2.0
"""Products with weights that carry no state between outputs: dense and convolution over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.activations import Activation, check_activation
from grucore.graph.layers.checks import check_arity, check_clock, check_float32, check_in_time
from grucore.graph.layers.windows import (
    MAX_TAPS,
    check_history,
    check_range,
    check_window_clock,
    window_value,
)
from grucore.graph.node import MAX_FEATURES, MAX_SKIP, Call, Defect, Node, Product, Result, Value
from grucore.graph.tensors import Array, Role, Slot
from grucore.graph.weights import Quantized, Weight, as_float64, range_of, with_range

__all__ = ["Conv1d", "Dense"]

MOST_NUMBERS = 1 << 26  # in the windows of a convolution, which are looked at together


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Node):
    """``activation(weight @ x + bias)``: ``weight`` (out, in), ``bias`` (out,), float32.

    ``weight`` may also be float16 or `Quantized`; ``input_range`` is then what scales the inputs,
    of each frame their largest where None.
    """

    weight: Weight
    bias: Array
    activation: Activation = Activation.LINEAR
    input_range: float | None = None

    kind: ClassVar[int] = 2
    layer: ClassVar[str] = "dense"
    attribute_count: ClassVar[int] = 3
    weight_fields: ClassVar[tuple[str, ...]] = ("weight",)

    @property
    def attributes(self) -> tuple[int, ...]:
        return self.activation.words

    @property
    def multiply_adds(self) -> int:
        return int(self.weight.size)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=len(self.weight))

    def tensors(self) -> dict[Role, Weight]:
        return with_range({Role.BIAS: self.bias, Role.WEIGHT: self.weight}, self.input_range)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        check_activation(words, 0, "the activation")

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (
            Slot.panels(Role.BIAS, (output.features,)),
            Slot.weights(Role.WEIGHT, (output.features, inputs[0].features)),
        )

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {
            "weight": tensors[Role.WEIGHT],
            "bias": tensors[Role.BIAS],
            "activation": Activation.of_words(words),
            "input_range": range_of(tensors),
        }

    def products(self, values: Mapping[str, Array]) -> Iterator[Product]:
        x = values[self.inputs[0]]
        yield Product("weight", slice(None), x.reshape(-1, x.shape[-1]))

    def formula(self, call: Call) -> Result:
        weight, bias = as_float64(self.weight), self.bias.astype(np.float64)
        return self.activation(call.sources[0] @ weight.T + bias), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv1d(Node):
    """Convolution over time, as neural networks mean it: the weights are not turned around.

    ``weight`` (channels out, taps, channels in / groups), oldest tap first, and ``input_range`` as
    `Dense` has them; ``bias`` (channels out,), float32. ``before`` and ``after``: frames of zeros
    around the sequence. The window of ``reach + 1`` frames moves by ``stride``; `written` says at
    which frames it has a value. ``after`` above 0 looks ahead, needs ``before + after == reach``,
    and cannot stream.
    """

    weight: Weight
    bias: Array
    dilation: int = 1
    stride: int = 1
    groups: int = 1
    before: int = 0
    after: int = 0
    activation: Activation = Activation.LINEAR
    input_range: float | None = None

    kind: ClassVar[int] = 15
    layer: ClassVar[str] = "conv1d"
    attribute_count: ClassVar[int] = 9
    weight_fields: ClassVar[tuple[str, ...]] = ("weight",)
    state_suffixes: ClassVar[tuple[str, ...]] = (".history",)

    @property
    def taps(self) -> int:
        """Frames that a window has."""
        return int(self.weight.shape[1])

    @property
    def reach(self) -> int:
        """Frames from the oldest to the newest of a window: the history that a stream carries."""
        return self.dilation * (self.taps - 1)

    @property
    def attributes(self) -> tuple[int, ...]:
        settings = (self.taps, self.dilation, self.stride, self.groups, self.before, self.after)
        return (*settings, *self.activation.words)

    @property
    def streamable(self) -> bool:
        return self.after == 0

    @property
    def multiply_adds(self) -> int:
        return int(self.weight.size)

    def written(self, *inputs: Value) -> Value:
        value = window_value(self.output, inputs[0], _lost(self.attributes), self.stride)
        return replace(value, features=len(self.weight))

    def tensors(self) -> dict[Role, Weight]:
        weight = self.weight
        if not isinstance(weight, Quantized):
            weight = weight.reshape(len(weight), -1)
        return with_range({Role.BIAS: self.bias, Role.WEIGHT: weight}, self.input_range)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_in_time(inputs[0])
        check_in_time(output)
        _check_settings(words, inputs[0].features)
        check_activation(words, 6, "the activation")
        for value in (inputs[0], output):
            if value.features % words[3]:
                message = f"value {value.name!r} has {value.features} features"
                raise Defect("kBadShape", f"{message}, not a multiple of {words[3]} groups")
        check_window_clock(inputs[0], output, _lost(words), words[2])
        columns = words[0] * (inputs[0].features // words[3])
        if columns > MAX_FEATURES:
            message = f"a window has {columns} numbers, expected at most {MAX_FEATURES}"
            raise Defect("kBadShape", message)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        taps, groups, features = words[0], words[3], output.features
        columns = taps * (inputs[0].features // groups)
        return (
            Slot.panels(Role.BIAS, (features,), 1, groups),
            Slot.weights(Role.WEIGHT, (features, columns), 1, groups, taps),
        )

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        weight = tensors[Role.WEIGHT]
        if not isinstance(weight, Quantized):
            weight = weight.reshape(len(weight), words[0], -1)
        names = ("dilation", "stride", "groups", "before", "after")
        numbers = dict(zip(names, words[1:6], strict=True))
        return {
            "weight": weight,
            "bias": tensors[Role.BIAS],
            "activation": Activation.of_words(words[6:9]),
            "input_range": range_of(tensors),
            **numbers,
        }

    def products(self, values: Mapping[str, Array]) -> Iterator[Product]:
        x = values[self.inputs[0]]
        batch, frames, channels = x.shape
        padded = np.pad(x, ((0, 0), (self.reach, self.after), (0, 0)))
        places = np.arange(_lost(self.attributes), frames, self.stride)
        numbers = batch * len(places) * self.taps * channels
        places = places[:: max(1, math.ceil(numbers / MOST_NUMBERS))]
        frames_of = places[:, None] + self.after + self.dilation * np.arange(self.taps)
        windows = padded[:, frames_of].reshape(-1, self.taps, self.groups, channels // self.groups)
        outputs = len(self.weight) // self.groups
        for group in range(self.groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            yield Product("weight", rows, windows[:, :, group].reshape(len(windows), -1))

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        history = call.history(self.reach)
        weight = as_float64(self.weight)
        outputs = len(weight) // self.groups
        # As many values as the longest row gives.
        places = range(_lost(self.attributes), x.shape[1], self.stride)
        result = np.zeros((len(x), len(places), len(weight)))
        last = np.zeros_like(history)
        for row, end in enumerate(call.ends):
            heard = np.concatenate([history[row], x[row, :end]])
            padded = np.concatenate([heard, np.zeros((self.after, x.shape[2]))])
            for value, place in enumerate(places):
                if place >= end:
                    break
                first = place + self.after
                window = padded[first : first + self.reach + 1 : self.dilation]
                for group, columns in enumerate(np.split(window, self.groups, axis=1)):
                    rows = slice(group * outputs, (group + 1) * outputs)
                    result[row, value, rows] = np.tensordot(weight[rows], columns, 2)
            last[row] = heard[len(heard) - self.reach :]
        return self.activation(result + self.bias.astype(np.float64)), (last,)


_SETTINGS = (  # attribute, least, most
    ("taps", 1, MAX_TAPS),
    ("dilation", 1, MAX_TAPS),
    ("stride", 1, MAX_TAPS),
    ("groups", 1, MAX_FEATURES),
    ("frames of zeros before", 0, MAX_TAPS),
    ("frames of zeros after", 0, MAX_TAPS),
)


def _check_settings(words: Sequence[int], channels: int) -> None:
    for index, (what, least, most) in enumerate(_SETTINGS):
        check_range(words, index, what, least, most)
    taps, dilation, _, _, before, after = words[:6]
    reach = dilation * (taps - 1)
    if reach > MAX_SKIP:
        message = f"a window reaches back {reach} frames, expected at most {MAX_SKIP}"
        raise Defect("kBadAttribute", message)
    check_history(reach, channels)
    if before > reach:
        message = f"frames of zeros before {before}, expected at most {reach}"
        raise Defect("kBadAttribute", message)
    if after > 0 and before + after != reach:
        message = f"frames of zeros before and after {before} + {after}"
        raise Defect("kBadAttribute", f"{message}, expected {reach} in all if any are after")


def _lost(words: Sequence[int]) -> int:
    """Frames at the start of a sequence at which there is no whole window."""
    taps, dilation, _, _, before, after = words[:6]
    return dilation * (taps - 1) - before - after
