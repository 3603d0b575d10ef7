# SPDX-License-Identifier: Apache-2.0
"""The recurrent layer: one direction, both cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

from grucore.graph.layers.activations import Activation, check_activation
from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_code,
    check_float32,
    check_in_time,
    check_mask,
)
from grucore.graph.node import Defect, Node, Value
from grucore.graph.tensors import Array, Role, Slot
from grucore.graph.weights import Weight, joined, range_of, with_range

__all__ = ["Cell", "Direction", "Gru", "MaskedOutput"]

GATE_CODES = 8  # those that gates may have are the activations below this code


class Cell(IntEnum):
    """Where the reset gate enters the candidate: after or before the recurrent product."""

    RESET_AFTER = 0
    RESET_BEFORE = 1


class Direction(IntEnum):
    """From the first frame to the last, or from the last valid one to the first."""

    FORWARD = 0
    REVERSE = 1


class MaskedOutput(IntEnum):
    """What a masked frame gives: the state as it stands, or zeros."""

    REPEAT = 0
    ZERO = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Gru(Node):
    """A recurrent layer in one direction; gate order r, z, n along the rows.

    ``weight_ih`` (3 H, I), ``weight_hh`` (3 H, H), each float32, float16 or `Quantized`. ``bias``,
    float32: (4 H,) for the reset-after cell: r, z, n of the input side, n of the recurrent side;
    (3 H,) for reset-before. ``input_range``: what scales the inputs of a quantized ``weight_ih``,
    of each frame their largest where None.
    ``initial_state`` (H,), float32: zeros where None. A second input is a mask, int32 of one
    feature: where it is 0, the state stays. The activations are those of codes 0 to 7.
    """

    weight_ih: Weight
    weight_hh: Weight
    bias: Array
    cell: Cell = Cell.RESET_AFTER
    direction: Direction = Direction.FORWARD
    gate_activation: Activation = Activation.SIGMOID
    activation: Activation = Activation.TANH
    masked_output: MaskedOutput = MaskedOutput.REPEAT
    initial_state: Array | None = None
    input_range: float | None = None

    kind: ClassVar[int] = 1
    layer: ClassVar[str] = "gru"
    attribute_count: ClassVar[int] = 9
    state_suffix: ClassVar[str] = ".h"

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
        settings = (int(self.cell), int(self.direction), int(self.masked_output))
        return (*settings, *self.gate_activation.words, *self.activation.words)

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
        }
        if self.cell is Cell.RESET_BEFORE:
            split = 2 * self.hidden_size
            tensors[Role.WEIGHT_HH] = self.weight_hh[:split]
            tensors[Role.WEIGHT_HN] = self.weight_hh[split:]
        tensors[Role.BIAS] = self.bias
        if self.initial_state is not None:
            tensors[Role.INITIAL_STATE] = self.initial_state
        return with_range(tensors, self.input_range)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 2)
        check_float32(inputs[0], output)
        check_clock(inputs[0], output)
        check_in_time(output)
        check_mask(inputs)
        check_code(Cell, words, 0, "the cell")
        check_code(Direction, words, 1, "the direction")
        check_code(MaskedOutput, words, 2, "the output of masked frames")
        if len(inputs) == 1 and words[2] != 0:
            message = f"the output of masked frames is {words[2]}, expected 0 without a mask"
            raise Defect("kBadAttribute", message, 2)
        check_activation(words, 3, "the activation of r and z", GATE_CODES)
        check_activation(words, 6, "the activation of n", GATE_CODES)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        size, hidden = inputs[0].features, output.features
        recurrent: tuple[Slot, ...]
        if words[0] == Cell.RESET_AFTER:
            recurrent = (
                Slot.weights(Role.WEIGHT_HH, (3 * hidden, hidden), 3),
                Slot.panels(Role.BIAS, (4 * hidden,), 4),
            )
        else:
            recurrent = (
                Slot.weights(Role.WEIGHT_HH, (2 * hidden, hidden), 2),
                Slot.weights(Role.WEIGHT_HN, (hidden, hidden), 1),
                Slot.panels(Role.BIAS, (3 * hidden,), 3),
            )
        return (
            Slot.weights(Role.WEIGHT_IH, (3 * hidden, size), 3),
            *recurrent,
            Slot(Role.INITIAL_STATE, (hidden,), is_optional=True),
        )

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        recurrent = [tensors[role] for role in (Role.WEIGHT_HH, Role.WEIGHT_HN) if role in tensors]
        return {
            "weight_ih": tensors[Role.WEIGHT_IH],
            "weight_hh": joined(recurrent),
            "bias": tensors[Role.BIAS],
            "cell": Cell(words[0]),
            "direction": Direction(words[1]),
            "masked_output": MaskedOutput(words[2]),
            "gate_activation": Activation.of_words(words[3:6]),
            "activation": Activation.of_words(words[6:9]),
            "initial_state": tensors.get(Role.INITIAL_STATE),
            "input_range": range_of(tensors),
        }
