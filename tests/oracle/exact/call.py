# SPDX-License-Identifier: Apache-2.0
"""The arguments and the result of a layer's exact formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.graph.node import Value
from grucore.graph.tensors import Array
from oracle.exact.functions import Floats

__all__ = ["Bools", "Call", "Result"]

Bools: TypeAlias = npt.NDArray[np.bool_]
Result: TypeAlias = tuple[Array, tuple[Floats, ...]]


@dataclass(frozen=True)
class Call:
    """The call of a layer: values and their arrays, at which frames of which rows they and the
    output have a value, (B, T), or (B,) of values per sequence; the states before.
    """

    values: tuple[Value, ...]
    sources: tuple[Array, ...]
    at: Bools
    out_at: Bools
    states: tuple[Floats | None, ...]
    numerics: str

    def spread(self, rows: Array) -> Array:
        """The output, of a row for each place where it has a value."""
        result = np.zeros((*self.out_at.shape, rows.shape[-1]), rows.dtype)
        result[self.out_at] = rows
        return result
