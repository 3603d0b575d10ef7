# SPDX-License-Identifier: Apache-2.0
"""The conditions on a graph before it can be a file, and on one value or name in a file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grucore._core import ConversionError
from grucore.graph.graph import Graph, TestVector
from grucore.graph.loops import loop_problem, loops
from grucore.graph.node import MAX_FEATURES, MAX_PERIOD, MAX_SKIP, Defect, Node, Rate, Value
from grucore.graph.storage import (
    DENORMAL,
    FACTORS,
    NOT_FINITE,
    apart,
    expected_activations,
    kind_of,
    number_faults,
    stored_slots,
)
from grucore.graph.tensors import Array, Dtype, Layout, Slot

__all__ = ["check", "check_test", "name_problem", "value_problem"]

MAX_NAME_BYTES = 255
MAX_PORTS = 64
MAX_NODES = 4096


def name_problem(name: str) -> str | None:
    """Why a value or node cannot be called that, or None."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not 1 <= length <= MAX_NAME_BYTES:
        return f"has {length} bytes, expected 1 to {MAX_NAME_BYTES}"
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in name):
        return "has control characters"
    return None


def value_problem(value: Value) -> tuple[int, str] | None:
    """The offset of a field that is out of bounds in the file's record, and why; or None."""
    if value.dtype not in (Dtype.FLOAT32, Dtype.INT32):
        return 8, f"has dtype {value.dtype.name}, expected FLOAT32 or INT32"
    periodic, endless = value.rate is Rate.PERIOD, value.rate is not Rate.SEQUENCE
    for offset, what, number, least, most in (
        (4, "features", value.features, 1, MAX_FEATURES),
        (16, "period", value.period, 2 if periodic else 1, MAX_PERIOD if periodic else 1),
        (20, "skip", value.skip, 0, MAX_SKIP if endless else 0),
    ):
        if not least <= number <= most:
            where = f" at rate {value.rate.name}" if offset > 4 else ""
            return offset, f"has {what} {number}, expected {least} to {most}{where}"
    return None


def check(graph: Graph) -> None:
    """Raise `ConversionError` that names the value, node or tensor which cannot be written."""
    values = _check_values(graph)
    _check_ports(graph, values)
    written = set(graph.inputs)
    for node in graph.nodes:
        _check_wiring(graph, node, values, written)
        _check_layer(graph, node)
        written.add(node.output)
    for name in values:
        if name not in written:
            raise ConversionError(f"value {name!r} is neither an input nor written by a node")
    for loop in loops(graph.nodes):
        problem = loop_problem(graph.nodes, values, loop)
        if problem:
            raise ConversionError(problem[1])
    if graph.test is not None:
        check_test(graph, graph.test)


def _check_values(graph: Graph) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for value in graph.values:
        problem = name_problem(value.name)
        if problem:
            raise ConversionError(f"the name of value {value.name!r} {problem}")
        if value.name in values:
            raise ConversionError(f"two values are called {value.name!r}")
        found = value_problem(value)
        if found:
            raise ConversionError(f"value {value.name!r} {found[1]}")
        values[value.name] = value
    return values


def _check_ports(graph: Graph, values: Mapping[str, Value]) -> None:
    if not 1 <= len(graph.nodes) <= MAX_NODES:
        raise ConversionError(f"{len(graph.nodes)} nodes, expected 1 to {MAX_NODES}")
    for what, names in (("input", graph.inputs), ("output", graph.outputs)):
        if not 1 <= len(names) <= MAX_PORTS:
            raise ConversionError(f"{len(names)} {what}s, expected 1 to {MAX_PORTS}")
        for name in names:
            if name not in values:
                raise ConversionError(f"{what} {name!r} is not among the values")
            if names.count(name) > 1:
                raise ConversionError(f"{what} {name!r} is given twice")
    for name in graph.inputs:
        if values[name].clock != (Rate.FRAME, 1, 0):
            raise ConversionError(f"input {name!r} does not come with every frame")
    order = [value.name for value in graph.values if value.name in graph.inputs]
    if order != list(graph.inputs):
        raise ConversionError(f"inputs {graph.inputs} are not in the order of the values")


def _check_wiring(graph: Graph, node: Node, values: Mapping[str, Value], written: set[str]) -> None:
    problem = name_problem(node.name)
    if problem:
        raise ConversionError(f"the name of node {node.name!r} {problem}")
    if sum(other.name == node.name for other in graph.nodes) > 1:
        raise ConversionError(f"two nodes are called {node.name!r}")
    if not 1 <= len(node.inputs) <= MAX_PORTS:
        message = f"reads {len(node.inputs)} values, expected 1 to {MAX_PORTS}"
        raise ConversionError(f"node {node.name!r} {message}")
    for name in node.inputs:
        if name not in values:
            raise ConversionError(f"node {node.name!r} reads {name!r}, which is no value")
        if name not in written and not node.reads_later:
            raise ConversionError(
                f"node {node.name!r} reads {name!r}, which no earlier node writes"
            )
    if node.output not in values:
        raise ConversionError(f"node {node.name!r} writes {node.output!r}, which is no value")
    if node.output in written:
        raise ConversionError(f"node {node.name!r} writes {node.output!r} a second time")


def _check_layer(graph: Graph, node: Node) -> None:
    inputs, output = graph.ports(node)
    attributes = node.attributes
    try:
        type(node).check(attributes, inputs, output)
    except Defect as defect:
        raise ConversionError(f"node {node.name!r}: {defect}") from None
    tensors = node.tensors()
    arrays, kinds = apart(tensors), {role: kind_of(array) for role, array in tensors.items()}
    bare = type(node).slots(attributes, inputs, output)
    slots = {slot.role: slot for slot in stored_slots(bare, kinds)}
    for role, kind in kinds.items():
        if kind.blocks is not None and role in slots and slots[role].layout is not Layout.BLOCKS8X4:
            message = f"{node.name}.{role.name.lower()} is not made of whole blocks of 8 by 4"
            raise ConversionError(message)
    for slot in slots.values():
        if slot.role in arrays:
            _check_tensor(f"{node.name}.{slot.name}", arrays[slot.role], slot)
        elif not slot.is_optional:
            raise ConversionError(f"node {node.name!r} has no {slot.name}")
    for role in arrays:
        if role not in slots:
            raise ConversionError(f"node {node.name!r} has no use for {role.name.lower()}")
    try:
        type(node).check_tensors(attributes, inputs, tensors)
    except Defect as defect:
        raise ConversionError(f"node {node.name!r}: {defect}") from None


def check_test(graph: Graph, test: TestVector) -> None:
    """Raise `ConversionError` unless a test vector is one of this graph."""
    frames = test.inputs[0].shape[0] if test.inputs else 0
    for what, names, arrays in (
        ("input", graph.inputs, test.inputs),
        ("output", graph.outputs, test.outputs),
    ):
        if len(arrays) != len(names):
            raise ConversionError(f"{len(arrays)} test {what}s for {len(names)} {what}s")
        for name, array in zip(names, arrays, strict=True):
            value = graph.value(name)
            shape = value.shape(frames)
            if array.shape != shape or array.dtype != value.dtype.numpy or 0 in shape:
                raise ConversionError(
                    f"test {what} {name!r} is {array.dtype} {array.shape}, "
                    f"expected {value.dtype.numpy} {shape} with at least one frame"
                )
            if not np.isfinite(array).all():
                raise ConversionError(f"test {what} {name!r} is not finite")


def _check_tensor(name: str, array: Array, slot: Slot) -> None:
    fits = array.ndim == len(slot.shape) and all(
        found == extent if extent else found > 0
        for found, extent in zip(array.shape, slot.shape, strict=True)
    )
    if not fits:
        raise ConversionError(f"{name} has shape {array.shape}, expected {slot.shape}")
    if array.dtype != slot.dtype.numpy:
        expected = slot.dtype.name.lower()
        raise ConversionError(f"{name} has dtype {array.dtype}, expected {expected}")
    if slot.activations not in expected_activations(slot):
        message = f"goes with activations of {slot.activations} bits"
        expected = " or ".join(str(bits) for bits in expected_activations(slot))
        raise ConversionError(f"{name} {message}, expected {expected}")
    for what, where in number_faults(slot, array):
        # The writer makes denormal weights zero; a factor that is zero would make others so.
        if what == DENORMAL and slot.role not in FACTORS:
            continue
        bad = np.argwhere(where)
        if len(bad):
            first = tuple(int(index) for index in bad[0])
            words = "infinite or not-a-number weights"
            if what != NOT_FINITE:
                words = f"numbers that are {what}"
            raise ConversionError(f"{name} has {len(bad)} {words}, the first at {first}")
