# SPDX-License-Identifier: Apache-2.0
"""A value as it was some frames ago: the layer by which a network feeds back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_dtype,
    check_features,
    check_in_time,
)
from grucore.graph.layers.windows import MAX_TAPS, check_history, check_range
from grucore.graph.node import Call, Node, Result, Value
from grucore.graph.tensors import Array, Float, Role, Slot

__all__ = ["Delay"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Delay(Node):
    """The input of ``frames`` frames ago, of any node, also of a later one or of one that reads it.

    ``initial_state`` (frames, features): what comes out first, oldest first; None for zeros. Of ids
    (int32) the state is the same as numbers, exact up to 2^24.
    """

    frames: int = 1
    initial_state: Array | None = None

    kind: ClassVar[int] = 19
    layer: ClassVar[str] = "delay"
    attribute_count: ClassVar[int] = 1
    state_suffixes: ClassVar[tuple[str, ...]] = (".x",)
    reads_later: ClassVar[bool] = True

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.frames,)

    def tensors(self) -> dict[Role, Any]:
        if self.initial_state is None:
            return {}
        return {Role.INITIAL_STATE: self.initial_state}

    @property
    def initial_states(self) -> tuple[Array | None, ...]:
        return (self.initial_state,)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_dtype(inputs[0], output)
        check_clock(inputs[0], output)
        check_in_time(inputs[0])
        check_features(inputs[0], output)
        check_range(words, 0, "frames", 1, MAX_TAPS)
        check_history(words[0], output.features)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.INITIAL_STATE, (words[0], output.features), is_optional=True),)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"frames": words[0], "initial_state": tensors.get(Role.INITIAL_STATE)}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        history = self.before(call.states[0], len(x), x.shape[2])
        result, last = np.zeros_like(x), np.zeros_like(history)
        for row, end in enumerate(call.ends):
            heard = np.concatenate([history[row], x[row, :end]])  # ids become whole numbers
            result[row, :end] = heard[:end]
            last[row] = heard[end:]
        return result, (self.shown(last),)

    def before(self, state: Float | None, rows: int, features: int) -> Float:
        """The frames before the first one, (rows, frames, features), of a state as users see it."""
        given = self.initial_state if state is None else state
        if given is None:
            return np.zeros((rows, self.frames, features))
        shaped = np.asarray(given, np.float64).reshape(-1, self.frames, features)
        return np.broadcast_to(shaped, (rows, self.frames, features)).copy()

    def shown(self, last: Float) -> Float:
        """The state as users see it: (rows, features) where it is of one frame."""
        return last[:, 0] if self.frames == 1 else last
