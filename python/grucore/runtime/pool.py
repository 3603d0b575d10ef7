# SPDX-License-Identifier: Apache-2.0
"""Many streams of one model, stepped together: who joins, who leaves, whose frames wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from grucore._core import NonFiniteError, UnsupportedError
from grucore.runtime.arrays import Array, as_input, check_shape, gather
from grucore.runtime.loaded import Loaded
from grucore.runtime.stream import Stream, make_stream

# Rows of a page. One call of the engine costs some microseconds beside its arithmetic, a page of
# 256 rows makes that nothing; larger pages leave the caches.
PAGE = 256

# An id is a slot in its lower half, and how often the slot was opened before in its upper half:
# the id of a stream that was closed is never the id of another one.
SLOTS = 1 << 32

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

    def __getitem__(self, stream: int) -> Any:
        found = [
            values[places[stream]] if stream in places else None
            for places, (_, values) in zip(self._placed(), self._parts, strict=True)
        ]
        if all(value is None for value in found):
            raise KeyError(stream)
        return found[0] if len(found) == 1 else tuple(found)

    def __iter__(self) -> Iterator[int]:
        placed = self._placed()
        return iter(placed[0] if len(placed) == 1 else dict.fromkeys(s for p in placed for s in p))

    def __len__(self) -> int:
        return len(self.ids) if len(self._parts) == 1 else sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<grucore Tick of {len(self)} streams>"


class Page:
    """`PAGE` slots: one stream of the engine, and where its frames and outputs lie."""

    __slots__ = ("frames", "fresh", "ids", "inputs", "outputs", "ready", "stream", "waiting")

    def __init__(self, model: Loaded, nonfinite: str, number: int) -> None:
        self.stream: Stream = make_stream(model, PAGE, nonfinite)
        self.inputs = [np.zeros((PAGE, port.features), port.dtype) for port in model.inputs]
        self.outputs = [np.zeros((PAGE, port.features), port.dtype) for port in model.outputs]
        self.ids = np.arange(number * PAGE, (number + 1) * PAGE, dtype=np.int64)
        self.frames = np.zeros(PAGE, np.int64)  # stepped since the slot was opened or reset
        self.ready = bytearray(PAGE)  # has a frame for the next tick
        self.waiting = 0  # how many are ready
        self.fresh: set[int] = set()  # begin at the next tick

    def tick(self, clocks: tuple[tuple[int, int], ...]) -> list[tuple[Ids, Array]]:
        """Step those that are ready: of each output the streams that have a value, and these."""
        if self.fresh:
            rows = np.array(sorted(self.fresh), np.uint32)
            self.stream._reset_rows(rows)
            self.frames[rows] = 0
            self.fresh.clear()
        everyone = self.waiting == PAGE
        mask = np.frombuffer(self.ready, np.bool_).copy()
        x = self.inputs[0] if len(self.inputs) == 1 else tuple(self.inputs)
        out = self.outputs[0] if len(self.outputs) == 1 else tuple(self.outputs)
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


class StreamPool:
    """Thousands of streams of one model that join and leave at any time, stepped together.

    A call of `tick` steps every stream that has a frame waiting, in a few calls of the engine. The
    state of a stream is its own, and its outputs have the same bits as those of a `Stream` alone.
    A pool belongs to one thread at a time, as a stream does.

    Parameters
    ----------
    model : Model
    capacity : int
        Streams to make memory for at once. The pool grows beyond it, 256 at a time; states of
        open streams are not copied then.
    queue : int
        Frames of one stream that may wait. A tick takes one of them.
    nonfinite : {"propagate", "hold", "error"}
        As `Model.stream`; with "error" `push` refuses the frame, and no other stream notices.

    Raises
    ------
    ValueError
        A capacity below 0, or a queue below 1.
    UnsupportedError
        The model reads the future, so it cannot run frame by frame.

    Examples
    --------
    >>> pool = grucore.StreamPool(model)  # doctest: +SKIP
    >>> caller = pool.open()  # doctest: +SKIP
    >>> pool.push(caller, frame)  # doctest: +SKIP
    >>> scores = pool.tick()[caller]  # doctest: +SKIP
    >>> pool.close(caller)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Loaded,
        capacity: int = 0,
        *,
        queue: int = 1,
        nonfinite: Literal["propagate", "hold", "error"] = "propagate",
    ) -> None:
        if not isinstance(capacity, int) or not 0 <= capacity < SLOTS:
            raise ValueError(f"capacity={capacity!r}: expected an integer from 0 to {SLOTS - 1}")
        if not isinstance(queue, int) or queue < 1:
            raise ValueError(f"queue={queue!r}: expected an integer of 1 or more")
        if nonfinite not in ("propagate", "hold", "error"):
            raise ValueError(f"nonfinite={nonfinite!r}: expected propagate, hold, error")
        layer = model._unstreamable()
        if layer is not None:
            raise UnsupportedError(
                f"layer {layer!r} reads the future, so the model cannot run frame by frame: use run"
            )
        self.model = model
        self.queue = queue
        self.nonfinite = nonfinite
        self._policy = "propagate" if nonfinite == "error" else nonfinite
        self._features = model.inputs[0].features
        self._plain = len(model.inputs) == 1 and model.inputs[0].dtype == "float32"
        self._pages: list[Page] = []
        self._open: list[int] = []  # of each slot: the id of its stream, or -1
        self._next: list[int] = []  # of each slot: the id of its next stream
        self._free: list[int] = []  # a heap, so that the first pages fill first
        self._count = 0
        self._queued: dict[int, deque[tuple[Array, ...]]] = {}
        while len(self._open) < capacity:
            self._grow()

    def _grow(self) -> None:
        number = len(self._pages)
        self._pages.append(Page(self.model, self._policy, number))
        slots = range(number * PAGE, (number + 1) * PAGE)
        self._free.extend(slots)  # larger than all that are in it: still a heap
        self._open.extend([-1] * PAGE)
        self._next.extend(slots)

    def open(self) -> int:
        """Begin a stream, in the model's initial state, and return its id.

        An id is never given twice.
        """
        if not self._free:
            self._grow()
        slot = heappop(self._free)
        stream = self._next[slot]
        self._open[slot] = stream
        page, row = divmod(slot, PAGE)
        self._pages[page].ids[row] = stream
        self._pages[page].fresh.add(row)
        self._count += 1
        return stream

    def _place(self, stream: int) -> tuple[Page, int]:
        """Page and row of an open stream."""
        try:
            slot = stream & (SLOTS - 1)
            if self._open[slot] != stream:
                raise KeyError
        except (KeyError, IndexError, TypeError):
            raise KeyError(f"no open stream has the id {stream!r}") from None
        page, row = divmod(slot, PAGE)
        return self._pages[page], row

    def push(self, stream: int, frame: Any) -> None:
        """Give a stream its next frame; the next tick steps it.

        Parameters
        ----------
        stream : int
            What `open` returned.
        frame : array_like, (features,)
            Any real dtype; it is copied. Several inputs: a tuple or a dict.

        Raises
        ------
        KeyError
            The stream is not open.
        BufferError
            The stream has `queue` frames waiting: tick before it pushes more.
        ValueError
            A wrong shape, or an id out of range.
        TypeError
            A dtype that is not a real number.
        NonFiniteError
            The frame is NaN or infinite, with nonfinite="error": it is not taken.
        """
        page, row = self._place(stream)
        if (
            self._plain
            and type(frame) is np.ndarray
            and frame.dtype == np.float32
            and frame.shape == (self._features,)
        ):
            arrays: tuple[Array, ...] = (frame,)
        else:
            arrays = self._frame(frame)
        if self.nonfinite == "error" and not all(np.isfinite(array).all() for array in arrays):
            raise NonFiniteError(f"the frame of stream {stream} is not finite: it was not taken")
        if not page.ready[row]:
            for index, array in enumerate(arrays):
                page.inputs[index][row] = array
            page.ready[row] = 1
            page.waiting += 1
            return
        line = self._queued.get(stream)
        if 1 + (len(line) if line else 0) >= self.queue:
            raise BufferError(
                f"stream {stream} has {self.queue} frames waiting (queue={self.queue}): "
                "call tick before it pushes more"
            )
        if line is None:
            line = self._queued[stream] = deque()
        line.append(tuple(array.copy() for array in arrays))

    def _frame(self, frame: Any) -> tuple[Array, ...]:
        model, arrays = self.model, []
        for value, port, ids in zip(
            gather(frame, model.inputs), model.inputs, model._id_counts, strict=True
        ):
            array = as_input(value, port, ids, 1)
            check_shape(array.shape, (port.features,), f"input {port.name!r}")
            arrays.append(array)
        return tuple(arrays)

    def waiting(self, stream: int) -> int:
        """Frames of a stream that wait for a tick. KeyError if it is not open."""
        page, row = self._place(stream)
        return page.ready[row] + len(self._queued.get(stream, ()))

    def tick(self) -> Tick:
        """Step each stream that has a frame waiting, by one frame.

        Returns
        -------
        Tick
            A mapping from stream to output, float32 (features,); its `ids` and `outputs` are all of
            them as arrays.
        """
        clocks = self.model._output_clocks
        parts = [page.tick(clocks) for page in self._pages if page.waiting]
        for stream, line in list(self._queued.items()):
            page, row = self._place(stream)
            for index, array in enumerate(line.popleft()):
                page.inputs[index][row] = array
            page.ready[row] = 1
            page.waiting += 1
            if not line:
                del self._queued[stream]
        outputs: list[tuple[Ids, Array]] = []
        for index, port in enumerate(self.model.outputs):
            if len(parts) == 1:
                outputs.append(parts[0][index])
            elif parts:
                ids, values = zip(*(part[index] for part in parts), strict=True)
                outputs.append((np.concatenate(ids), np.concatenate(values)))
            else:
                none = np.empty((0, port.features), port.dtype)
                outputs.append((np.empty(0, np.int64), none))
        return Tick(outputs)

    def reset(self, stream: int) -> None:
        """Go back to the initial state; frames that wait are dropped. KeyError if not open."""
        page, row = self._place(stream)
        page.fresh.add(row)
        self._drop(stream, page, row)

    def close(self, stream: int) -> None:
        """End a stream; frames that wait are dropped. KeyError if it is not open."""
        page, row = self._place(stream)
        self._drop(stream, page, row)
        slot = stream & (SLOTS - 1)
        self._open[slot] = -1
        self._next[slot] = stream + SLOTS
        heappush(self._free, slot)
        self._count -= 1

    def _drop(self, stream: int, page: Page, row: int) -> None:
        if page.ready[row]:
            page.ready[row] = 0
            page.waiting -= 1
            self._queued.pop(stream, None)

    @property
    def capacity(self) -> int:
        """Streams that there is memory for."""
        return len(self._open)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, stream: object) -> bool:
        return isinstance(stream, int) and self._open_at(stream)

    def _open_at(self, stream: int) -> bool:
        slot = stream & (SLOTS - 1)
        return slot < len(self._open) and self._open[slot] == stream

    def __iter__(self) -> Iterator[int]:
        return (stream for stream in self._open if stream >= 0)

    def __repr__(self) -> str:
        return f"<grucore.StreamPool of {self.model!r}: {len(self)} of {self.capacity} open>"
