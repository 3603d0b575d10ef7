# SPDX-License-Identifier: Apache-2.0
"""Numbers and arrays as C writes them, so that a compiler reads back the same bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["C_TYPES", "array_text", "float_text"]

WIDTH = 116

C_TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.uint16): "uint16_t",
}


def float_text(number: float) -> str:
    """A finite float32, in nine digits; the infinities in bits that `gc_float` makes one."""
    value = np.float32(number)
    if np.isinf(value):
        return f"gc_float({'0x7f800000u' if value > 0 else '0xff800000u'})"
    return _digits(float(value))


def _digits(number: float) -> str:
    text = f"{number:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _rows(words: Iterable[str]) -> Iterable[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) + 2 > WIDTH:
            yield line
            line = ""
        line += f"{word}," if not line else f" {word},"
    if line:
        yield line


def array_text(name: str, array: npt.NDArray[Any]) -> str:
    """``static const`` with all numbers of the array."""
    flat = array.reshape(-1)
    words = map(_digits, flat.tolist()) if array.dtype == np.float32 else map(str, flat.tolist())
    lines = "\n".join(f"  {row}" for row in _rows(words))
    # Read in words, whatever they are made of.
    align = "" if array.dtype.itemsize == 4 else "GC_ALIGN "
    head = f"static const {C_TYPES[array.dtype]} {align}{name}[{flat.size}]"
    return f"{head} = {{\n{lines}\n}};\n"
