# SPDX-License-Identifier: Apache-2.0
"""The LSTM: a cell state beside the hidden one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.activations import Activation
from grucore.graph.layers.recurrent import Recurrent
from grucore.graph.node import Value
from grucore.graph.tensors import Array, Float, Role, Slot
from grucore.graph.weights import Weight

__all__ = ["Lstm"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lstm(Recurrent):
    """``c = f c + i g``, ``h = o cell_activation(c)``, as `Recurrent` with the gates i, f, g, o.

    i, f and o: what the input, the old cell state and the output let through; g: the candidate.
    ``bias`` (4 H,): the sum of both sides. ``initial_state`` is h, ``initial_cell`` (H,) is c:
    zeros where None.
    """

    gate_activation: Activation = Activation.SIGMOID
    activation: Activation = Activation.TANH
    cell_activation: Activation = Activation.TANH
    initial_cell: Array | None = None

    kind: ClassVar[int] = 17
    layer: ClassVar[str] = "lstm"
    attribute_count: ClassVar[int] = 11
    state_suffixes: ClassVar[tuple[str, ...]] = (".h", ".c")
    gates: ClassVar[str] = "ifgo"
    candidate: ClassVar[str] = "g"

    @property
    def initial_states(self) -> tuple[Array | None, ...]:
        return self.initial_state, self.initial_cell

    @property
    def attributes(self) -> tuple[int, ...]:
        activations = (self.gate_activation, self.activation, self.cell_activation)
        words = (word for activation in activations for word in activation.words)
        return (int(self.direction), int(self.masked_output), *words)

    def tensors(self) -> dict[Role, Weight]:
        tensors = super().tensors()
        if self.initial_cell is not None:
            tensors[Role.INITIAL_CELL] = self.initial_cell
        return tensors

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        cls.check_values(inputs, output)
        cls.check_settings(words, 0, inputs, ("i, f and o", "g", "the cell state"))

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        size, hidden = inputs[0].features, output.features
        return (
            Slot.weights(Role.WEIGHT_IH, (4 * hidden, size), 4),
            Slot.weights(Role.WEIGHT_HH, (4 * hidden, hidden), 4),
            Slot.panels(Role.BIAS, (4 * hidden,), 4),
            Slot(Role.INITIAL_STATE, (hidden,), is_optional=True),
            Slot(Role.INITIAL_CELL, (hidden,), is_optional=True),
        )

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {
            **cls.common_settings(words, 0, tensors),
            "gate_activation": Activation.of_words(words[2:5]),
            "activation": Activation.of_words(words[5:8]),
            "cell_activation": Activation.of_words(words[8:11]),
            "initial_cell": tensors.get(Role.INITIAL_CELL),
        }

    def inner(self, weight_hh: Float, projected: Float, h: Float) -> tuple[Float, ...]:
        i, f, g, o = np.split(projected + h @ weight_hh, 4, axis=1)
        gate = self.gate_activation
        return gate(i), gate(f), self.activation(g), gate(o)

    def advance(self, gates: tuple[Float, ...], states: tuple[Float, ...]) -> tuple[Float, ...]:
        (i, f, g, o), (_, c) = gates, states
        c = f * c + i * g
        return o * self.cell_activation(c), c
