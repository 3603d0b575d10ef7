# SPDX-License-Identifier: Apache-2.0
"""Sizes of the batch and of time, as an example had them: a graph may shape by them, no more."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from grucore.converters.trace.axes import Unfit

__all__ = ["Extent", "check_numbers"]

# The arguments of aten calls that are numbers, and no sizes or places.
NUMBERS = (
    *("other", "value", "fill_value", "s", "alpha", "exponent", "beta"),
    *("min", "max", "min_val", "max_val", "negative_slope", "threshold"),
)


class Extent(int):
    """A size of the batch or of time, or a number made of one."""


def _derived(of: Callable[[int, Any], Any]) -> Callable[[Extent, Any], Any]:
    def run(self: Extent, other: Any) -> Any:
        found = of(int(self), other)
        return Extent(found) if isinstance(found, int) else found

    return run


def _turned(of: Callable[[Any, Any], Any]) -> Callable[[Extent, Any], Any]:
    return _derived(lambda one, other: of(other, one))


for _name in ("add", "sub", "mul", "floordiv"):
    setattr(Extent, f"__{_name}__", _derived(getattr(operator, _name)))
    setattr(Extent, f"__r{_name}__", _turned(getattr(operator, _name)))


def check_numbers(arguments: Mapping[str, Any]) -> None:
    """Raise `Unfit` where a call computes with an extent: another batch or length has another."""
    for name in NUMBERS:
        if isinstance(arguments.get(name), Extent):
            raise Unfit(
                f"{name} is made of the number of frames or rows, {arguments[name]} of the "
                "example: expected a number that does not depend on them"
            )
