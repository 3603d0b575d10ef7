# SPDX-License-Identifier: Apache-2.0
"""The JSON of a model: a text of bounded size, and typed looks into it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.graph.node import MAX_FEATURES
from grucore.graph.tensors import Array

__all__ = ["array", "check_names", "entry", "number", "parse", "text_entries", "whole"]

MAX_BYTES = 1 << 25
# A list of one number takes 20 times the memory of its text, so that lists are counted.
MAX_LISTS = 1 << 19
MAX_NOTE = 200  # characters of a text that goes into the metadata


def parse(data: bytes) -> dict[str, Any]:
    """The object of a JSON text; raises `ConversionError`."""
    if len(data) > MAX_BYTES:
        raise ConversionError(f"{len(data)} bytes of JSON, expected at most {MAX_BYTES}")
    lists = data.count(b"[") + data.count(b"{")
    if lists > MAX_LISTS:
        raise ConversionError(f"JSON of {lists} lists and objects, expected at most {MAX_LISTS}")
    try:
        found = json.loads(data, object_pairs_hook=_pairs, parse_constant=_constant)
    except ConversionError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"the file is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConversionError("the file is not a JSON object")
    return found


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConversionError(f"an object of the JSON has {twice!r:.60} twice")
    return found


def _constant(name: str) -> Any:
    raise ConversionError(f"the JSON has {name}, expected finite numbers")


def entry(of: Mapping[str, Any], name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """The value that an object has under a name, if it is of this kind."""
    if name not in of:
        raise ConversionError(f"{where} has no {name!r}")
    found = of[name]
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ConversionError(f"{name!r} of {where} is {found!r:.60}")
    return found


def number(of: Mapping[str, Any], name: str, where: str) -> float:
    """A finite number that an object has under a name."""
    found = entry(of, name, (int, float), where)
    try:
        value = float(found)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ConversionError(f"{name!r} of {where} is {found!s:.60}, expected a finite number")
    return value


def whole(found: Any, what: str, *, most: int = MAX_FEATURES) -> int:
    """A size of 1 or more, also if it stands alone in a list or is written as 1.0."""
    value = found[-1] if isinstance(found, list) and found else found
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 1 <= value <= most or value != int(value):
        raise ConversionError(f"{what} is {found!r:.60}, expected a number from 1 to {most}")
    return int(value)


def array(found: Any, shape: Sequence[int], what: str) -> Array:
    """Nested lists of numbers as float64 of this shape."""
    expected = tuple(shape)
    try:
        numbers = np.asarray(found)
    except ValueError:  # lists of several lengths
        numbers = np.empty(0, object)
    if numbers.dtype.kind not in "iuf" or numbers.shape != expected:
        has = f"has shape {numbers.shape}" if numbers.dtype.kind in "iuf" else "is not of numbers"
        raise ConversionError(f"{what} {has}, expected {expected}")
    return numbers.astype(np.float64)


def check_names(found: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raises `ConversionError` for a name that is not known and could mean something.

    Texts are notes.
    """
    for name, value in found.items():
        if name not in known and not isinstance(value, str):
            raise ConversionError(
                f"{where} has {name!r:.60} = {value!r:.60}, expected {', '.join(known)}"
            )


def text_entries(found: Mapping[str, Any], known: Sequence[str]) -> dict[str, str]:
    """Short texts that go into the metadata."""
    return {
        name: value[:MAX_NOTE]
        for name, value in found.items()
        if name in known and isinstance(value, str)
    }
