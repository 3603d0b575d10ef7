# SPDX-License-Identifier: Apache-2.0
"""From a graph to the bytes of a `.gru` file, and from bytes to a file on disk that is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from grucore._core import ConversionError
from grucore.fileformat import layout
from grucore.fileformat.layout import Counts, aligned
from grucore.fileformat.packing import pack
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.storage import apart
from grucore.graph.tensors import Array, Dtype, Layout, Role, Slot

__all__ = ["save", "write"]

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


def write(graph: Graph) -> bytes:
    """The canonical file of a graph. Denormal weights become zero; metadata then says how many.

    Raises `ConversionError` that names the value, node or tensor which cannot be written.
    """
    check(graph)
    stored, zeroed = _stored(graph)
    metadata = dict(graph.metadata)
    if zeroed:
        metadata["denormal_weights_zeroed"] = metadata.get("denormal_weights_zeroed", 0) + zeroed
    return _assemble(graph, stored, _json(metadata))


def _json(metadata: dict[str, object]) -> bytes:
    if not metadata:
        return b""
    try:
        text = json.dumps(
            metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError) as error:
        raise ConversionError(f"the metadata cannot be written as JSON: {error}") from None


def _stored(graph: Graph) -> tuple[list[tuple[Slot, Array]], int]:
    """Every tensor in the order of the file, and the number of weights that were denormal."""
    stored: list[tuple[Slot, Array]] = []
    zeroed = 0
    for node in graph.nodes:
        arrays = apart(node.tensors())
        for slot in graph.slots(node):
            array = arrays[slot.role]
            if slot.dtype is Dtype.FLOAT32:
                array, denormal = _without_denormals(array)
                zeroed += denormal
            stored.append((slot, array))
    if graph.test is not None:
        for role, given in (
            (Role.TEST_INPUT, graph.test.inputs),
            (Role.TEST_OUTPUT, graph.test.outputs),
        ):
            # Denormal inputs are zeros to the engine.
            stored += [(_test_slot(role, array), _without_denormals(array)[0]) for array in given]
    return stored, zeroed


def _without_denormals(array: Array) -> tuple[Array, int]:
    if array.dtype.kind != "f":
        return array, 0
    denormal = (np.abs(array) < SMALLEST_NORMAL) & (array != 0)
    return np.where(denormal, np.float32(0), array), int(denormal.sum())


def _test_slot(role: Role, array: Array) -> Slot:
    dtype = Dtype.INT32 if array.dtype.kind == "i" else Dtype.FLOAT32
    return Slot(role, array.shape, dtype=dtype)


def _words(graph: Graph) -> list[int]:
    index = {value.name: place for place, value in enumerate(graph.values)}
    words = [index[name] for name in (*graph.inputs, *graph.outputs)]
    for node in graph.nodes:
        words += [index[name] for name in node.inputs]
        words += node.attributes
    return words


def _values(graph: Graph) -> Iterator[bytes]:
    for value in graph.values:
        length = len(value.name.encode())
        numbers = (value.features, value.dtype, value.rate, value.period, value.skip)
        yield layout.VALUE.pack(length, *numbers, b"")


def _nodes(graph: Graph) -> Iterator[bytes]:
    index = {value.name: place for place, value in enumerate(graph.values)}
    for node in graph.nodes:
        yield layout.NODE.pack(
            node.kind,
            len(node.name.encode()),
            len(node.inputs),
            index[node.output],
            len(node.attributes),
            len(apart(node.tensors())),
            b"",
        )


def _payload(slot: Slot, array: Array) -> bytes:
    return pack(slot, array.astype(slot.dtype.numpy, copy=False)).tobytes()


def _parameters(slot: Slot) -> tuple[int, int, int, int]:
    if slot.layout is not Layout.PANEL16:
        return 0, 0, 0, 0
    groups = slot.groups if slot.groups > 1 else 0
    return slot.gates, slot.dtype.group, groups, slot.activations


def _assemble(graph: Graph, stored: list[tuple[Slot, Array]], metadata: bytes) -> bytes:
    words = _words(graph)
    names = "".join([value.name for value in graph.values] + [node.name for node in graph.nodes])
    name_bytes = names.encode()
    counts = Counts(
        len(graph.values),
        len(graph.nodes),
        len(stored),
        len(graph.inputs),
        len(graph.outputs),
        len(words),
        len(name_bytes),
        len(metadata),
    )
    for what, count, most in zip(Counts._fields, counts, layout.BOUNDS, strict=True):
        if count > most:
            raise ConversionError(f"the model has {count} {what}, a file can hold {most}")
    end = layout.sections(counts)[-1][1]
    records, payloads = [], []
    for slot, array in stored:
        offset = aligned(end)
        payload = _payload(slot, array)
        end = offset + len(payload)
        rank = len(slot.shape)
        records.append(
            layout.TENSOR.pack(
                slot.role,
                slot.dtype,
                slot.layout,
                rank,
                *slot.shape,
                *[0] * (4 - rank),
                *_parameters(slot),
                offset,
                len(payload),
            )
        )
        payloads.append(payload)
    header = layout.HEADER.pack(layout.MAGIC, layout.VERSION, 0, aligned(end), *counts, b"")
    file = bytearray()
    for part in (
        header,
        b"".join(_values(graph)),
        b"".join(_nodes(graph)),
        b"".join(records),
        struct.pack(f"<{len(words)}I", *words),
        name_bytes,
        metadata,
        *payloads,
    ):
        file += part
        file += bytes(aligned(len(file)) - len(file))
    struct.pack_into("<I", file, layout.CRC_OFFSET, layout.checksum(file))
    return bytes(file)


def save(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes to a file so that ``path`` holds either all of them or what it held before.

    Raises OSError: a full disk, a missing folder (the temporary file is then removed), or a path
    that is no regular file, such as a folder or a device.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    with contextlib.suppress(FileNotFoundError):
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(mode):  # a rename would put a file where the device was
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # The system names no file where the disk is full, and a temporary one elsewhere.
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from None
        raise
    # The new name has to reach the disk as well; not every system can open a folder.
    with contextlib.suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
