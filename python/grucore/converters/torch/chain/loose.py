# SPDX-License-Identifier: Apache-2.0
"""Tensors of a file that belong to no layer, in the part that an architecture gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.graph.tensors import Array

__all__ = ["LooseTensor", "initial_state", "loose_tensor"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LooseTensor:
    """A tensor that is added to each frame, or by which each is multiplied or divided.

    ``kind`` as in an architecture; ``array`` is one number, shape (), or one for each feature.
    """

    kind: str
    name: str
    array: Array
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_size(self) -> int | None:
        """Features that it reads: any number where it is one number for all."""
        return int(self.array.shape[0]) if self.array.ndim else None

    @property
    def output_size(self) -> int | None:
        """Features that it writes, as many as it reads."""
        return self.input_size

    @property
    def arrays(self) -> list[Array]:
        """The tensor."""
        return [self.array]

    @property
    def operand(self) -> Array:
        """The number or row as it is used: a divisor with its ``eps`` added."""
        eps = self.options.get("eps", 0.0)
        return np.asarray(self.array + self.array.dtype.type(eps)) if eps else self.array


def loose_tensor(kind: str, name: str, array: Array, options: Mapping[str, Any]) -> LooseTensor:
    """The tensor as a step; raises `ConversionError` if it has numbers along several axes."""
    several = [extent for extent in array.shape if extent != 1]
    if len(several) > 1 or 0 in array.shape:
        message = f"{name} has shape {array.shape}, expected one number or one for each feature"
        raise ConversionError(message)
    flat = array.reshape(several) if array.dtype.kind == "f" else np.float32(array.reshape(several))
    return LooseTensor(kind=kind, name=name, array=np.asarray(flat), options=options)


def initial_state(name: str, array: Array, rows: int, hidden_size: int) -> Array:
    """The tensor as an initial state (rows, 1, hidden_size), a row for each layer and direction.

    Raises `ConversionError` if it has another number of elements, or several rows of a batch.
    """
    whole = (rows, 1, hidden_size)
    several = [extent for extent in array.shape if extent != 1]
    if several != [extent for extent in whole if extent != 1] or array.dtype.kind != "f":
        message = f"{name} has shape {array.shape} of {array.dtype}, expected {whole} of floats"
        raise ConversionError(f"{message}: the initial state of {rows} layers and directions")
    return array.reshape(whole)
