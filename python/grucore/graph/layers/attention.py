# SPDX-License-Identifier: Apache-2.0
"""Attention of one query per frame over a memory that a caller sets for each sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.checks import check_arity, check_clock, check_float32, check_in_time
from grucore.graph.layers.windows import MAX_TAPS, check_history, check_range
from grucore.graph.node import (
    MAX_FEATURES,
    Call,
    Defect,
    Node,
    Result,
    Value,
    float32_bits,
    float32_of,
)
from grucore.graph.tensors import Array, Float, Role, Slot

__all__ = ["Attention"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Attention(Node):
    """For each head the values of a memory, weighted by the softmax of their keys' scores.

    The memory is a state: up to ``frames`` frames of ``features``, and how many of them count. A
    value is the last ``width`` features of a frame, a key the first ones, as many as a head's query
    has; its score is ``scale`` times their product. Heads share both: what each makes of a memory
    by itself belongs into the query and behind the output. With ``weight`` (K, features), ``bias``
    (K,) and ``vector`` (K,), float32, there is one head, a key is ``weight @ frame + bias``, and
    its score ``scale * vector @ tanh(query + key)``. ``initial_state`` (frames, features): the
    whole memory that a sequence starts with; None for an empty one, of which the result is zeros.
    """

    frames: int
    features: int
    width: int
    heads: int = 1
    scale: float = 1.0
    weight: Array | None = None
    bias: Array | None = None
    vector: Array | None = None
    initial_state: Array | None = None

    kind: ClassVar[int] = 25
    layer: ClassVar[str] = "attention"
    attribute_count: ClassVar[int] = 6
    state_suffixes: ClassVar[tuple[str, ...]] = (".memory", ".length")

    @property
    def is_additive(self) -> bool:
        """True if keys are made of the memory, and queries added to them."""
        return self.weight is not None

    @property
    def attributes(self) -> tuple[int, ...]:
        sizes = (self.heads, self.frames, self.features, self.width)
        return (int(self.is_additive), *sizes, float32_bits(self.scale))

    @property
    def multiply_adds(self) -> int:
        keys = self.width if self.weight is None else len(self.weight)
        return self.heads * self.frames * (keys + self.width)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=self.heads * self.width)

    def tensors(self) -> dict[Role, Any]:
        named = {
            Role.BIAS: self.bias,
            Role.WEIGHT: self.weight,
            Role.INITIAL_STATE: self.initial_state,
            Role.SCALE: self.vector,
        }
        return {role: array for role, array in named.items() if array is not None}

    @property
    def initial_states(self) -> tuple[Array | None, ...]:
        start = self.initial_state
        return (start, None if start is None else np.array([self.frames], np.float32))

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        check_in_time(inputs[0])
        additive, heads, frames, features, width, scale = words
        check_range(words, 0, "score", 0, 1)
        check_range(words, 1, "heads", 1, 1 if additive else MAX_FEATURES)
        check_range(words, 2, "frames", 1, MAX_TAPS)
        check_range(words, 3, "features of the memory", 1, MAX_FEATURES)
        check_range(words, 4, "width", 1, features)
        if not np.isfinite(float32_of(scale)):
            raise Defect("kBadAttribute", f"scale is {float32_of(scale)}, expected a number", 5)
        query = inputs[0].features
        if query % heads or (not additive and query // heads > features):
            most = f"a multiple of {heads} up to {heads} x {features}"
            raise Defect("kBadShape", f"value {inputs[0].name!r} has {query} features: {most}")
        if output.features != heads * width:
            message = f"value {output.name!r} has {output.features} features"
            raise Defect("kBadShape", f"{message}, expected {heads} x {width}")
        widest = max(features, query) if additive else features
        check_history(frames, -(-widest // 16) * 16)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        additive, _, frames, features, *_ = words
        initial = Slot(Role.INITIAL_STATE, (frames, features), is_optional=True)
        if not additive:
            return (initial,)
        keys = inputs[0].features
        return (
            Slot.panels(Role.BIAS, (keys,)),
            Slot.panels(Role.WEIGHT, (keys, features)),
            initial,
            Slot(Role.SCALE, (keys,)),
        )

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        _, heads, frames, features, width, scale = words
        return {
            "heads": heads,
            "frames": frames,
            "features": features,
            "width": width,
            "scale": float32_of(scale),
            "weight": tensors.get(Role.WEIGHT),
            "bias": tensors.get(Role.BIAS),
            "vector": tensors.get(Role.SCALE),
            "initial_state": tensors.get(Role.INITIAL_STATE),
        }

    def memory_of(self, states: Sequence[Float | None], rows: int) -> tuple[Float, Float]:
        """Memory (rows, frames, features) and length (rows, 1) as users see them."""
        given = [
            own if state is None else state
            for own, state in zip(self.initial_states, states, strict=True)
        ]
        shapes = ((rows, self.frames, self.features), (rows, 1))
        memory, length = (
            np.zeros(shape)
            if state is None
            else np.broadcast_to(np.asarray(state, np.float64), shape).copy()
            for state, shape in zip(given, shapes, strict=True)
        )
        return memory, length

    def counted(self, length: float) -> int:
        """The frames of the memory that a length means: whatever a user has set."""
        return int(min(length, self.frames)) if length >= 1 else 0

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        memory, length = self.memory_of(call.states, len(x))
        result = np.zeros((*x.shape[:2], self.heads * self.width))
        for row, end in enumerate(call.ends):
            held = memory[row, : self.counted(length[row, 0])]
            if len(held):
                result[row, :end] = self._attended(x[row, :end], held)
        return result, (memory, length)

    def _attended(self, query: Float, memory: Float) -> Float:
        scale = float(np.float32(self.scale))
        if self.weight is None or self.bias is None or self.vector is None:
            heads = query.reshape(len(query), self.heads, query.shape[1] // self.heads)
            scores = heads @ memory[:, : heads.shape[2]].T
        else:
            keys = memory @ self.weight.astype(np.float64).T + self.bias
            met = np.tanh(query[:, None] + keys)
            scores = (met @ self.vector.astype(np.float64))[:, None]
        terms = np.exp(scale * scores - (scale * scores).max(axis=-1, keepdims=True))
        shares = terms / terms.sum(axis=-1, keepdims=True)
        gathered: Float = shares @ memory[:, memory.shape[1] - self.width :]
        return gathered.reshape(len(query), self.heads * self.width)
