# SPDX-License-Identifier: Apache-2.0
"""The tensor table of a `.gru` file and the data behind it, checked record by record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from grucore.fileformat import layout
from grucore.fileformat.layout import ALIGNMENT, aligned, stored_size
from grucore.fileformat.packing import unpack
from grucore.fileformat.refusal import check_zero, refuse
from grucore.ir import TestVector
from grucore.node import MAX_FEATURES, Array, Dtype, Layout, Role, Slot, Value

__all__ = ["Tensors"]

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal
MAX_RANK = 4
MAX_GATES = 4


class _Record(NamedTuple):
    at: int
    slot: Slot
    offset: int


class Tensors:
    """Walks the table once, in the order of the file; every tensor is asked for exactly once."""

    def __init__(self, data: bytes, start: int, count: int, tables_end: int) -> None:
        self._data = data
        self._next = 0
        self._records: list[_Record] = []
        end = tables_end
        for at in range(start, start + layout.TENSOR.size * count, layout.TENSOR.size):
            record, end = self._record(at, end)
            self._records.append(record)
        if aligned(end) != len(data):
            refuse("kGap", end, f"{len(data) - end} bytes after the end belong to nothing")
        check_zero(data, end, len(data))

    def _record(self, at: int, end: int) -> tuple[_Record, int]:
        role, dtype, layout_id, rank, *numbers, offset, size = layout.TENSOR.unpack_from(
            self._data, at
        )
        shape, parameters = numbers[:4], numbers[4:]
        if role not in list(Role):
            refuse("kUnknownRole", at, f"a tensor has role {role}")
        name = Role(role).name.lower()
        if dtype not in list(Dtype):
            refuse("kUnknownDtype", at + 4, f"tensor {name} has dtype {dtype}")
        if layout_id not in list(Layout):
            refuse("kUnknownLayout", at + 8, f"tensor {name} has layout {layout_id}")
        if not 1 <= rank <= MAX_RANK:
            refuse("kBadShape", at + 12, f"tensor {name} has rank {rank}, expected 1 to 4")
        for axis, extent in enumerate(shape):
            if (axis < rank) != (extent > 0):
                status = "kBadShape" if axis < rank else "kReservedNotZero"
                message = f"tensor {name} of rank {rank} has extent {extent} on axis {axis}"
                refuse(status, at + 16 + 4 * axis, message)
        kind = Layout(layout_id)
        gates, groups = self._panels(at, name, kind, shape[:rank], parameters)
        slot = Slot(Role(role), tuple(shape[:rank]), kind, gates, groups, Dtype(dtype))
        if offset % ALIGNMENT:
            message = f"tensor {name} starts at {offset:#x}, not a multiple of {ALIGNMENT}"
            refuse("kMisalignedTensor", at + 48, message)
        if offset != aligned(end):
            status = "kOverlappingTensor" if offset < aligned(end) else "kGap"
            message = f"tensor {name} starts at {offset:#x}, expected {aligned(end):#x}"
            refuse(status, at + 48, message)
        expected = 4 * stored_size(slot)
        if size != expected:
            message = f"tensor {name} {slot.shape} takes {expected} bytes, the table says {size}"
            refuse("kBadShape", at + 56, message)
        if size > len(self._data) - offset:
            message = f"tensor {name} ends at {offset + size:#x}, after the file"
            refuse("kTruncated", at + 56, message)
        check_zero(self._data, end, offset)
        return _Record(at, slot, offset), offset + size

    def _panels(
        self, at: int, name: str, kind: Layout, shape: Sequence[int], parameters: Sequence[int]
    ) -> tuple[int, int]:
        """Gates and groups of `panel16`, zeros for other layouts."""
        used = 3 if kind is Layout.PANEL16 else 0
        gates, group, groups = parameters[:3]
        if kind is Layout.ROWS and len(shape) != 2:
            refuse("kBadShape", at + 12, f"tensor {name}: rows has two axes, found {len(shape)}")
        if kind is Layout.PANEL16:
            if len(shape) > 2:
                refuse("kBadShape", at + 12, f"tensor {name}: panel16 has one or two axes")
            if not 1 <= gates <= MAX_GATES:
                message = f"tensor {name} has {gates} gates, expected 1 to {MAX_GATES}"
                refuse("kBadShape", at + 32, message)
            if group != 1:
                message = f"tensor {name}: groups of {group} along k, expected 1"
                refuse("kBadShape", at + 36, message)
            if groups == 1 or groups > MAX_FEATURES:
                message = f"tensor {name} has {groups} groups, expected 0 or 2 to {MAX_FEATURES}"
                refuse("kBadShape", at + 40, message)
            if shape[0] % (gates * max(1, groups)):
                message = f"tensor {name}: {shape[0]} rows do not come in {gates} gates"
                refuse("kBadShape", at + 16, f"{message} of {max(1, groups)} groups")
        if any(parameters[used:]):
            place = at + 32 + 4 * used
            refuse("kReservedNotZero", place, f"tensor {name}: unused parameters are not zero")
        return (gates, max(1, groups)) if used else (0, 0)

    def _take(self, name: str, expected: Slot) -> Array:
        record = self._records[self._next]
        self._next += 1
        at, slot = record.at, record.slot
        of_test = expected.role >= Role.TEST_INPUT
        if slot.role != expected.role:
            # A layer cannot have the model's roles, nor the test vector another one.
            foreign = of_test or slot.role >= Role.TEST_INPUT
            status = "kUnknownRole" if foreign else "kMissingTensor"
            refuse(status, at, f"{name} has {slot.name}, expected {expected.name}")
        name = f"{name}.{slot.name}"
        if slot.dtype != expected.dtype:
            message = f"{name} is {slot.dtype.name}, expected {expected.dtype.name}"
            refuse("kBadShape" if of_test else "kUnknownDtype", at + 4, message)
        if slot.layout != expected.layout:
            message = f"{name} is in {slot.layout.name.lower()}"
            message += f", expected {expected.layout.name.lower()}"
            refuse("kBadShape" if of_test else "kUnknownLayout", at + 8, message)
        _check_shape(name, slot, expected, at)
        stored = np.frombuffer(self._data, slot.dtype.numpy, stored_size(slot), record.offset)
        if slot.dtype is Dtype.FLOAT32:
            _check_numbers(name, stored, record.offset)
        logical, dirty = unpack(slot, stored)
        if dirty is not None:
            place = record.offset + 4 * dirty
            refuse("kReservedNotZero", place, f"{name}: the padding is not zero")
        return logical.astype(slot.dtype.numpy.newbyteorder("="))

    def place(self, role: Role) -> int:
        """Where the record of that role stands, of the node that came last."""
        records = self._records[: self._next]
        return next(record.at for record in reversed(records) if record.slot.role == role)

    def of_node(self, name: str, slots: Sequence[Slot], count: int, at: int) -> dict[Role, Array]:
        """The tensors of the next node, whose record at ``at`` announces ``count`` of them."""
        if count > len(self._records) - self._next:
            refuse("kBadIndex", at + 20, f"{name} has {count} tensors, more than there are")
        present = {record.slot.role for record in self._records[self._next : self._next + count]}
        slots = [slot for slot in slots if not slot.is_optional or slot.role in present]
        if count != len(slots):
            needed = ", ".join(slot.name for slot in slots) or "none"
            refuse("kMissingTensor", at + 20, f"{name} has {count} tensors, expected {needed}")
        return {slot.role: self._take(name, slot) for slot in slots}

    def of_model(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> TestVector | None:
        """The test vector, from what is left of the table."""
        left = self._records[self._next :]
        if not left:
            return None
        if len(left) != len(inputs) + len(outputs):
            message = f"{len(left)} test tensors: {len(inputs)} inputs, {len(outputs)} outputs"
            refuse("kMissingTensor", left[0].at, message)
        frames = left[0].slot.shape[0]
        ports: Mapping[Role, Sequence[Value]] = {
            Role.TEST_INPUT: inputs,
            Role.TEST_OUTPUT: outputs,
        }
        taken: dict[Role, list[Array]] = {role: [] for role in ports}
        for role, values in ports.items():
            for value in values:
                slot = Slot(role, value.shape(frames), dtype=value.dtype)
                taken[role].append(self._take(value.name, slot))
        return TestVector(tuple(taken[Role.TEST_INPUT]), tuple(taken[Role.TEST_OUTPUT]))


def _check_shape(name: str, slot: Slot, expected: Slot, at: int) -> None:
    if len(slot.shape) != len(expected.shape):
        message = f"{name} has rank {len(slot.shape)}, expected {len(expected.shape)}"
        refuse("kBadShape", at + 12, message)
    for axis, extent in enumerate(expected.shape):
        if extent and slot.shape[axis] != extent:
            message = f"{name} has shape {slot.shape}, expected {expected.shape}"
            refuse("kBadShape", at + 16 + 4 * axis, message)
    for offset, what in ((32, "gates"), (40, "groups")):
        if getattr(slot, what) != getattr(expected, what):
            message = f"{name} has {getattr(slot, what)} {what}, expected"
            refuse("kBadShape", at + offset, f"{message} {getattr(expected, what)}")


def _check_numbers(name: str, stored: Array, offset: int) -> None:
    bad = ~np.isfinite(stored)
    denormal = (np.abs(stored) < SMALLEST_NORMAL) & (stored != 0)
    for what, where in (("infinite or not a number", bad), ("denormal", denormal)):
        if where.any():
            place = offset + 4 * int(np.argmax(where))
            refuse("kNonfiniteWeight", place, f"{name} has a number that is {what}")
