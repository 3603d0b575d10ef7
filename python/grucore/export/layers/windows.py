# SPDX-License-Identifier: Apache-2.0
"""Layers that look back over a window: a ring of the frames before, and a loop over the taps."""

from __future__ import annotations

from dataclasses import dataclass, field

from grucore.export.unit import Call, lines

__all__ = ["Window"]


@dataclass
class Window:
    """The ring of ``dilation * (taps - 1)`` frames in the state; the newest frame is ``x``.

    The oldest frame of a window stands where the next one will be written.
    """

    call: Call
    taps: int
    dilation: int
    channels: int
    ring: str = field(init=False, default="")
    place: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.reach:
            name = self.call.name
            self.ring = self.call.unit.state(f"{name}.history", self.reach * self.channels)
            self.place = self.call.unit.state(f"{name}.place", 0, "uint32_t")

    @property
    def reach(self) -> int:
        """Frames from the oldest to the newest of a window."""
        return self.dilation * (self.taps - 1)

    @property
    def parameters(self) -> str:
        """Name of the function that computes an output."""
        state = "const gc_state *st, " if self.reach else ""
        return f"{state}float *y, const float *x"

    def each_tap(self, *body: str) -> str:
        """A loop over ``tap``, oldest first, in which ``frame`` is the tap's."""
        if not self.reach:
            return lines("const float *frame = x;", *body, indent=0).rstrip("\n")
        inner = lines(
            "const float *frame = x;",
            f"if (tap < {self.taps - 1}) {{",
            f"  uint32_t place = {self.place} + {self.dilation} * tap;",
            f"  if (place >= {self.reach}) place -= {self.reach};",
            f"  frame = {self.ring} + {self.channels} * place;",
            "}",
            *body,
        )
        return f"for (tap = 0; tap < {self.taps}; ++tap) {{\n{inner}}}"

    @property
    def declare(self) -> str:
        """The line that declares the loop's variable."""
        return "uint32_t tap;" if self.reach else ""

    def step(self, name: str) -> None:
        """Compute where there is an output, then remember the frame."""
        call = self.call
        source = call.sources[0]
        state = "st, " if self.reach else ""
        call.step(f"{name}({state}{call.target}, {source});")
        if not self.reach:
            return
        slot = f"{self.ring} + {self.channels} * {self.place}"
        call.step(f"GC_COPY({slot}, {source}, {4 * self.channels});", call.reads[0])
        call.step(f"if (++{self.place} == {self.reach}) {self.place} = 0;", call.reads[0])
