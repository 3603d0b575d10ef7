# SPDX-License-Identifier: Apache-2.0
"""The tensor table of a `.gru` file and the data behind it, checked record by record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from grucore.fileformat import layout
from grucore.fileformat.blocks import unpack_blocks
from grucore.fileformat.layout import ALIGNMENT, aligned, places_bytes, stored_bytes
from grucore.fileformat.packing import byte_of, unpack
from grucore.fileformat.refusal import check_zero, refuse
from grucore.graph.blocks import BLOCK_INPUTS, BLOCK_ROWS, fit_blocks
from grucore.graph.graph import TestVector
from grucore.graph.node import MAX_FEATURES, Value
from grucore.graph.storage import Kind, expected_activations, number_faults, stored_slots, together
from grucore.graph.tensors import Array, Dtype, Layout, Role, Slot
from grucore.graph.weights import Weight

__all__ = ["Tensors"]

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
        slot = Slot(Role(role), tuple(shape[:rank]), Layout(layout_id), dtype=Dtype(dtype))
        slot = _with_parameters(at, name, slot, parameters)
        if offset % ALIGNMENT:
            message = f"tensor {name} starts at {offset:#x}, not a multiple of {ALIGNMENT}"
            refuse("kMisalignedTensor", at + 48, message)
        if offset != aligned(end):
            status = "kOverlappingTensor" if offset < aligned(end) else "kGap"
            message = f"tensor {name} starts at {offset:#x}, expected {aligned(end):#x}"
            refuse(status, at + 48, message)
        expected = stored_bytes(slot)
        if size != expected:
            message = f"tensor {name} {slot.shape} takes {expected} bytes, the table says {size}"
            refuse("kBadShape", at + 56, message)
        if size > len(self._data) - offset:
            message = f"tensor {name} ends at {offset + size:#x}, after the file"
            refuse("kTruncated", at + 56, message)
        check_zero(self._data, end, offset)
        return _Record(at, slot, offset), offset + size

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
            choices = (expected.dtype, *expected.others)
            message = f"{name} is {slot.dtype.name}, expected "
            message += " or ".join(dtype.name for dtype in choices)
            refuse("kBadShape" if of_test else "kUnknownDtype", at + 4, message)
        if slot.layout != expected.layout:
            message = f"{name} is in {slot.layout.name.lower()}"
            message += f", expected {expected.layout.name.lower()}"
            refuse("kBadShape" if of_test else "kUnknownLayout", at + 8, message)
        _check_shape(name, slot, expected, at)
        if slot.layout is Layout.BLOCKS8X4:
            return self._blocks(name, record)
        is_int4 = slot.dtype is Dtype.INT4
        element = np.dtype(np.uint8) if is_int4 else slot.dtype.numpy
        size = stored_bytes(slot) // element.itemsize
        stored = np.frombuffer(self._data, element, size, record.offset)
        # Any four bits are a weight.
        for what, where in () if is_int4 else number_faults(slot, stored):
            if where.any():
                place = record.offset + element.itemsize * int(np.argmax(where))
                refuse("kNonfiniteWeight", place, f"{name} has a number that is {what}")
        logical, dirty = unpack(slot, stored)
        if dirty is not None:
            place = record.offset + byte_of(slot, dirty)
            refuse("kReservedNotZero", place, f"{name}: the padding is not zero")
        return logical.astype(slot.dtype.numpy.newbyteorder("="))

    def _blocks(self, name: str, record: _Record) -> Array:
        matrix = unpack_blocks(record.slot, name, self._data, record.offset)
        for what, where in number_faults(record.slot, matrix):
            if where.any():
                first = record.offset + places_bytes(record.slot)
                count = record.slot.blocks * BLOCK_ROWS * BLOCK_INPUTS
                stored = np.frombuffer(self._data, np.int8, count, first)
                place = first + int(np.argmax(stored == -128))
                refuse("kNonfiniteWeight", place, f"{name} has a number that is {what}")
        return matrix

    def place(self, role: Role) -> int:
        """Where the record of that role stands, of the node that came last."""
        records = self._records[: self._next]
        return next(record.at for record in reversed(records) if record.slot.role == role)

    def of_node(self, name: str, slots: Sequence[Slot], count: int, at: int) -> dict[Role, Weight]:
        """The tensors of the next node, whose record at ``at`` announces ``count`` of them."""
        if count > len(self._records) - self._next:
            refuse("kBadIndex", at + 20, f"{name} has {count} tensors, more than there are")
        present = {
            record.slot.role: _kind_of(record.slot)
            for record in self._records[self._next : self._next + count]
        }
        slots = [
            slot
            for slot in stored_slots(slots, present)
            if not slot.is_optional or slot.role in present
        ]
        if count != len(slots):
            needed = ", ".join(slot.name for slot in slots) or "none"
            refuse("kMissingTensor", at + 20, f"{name} has {count} tensors, expected {needed}")
        return together(slots, {slot.role: self._take(name, slot) for slot in slots})

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


def _kind_of(slot: Slot) -> Kind:
    blocks = slot.blocks if slot.layout is Layout.BLOCKS8X4 else None
    return Kind(slot.dtype, slot.activations, slot.shape[0], blocks)


def _check_shape(name: str, slot: Slot, expected: Slot, at: int) -> None:
    if len(slot.shape) != len(expected.shape):
        message = f"{name} has rank {len(slot.shape)}, expected {len(expected.shape)}"
        refuse("kBadShape", at + 12, message)
    for axis, extent in enumerate(expected.shape):
        if extent and slot.shape[axis] != extent:
            message = f"{name} has shape {slot.shape}, expected {expected.shape}"
            refuse("kBadShape", at + 16 + 4 * axis, message)
    for offset, what in ((32, "gates"), (40, "groups"), (44, "activations")):
        if getattr(slot, what) != getattr(expected, what):
            message = f"{name} has {getattr(slot, what)} {what}, expected"
            refuse("kBadShape", at + offset, f"{message} {getattr(expected, what)}")


def _with_parameters(at: int, name: str, slot: Slot, parameters: Sequence[int]) -> Slot:
    """The slot with the parameters of its layout."""
    gates, group, third, activations = parameters
    rank = len(slot.shape)
    if slot.layout is Layout.ROWS and rank != 2:
        refuse("kBadShape", at + 12, f"tensor {name}: rows has two axes, found {rank}")
    if slot.layout is Layout.BLOCKS8X4 and slot.dtype is not Dtype.INT8:
        refuse("kUnknownLayout", at + 8, f"tensor {name}: blocks are of int8 only")
    if slot.layout not in (Layout.PANEL16, Layout.BLOCKS8X4):
        if slot.dtype is Dtype.INT4:
            refuse("kUnknownLayout", at + 8, f"tensor {name}: int4 is in panel16 only")
        if any(parameters):
            refuse("kReservedNotZero", at + 32, f"tensor {name}: unused parameters are not zero")
        return slot
    if not 1 <= gates <= MAX_GATES:
        message = f"tensor {name} has {gates} gates, expected 1 to {MAX_GATES}"
        refuse("kBadShape", at + 32, message)
    if group != slot.dtype.group:
        message = f"tensor {name}: groups of {group} along k, expected {slot.dtype.group}"
        refuse("kBadShape", at + 36, message)
    in_panels = slot.layout is Layout.PANEL16
    if in_panels and (third == 1 or third > MAX_FEATURES):
        message = f"tensor {name} has {third} groups, expected 0 or 2 to {MAX_FEATURES}"
        refuse("kBadShape", at + 40, message)
    expected = expected_activations(slot)
    if activations not in expected:
        message = f"tensor {name} goes with activations of {activations} bits, expected "
        message += " or ".join(str(bits) for bits in expected)
        refuse("kBadShape" if any(expected) else "kReservedNotZero", at + 44, message)
    least, most = (2, 3) if slot.dtype.group > 1 else (1, 2)
    if not least <= rank <= (most if in_panels else 2):
        message = f"tensor {name}: {slot.layout.name.lower()} has {least} or {most} axes"
        refuse("kBadShape", at + 12, f"{message}, found {rank}")
    slot = slot._replace(gates=gates, groups=1, activations=activations)
    if not in_panels:
        return _with_blocks(at, name, slot, third)
    groups = max(1, third)
    if slot.shape[0] % (gates * groups):
        message = f"tensor {name}: {slot.shape[0]} rows do not come in {gates} gates"
        refuse("kBadShape", at + 16, f"{message} of {groups} groups")
    return slot._replace(groups=groups)


def _with_blocks(at: int, name: str, slot: Slot, blocks: int) -> Slot:
    if not fit_blocks(slot.shape, slot.gates):
        place = at + 16 if slot.shape[0] % (slot.gates * BLOCK_ROWS) else at + 20
        refuse("kBadShape", place, f"tensor {name} {slot.shape} is not made of blocks of 8 by 4")
    most = slot.shape[0] * slot.shape[1] // (BLOCK_ROWS * BLOCK_INPUTS)
    if blocks > most:
        refuse("kBadShape", at + 40, f"tensor {name} has {blocks} blocks, expected up to {most}")
    return slot._replace(blocks=blocks)
