# SPDX-License-Identifier: Apache-2.0
"""The handle of a loaded file: the engine's model, and its ports, clocks and states in Python."""

from __future__ import annotations

from typing import Any

from grucore import _core
from grucore.runtime.ports import Port

__all__ = ["Loaded"]


class Loaded(_core.Model):
    """A loaded file without the calls of a user: `grucore.Model` adds those.

    All that the runtime, the proof and the quantization ask of a model is here.
    """

    __slots__ = (
        "__weakref__",
        "_id_counts",
        "_output_clocks",
        "inputs",
        "outputs",
    )

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    _output_clocks: tuple[tuple[int, int], ...]  # period and skip of each output
    _id_counts: tuple[int | None, ...]  # of each input: the ids that embeddings have for it

    def __init__(self, source: Any, *, isa: str | None = None, mmap: bool = False) -> None:
        for name, is_output in (("inputs", False), ("outputs", True)):
            ports = tuple(
                Port(row[0], row[1], row[2], f"{row[4]} frames" if row[3] == "period" else row[3])
                for row in self._ports(is_output)
            )
            object.__setattr__(self, name, ports)
        clocks = tuple((row[4], row[5]) for row in self._ports(True))
        object.__setattr__(self, "_output_clocks", clocks)
        counts = tuple(row[6] or None for row in self._ports(False))
        object.__setattr__(self, "_id_counts", counts)
