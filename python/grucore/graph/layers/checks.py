# SPDX-License-Identifier: Apache-2.0
"""Checks of attributes and values that layer kinds share: each raises `Defect`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from grucore.graph.node import Defect, Rate, Value
from grucore.graph.tensors import Dtype

__all__ = [
    "check_arity",
    "check_clock",
    "check_code",
    "check_dtype",
    "check_features",
    "check_flag",
    "check_float32",
    "check_in_time",
    "check_mask",
    "check_per_sequence",
]


def check_code(kind: type[IntEnum], words: Sequence[int], index: int, what: str) -> int:
    """Return attribute ``index`` if it is a member of ``kind``; otherwise raise `Defect`."""
    try:
        return kind(words[index])
    except ValueError:
        known = ", ".join(f"{code.value} {code.name.lower()}" for code in kind)
        message = f"{what} is {words[index]}, expected one of {known}"
        raise Defect("kBadAttribute", message, index) from None


def check_arity(inputs: Sequence[Value], least: int, most: int | None) -> None:
    """Raise `Defect` unless the layer reads so many values."""
    if len(inputs) < least or (most is not None and len(inputs) > most):
        expected = f"at least {least}" if most is None else str(most)
        raise Defect("kBadShape", f"reads {len(inputs)} values, expected {expected}")


def check_float32(*values: Value) -> None:
    """Raise `Defect` unless all values are float32."""
    for value in values:
        if value.dtype is not Dtype.FLOAT32:
            raise Defect("kBadShape", f"value {value.name!r} is {value.dtype.name}, not FLOAT32")


def check_dtype(value: Value, output: Value) -> None:
    """Raise `Defect` unless both have the same dtype."""
    if value.dtype is not output.dtype:
        message = f"value {output.name!r} is {output.dtype.name}, expected {value.dtype.name}"
        raise Defect("kBadShape", f"{message} as value {value.name!r}")


def check_flag(words: Sequence[int], index: int, what: str) -> None:
    """Raise `Defect` unless attribute ``index`` is 0 or 1."""
    if words[index] > 1:
        raise Defect("kBadAttribute", f"{what} is {words[index]}, expected 0 or 1", index)


def check_features(value: Value, output: Value) -> None:
    """Raise `Defect` unless both have the same number of features."""
    if value.features != output.features:
        message = f"value {output.name!r} has {output.features} features, expected those of"
        raise Defect("kBadShape", f"{message} {value.name!r}, {value.features}")


def check_clock(value: Value, other: Value) -> None:
    """Raise `Defect` unless both have values at the same frames."""
    if value.clock != other.clock:
        message = f"value {other.name!r} has {_clock_text(other)}, expected those of"
        raise Defect("kBadShape", f"{message} {value.name!r}, {_clock_text(value)}")


def _clock_text(value: Value) -> str:
    return f"rate {value.rate.name}, period {value.period} and skip {value.skip}"


def check_in_time(value: Value) -> None:
    """Raise `Defect` if there is one value per sequence only."""
    if value.rate is Rate.SEQUENCE:
        message = f"value {value.name!r} has rate {value.rate.name}, expected FRAME or PERIOD"
        raise Defect("kBadShape", message)


def check_per_sequence(value: Value) -> None:
    """Raise `Defect` unless there is one value per sequence."""
    if value.rate is not Rate.SEQUENCE:
        message = f"value {value.name!r} has rate {value.rate.name}, expected SEQUENCE"
        raise Defect("kBadShape", message)


def check_mask(inputs: Sequence[Value]) -> None:
    """Raise `Defect` unless the second value, if there is one, is a mask of the first one."""
    for mask in inputs[1:]:
        if mask.dtype is not Dtype.INT32 or mask.features != 1:
            message = f"mask {mask.name!r} has {mask.features} features of {mask.dtype.name}"
            raise Defect("kBadShape", f"{message}, expected 1 of INT32")
        check_clock(inputs[0], mask)
