# SPDX-License-Identifier: Apache-2.0
"""Template of a class in python/grucore/graph/layers: y = x + offset, one float32 attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.checks import check_arity, check_clock, check_features, check_float32
from grucore.graph.node import Call, Defect, Node, Result, Value, float32_bits, float32_of
from grucore.graph.tensors import Role

__all__ = ["Offset"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Offset(Node):
    """``x + offset``, element by element; ``offset`` is finite and rounded to float32."""

    offset: float

    kind: ClassVar[int] = 0  # the number of docs/format.md
    layer: ClassVar[str] = "offset"  # the name that LayerKind has
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (float32_bits(self.offset),)

    # A layer with tensors has `tensors` and `slots` too (Affine), one with states `state_suffixes`
    # and `initial_states` (Lstm), one with a product `multiply_adds` and `products` (Dense). Where
    # the output is not like the first input, `written` says how (Concat).

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(*inputs, output)
        check_clock(inputs[0], output)
        check_features(inputs[0], output)
        if not np.isfinite(float32_of(words[0])):
            message = f"offset is {float32_of(words[0])}, expected a finite number"
            raise Defect("kBadAttribute", message, 0)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"offset": float32_of(words[0])}

    def formula(self, call: Call) -> Result:
        return call.sources[0] + float(np.float32(self.offset)), ()
