# SPDX-License-Identifier: Apache-2.0
"""The base of recurrent layers: one direction, a mask, and the walk over the frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.activations import ActivationCode, check_activation
from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_code,
    check_float32,
    check_in_time,
    check_mask,
)
from grucore.graph.node import Call, Defect, Node, Product, Result, Value
from grucore.graph.tensors import Array, Float, Role
from grucore.graph.weights import Weight, as_float64, range_of, with_range

__all__ = ["Direction", "MaskedOutput", "Recurrent"]

PIECE = 8192  # frames whose gates are looked at together


class Direction(IntEnum):
    """From the first frame to the last, or from the last valid one to the first."""

    FORWARD = 0
    REVERSE = 1


class MaskedOutput(IntEnum):
    """The output of a masked frame: the state as it stands, or zeros."""

    REPEAT = 0
    ZERO = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Recurrent(Node):
    """A recurrent layer in one direction, with G gates one below the other along the rows.

    ``weight_ih`` (G H, I), ``weight_hh`` (G H, H), each float32, float16 or `Quantized`. ``bias``,
    float32: (G H,), the input's; a cell may add to it. ``input_range``: what scales the inputs of a
    quantized ``weight_ih``, of each frame their largest where None. ``initial_state`` (H,),
    float32: zeros where None. A second input is a mask, int32 of one feature: where it is 0, the
    states stay.
    """

    weight_ih: Weight
    weight_hh: Weight
    bias: Array
    direction: Direction = Direction.FORWARD
    masked_output: MaskedOutput = MaskedOutput.REPEAT
    initial_state: Array | None = None
    input_range: float | None = None

    state_suffixes: ClassVar[tuple[str, ...]] = (".h",)
    weight_fields: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_hh")

    @property
    def hidden_size(self) -> int:
        """Features of the state and of the output."""
        return int(self.weight_hh.shape[1])

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return int(self.weight_ih.shape[1])

    @property
    def initial_states(self) -> tuple[Array | None, ...]:
        return (self.initial_state,)

    @property
    def streamable(self) -> bool:
        return self.direction is Direction.FORWARD

    @property
    def multiply_adds(self) -> int:
        return int(self.weight_ih.size + self.weight_hh.size)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=self.hidden_size)

    def tensors(self) -> dict[Role, Weight]:
        tensors: dict[Role, Weight] = {
            Role.WEIGHT_IH: self.weight_ih,
            Role.WEIGHT_HH: self.weight_hh,
            Role.BIAS: self.bias,
        }
        if self.initial_state is not None:
            tensors[Role.INITIAL_STATE] = self.initial_state
        return with_range(tensors, self.input_range)

    @staticmethod
    def check_values(inputs: Sequence[Value], output: Value) -> None:
        """Raise `Defect` unless these are the values of a recurrent layer."""
        check_arity(inputs, 1, 2)
        check_float32(inputs[0], output)
        check_clock(inputs[0], output)
        check_in_time(output)
        check_mask(inputs)

    @staticmethod
    def check_settings(
        words: Sequence[int],
        first: int,
        inputs: Sequence[Value],
        activations: Sequence[str],
        codes: int = len(ActivationCode),
    ) -> None:
        """Raise `Defect` for a wrong direction, output of masked frames or activation: the words
        from ``first`` on; ``activations`` says of what they are,
        ``codes`` that they are the first so many.
        """
        check_code(Direction, words, first, "the direction")
        masked = first + 1
        check_code(MaskedOutput, words, masked, "the output of masked frames")
        if len(inputs) == 1 and words[masked] != 0:
            message = f"the output of masked frames is {words[masked]}, expected 0 without a mask"
            raise Defect("kBadAttribute", message, masked)
        for place, what in enumerate(activations):
            check_activation(words, masked + 1 + 3 * place, f"the activation of {what}", codes)

    @staticmethod
    def common_settings(
        words: Sequence[int], first: int, tensors: Mapping[Role, Any]
    ) -> dict[str, Any]:
        """The arguments of this class, from checked words and tensors."""
        return {
            "weight_ih": tensors[Role.WEIGHT_IH],
            "weight_hh": tensors[Role.WEIGHT_HH],
            "bias": tensors[Role.BIAS],
            "direction": Direction(words[first]),
            "masked_output": MaskedOutput(words[first + 1]),
            "initial_state": tensors.get(Role.INITIAL_STATE),
            "input_range": range_of(tensors),
        }

    @abstractmethod
    def inner(self, weight_hh: Float, projected: Float, h: Float) -> tuple[Float, ...]:
        """The gates of a frame (N, H) each: ``weight_hh`` (H, G H) turned, ``projected`` (N, G H)
        the input's part of their sums, ``h`` (N, H) the state before."""

    @abstractmethod
    def advance(self, gates: tuple[Float, ...], states: tuple[Float, ...]) -> tuple[Float, ...]:
        """The states (N, H) after a frame with these gates; the first is the output."""

    def formula(self, call: Call) -> Result:
        x = call.sources[0]
        rows, frames = x.shape[:2]
        mask = call.sources[1][..., 0] if len(call.sources) > 1 else np.ones((rows, frames))
        states = []
        for own, given in zip(self.initial_states, call.states, strict=True):
            state = np.zeros((rows, self.hidden_size))
            start = own if given is None else given
            states.append(state if start is None else state + start)
        weight_ih, weight_hh = as_float64(self.weight_ih).T, as_float64(self.weight_hh).T
        projected = x @ weight_ih + self.bias[: weight_ih.shape[1]].astype(np.float64)
        result = np.zeros((rows, frames, self.hidden_size))
        order = range(frames)
        for frame in order if self.direction is Direction.FORWARD else reversed(order):
            exists = call.ends > frame
            counts = exists & (mask[:, frame] != 0)
            before = tuple(state[counts] for state in states)
            gates = self.inner(weight_hh, projected[counts, frame], before[0])
            for state, after in zip(states, self.advance(gates, before), strict=True):
                state[counts] = after
            shown = exists if self.masked_output is MaskedOutput.REPEAT else counts
            result[shown, frame] = states[0][shown]
        return result, tuple(states)

    def heard(self, values: Mapping[str, Array]) -> tuple[Array, Array]:
        """The inputs of both matrices in all frames that are not masked, row after row.

        Inputs (count, input_size) and the states before (count, hidden_size). ``values``: those
        that the layer reads and writes, (B, frames, features).
        """
        x, output = values[self.inputs[0]], values[self.output]
        mask = values[self.inputs[1]][..., 0] if len(self.inputs) > 1 else np.ones(x.shape[:2])
        if self.direction is Direction.REVERSE:
            x, output, mask = x[:, ::-1], output[:, ::-1], mask[:, ::-1]
        is_there = mask != 0
        rows, frames = np.arange(len(x))[:, None], np.arange(x.shape[1])
        last = np.maximum.accumulate(np.where(is_there, frames, -1), axis=1)
        before = np.concatenate([np.full_like(last[:, :1], -1), last[:, :-1]], axis=1)
        states = output[rows, before]
        states[before < 0] = 0 if self.initial_state is None else self.initial_state
        return x[is_there], states[is_there]

    def products(self, values: Mapping[str, Array]) -> Iterator[Product]:
        x, h = self.heard(values)
        yield Product("weight_ih", slice(None), x)
        yield Product("weight_hh", slice(None), h)

    def gate_values(self, values: Mapping[str, Array]) -> Iterator[tuple[Float, ...]]:
        x, h = self.heard(values)
        weight_ih, weight_hh = as_float64(self.weight_ih).T, as_float64(self.weight_hh).T
        bias = self.bias[: weight_ih.shape[1]].astype(np.float64)
        for first in range(0, len(x), PIECE):
            piece = slice(first, first + PIECE)
            yield self.inner(weight_hh, x[piece] @ weight_ih + bias, h[piece])
