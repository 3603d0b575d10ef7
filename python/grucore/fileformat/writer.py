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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.fileformat import layout
from grucore.fileformat.blocks import pack_blocks
from grucore.fileformat.layout import Counts, aligned
from grucore.fileformat.packing import pack
from grucore.graph.blocks import BLOCK_INPUTS
from grucore.graph.check import check, check_test
from grucore.graph.graph import Graph, TestVector
from grucore.graph.storage import apart
from grucore.graph.tensors import Array, Dtype, Layout, Role, Slot

__all__ = ["Draft", "save", "write"]

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


class Draft:
    """A graph that was checked and packed once: a file of it needs metadata and a test vector.

    Its ``graph`` has zeros for denormal weights, and metadata that says how many there were.
    Raises `ConversionError` that names the value, node or tensor which cannot be written.
    """

    def __init__(self, graph: Graph) -> None:
        check(graph)
        self.graph = _normal(graph)
        self._packed = [_packed(slot, array) for slot, array in _stored(self.graph)]
        self._words = _words(graph)

    def file(self) -> bytes:
        """The bytes of the graph as it is."""
        return _assemble(self.graph, self._words, self._packed, _json(self.graph.metadata))

    def complete(self, metadata: Mapping[str, object], test: TestVector | None) -> bytes:
        """The bytes with more metadata, and with a test vector; ``graph`` has both from then on."""
        metadata = {**self.graph.metadata, **metadata}
        self.graph = replace(self.graph, metadata=metadata, test=test)
        if test is None:
            return self.file()
        check_test(self.graph, test)
        vector = [_packed(slot, array) for slot, array in _vector(test)]
        return _assemble(self.graph, self._words, [*self._packed, *vector], _json(metadata))


def write(graph: Graph) -> bytes:
    """The canonical file of a graph. Denormal weights become zero; metadata then says how many.

    Raises `ConversionError` that names the value, node or tensor which cannot be written.
    """
    draft = Draft(replace(graph, test=None))
    return draft.complete({}, graph.test)


def _json(metadata: Mapping[str, object]) -> bytes:
    if not metadata:
        return b""
    try:
        text = json.dumps(
            dict(metadata),
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )
        return text.encode()
    except (TypeError, ValueError) as error:
        raise ConversionError(f"the metadata cannot be written as JSON: {error}") from None


def _normal(graph: Graph) -> Graph:
    """The graph without denormal weights, which cost time and, made zero, nothing else."""
    zeroed = 0
    nodes = []
    for node in graph.nodes:
        arrays: dict[str, Any] = {}
        for field in fields(node):
            found = getattr(node, field.name)
            if isinstance(found, np.ndarray) and found.dtype == np.float32:
                denormal = _denormal(found)
                if denormal.any():
                    arrays[field.name] = np.where(denormal, np.float32(0), found)
                    zeroed += int(denormal.sum())
        nodes.append(replace(node, **arrays) if arrays else node)
    if not zeroed:
        return graph
    before = graph.metadata.get("denormal_weights_zeroed", 0)
    noted = graph.with_metadata(denormal_weights_zeroed=before + zeroed)
    return replace(noted, nodes=tuple(nodes))


def _denormal(array: Array) -> Array:
    found: Array = (np.abs(array) < SMALLEST_NORMAL) & (array != 0)
    return found


def _stored(graph: Graph) -> list[tuple[Slot, Array]]:
    """Every tensor of the layers, in the order of the file."""
    stored: list[tuple[Slot, Array]] = []
    for node in graph.nodes:
        arrays = apart(node.tensors())
        stored += [(slot, arrays[slot.role]) for slot in graph.slots(node)]
    return stored


def _vector(test: TestVector) -> list[tuple[Slot, Array]]:
    """The tensors of a test vector. Denormal inputs are zeros to the engine."""
    return [
        (
            _test_slot(role, array),
            np.where(_denormal(array), np.float32(0), array) if array.dtype.kind == "f" else array,
        )
        for role, arrays in ((Role.TEST_INPUT, test.inputs), (Role.TEST_OUTPUT, test.outputs))
        for array in arrays
    ]


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


def _packed(slot: Slot, array: Array) -> tuple[Slot, bytes]:
    if slot.layout is Layout.BLOCKS8X4:
        return slot, pack_blocks(slot, array)
    return slot, pack(slot, array.astype(slot.dtype.numpy, copy=False)).tobytes()


def _parameters(slot: Slot) -> tuple[int, int, int, int]:
    if slot.layout is Layout.BLOCKS8X4:
        return slot.gates, BLOCK_INPUTS, slot.blocks, slot.activations
    if slot.layout is not Layout.PANEL16:
        return 0, 0, 0, 0
    groups = slot.groups if slot.groups > 1 else 0
    return slot.gates, slot.dtype.group, groups, slot.activations


def _assemble(
    graph: Graph, words: Sequence[int], packed: Sequence[tuple[Slot, bytes]], metadata: bytes
) -> bytes:
    names = "".join([value.name for value in graph.values] + [node.name for node in graph.nodes])
    name_bytes = names.encode()
    counts = Counts(
        len(graph.values),
        len(graph.nodes),
        len(packed),
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
    for slot, payload in packed:
        offset = aligned(end)
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
