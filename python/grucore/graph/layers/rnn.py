# SPDX-License-Identifier: Apache-2.0
"""The plain recurrent layer: one product, one activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from grucore.graph.layers.activations import Activation
from grucore.graph.layers.recurrent import Recurrent
from grucore.graph.node import Value
from grucore.graph.tensors import Float, Role, Slot

__all__ = ["Rnn"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rnn(Recurrent):
    """``h = activation(weight_ih x + weight_hh h + bias)``, as `Recurrent` with the one gate h.

    ``bias`` (H,): the sum of both sides.
    """

    activation: Activation = Activation.TANH

    kind: ClassVar[int] = 18
    layer: ClassVar[str] = "rnn"
    attribute_count: ClassVar[int] = 5
    gates: ClassVar[str] = "h"
    candidate: ClassVar[str] = "h"

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.direction), int(self.masked_output), *self.activation.words)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        cls.check_values(inputs, output)
        cls.check_settings(words, 0, inputs, ("h",))

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        size, hidden = inputs[0].features, output.features
        return (
            Slot.weights(Role.WEIGHT_IH, (hidden, size)),
            Slot.weights(Role.WEIGHT_HH, (hidden, hidden)),
            Slot.panels(Role.BIAS, (hidden,)),
            Slot(Role.INITIAL_STATE, (hidden,), is_optional=True),
        )

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        activation = Activation.of_words(words[2:5])
        return {**cls.common_settings(words, 0, tensors), "activation": activation}

    def inner(self, weight_hh: Float, projected: Float, h: Float) -> tuple[Float, ...]:
        return (self.activation(projected + h @ weight_hh),)

    def advance(self, gates: tuple[Float, ...], states: tuple[Float, ...]) -> tuple[Float, ...]:
        return gates
