# SPDX-License-Identifier: Apache-2.0
"""Pickles made by hand, and a watch over what reading them does."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from models.readers import checkpoint_in

GOLDEN = Path(__file__).parents[2] / "golden" / "torch"

# The events that an audit hook saw while `watched` was on; a hook can never be removed.
watched = False
events: list[str] = []


def _watch(event: str, _: tuple[object, ...]) -> None:
    if watched and event.split(".")[0] in WATCHED:
        events.append(event)


WATCHED = {"import", "exec", "compile", "open", "os", "subprocess", "socket", "pickle", "ctypes"}
sys.addaudithook(_watch)


@contextlib.contextmanager
def nothing_runs() -> Iterator[None]:
    """Fails if anything is imported, executed or opened inside."""
    global watched
    for ordinary in ((GOLDEN / "gru.pt").read_bytes(), zipped(pickle.dumps("text", 0))):
        checkpoint_in(ordinary)  # imports what it needs, codecs included
    events.clear()
    watched = True
    try:
        yield
    finally:
        watched = False
    assert events == []


class Call:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


def archive(entries: dict[str, bytes], **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:  # type: ignore[arg-type]
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    return archive({"archive/data.pkl": content, "archive/byteorder": b"little"})
