# SPDX-License-Identifier: Apache-2.0
"""Many streams of one model, stepped together: who joins, who leaves, whose frames wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from grucore._core import NonFiniteError
from grucore.runtime.arrays import Array, as_input, check_shape, gather, single
from grucore.runtime.loaded import Loaded
from grucore.runtime.pages import PAGE, Ids, Page, Tick
from grucore.runtime.states import memory_states
from grucore.runtime.stream import check_streamable

if TYPE_CHECKING:
    import numpy.typing as npt

    from grucore.runtime.types import Input, Nonfinite, One

# An id is a slot in its lower half, and how often the slot was opened before in its upper half:
# the id of a stream that was closed is never the id of another one.
SLOTS = 1 << 32


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
        nonfinite: Nonfinite = "propagate",
    ) -> None:
        if not isinstance(capacity, int) or not 0 <= capacity < SLOTS:
            raise ValueError(f"capacity={capacity!r}: expected an integer from 0 to {SLOTS - 1}")
        if not isinstance(queue, int) or queue < 1:
            raise ValueError(f"queue={queue!r}: expected an integer of 1 or more")
        if nonfinite not in ("propagate", "hold", "error"):
            raise ValueError(f"nonfinite={nonfinite!r}: expected propagate, hold, error")
        check_streamable(model)
        self.model: Any = model  # a Model to its user
        self.queue = queue
        self.nonfinite: Nonfinite = nonfinite
        self._policy: Nonfinite = "propagate" if nonfinite == "error" else nonfinite
        self._features = model.inputs[0].features
        self._plain = len(model.inputs) == 1 and model.inputs[0].dtype == "float32"
        self._pages: list[Page] = []
        self._next: list[int] = []  # of each slot: the id of its next stream
        self._free: list[int] = []  # a heap, so that the first pages fill first
        self._count = 0
        self._queued: dict[int, deque[tuple[Array, ...]]] = {}
        while self.capacity < capacity:
            self._grow()

    def _grow(self) -> None:
        number = len(self._pages)
        self._pages.append(Page(self.model, self._policy))
        slots = range(number * PAGE, (number + 1) * PAGE)
        self._free.extend(slots)  # larger than all that are in it: still a heap
        self._next.extend(slots)

    def open(self) -> int:
        """Begin a stream, in the model's initial state, and return its id.

        An id is never given twice.
        """
        if not self._free:
            self._grow()
        slot = heappop(self._free)
        stream = self._next[slot]
        page, row = divmod(slot, PAGE)
        self._pages[page].ids[row] = stream
        self._pages[page].fresh.add(row)
        self._count += 1
        return stream

    def _place(self, stream: int) -> tuple[Page, int]:
        """Page and row of an open stream."""
        try:
            number, row = divmod(stream & (SLOTS - 1), PAGE)
            page = self._pages[number]
            if page.ids.item(row) != stream:
                raise KeyError
        except (KeyError, IndexError, TypeError):
            raise KeyError(f"no open stream has the id {stream!r}") from None
        return page, row

    def push(self, stream: int, frame: Input) -> None:
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
            arrays = self._frames(frame, ())
        if self.nonfinite == "error":
            self._check_finite([stream], arrays)
        if not page.ready[row]:
            for index, array in enumerate(arrays):
                page.inputs[index][row] = array
            page.ready[row] = 1
            page.waiting += 1
        elif self.waiting(stream) >= self.queue:
            self._full(stream)
        else:
            line = self._queued.setdefault(stream, deque())
            line.append(tuple(array.copy() for array in arrays))

    def push_many(self, streams: npt.ArrayLike, frames: Input) -> None:
        """Give several streams a frame each, in one call; all of them or, where it raises, none.

        Parameters
        ----------
        streams : array_like of integers, (n,)
            What `open` returned. One that is named twice gets two frames, in this order.
        frames : array_like, (n, features)
            Several inputs: a tuple or a dict.

        Raises
        ------
        KeyError, BufferError, ValueError, TypeError, NonFiniteError
            As `push`.
        """
        ids = np.asarray(streams)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise TypeError(f"streams is {ids.dtype} {ids.shape}, expected integers (n,)")
        arrays = self._frames(frames, (len(ids),))
        if self.nonfinite == "error":
            self._check_finite(ids, arrays)
        slots = ids.astype(np.int64) & (SLOTS - 1)
        if ids.size and slots.max() >= self.capacity:
            self._place(int(ids[slots.argmax()]))
        numbers, rows = np.divmod(slots, PAGE)
        places = [(n, np.flatnonzero(numbers == n)) for n in np.unique(numbers).tolist()]
        plain = np.unique(slots).size == slots.size
        for number, chosen in places:
            page = self._pages[number]
            if not np.array_equal(page.ids[rows[chosen]], ids[chosen]):
                for stream in ids[chosen].tolist():
                    self._place(stream)
            plain = plain and not page.mask[rows[chosen]].any()
        if not plain:
            self._check_room(ids)
            for place, stream in enumerate(ids.tolist()):
                frame = tuple(array[place] for array in arrays)
                self.push(stream, single(frame))
            return
        for number, chosen in places:
            page, taken = self._pages[number], rows[chosen]
            for slot, array in zip(page.inputs, arrays, strict=True):
                slot[taken] = array[chosen]
            page.mask[taken] = True
            page.waiting += len(chosen)

    def _frames(self, frames: Any, lead: tuple[int, ...]) -> tuple[Array, ...]:
        """Each input as (*lead, features) of its dtype."""
        model, arrays = self.model, []
        for value, port, ids in zip(
            gather(frames, model.inputs), model.inputs, model._id_counts, strict=True
        ):
            array = as_input(value, port, ids, len(lead) + 1)
            check_shape(array.shape, (*lead, port.features), f"input {port.name!r}")
            arrays.append(array)
        return tuple(arrays)

    def _check_finite(self, ids: Any, arrays: tuple[Array, ...]) -> None:
        bad = [
            ~np.isfinite(array).reshape(len(ids), array.shape[-1]).all(axis=1) for array in arrays
        ]
        found = np.flatnonzero(np.logical_or.reduce(bad))
        if found.size:
            some = ", ".join(str(ids[place]) for place in found[:5].tolist())
            raise NonFiniteError(f"the frame of stream {some} is not finite: it was not taken")

    def _check_room(self, ids: Any) -> None:
        for stream, count in zip(*np.unique(ids, return_counts=True), strict=True):
            if self.waiting(int(stream)) + count > self.queue:
                self._full(int(stream), int(count))

    def _full(self, stream: int, count: int = 1) -> NoReturn:
        raise BufferError(
            f"stream {stream} has {self.waiting(stream)} frames waiting, {count} more do not fit "
            f"(queue={self.queue}): call tick first"
        )

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

    def set_memory(
        self, stream: int, memory: One | Mapping[str, One], length: int | None = None
    ) -> None:
        """Set what the layers attend to in one stream, as `Stream.set_memory`, until its `reset`.

        Parameters
        ----------
        stream : int
            What `open` returned.
        memory : array_like, (n, features)
            Several memories are a dict by the names of the layers.
        length : int, optional
            Frames of it that count; None for all.

        Raises
        ------
        KeyError
            The stream is not open.
        ValueError
            No layer of the model attends to a memory, or a shape or a length that does not fit.
        """
        page, row = self._place(stream)
        states = memory_states(self.model, memory, length, None)
        if row in page.fresh:  # which its first tick would give an empty one
            page.begin()
        page.stream._move_state(states, True, row, 1)

    def close(self, stream: int) -> None:
        """End a stream; frames that wait are dropped. KeyError if it is not open."""
        page, row = self._place(stream)
        self._drop(stream, page, row)
        slot = stream & (SLOTS - 1)
        page.ids[row] = -1
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
        return len(self._pages) * PAGE

    def __len__(self) -> int:
        return self._count

    def __contains__(self, stream: object) -> bool:
        try:
            self._place(stream)  # type: ignore[arg-type]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[int]:
        return (stream for page in self._pages for stream in page.ids.tolist() if stream >= 0)

    def __repr__(self) -> str:
        return f"<grucore.StreamPool of {self.model!r}: {len(self)} of {self.capacity} open>"
