# SPDX-License-Identifier: Apache-2.0
"""torch's higher-order scan, whose body stands in the graph around it."""

from __future__ import annotations

from typing import Any

from grucore.converters.torch.walk.walk import REGISTERED, Arguments, Walk
from grucore.converters.trace.ops.recurrent import after, before, frame_of, frames_of, sequence

__all__: list[str] = []


def _frame(walk: Walk, a: Arguments) -> Any:
    return frame_of(walk, sequence(walk, a["x"], 0), 0, turned=False, keep=False)


def _before(walk: Walk, a: Arguments) -> Any:
    return before(walk, a["start"], [sequence(walk, x, 0) for x in a["sequences"]])


def _after(walk: Walk, a: Arguments) -> Any:
    return after(walk, walk.data(a["before"]), walk.data(a["after"]))


def _frames(walk: Walk, a: Arguments) -> Any:
    return frames_of(walk, walk.data(a["x"]), 0, turned=False)


def _results(walk: Walk, a: Arguments) -> Any:
    return list(a["values"])


REGISTERED.update(
    {
        "scan.frame": _frame,
        "scan.before": _before,
        "scan.after": _after,
        "scan.frames": _frames,
        "scan.results": _results,
    }
)
