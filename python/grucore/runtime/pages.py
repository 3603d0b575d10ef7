# SPDX-License-Identifier: Apache-2.0
"""Pages of a pool of streams, and the outputs of one tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grucore.runtime.arrays import Array, single
from grucore.runtime.loaded import Loaded
from grucore.runtime.stream import Stream, make_stream

if TYPE_CHECKING:
    from grucore.runtime.types import Result

# Rows of a page. One call of the engine costs some microseconds beside its arithmetic, a page of
# 256 rows makes that nothing; larger pages leave the caches.
PAGE = 256

Ids = npt.NDArray[np.int64]


class Tick(Mapping[int, Any]):
    """The outputs of one tick, by stream: ``tick[id]`` is what `Stream.step` would have returned.

    A stream that had no frame waiting is not in it; nor is one whose frame has no output, in a
    model with a stride. With several outputs a stream has a tuple, with None for one that this
    frame did not give.

    Attributes
    ----------
    ids : int64 array, (n,)
        Streams that have a value of the first output, in the order of `outputs`.
    outputs : float32 array, (n, features)
        The values of the first output: all at once, for those who handle thousands.
    """

    __slots__ = ("_parts", "_places")

    def __init__(self, parts: list[tuple[Ids, Array]]) -> None:
        self._parts = parts  # of each output
        self._places: list[dict[int, int]] | None = None

    @property
    def ids(self) -> Ids:
        return self._parts[0][0]

    @property
    def outputs(self) -> Array:
        return self._parts[0][1]

    def of(self, output: int) -> tuple[Ids, Array]:
        """Streams and values of output number `output`: int64 (n,) and (n, features)."""
        return self._parts[output]

    def _placed(self) -> list[dict[int, int]]:
        if self._places is None:
            self._places = [
                {stream: place for place, stream in enumerate(ids.tolist())}
                for ids, _ in self._parts
            ]
        return self._places

    def __getitem__(self, stream: int) -> Result:
        found = [
            values[places[stream]] if stream in places else None
            for places, (_, values) in zip(self._placed(), self._parts, strict=True)
        ]
        if all(value is None for value in found):
            raise KeyError(stream)
        return single(found)

    def __iter__(self) -> Iterator[int]:
        placed = self._placed()
        return iter(placed[0] if len(placed) == 1 else dict.fromkeys(s for p in placed for s in p))

    def __len__(self) -> int:
        return len(self.ids) if len(self._parts) == 1 else sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<grucore Tick of {len(self)} streams>"


class Page:
    """`PAGE` slots: one stream of the engine, and where its frames and outputs lie."""

    __slots__ = (
        "frames",
        "fresh",
        "ids",
        "inputs",
        "mask",
        "outputs",
        "ready",
        "stream",
        "waiting",
    )

    def __init__(self, model: Loaded, nonfinite: str) -> None:
        self.stream: Stream = make_stream(model, PAGE, nonfinite)
        self.inputs = [np.zeros((PAGE, port.features), port.dtype) for port in model.inputs]
        self.outputs = [np.zeros((PAGE, port.features), port.dtype) for port in model.outputs]
        self.ids = np.full(PAGE, -1, np.int64)  # of the streams that are open
        self.frames = np.zeros(PAGE, np.int64)  # stepped since the slot was opened or reset
        self.ready = bytearray(PAGE)  # has a frame for the next tick
        self.mask = np.frombuffer(self.ready, np.bool_)  # the same bytes
        self.waiting = 0  # how many are ready
        self.fresh: set[int] = set()  # begin at the next tick

    def begin(self) -> None:
        """Give the streams that are new their initial state."""
        rows = np.array(sorted(self.fresh), np.uint32)
        self.stream._reset_rows(rows)
        self.frames[rows] = 0
        self.fresh.clear()

    def tick(self, clocks: tuple[tuple[int, int], ...]) -> list[tuple[Ids, Array]]:
        """Step those that are ready: of each output the streams that have a value, and these."""
        if self.fresh:
            self.begin()
        everyone = self.waiting == PAGE
        mask = self.mask.copy()
        x = single(self.inputs)
        out = single(self.outputs)
        self.stream.step(x, out, active=None if everyone else mask)
        parts: list[tuple[Ids, Array]] = []
        for (period, skip), values in zip(clocks, self.outputs, strict=True):
            given = mask
            if (period, skip) != (1, 0):
                past = self.frames - skip
                given = mask & (past >= 0) & (past % period == 0)
            parts.append((self.ids[given], values[given]))
        self.frames[mask] += 1
        self.ready[:] = bytes(PAGE)
        self.waiting = 0
        return parts
