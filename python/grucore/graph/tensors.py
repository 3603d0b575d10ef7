# SPDX-License-Identifier: Apache-2.0
"""The tensors of layers: dtypes, roles, layouts, and the slot that a tensor has to fit."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float64]


class Dtype(IntEnum):
    """The dtype of a stored tensor; values have one of the first two."""

    FLOAT32 = 0
    INT32 = 1
    FLOAT16 = 2
    INT8 = 3
    INT4 = 4

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy dtype; of int4, which has one number per byte in memory, int8."""
        return np.dtype(_NUMPY[self])

    @property
    def bits(self) -> int:
        """Bits of one number in the file."""
        return _BITS[self]

    @property
    def group(self) -> int:
        """Numbers of a row that lie side by side in `panel16`: four bytes of quantized weights."""
        return 32 // self.bits if self in (Dtype.INT8, Dtype.INT4) else 1


_NUMPY = {
    Dtype.FLOAT32: "<f4",
    Dtype.INT32: "<i4",
    Dtype.FLOAT16: "<f2",
    Dtype.INT8: "i1",
    Dtype.INT4: "i1",
}


_BITS = {Dtype.FLOAT32: 32, Dtype.INT32: 32, Dtype.FLOAT16: 16, Dtype.INT8: 8, Dtype.INT4: 4}


class Role(IntEnum):
    """The purpose of a stored tensor; messages name it by the member in lower case."""

    WEIGHT_IH = 1
    WEIGHT_HH = 2
    WEIGHT_HN = 3
    BIAS = 4
    WEIGHT = 5
    INITIAL_STATE = 6
    TABLE = 7
    SCALE = 8
    SHIFT = 9
    SLOPE = 10
    INDEX = 11
    WEIGHT_IH_SCALE = 12
    WEIGHT_HH_SCALE = 13
    WEIGHT_HN_SCALE = 14
    WEIGHT_SCALE = 15
    TABLE_SCALE = 16
    INPUT_RANGE = 17
    INITIAL_CELL = 18
    TEST_INPUT = 64
    TEST_OUTPUT = 65


class Layout(IntEnum):
    """In which order a tensor's elements stand in the file."""

    ROWMAJOR = 1
    PANEL16 = 2
    ROWS = 3
    BLOCKS8X4 = 6


class Slot(NamedTuple):
    """A tensor that a layer stores; ``gates`` and ``groups`` are those of `panel16`, else 0.

    An extent of 0 stands for any number. ``others``: what a weight may be made of instead of
    ``dtype``; `storage` makes of that the slots of a weight that is. ``taps``: those of a
    convolution's weight, which get an axis of their own where it is quantized. ``activations``:
    bits of the activations that a quantized weight multiplies. ``blocks``: those that are stored of
    a weight in `blocks8x4`.
    """

    role: Role
    shape: tuple[int, ...]
    layout: Layout = Layout.ROWMAJOR
    gates: int = 0
    groups: int = 0
    dtype: Dtype = Dtype.FLOAT32
    is_optional: bool = False
    others: tuple[Dtype, ...] = ()
    taps: int = 0
    activations: int = 0
    blocks: int = 0

    @classmethod
    def panels(cls, role: Role, shape: tuple[int, ...], gates: int = 1, groups: int = 1) -> Slot:
        """A bias in `panel16`, float32."""
        return cls(role, shape, Layout.PANEL16, gates, groups)

    @classmethod
    def weights(
        cls, role: Role, shape: tuple[int, int], gates: int = 1, groups: int = 1, taps: int = 0
    ) -> Slot:
        """A matrix in `panel16`, of any kind of weights."""
        slot = cls.panels(role, shape, gates, groups)
        return slot._replace(others=(Dtype.FLOAT16, Dtype.INT8, Dtype.INT4), taps=taps)

    @property
    def name(self) -> str:
        """The role's name, as in docs/format.md."""
        return self.role.name.lower()
