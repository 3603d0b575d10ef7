# SPDX-License-Identifier: Apache-2.0
"""The record of a proof, as a file keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Proof:
    """A comparison: ``against`` names the other side, ``frames`` counts what was compared.

    All numbers are parts of the output's scale. ``largest_difference`` and ``bound`` are those of
    the comparison that came nearest to its bound, ``differences`` has it for each output: of those
    whose bound says something. ``rounding`` is the most that rounding alone does to an output in
    any sequence, 0 where nobody had to ask. ``recorded_frames`` and ``recorded_difference`` are
    those of the pair that a user gave as ``check``; ``note`` is what the proof does not cover.
    """

    against: str
    largest_difference: float
    bound: float
    frames: int
    differences: dict[str, float]
    rounding: float = 0.0
    recorded_frames: int = 0
    recorded_difference: float = 0.0
    note: str = ""

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> Self:
        """The proof in a file's metadata, in which a later release may have put more."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in entries.items() if name in known})

    def __str__(self) -> str:
        text = (
            f"largest difference {self.largest_difference:.2g} of the output's scale "
            f"(bound {self.bound:.2g}) over {self.frames} frames against {self.against}"
        )
        if self.rounding:
            text += f"; rounding alone moves some sequences by {self.rounding:.2g}"
        if self.recorded_frames:
            text += (
                f"; {self.recorded_difference:.2g} from the recorded outputs "
                f"over {self.recorded_frames} frames"
            )
        return f"{text}; {self.note}" if self.note else text
