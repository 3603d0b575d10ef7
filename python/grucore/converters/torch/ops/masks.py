# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch on booleans, and those that choose by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grucore.converters.torch.walk.extents import Extent
from grucore.converters.torch.walk.walk import REGISTERED, Arguments, Walk, number, op
from grucore.converters.trace.axes import Tracked, Unfit
from grucore.converters.trace.ops.masks import (
    COMPARISONS,
    chosen,
    joined_masks,
    negated,
    ordered_by,
    sign,
)

__all__: list[str] = []


@op("masked_fill.Scalar", "masked_fill_.Scalar", "masked_fill.Tensor", "masked_fill_.Tensor")
def _masked_fill(walk: Walk, a: Arguments) -> Any:
    return chosen(walk, a["mask"], number(a["value"]), a["self"])


@op("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def _where(walk: Walk, a: Arguments) -> Any:
    return chosen(walk, a["condition"], number(a["self"]), number(a["other"]))


@op("logical_not.default", "bitwise_not.default")
def _not(walk: Walk, a: Arguments) -> Any:
    x = a["self"]
    return negated(walk, x) if isinstance(x, Tracked) else np.logical_not(x)


def _joined(word: str) -> Callable[[Walk, Arguments], Any]:
    def run(walk: Walk, a: Arguments) -> Any:
        return joined_masks(walk, a["self"], a["other"], word)

    return run


def _compared(word: str) -> Callable[[Walk, Arguments], Any]:
    def run(walk: Walk, a: Arguments) -> Any:
        other = a["other"]
        if isinstance(other, Extent):
            raise Unfit("compares a value with a number of frames or rows, which are others")
        return ordered_by(walk, number(a["self"]), number(other), word)

    return run


for _word in ("and", "or"):
    for _name in (f"logical_{_word}.default", f"bitwise_{_word}.Tensor", f"__{_word}__.Tensor"):
        REGISTERED[f"aten.{_name}"] = _joined(_word)
for _word in COMPARISONS:
    for _end in ("Scalar", "Tensor"):
        REGISTERED[f"aten.{_word}.{_end}"] = _compared(_word)


@op("sign.default", "sgn.default")
def _sign(walk: Walk, a: Arguments) -> Any:
    return sign(walk, a["self"])
