# SPDX-License-Identifier: Apache-2.0
"""The tensor table of a `.gru` file and the data behind it, checked record by record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from grucore.fileformat import layout
from grucore.fileformat.layout import ALIGNMENT, aligned, stored_size
from grucore.fileformat.packing import unpack_panel16
from grucore.fileformat.refusal import check_zero, refuse
from grucore.ir import TestVector
from grucore.node import Array, Rate, Role, Slot, Value

__all__ = ["Tensors"]

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal
MAX_RANK = 4
DTYPES: dict[int, np.dtype[Any]] = {layout.FLOAT32: np.dtype("<f4"), layout.INT32: np.dtype("<i4")}


class _Record(NamedTuple):
    at: int
    slot: Slot
    dtype: np.dtype[Any]
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
        if dtype not in DTYPES:
            refuse("kUnknownDtype", at + 4, f"tensor {name} has dtype {dtype}")
        if layout_id not in (layout.ROWMAJOR, layout.PANEL16):
            refuse("kUnknownLayout", at + 8, f"tensor {name} has layout {layout_id}")
        if not 1 <= rank <= MAX_RANK:
            refuse("kBadShape", at + 12, f"tensor {name} has rank {rank}, expected 1 to 4")
        for axis, extent in enumerate(shape):
            if (axis < rank) != (extent > 0):
                status = "kBadShape" if axis < rank else "kReservedNotZero"
                message = f"tensor {name} of rank {rank} has extent {extent} on axis {axis}"
                refuse(status, at + 16 + 4 * axis, message)
        gates = self._gates(at, name, layout_id, shape[:rank], parameters)
        slot = Slot(Role(role), tuple(shape[:rank]), gates)
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
        return _Record(at, slot, DTYPES[dtype], offset), offset + size

    def _gates(
        self, at: int, name: str, layout_id: int, shape: Sequence[int], parameters: Sequence[int]
    ) -> int:
        gates, group = 0, 0
        if layout_id == layout.PANEL16:
            gates, group = parameters[:2]
            if len(shape) > 2:
                refuse("kBadShape", at + 12, f"tensor {name}: panel16 has one or two axes")
            if gates < 1 or shape[0] % gates:
                message = f"tensor {name}: {shape[0]} rows do not come in {gates} gates"
                refuse("kBadShape", at + 32, message)
            if group != 1:
                message = f"tensor {name}: groups of {group} along k, expected 1"
                refuse("kBadShape", at + 36, message)
        unused = parameters[2:] if gates else parameters
        if any(unused):
            place = at + 48 - 4 * len(unused)
            refuse("kReservedNotZero", place, f"tensor {name}: unused parameters are not zero")
        return gates

    def _take(self, name: str, expected: Slot, dtype: np.dtype[Any]) -> Array:
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
        if record.dtype != dtype:
            status = "kBadShape" if of_test else "kUnknownDtype"
            refuse(status, at + 4, f"{name} is {record.dtype}, expected {dtype}")
        if bool(slot.gates) != bool(expected.gates):
            status = "kBadShape" if of_test else "kUnknownLayout"
            refuse(status, at + 8, f"{name} is in a layout of another kind of layer")
        if slot != expected:
            message = f"{name} has shape {slot.shape} and {slot.gates} gates"
            message += f", expected {expected.shape} and {expected.gates}"
            refuse("kBadShape", at + 16, message)
        stored = np.frombuffer(self._data, dtype, stored_size(slot), record.offset)
        if not slot.gates:
            return stored.reshape(slot.shape).astype(dtype.newbyteorder("="))
        _check_weights(name, stored, record.offset)
        columns = slot.shape[1] if len(slot.shape) > 1 else 1
        logical, dirty = unpack_panel16(stored, slot.gates, slot.shape[0] // slot.gates, columns)
        if dirty is not None:
            place = record.offset + 4 * dirty
            refuse("kReservedNotZero", place, f"{name}: a row past the end is not zero")
        return logical.reshape(slot.shape).astype(np.float32)

    def of_node(self, name: str, slots: Sequence[Slot], count: int, at: int) -> dict[Role, Array]:
        """The tensors of the next node, whose record at ``at`` announces ``count`` of them."""
        if count != len(slots):
            needed = ", ".join(slot.name for slot in slots) or "none"
            refuse("kMissingTensor", at + 20, f"{name} has {count} tensors, expected {needed}")
        if count > len(self._records) - self._next:
            refuse("kBadIndex", at + 20, f"{name} has {count} tensors, more than there are")
        dtype = np.dtype("<f4")
        return {slot.role: self._take(name, slot, dtype) for slot in slots}

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
                per_sequence = value.rate is Rate.SEQUENCE
                shape = (value.features,) if per_sequence else (frames, value.features)
                taken[role].append(self._take(value.name, Slot(role, shape, 0), value.dtype.numpy))
        return TestVector(tuple(taken[Role.TEST_INPUT]), tuple(taken[Role.TEST_OUTPUT]))


def _check_weights(name: str, stored: Array, offset: int) -> None:
    bad = ~np.isfinite(stored)
    denormal = (np.abs(stored) < SMALLEST_NORMAL) & (stored != 0)
    for what, where in (("infinite or not a number", bad), ("denormal", denormal)):
        if where.any():
            place = offset + 4 * int(np.argmax(where))
            refuse("kNonfiniteWeight", place, f"{name} has a weight that is {what}")
