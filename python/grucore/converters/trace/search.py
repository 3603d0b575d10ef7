# SPDX-License-Identifier: Apache-2.0
"""The search for the readings of a source: which axis of an input is batch, time or features.

Every assignment is tried. Those that some operation contradicts fall away (a GRU wants time where
it wants it). If none is left, the refusal of the one that came furthest speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from grucore._core import ConversionError
from grucore.converters.trace.axes import Undecided

__all__ = ["Choices", "Search", "far", "marked"]

Choices: TypeAlias = Mapping[str, Any]
T = TypeVar("T")


def marked(error: ConversionError, reached: int, *, misread: bool = False) -> ConversionError:
    """The error of a reading that came so many operations far; ``misread``: where axes were not
    what an operation wants."""
    error.reached, error.misread = reached, misread  # type: ignore[attr-defined]
    return error


def far(error: ConversionError) -> tuple[bool, int]:
    """How far a reading came; one that was contradicted is behind all that were merely refused."""
    return not getattr(error, "misread", False), getattr(error, "reached", -1)


@dataclass
class Search(Generic[T]):
    """Tries a choice for one input after the other, as the walk comes to need them.

    ``walk`` makes a reading; it raises `Undecided` where it needs a choice, and `ConversionError`,
    marked, where it fails. ``options`` has the choices for a name, ``text`` says what was chosen.
    """

    walk: Callable[[Choices], T]
    options: Callable[[str, Choices], Iterable[Any]]
    text: Callable[[Choices], str]
    most: int
    trials: int = 0

    def readings(self, choices: Choices) -> list[T]:
        """All readings with these choices made; raises the `ConversionError` of the best one."""
        self.trials += 1
        if self.trials > self.most:
            raise ConversionError("the inputs have too many readings")
        try:
            return [self.walk(choices)]
        except Undecided as undecided:
            name = undecided.name
            options = undecided.options or self.options(name, choices)
        found: list[T] = []
        best: ConversionError | None = None
        for option in options:
            tried = {**choices, name: option}
            try:
                found += self.readings(tried)
            except ConversionError as error:
                if best is None or far(error) > far(best):
                    best = self._named(error, tried)
        if found:
            return found
        raise best or ConversionError(f"the axes of {name!r} have no reading")

    def _named(self, error: ConversionError, choices: Choices) -> ConversionError:
        """The error with the axes that were tried."""
        said, text = str(error), self.text(choices)
        if getattr(error, "reached", -1) < 0 or not text or " read as " in said:
            return error
        sound, reached = far(error)
        return marked(type(error)(f"{said} (with {text})"), reached, misread=not sound)
