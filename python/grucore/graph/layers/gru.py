# SPDX-License-Identifier: Apache-2.0
"""The GRU, with both of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.activations import Activation
from grucore.graph.layers.checks import check_code
from grucore.graph.layers.recurrent import Recurrent
from grucore.graph.node import Product, Value
from grucore.graph.tensors import Array, Float, Role, Slot
from grucore.graph.weights import Weight, as_float64, joined

__all__ = ["Cell", "Gru"]

GATE_CODES = 8  # those that gates may have are the activations below this code
PIECE = 4096  # frames whose reset gates are looked at together


class Cell(IntEnum):
    """Where the reset gate enters the candidate: after or before the recurrent product."""

    RESET_AFTER = 0
    RESET_BEFORE = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Gru(Recurrent):
    """``h = z h + (1 - z) n``, as `Recurrent` with the gates r, z, n: reset, update, candidate.

    ``bias`` of the reset-after cell: (4 H,), r, z, n of the input side, n of the recurrent side; of
    the reset-before cell (3 H,). The activations are those of codes 0 to 7.
    """

    cell: Cell = Cell.RESET_AFTER
    gate_activation: Activation = Activation.SIGMOID
    activation: Activation = Activation.TANH

    kind: ClassVar[int] = 1
    layer: ClassVar[str] = "gru"
    attribute_count: ClassVar[int] = 9
    gates: ClassVar[str] = "rzn"
    candidate: ClassVar[str] = "n"

    @property
    def attributes(self) -> tuple[int, ...]:
        settings = (int(self.cell), int(self.direction), int(self.masked_output))
        return (*settings, *self.gate_activation.words, *self.activation.words)

    def tensors(self) -> dict[Role, Weight]:
        tensors = super().tensors()
        if self.cell is Cell.RESET_BEFORE:
            split = 2 * self.hidden_size
            tensors[Role.WEIGHT_HH] = self.weight_hh[:split]
            tensors[Role.WEIGHT_HN] = self.weight_hh[split:]
        return dict(sorted(tensors.items()))

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        cls.check_values(inputs, output)
        check_code(Cell, words, 0, "the cell")
        cls.check_settings(words, 1, inputs, ("r and z", "n"), GATE_CODES)

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
            **cls.common_settings(words, 1, tensors),
            "weight_hh": joined(recurrent),
            "cell": Cell(words[0]),
            "gate_activation": Activation.of_words(words[3:6]),
            "activation": Activation.of_words(words[6:9]),
        }

    def inner(self, weight_hh: Float, projected: Float, h: Float) -> tuple[Float, ...]:
        split = 2 * self.hidden_size
        gates = projected[:, :split] + h @ weight_hh[:, :split]
        r, z = np.split(self.gate_activation(gates), 2, axis=1)
        if self.cell is Cell.RESET_AFTER:
            recurrent_bias = self.bias[split + self.hidden_size :].astype(np.float64)
            reset = r * (h @ weight_hh[:, split:] + recurrent_bias)
        else:
            reset = (r * h) @ weight_hh[:, split:]
        return r, z, self.activation(projected[:, split:] + reset)

    def advance(self, gates: tuple[Float, ...], states: tuple[Float, ...]) -> tuple[Float, ...]:
        (_, z, n), (h,) = gates, states
        return (z * h + (1.0 - z) * n,)

    def products(self, values: Mapping[str, Array]) -> Iterator[Product]:
        if self.cell is Cell.RESET_AFTER:
            yield from super().products(values)
            return
        x, h = self.heard(values)
        size = self.hidden_size
        yield Product("weight_ih", slice(None), x)
        yield Product("weight_hh", slice(0, 2 * size), h)
        weight_ir, weight_hr = as_float64(self.weight_ih[:size]), as_float64(self.weight_hh[:size])
        for first in range(0, len(h), PIECE):
            piece = slice(first, first + PIECE)
            sums = x[piece] @ weight_ir.T + h[piece] @ weight_hr.T + self.bias[:size]
            h[piece] *= self.gate_activation(sums)
        yield Product("weight_hh", slice(2 * size, 3 * size), h)

    def bias_rows(self, field: str) -> Array:
        rows = super().bias_rows(field)
        if field == "weight_hh" and self.cell is Cell.RESET_AFTER:
            # The candidate's recurrent product has a bias of its own, the last one.
            rows[2 * self.hidden_size :] += self.hidden_size
        return rows
