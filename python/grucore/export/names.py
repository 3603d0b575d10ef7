# SPDX-License-Identifier: Apache-2.0
"""Names of a graph as names of C: letters, digits and underscores, no two alike, none reserved."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Names", "checked_prefix", "prefix_of"]

_WORDS_TEXT = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
constexpr continue default delete do double else enum explicit export extern false float for friend
goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private
protected public register restrict return short signed sizeof static struct switch template this
throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t
while xor xor_eq
"""
# And what compilers of GNU's C define by themselves, and types.
_DEFINED = "linux unix i386 arm near far interface int8_t int16_t int32_t uint8_t uint16_t uint32_t"
_WORDS = frozenset([*_WORDS_TEXT.split(), *_DEFINED.split()])


def prefix_of(name: str) -> str:
    """A prefix for all names of a model, from the name of its file."""
    text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "model"
    return f"model_{text}" if text[0].isdigit() or text in _WORDS else text


def checked_prefix(name: str) -> str:
    """The prefix as it was asked for; ValueError for one that C cannot have."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "__" in name or name in _WORDS:
        raise ValueError(
            f"the name {name!r} is none of C: expected letters, digits and single underscores, "
            "a letter first"
        )
    return name


class Names:
    """Hands out identifiers: each text its own, made unlike those before."""

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken) | _WORDS

    def take(self, names: Iterable[str]) -> None:
        """Names that no text gets from now on."""
        self._taken |= set(names)

    def new(self, text: str) -> str:
        """An identifier that reads like the text."""
        stem = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower() or "value"
        if stem[0].isdigit():
            stem = f"v{stem}"
        name, count = stem, 2
        while name in self._taken:
            name, count = f"{stem}_{count}", count + 1
        self._taken.add(name)
        return name
