# SPDX-License-Identifier: Apache-2.0
"""The members of HDF5's groups: symbol tables of the old kind, link messages of the new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grucore._core import ConversionError
from grucore.converters.containers.hdf5.headers import Message
from grucore.converters.containers.hdf5.image import Cursor, Image

__all__ = ["Elsewhere", "is_group", "members", "old_heap", "text_in_heap", "tree_leaves"]

LINK_INFO, LINK, GROUP_INFO, SYMBOL_TABLE = 0x02, 0x06, 0x0A, 0x11
HARD, SOFT, EXTERNAL = 0, 1, 64
MAX_LEVELS = 16
SOFT_ENTRY = 2  # the kind of a symbol table's entry that is a soft link
MAX_NAME = 1 << 12


@dataclass(frozen=True)
class Elsewhere:
    """A member that is no object of this file but a name of one."""

    kind: str
    target: str


def is_group(found: Sequence[Message]) -> bool:
    """True if these are the messages of a group."""
    return any(message.kind in (SYMBOL_TABLE, LINK_INFO, GROUP_INFO) for message in found)


def members(image: Image, found: Sequence[Message], path: str) -> dict[str, int | Elsewhere]:
    """By name the address of each member's header, or what it refers to."""
    result: dict[str, int | Elsewhere] = {}
    for message in found:
        if message.kind == SYMBOL_TABLE:
            cursor = message.cursor(image)
            _add(result, _of_table(image, cursor.address(), cursor.address()), path)
        elif message.kind == LINK:
            _add(result, [_of_link(message.cursor(image))], path)
        elif message.kind == LINK_INFO:
            _refuse_dense(message.cursor(image), path)
    return result


def _add(
    result: dict[str, int | Elsewhere], new: Sequence[tuple[str, int | Elsewhere]], path: str
) -> None:
    for name, target in new:
        if name in result:
            raise ConversionError(f"group {path!r} has two members {name[:60]!r}")
        result[name] = target


def _refuse_dense(cursor: Cursor, path: str) -> None:
    flags = (cursor.take(1), cursor.number(1))[1]
    if flags & 1:
        cursor.take(8)
    if not cursor.image.undefined(cursor.address()):
        raise ConversionError(
            f"group {path!r} keeps its members in a fractal heap (libver='latest'), which cannot "
            "be read: copy the groups into a new file with h5py, whose usual format can"
        )


def _of_link(cursor: Cursor) -> tuple[str, int | Elsewhere]:
    cursor.expect(b"\x01")
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 0x08 else HARD
    cursor.take((8 if flags & 0x04 else 0) + (1 if flags & 0x10 else 0))
    name = cursor.take(cursor.number(1 << (flags & 3))).decode("utf-8", "replace")
    if kind == HARD:
        return name, cursor.address()
    content = cursor.take(cursor.number(2))
    if kind == SOFT:
        return name, Elsewhere("SoftLink", content.decode("utf-8", "replace"))
    if kind != EXTERNAL:
        raise ConversionError(f"{name[:60]!r} is a link of kind {kind}, expected the thing itself")
    target = content[1:].rstrip(b"\0").replace(b"\0", b":")
    return name, Elsewhere("ExternalLink", target.decode("utf-8", "replace"))


def old_heap(image: Image, address: int) -> Cursor:
    """The names of a group, which stand in a heap of its own."""
    cursor = image.cursor(address, 8 + 2 * image.length_size + image.offset_size)
    cursor.expect(b"HEAP\0")
    cursor.take(3)
    size = cursor.length()
    cursor.length()
    return image.cursor(cursor.address(), size)


def text_in_heap(heap: Cursor, at: int) -> str:
    """The text that begins so many bytes into a heap."""
    start = heap.at + at
    content = bytes(heap.image.data[start : min(start + MAX_NAME, heap.end)])
    text, end, _ = content.partition(b"\0")
    if not end or start < heap.at:
        raise ConversionError(f"the HDF5 file is damaged: a name at {start} has no end")
    return text.decode("utf-8", "replace")


def tree_leaves(image: Image, address: int, kind: int, key_size: int) -> list[tuple[bytes, int]]:
    """The key before each leaf of a B-tree and the leaf's address; every node is read once."""
    leaves: list[tuple[bytes, int]] = []
    seen: set[int] = set()
    pending: list[tuple[int, int | None]] = [(address, None)]
    while pending:
        at, expected = pending.pop()
        if at in seen:
            raise ConversionError(f"the HDF5 file is damaged: a B-tree points at itself, at {at}")
        seen.add(at)
        head = 8 + 2 * image.offset_size
        cursor = image.cursor(at, head)
        cursor.expect(b"TREE" + bytes([kind]))
        level, entries = cursor.number(1), cursor.number(2)
        if level > MAX_LEVELS or (expected is not None and level != expected):
            raise ConversionError(f"the HDF5 file is damaged: a B-tree of level {level} at {at}")
        cursor = image.cursor(at + head, entries * (key_size + image.offset_size))
        found = [(cursor.take(key_size), cursor.address()) for _ in range(entries)]
        if level:
            pending += [(child, level - 1) for _, child in reversed(found)]
        else:
            leaves += found
    return leaves


def _of_table(image: Image, tree: int, heap_at: int) -> list[tuple[str, int | Elsewhere]]:
    heap = old_heap(image, heap_at)
    found: list[tuple[str, int | Elsewhere]] = []
    seen: set[int] = set()
    for _, leaf in tree_leaves(image, tree, 0, image.length_size):
        if leaf in seen:
            raise ConversionError(f"the HDF5 file is damaged: a group repeats its table at {leaf}")
        seen.add(leaf)
        head = image.cursor(leaf, 8)
        head.expect(b"SNOD\x01")
        head.take(1)
        count = head.number(2)
        cursor = image.cursor(leaf + 8, count * (2 * image.offset_size + 24))
        for _ in range(count):
            name = text_in_heap(heap, cursor.address())
            header, kind = cursor.address(), cursor.number(4)
            cursor.take(4)
            scratch = cursor.take(16)
            if kind == SOFT_ENTRY:
                target = text_in_heap(heap, int.from_bytes(scratch[:4], "little"))
                found.append((name, Elsewhere("SoftLink", target)))
            else:
                found.append((name, header))
    return found
