# SPDX-License-Identifier: Apache-2.0
"""The tensors that a user leaves out of a model on purpose: patterns, and what they took."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from grucore._core import ConversionError

__all__ = ["Ignored"]

MAX_PATTERNS = 256
MOST_LISTED = 12


class Ignored:
    """Patterns as of a shell (``aux.*``); the name of a layer means all of its tensors.

    ``names`` are those that a pattern took, as the file has them. Raises TypeError for what is no
    text, `ConversionError` for an empty pattern.
    """

    def __init__(self, patterns: str | Iterable[str] = ()) -> None:
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self.names: list[str] = []
        self._matched: set[str] = set()
        self._offered: list[str] = []
        for pattern in self.patterns:
            if not isinstance(pattern, str):
                raise TypeError(f"ignore holds a {type(pattern).__name__}, expected names as text")
            if not pattern:
                raise ConversionError("ignore holds an empty name")
        if len(self.patterns) > MAX_PATTERNS:
            raise ConversionError(f"{len(self.patterns)} names to ignore, at most {MAX_PATTERNS}")

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def takes(self, name: str, *spellings: str) -> bool:
        """True if a pattern means this name, or another spelling of it; it then counts as taken."""
        self._offered.append(name)
        hit = {
            pattern
            for pattern in self.patterns
            if any(_means(pattern, each) for each in (name, *spellings))
        }
        self._matched |= hit
        if hit:
            self.names.append(name)
        return bool(hit)

    def check(self) -> None:
        """Raise `ConversionError` for a pattern that took nothing."""
        left = [pattern for pattern in self.patterns if pattern not in self._matched]
        if not left:
            return
        if not self._offered:
            raise ConversionError(
                f"ignore={left[0]!r} matches nothing: there is no tensor that the model does not "
                "use, as the source itself says"
            )
        known = [name for name in self._offered if name not in self.names]
        more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
        listed = ", ".join(known[:MOST_LISTED])
        raise ConversionError(f"ignore={left[0]!r} matches nothing; the file has {listed}{more}")


def _means(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
