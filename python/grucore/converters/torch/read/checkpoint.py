# SPDX-License-Identifier: Apache-2.0
"""Reads what `torch.save` wrote, without torch and without running anything that the file names."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.containers.budget import Budget
from grucore.converters.containers.pickle import Global, Inert, brief, load_pickle
from grucore.converters.containers.zip import DAMAGED, checked_entries, read_entry
from grucore.converters.source import Given
from grucore.converters.torch.read.script import script_tree
from grucore.converters.torch.read.tensors import StorageRef, TensorRef, rebuild, storage_of
from grucore.graph.tensors import Array

__all__ = ["load_checkpoint"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
STORED = zipfile.ZIP_STORED
MAX_SOURCE = 1 << 24  # bytes of one file of TorchScript


def load_checkpoint(given: Given) -> Any:
    """The object of a checkpoint: containers, arrays for tensors, `Inert` for the rest; of a
    TorchScript archive the `Tree` of its module.

    Memory stays within a few times the file. Raises `ConversionError` for damage and tricks.
    """
    if given.archive is None:
        return _legacy(given.data)
    try:
        return _from_zip(given.archive, len(given.data))
    except ConversionError:
        raise
    except DAMAGED as error:
        raise ConversionError(f"the zip archive is damaged: {error}") from None


def _from_zip(archive: zipfile.ZipFile, file_bytes: int) -> Any:
    entries = checked_entries(archive, file_bytes)
    budget = Budget(file_bytes)
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ConversionError(_no_checkpoint(entries))
    root = roots[0]
    is_script = f"{root}constants.pkl" in entries
    if not is_script and any(name.startswith(f"{root}code/") for name in entries):
        raise ConversionError("a TorchScript archive without constants.pkl")

    def content(name: str) -> bytes:
        if name not in entries:
            raise ConversionError(f"the archive has no entry {name}")
        info = entries[name]
        if info.compress_type != STORED or info.file_size != info.compress_size:
            raise ConversionError(f"entry {name} is compressed, torch.save never does that")
        return archive.read(info)

    order = content(f"{root}byteorder") if f"{root}byteorder" in entries else b"little"
    if order not in (b"little", b"big"):
        raise ConversionError(f"the byte order is {order[:20]!r}, expected little or big")
    references = _References()
    found = references.load(io.BytesIO(content(f"{root}data.pkl")))
    raw = {
        key: content(f"{root}data/{key}")
        for key, storage in references.storages.items()
        if storage.kind.code is not None
    }
    resolved = references.resolve(found, raw, big_endian=order == b"big")
    if not is_script:
        return resolved

    def code(name: str) -> str | None:
        info = entries.get(f"{root}code/{name}")
        return None if info is None else read_entry(archive, info, budget, MAX_SOURCE).decode()

    return script_tree(resolved, code)


def _no_checkpoint(entries: Mapping[str, object]) -> str:
    names = {name.rpartition("/")[2] for name in entries}
    if "model.json" in names:
        return "a torch.export archive: save the module's state_dict() instead"
    return "a zip archive, but not one of torch.save: it has no single data.pkl"


def _legacy(data: bytes) -> Any:
    stream = io.BytesIO(data)

    def plain() -> Any:
        return load_pickle(stream, Inert, _no_persistent)

    magic, protocol, system = plain(), plain(), plain()
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        found = brief(protocol)
        raise ConversionError(f"a checkpoint of protocol {found}, expected {LEGACY_PROTOCOL}")
    little = system.get("little_endian", True)
    references = _References()
    found = references.load(stream)
    keys = plain()
    is_list = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    if not is_list or set(map(str, keys)) != set(references.storages):
        raise ConversionError("the list of storages is not that of the tensors")
    raw: dict[str, bytes] = {}
    for key in map(str, keys):
        storage = references.storages[key]
        count = int.from_bytes(stream.read(8), "little" if little else "big")
        if count != storage.elements or key in raw:
            raise ConversionError(f"storage {key} has {count} elements, not {storage.elements}")
        raw[key] = stream.read(count * storage.kind.size)
    return references.resolve(found, raw, big_endian=not little)


def _no_persistent(identifier: object) -> Any:
    raise ConversionError("the pickle refers to a storage where none can be")


class _References:
    """The storages that a checkpoint's pickle refers to, until they are read."""

    def __init__(self) -> None:
        self.storages: dict[str, StorageRef] = {}

    def load(self, stream: io.BytesIO) -> Any:
        return load_pickle(stream, rebuild, self._storage)

    def _storage(self, identifier: Any) -> StorageRef:
        storage = storage_of(identifier)
        known = self.storages.setdefault(storage.key, storage)
        if known != storage:
            raise ConversionError(f"storage {storage.key} is described in two ways")
        return known

    def resolve(self, found: Any, raw: Mapping[str, bytes], *, big_endian: bool) -> Any:
        """``found`` with arrays in place of tensor references, everywhere in its containers."""
        buffers: dict[str, Array] = {}
        for key, storage in self.storages.items():
            if storage.kind.code is None:
                continue
            expected = storage.elements * storage.kind.size
            if len(raw[key]) != expected:
                message = f"storage {key} has {len(raw[key])} bytes, expected {expected}"
                raise ConversionError(message)
            buffers[key] = storage.kind.decode(raw[key], big_endian=big_endian)
        return _replace_tensors(found, buffers)


def _replace_tensors(found: Any, buffers: Mapping[str, Array]) -> Any:
    """In place and without recursion: a file may nest as deep, and share as much, as it likes."""

    def tensor(reference: TensorRef) -> Any:
        if reference.storage.key in buffers:
            return reference.array(buffers)
        return Inert(Global("torch", reference.storage.kind.name), ())

    if isinstance(found, TensorRef):
        return tensor(found)
    seen: set[int] = set()
    pending = [found]
    while pending:
        container = pending.pop()
        if id(container) in seen or not isinstance(container, dict | list | tuple | Inert):
            continue
        seen.add(id(container))
        if isinstance(container, tuple):  # which cannot change: what it holds may
            pending.extend(container)
            continue
        if isinstance(container, Inert):
            if isinstance(container.state, TensorRef):
                container.state = tensor(container.state)
            pending.append(container.state)
            continue
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in list(pairs):
            if isinstance(value, TensorRef):
                container[key] = tensor(value)
            else:
                pending.append(value)
    return found
