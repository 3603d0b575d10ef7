# SPDX-License-Identifier: Apache-2.0
"""The functions of C that generated code calls, from the files of the folder c.

A file is cut at lines ``//! NAME [CLASS]``: what follows defines ``NAME``, where CLASS stands for
that class of numerics alone. All names start with ``gc_`` or ``GC_``, which become the model's own
prefix, and a piece needs those that it names: so generated code has what it calls, and no more.
Constants stand there in hexadecimal, as in docs/numerics.md; C++ before 17 has none, so they are
written out in decimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

from grucore.export.literals import float_text

__all__ = ["own_names", "pieces_for", "with_prefix"]

FILES = (
    "arithmetic",
    "vectors",
    "functions",
    "activations",
    "cells",
    "features",
    "float_products",
    "quantized",
    "integer_products",
    "spectrum",
)
_MARK = re.compile(r"^//! (\S+)(?: (\S+))?\n", re.MULTILINE)
_NAME = re.compile(r"\b(?:gc|GC)_\w+")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_HEXADECIMAL = re.compile(r"-?0x[0-9a-f.]+p[+-]?\d+f", re.IGNORECASE)


def _decimal(match: re.Match[str]) -> str:
    return float_text(float.fromhex(match[0][:-1]))


@cache
def _pieces() -> dict[tuple[str, str], str]:
    """Texts by name and class ("" for both), in the order of the files: called before callers."""
    found: dict[tuple[str, str], str] = {}
    for file in FILES:
        path = resources.files("grucore.export") / "c" / f"{file}.c"
        _, *parts = _MARK.split(path.read_text("utf-8"))
        for name, numerics, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            found[name, numerics or ""] = _HEXADECIMAL.sub(_decimal, text.strip() + "\n")
    return found


def _named(text: str) -> set[str]:
    """The names in a text that are no comment's."""
    return set(_NAME.findall(_COMMENT.sub("", text)))


@cache
def own_names() -> frozenset[str]:
    """Every name in the pieces, without what it starts with: no layer may be called so."""
    found = {name for text in _pieces().values() for name in _NAME.findall(text)}
    return frozenset(name[3:].lower() for name in found)


def pieces_for(texts: Iterable[str], numerics: str) -> list[str]:
    """The functions that these texts call, with all that those call, in an order for C."""
    known = {name: text for (name, of), text in _pieces().items() if of in ("", numerics)}
    wanted: set[str] = set()
    new = {name for text in texts for name in _named(text)} & known.keys()
    while new:
        wanted |= new
        new = {name for at in new for name in _named(known[at])} & known.keys() - wanted
    return [text for name, text in known.items() if name in wanted]


def with_prefix(text: str, prefix: str) -> str:
    """The text with the model's prefix for ``gc_`` and ``GC_``."""
    text = re.sub(r"\bgc_(?=\w)", f"{prefix}_", text)
    return re.sub(r"\bGC_(?=\w)", f"{prefix.upper()}_", text)
