# SPDX-License-Identifier: Apache-2.0
"""Which tensors of a file hold a layer's weights: numbers alone, or integers and their scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from grucore.graph.blocks import fit_blocks
from grucore.graph.tensors import Array, Dtype, Layout, Role, Slot
from grucore.graph.weights import Quantized, Weight, scale_shape

__all__ = [
    "DENORMAL",
    "FACTORS",
    "NOT_FINITE",
    "SCALES",
    "Kind",
    "apart",
    "expected_activations",
    "kind_of",
    "number_faults",
    "stored_slots",
    "together",
]

SCALES = {
    Role.WEIGHT_IH: Role.WEIGHT_IH_SCALE,
    Role.WEIGHT_HH: Role.WEIGHT_HH_SCALE,
    Role.WEIGHT_HN: Role.WEIGHT_HN_SCALE,
    Role.WEIGHT: Role.WEIGHT_SCALE,
    Role.TABLE: Role.TABLE_SCALE,
}
SCALE_ROLES = frozenset(SCALES.values())
FACTORS = SCALE_ROLES | {Role.INPUT_RANGE}  # what weights and activations are multiples of
RANGED = (Role.WEIGHT_IH, Role.WEIGHT)  # what they multiply may have a fixed range

NOT_FINITE = "infinite or not a number"
DENORMAL = "denormal"
SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


class Kind(NamedTuple):
    """Format of a stored weight, bits of its activations, its first extent, and its blocks if it
    is stored in these."""

    dtype: Dtype
    activations: int
    rows: int
    blocks: int | None = None


def kind_of(weight: Weight) -> Kind:
    """The kind of a weight in memory."""
    if isinstance(weight, Quantized):
        return Kind(weight.dtype, weight.activations, len(weight), weight.blocks)
    is_half = weight.dtype == Dtype.FLOAT16.numpy
    return Kind(Dtype.FLOAT16 if is_half else Dtype.FLOAT32, 0, len(weight))


def expected_activations(slot: Slot) -> tuple[int, ...]:
    """Bits of activations that weights in this slot may go with."""
    multiplies = slot.layout in (Layout.PANEL16, Layout.BLOCKS8X4)
    return (8, 16) if multiplies and slot.dtype in (Dtype.INT8, Dtype.INT4) else (0,)


def stored_slots(slots: Sequence[Slot], kinds: Mapping[Role, Kind]) -> tuple[Slot, ...]:
    """A layer's slots as they are for weights of these kinds, scales among them, by role.

    A kind that the slot does not take leaves it as it is. ``weight_hn`` is as ``weight_hh``.
    """
    found: list[Slot] = []
    for slot in slots:
        as_role = Role.WEIGHT_HH if slot.role is Role.WEIGHT_HN else slot.role
        kind = kinds.get(as_role)
        if kind is not None and kind.dtype in slot.others:
            # Either matrix of the reset-before cell may be in blocks.
            kind = kind._replace(blocks=kinds.get(slot.role, kind).blocks)
            first, *scales = _slots_of_kind(slot, kind)
        else:
            first, scales = slot, []
        if slot.role is Role.WEIGHT_HN:
            first = first._replace(others=())
        found += [first, *scales]
    dtypes = {slot.role: slot.dtype for slot in found}
    if any(dtypes.get(role) in (Dtype.INT8, Dtype.INT4) for role in RANGED):
        found.append(Slot(Role.INPUT_RANGE, (1,), is_optional=True))
    return tuple(sorted(found, key=lambda slot: slot.role))


def _slots_of_kind(slot: Slot, kind: Kind) -> list[Slot]:
    slot = slot._replace(dtype=kind.dtype)
    if kind.dtype is Dtype.FLOAT16:
        return [slot]
    rows, *inner = slot.shape
    if slot.taps:
        inner = [slot.taps, inner[0] // slot.taps]
    slot = slot._replace(shape=(rows, *inner), activations=kind.activations)
    matrix = (rows or kind.rows, *inner)
    if kind.blocks is not None and slot.groups == 1 and fit_blocks(matrix, slot.gates):
        slot = slot._replace(layout=Layout.BLOCKS8X4, blocks=kind.blocks)
    shape = scale_shape(kind.dtype, matrix)
    if slot.layout is Layout.ROWS:
        return [slot, Slot(SCALES[slot.role], shape)]
    dtype = Dtype.FLOAT32 if kind.dtype is Dtype.INT8 else Dtype.FLOAT16
    scale = Slot.panels(SCALES[slot.role], shape, slot.gates, slot.groups)
    return [slot, scale._replace(dtype=dtype)]


def apart(tensors: Mapping[Role, Weight]) -> dict[Role, Array]:
    """A layer's tensors as arrays, scales among them, by role."""
    arrays: dict[Role, Array] = {}
    for role, weight in tensors.items():
        if isinstance(weight, Quantized):
            arrays[role], arrays[SCALES[role]] = weight.values, weight.scale
        else:
            arrays[role] = weight
    return dict(sorted(arrays.items()))


def together(slots: Sequence[Slot], arrays: Mapping[Role, Array]) -> dict[Role, Weight]:
    """The inverse: the tensors of a layer from what stood in these slots."""
    tensors: dict[Role, Weight] = {}
    for slot in slots:
        if slot.role in SCALE_ROLES or slot.role not in arrays:
            continue
        array = arrays[slot.role]
        if slot.dtype in (Dtype.INT8, Dtype.INT4):
            scale = arrays[SCALES[slot.role]]
            in_blocks = slot.layout is Layout.BLOCKS8X4
            tensors[slot.role] = Quantized(array, scale, slot.dtype, slot.activations, in_blocks)
        else:
            tensors[slot.role] = array
    return tensors


def number_faults(slot: Slot, array: Array) -> Iterator[tuple[str, Array]]:
    """A condition that a number of the tensor breaks, and where."""
    if slot.dtype is Dtype.INT8:
        yield "-128", array == -128
    elif slot.dtype is Dtype.INT4:
        yield "outside of -8 to 7", (array < -8) | (array > 7)
    elif slot.dtype is not Dtype.INT32:
        yield NOT_FINITE, ~np.isfinite(array)
    if slot.dtype is Dtype.FLOAT32:
        if slot.role in SCALE_ROLES:
            yield "negative", array < 0
        if slot.role is Role.INPUT_RANGE:
            yield "not above zero", ~(array > 0)
        yield DENORMAL, (np.abs(array) < SMALLEST_NORMAL) & (array != 0)
