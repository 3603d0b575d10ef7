# SPDX-License-Identifier: Apache-2.0
"""The layer kinds of a model: one class each, with attributes, tensors and their layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

import numpy as np

from grucore.node import (
    Array,
    Defect,
    Node,
    Rate,
    Role,
    Slot,
    Value,
    check_arity,
    check_code,
    check_float32,
    check_rate,
)

__all__ = ["KINDS", "Activation", "Cell", "Concat", "Dense", "Direction", "Gru", "Take"]


class Activation(IntEnum):
    """Codes of docs/format.md."""

    LINEAR = 0
    SIGMOID = 1
    TANH = 2
    RELU = 3


class Cell(IntEnum):
    """Where the reset gate enters the candidate: after or before the recurrent product."""

    RESET_AFTER = 0
    RESET_BEFORE = 1


class Direction(IntEnum):
    """From the first frame to the last, or from the last valid one to the first."""

    FORWARD = 0
    REVERSE = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Gru(Node):
    """A recurrent layer in one direction; gate order r, z, n along the rows.

    ``weight_ih`` (3 H, I), ``weight_hh`` (3 H, H), float32. ``bias``, float32: (4 H,) for the
    reset-after cell: r, z, n of the input side, n of the recurrent side; (3 H,) for reset-before.
    """

    weight_ih: Array
    weight_hh: Array
    bias: Array
    cell: Cell = Cell.RESET_AFTER
    direction: Direction = Direction.FORWARD
    gate_activation: Activation = Activation.SIGMOID
    activation: Activation = Activation.TANH

    kind: ClassVar[int] = 1
    layer: ClassVar[str] = "gru"
    attribute_count: ClassVar[int] = 4

    @property
    def hidden_size(self) -> int:
        """Features of the state and of the output."""
        return int(self.weight_hh.shape[1])

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return int(self.weight_ih.shape[1])

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.cell, self.direction, self.gate_activation, self.activation)

    @property
    def streamable(self) -> bool:
        return self.direction is Direction.FORWARD

    def tensors(self) -> dict[Role, Array]:
        if self.cell is Cell.RESET_AFTER:
            recurrent = {Role.WEIGHT_HH: self.weight_hh}
        else:
            split = 2 * self.hidden_size
            recurrent = {
                Role.WEIGHT_HH: self.weight_hh[:split],
                Role.WEIGHT_HN: self.weight_hh[split:],
            }
        return {Role.WEIGHT_IH: self.weight_ih, **recurrent, Role.BIAS: self.bias}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_rate(inputs[0], Rate.FRAME)
        check_rate(output, Rate.FRAME)
        check_code(Cell, words, 0, "the cell")
        check_code(Direction, words, 1, "the direction")
        for index, what, only in (
            (2, "the activation of r and z", Activation.SIGMOID),
            (3, "the activation of n", Activation.TANH),
        ):
            if check_code(Activation, words, index, what) != only:
                message = f"{what} is {words[index]}, expected {only.value} {only.name.lower()}"
                raise Defect("kBadAttribute", message, index)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        size, hidden = inputs[0].features, output.features
        weight_ih = Slot(Role.WEIGHT_IH, (3 * hidden, size), 3)
        if words[0] == Cell.RESET_AFTER:
            return (
                weight_ih,
                Slot(Role.WEIGHT_HH, (3 * hidden, hidden), 3),
                Slot(Role.BIAS, (4 * hidden,), 4),
            )
        return (
            weight_ih,
            Slot(Role.WEIGHT_HH, (2 * hidden, hidden), 2),
            Slot(Role.WEIGHT_HN, (hidden, hidden), 1),
            Slot(Role.BIAS, (3 * hidden,), 3),
        )

    @classmethod
    def build(
        cls,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        words: Sequence[int],
        tensors: Mapping[Role, Array],
    ) -> Self:
        recurrent = [tensors[role] for role in (Role.WEIGHT_HH, Role.WEIGHT_HN) if role in tensors]
        return cls(
            name=name,
            inputs=inputs,
            output=output,
            weight_ih=tensors[Role.WEIGHT_IH],
            weight_hh=np.concatenate(recurrent) if len(recurrent) > 1 else recurrent[0],
            bias=tensors[Role.BIAS],
            cell=Cell(words[0]),
            direction=Direction(words[1]),
            gate_activation=Activation(words[2]),
            activation=Activation(words[3]),
        )

    @classmethod
    def multiply_adds(cls, inputs: Sequence[Value], output: Value) -> int:
        return 3 * output.features * (inputs[0].features + output.features)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Node):
    """``activation(weight @ x + bias)``: ``weight`` (out, in), ``bias`` (out,), float32."""

    weight: Array
    bias: Array
    activation: Activation = Activation.LINEAR

    kind: ClassVar[int] = 2
    layer: ClassVar[str] = "dense"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.activation,)

    def tensors(self) -> dict[Role, Array]:
        return {Role.BIAS: self.bias, Role.WEIGHT: self.weight}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_code(Activation, words, 0, "the activation")
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_rate(output, inputs[0].rate, inputs[0].period)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (
            Slot(Role.BIAS, (output.features,), 1),
            Slot(Role.WEIGHT, (output.features, inputs[0].features), 1),
        )

    @classmethod
    def build(
        cls,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        words: Sequence[int],
        tensors: Mapping[Role, Array],
    ) -> Self:
        return cls(
            name=name,
            inputs=inputs,
            output=output,
            weight=tensors[Role.WEIGHT],
            bias=tensors[Role.BIAS],
            activation=Activation(words[0]),
        )

    @classmethod
    def multiply_adds(cls, inputs: Sequence[Value], output: Value) -> int:
        return inputs[0].features * output.features


@dataclass(frozen=True, eq=False, kw_only=True)
class Take(Node):
    """The last frame of a sequence: one output for the whole of it."""

    kind: ClassVar[int] = 3
    layer: ClassVar[str] = "take"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (0,)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        if words[0] != 0:
            message = f"the frame to take is {words[0]}, expected 0 (the last)"
            raise Defect("kBadAttribute", message, 0)
        check_arity(inputs, 1, 1)
        check_rate(inputs[0], Rate.FRAME)
        check_rate(output, Rate.SEQUENCE)
        if (inputs[0].features, inputs[0].dtype) != (output.features, output.dtype):
            raise Defect("kBadShape", f"{inputs[0]} does not fit {output}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """Several values of one rate side by side."""

    kind: ClassVar[int] = 4
    layer: ClassVar[str] = "concat"

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 2, None)
        for value in inputs:
            check_rate(value, output.rate, output.period)
            if value.dtype is not output.dtype:
                raise Defect("kBadShape", f"{value} does not fit {output}")
        total = sum(value.features for value in inputs)
        if total != output.features:
            raise Defect(
                "kBadShape", f"the inputs have {total} features, the output {output.features}"
            )


# The one list of layer kinds: the reader, the writer and the reference go by it.
KINDS: dict[int, type[Node]] = {cls.kind: cls for cls in (Gru, Dense, Take, Concat)}
