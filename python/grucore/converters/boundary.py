# SPDX-License-Identifier: Apache-2.0
"""The one border that no exception of a reader crosses: it becomes a `ConversionError`.

Readers refuse by name what they know to be wrong. All that nobody thought of ends here: a damaged
file that speaks of things that are not there, an exception of another package, a mistake of our
own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from grucore._core import ConversionError, GrucoreError

__all__ = ["WrongExample", "WrongKind", "at", "boundary"]

LONGEST = 300  # characters of another's message
REPORT = "the source is damaged, or grucore makes a mistake with it, which is worth a report"


class WrongKind(TypeError):
    """An argument of a kind that nothing is converted from."""


class WrongExample(ValueError):
    """Example inputs of a shape that the source does not take."""


# Lost memory and interrupts are nobody's fault; `SystemError` is an interpreter that lost memory.
PASSED = (GrucoreError, MemoryError, SystemError, WrongKind, WrongExample)


@contextmanager
def boundary() -> Iterator[None]:
    """Within it, any exception but the documented ones becomes a `ConversionError`.

    Its text has the places that the exception went through (`at`). OSError of the operating system
    passes, as one that opens a file.
    """
    try:
        yield
    except PASSED:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = " ".join(str(error).split())[:LONGEST]
        places = "".join(f"{place}: " for place in reversed(getattr(error, "__notes__", [])))
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise ConversionError(f"{places}it cannot be read ({what}): {REPORT}") from error


@contextmanager
def at(place: str) -> Iterator[None]:
    """Give the place to exceptions that `boundary` will turn into errors: a layer, a tensor."""
    try:
        yield
    except PASSED:
        raise
    except Exception as error:
        error.add_note(place[:LONGEST])
        raise
