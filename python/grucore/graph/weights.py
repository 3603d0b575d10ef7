# SPDX-License-Identifier: Apache-2.0
"""Weights in less than four bytes a number: float16 arrays, and int8 or int4 with their scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.graph.blocks import BLOCK_INPUTS, BLOCK_ROWS, filled_blocks, fit_blocks
from grucore.graph.tensors import Array, Dtype, Role

__all__ = [
    "INT4_INPUTS",
    "Quantized",
    "Weight",
    "as_float64",
    "joined",
    "kind_text",
    "range_of",
    "scale_shape",
    "with_range",
]

INT4_INPUTS = 32  # inputs of a row that share a scale


@dataclass(frozen=True, eq=False)
class Quantized:
    """Integers and what they are multiples of.

    ``values`` (rows, k), of a convolution (rows, taps, k), numpy int8: from -127 to 127, or -8 to 7
    where ``dtype`` is INT4. ``scale`` of INT8: float32 (rows,); of INT4: float16 (rows, n), n =
    ceil(k / 32), of a convolution taps * ceil(k / 32), tap after tap. ``activations``: the bits, 8
    or 16, to which the numbers that they multiply are quantized; 0 for an embedding's table.
    ``in_blocks``: only blocks of 8 rows and 4 inputs that are not all 0 are stored and multiplied.

    Raises ValueError for another ``dtype`` or ``activations``, and for a matrix in blocks that is
    not int8 or not made of whole ones; shapes and numbers are looked at by `Graph.validate`.
    """

    values: Array
    scale: Array
    dtype: Dtype
    activations: int
    in_blocks: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in (Dtype.INT8, Dtype.INT4):
            raise ValueError(f"quantized weights are INT8 or INT4, not {self.dtype!r}")
        if self.activations not in (0, 8, 16):
            raise ValueError(f"activations have 8 or 16 bits, not {self.activations!r}")
        if self.in_blocks and not (self.dtype is Dtype.INT8 and fit_blocks(self.shape)):
            raise ValueError(f"{self.dtype.name} {self.shape} is not int8 in blocks of 8 by 4")

    @property
    def blocks(self) -> int | None:
        """Blocks that are stored, of a matrix in blocks; None of others."""
        return int(filled_blocks(self.values).sum()) if self.in_blocks else None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the values."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """That of the values."""
        return self.values.ndim

    @property
    def size(self) -> int:
        """Number of values."""
        return self.values.size

    @property
    def nbytes(self) -> int:
        """Bytes of values and scales in a file, padding not counted."""
        blocks = self.blocks
        size = self.size if blocks is None else blocks * BLOCK_ROWS * BLOCK_INPUTS
        return -(-size * self.dtype.bits // 8) + self.scale.nbytes

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> Quantized:
        return replace(self, values=self.values[rows], scale=self.scale[rows])

    def tobytes(self) -> bytes:
        """Values and scales: the same for the same weights."""
        return self.values.tobytes() + self.scale.tobytes()


Weight: TypeAlias = Array | Quantized
"""float32 or float16, or integers with scales."""


def scale_shape(dtype: Dtype, shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of the scales of values (rows, k) or (rows, taps, k)."""
    if dtype is Dtype.INT8:
        return (shape[0],)
    return shape[0], math.prod(shape[1:-1]) * -(-shape[-1] // INT4_INPUTS)


def as_float64(weight: Weight) -> npt.NDArray[np.float64]:
    """The numbers that the weights stand for, in their logical shape."""
    if not isinstance(weight, Quantized):
        return weight.astype(np.float64)
    values, scale = weight.values.astype(np.float64), weight.scale.astype(np.float64)
    if weight.dtype is Dtype.INT4:
        scale = np.repeat(scale.reshape(*weight.shape[:-1], -1), INT4_INPUTS, axis=-1)
        return np.asarray(values * scale[..., : weight.shape[-1]])
    return np.asarray(values * scale.reshape(-1, *(1,) * (weight.ndim - 1)))


def joined(weights: Sequence[Weight]) -> Weight:
    """One below the other; they are of one kind."""
    first = weights[0]
    if len(weights) == 1:
        return first
    if not isinstance(first, Quantized):
        return np.concatenate([weight for weight in weights if not isinstance(weight, Quantized)])
    parts = [weight for weight in weights if isinstance(weight, Quantized)]
    return replace(
        first,
        values=np.concatenate([part.values for part in parts]),
        scale=np.concatenate([part.scale for part in parts]),
    )


def kind_text(weight: Weight) -> str:
    """ "float32", "float16", "int8/16" (bits of the activations), "int8" of a table."""
    if not isinstance(weight, Quantized):
        return str(weight.dtype)
    name = "sparse int8" if weight.in_blocks else weight.dtype.name.lower()
    return f"{name}/{weight.activations}" if weight.activations else name


def with_range(tensors: dict[Role, Weight], input_range: float | None) -> dict[Role, Weight]:
    """The tensors with a fixed range of the inputs, if there is one."""
    if input_range is not None:
        tensors[Role.INPUT_RANGE] = np.array([input_range], np.float32)
    return tensors


def range_of(tensors: Mapping[Role, Any]) -> float | None:
    """The inverse of `with_range`."""
    found = tensors.get(Role.INPUT_RANGE)
    return None if found is None else float(found[0])
