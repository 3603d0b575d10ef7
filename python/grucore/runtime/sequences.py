# SPDX-License-Identifier: Apache-2.0
"""Whole sequences: their layout in memory, and how a batch is cut into streams and threads."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import numpy as np

from grucore import _core
from grucore.runtime.arrays import (
    Array,
    Numbers,
    apart,
    as_array,
    as_input,
    check_out,
    check_shape,
    find_nonfinite,
    gather,
    is_ids,
    lengths_of,
    outputs_of,
    plain,
    single,
)
from grucore.runtime.loaded import Loaded
from grucore.runtime.memory import check_memory
from grucore.runtime.ports import Port
from grucore.runtime.states import Indexed, from_dict, memory_states, new_states, to_dict

# Memory of a stream that may choose its block (measured: a quarter of a second-level cache is
# enough), and of one that has to hold whole sequences.
STREAM_BYTES = 1 << 18
WHOLE_BYTES = 1 << 26
BLOCK_FRAMES = 64
GROUP_ROWS = 64


def choose_block(model: Loaded, rows: int, most: int) -> int:
    """Frames that a streamable model works on at a time: as many as fit a cache, up to `most`."""
    block = max(most, 1)
    while block > 1 and model._stream_bytes(rows, block) > STREAM_BYTES:
        block //= 2
    return block


def raise_nonfinite(inputs: Sequence[Array], lengths: Numbers | None) -> NoReturn:
    """Raise the error that names every frame that was held."""
    rows, frames = find_nonfinite(inputs, lengths)
    places = [f"row {row} frame {frame}" for row, frame in zip(rows, frames, strict=True)]
    if len(places) > 5:
        places[5:] = [f"{len(places) - 5} more"]
    error = _core.NonFiniteError(f"the input is not finite ({', '.join(places)}): skipped")
    error.rows, error.frames = rows, frames
    raise error


def _direct(array: Array, frames: int) -> bool:
    """True if the engine can walk over (rows, frames, features) in place."""
    rows, _, features = array.shape
    return (
        array.flags.aligned
        and (features < 2 or array.strides[2] == 4)
        and (rows < 2 or (array.strides[0] >= 0 and array.strides[0] % 4 == 0))
        and (frames < 2 or (array.strides[1] >= 0 and array.strides[1] % 4 == 0))
    )


def _is_batch(values: Sequence[Array], ports: Sequence[Port]) -> bool | None:
    """True if these are inputs of a batch, as far as their axes say; None where they do not."""
    pairs = list(zip(values, ports, strict=True))
    sure = [array for array, port in pairs if not is_ids(port)]
    if not sure or any(array.ndim == 3 for array in sure):
        return True if sure else None
    # Rows for sequences beside a batch of ids without their axis, (batch, frames).
    ids = [array for array, port in pairs if is_ids(port)]
    return any(array.ndim == 3 or (array.ndim == 2 and array.shape[1] != 1) for array in ids)


class Sequences:
    """Inputs and outputs of one call as the engine walks them: (rows, frames, features)."""

    def __init__(
        self, model: Loaded, x: Any, *, batched: bool | None = None, time_first: bool = False
    ) -> None:
        self.model = model
        self.time_first = time_first
        self.inputs: list[Array] = []
        values = gather(x, model.inputs)
        if len(values) > 1:
            values = tuple(map(as_array, values))
            batched = _is_batch(values, model.inputs) if batched is None else batched
        once: list[int] = []
        for value, port, ids in zip(values, model.inputs, model._id_counts, strict=True):
            what = f"input {port.name!r}"
            rank = None if batched is None else 2 + batched
            either = batched is None
            if rank is not None and len(values) > 1 and np.ndim(value) < rank - is_ids(port):
                array = as_input(value, port, ids, rank - 1)
                shape = ("batch", port.features) if batched else (port.features,)
                check_shape(array.shape, shape, what, ", or with an axis of frames")
                once.append(len(self.inputs))
                self.inputs.append(array if batched else array[None])
                continue
            array = as_input(value, port, ids, rank)
            if batched is None:
                batched = array.ndim == 3
            lead = ("frames", "batch") if time_first else ("batch", "frames")
            wanted = (*lead, port.features) if batched else ("frames", port.features)
            other = ("frames", port.features) if batched else (*lead, port.features)
            also = f", or ({', '.join(map(str, other))})" if either else ""
            check_shape(array.shape, wanted, what, also)
            if not batched:
                array = array[None]
            elif time_first:
                array = array.swapaxes(0, 1)
            before = [each for each in self.inputs if each.ndim == 3]
            if before:
                check_shape(array.shape[:2], before[0].shape[:2], f"(batch, frames) of {what}")
            self.inputs.append(array if _direct(array, array.shape[1]) else array.copy(order="C"))
        self.batched = bool(batched)
        framed = [each for each in self.inputs if each.ndim == 3]
        if not framed:
            raise ValueError("no input has an axis of frames")
        self.rows, self.frames = framed[0].shape[:2]
        for place in once:
            self.inputs[place] = self._at_frames(self.inputs[place], model.inputs[place])
        self.outputs: tuple[Any, ...] = ()
        self.targets: list[Array] = []

    def _at_frames(self, array: Array, port: Port) -> Array:
        """A value that comes once for each sequence, at each of its frames."""
        check_shape(array.shape, (self.rows, port.features), f"input {port.name!r}")
        return np.broadcast_to(plain(array)[:, None], (self.rows, self.frames, port.features))

    def counts(self) -> list[int]:
        """Values of each output that the frames give from the start of a stream."""
        return [
            max(0, -(-(self.frames - skip) // period)) for period, skip in self.model._output_clocks
        ]

    def make_outputs(self, out: Any, counts: Sequence[int]) -> None:
        """Make or check the arrays that come back, and the views of them that the engine fills.

        `counts`: values of each output; not looked at where there is one per sequence.
        """
        ports = self.model.outputs
        empty = self.rows == 0 or self.frames == 0
        shapes = []
        for port, count in zip(ports, counts, strict=True):
            lead = [self.rows] if self.batched else []
            if port.rate != "sequence":
                lead.insert(0 if self.time_first else len(lead), count)
            shapes.append((*lead, port.features))
        if out is None:
            make = np.zeros if empty else np.empty
            self.outputs = tuple(
                make(shape, port.dtype) for shape, port in zip(shapes, ports, strict=True)
            )
            views = list(self.outputs)
        else:
            self.outputs = outputs_of(out, ports)
            views = [
                check_out(array, shape, port)
                for array, shape, port in zip(self.outputs, shapes, ports, strict=True)
            ]
            # Early frames of the output must not land on frames that are still to be read.
            self.inputs = apart(self.inputs, views)
        for view, port in zip(views, ports, strict=True):
            target = view if self.batched else view[None]
            if port.rate == "sequence":
                target = target[:, None]
            elif self.batched and self.time_first:
                target = target.swapaxes(0, 1)
            if empty:
                target[...] = 0
            elif not _direct(target, target.shape[1]):
                target = np.empty(target.shape, port.dtype)
            self.targets.append(target)

    def result(self) -> Any:
        """The outputs for the caller; stand-ins are copied to their places first."""
        ports = self.model.outputs
        for output, target, port in zip(self.outputs, self.targets, ports, strict=True):
            if np.may_share_memory(output, target):
                continue
            array = target[:, 0] if port.rate == "sequence" else target
            if not self.batched:
                array = array[0]
            elif port.rate != "sequence" and self.time_first:
                array = array.swapaxes(0, 1)
            output[...] = array
        return single(self.outputs)


def plain_sequence(model: Loaded, x: Any, out: Any, rows: int | None) -> tuple[Array, Array] | None:
    """The only input and output (rows, frames, features), where they need no second look.

    That is so for C-ordered float32 arrays apart from each other, (rows, frames, features) or
    without the first axis, and an output that comes with every frame; None for anything else.
    """
    clock, port, result = model._output_clocks, model.inputs[0], model.outputs[0]
    if (
        type(x) is not np.ndarray
        or x.dtype != np.float32
        or len(model.inputs) + len(clock) != 2
        or clock[0] != (1, 0)
        or (port.dtype, result.dtype, result.rate) != ("float32", "float32", "frame")
    ):
        return None
    lead = x.shape[:-1]
    if x.ndim != (2 if rows is None else 3) or x.shape[-1] != port.features or not x.size:
        return None
    if rows is not None and lead[0] != rows:
        return None
    if out is None:
        out = np.empty((*lead, result.features), np.float32)
    elif (
        type(out) is not np.ndarray
        or out.dtype != np.float32
        or out.shape != (*lead, result.features)
        or not out.flags.carray
        or np.may_share_memory(x, out)
    ):
        return None
    return (x, out) if x.flags.c_contiguous and x.flags.aligned else None


def run_whole(
    model: Loaded,
    x: Any,
    *,
    lengths: Any = None,
    state: Mapping[str, Any] | None = None,
    memory: Any = None,
    memory_lengths: Any = None,
    out: Any = None,
    return_state: bool = False,
    threads: int = 1,
    time_first: bool = False,
    nonfinite: str = "propagate",
) -> Any:
    """`Model.run`, with its arguments and defaults."""
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads={threads!r}: expected an integer of at least 1")
    is_plain = lengths is None and state is None and memory is None and not return_state
    if is_plain and nonfinite == "propagate":
        pair = None if time_first else plain_sequence(model, x, out, None)
        if pair is not None:
            frames = len(pair[0])
            block = frames
            if model._unstreamable() is None:
                block = choose_block(model, 1, min(frames, BLOCK_FRAMES))
            check_memory(model, 1, block)
            stream = _core.Stream(model, 1, nonfinite, block)
            stream._run_arrays(frames, (pair[0][None],), (pair[1][None],), None)
            return pair[1]
    work = Sequences(model, x, time_first=time_first)
    work.make_outputs(out, work.counts())
    valid = None if lengths is None else lengths_of(lengths, work.rows, work.frames)
    batch = work.rows if work.batched else None
    initial = None if state is None else from_dict(model, state, batch)
    if memory is not None:  # after the states, among which it is one
        initial = (initial or []) + memory_states(model, memory, memory_lengths, batch)
    final = new_states(model, work.rows) if return_state else []
    flags = _run_rows(model, work, valid, initial, final, threads, nonfinite)
    if nonfinite == "error" and flags & 1:
        raise_nonfinite(work.inputs, valid)
    result = work.result()
    return (result, to_dict(model, final, batched=work.batched)) if return_state else result


def _run_rows(
    model: Loaded,
    work: Sequences,
    valid: Numbers | None,
    initial: Indexed | None,
    final: Indexed,
    threads: int,
    nonfinite: str,
) -> int:
    """Run every row: spans of rows by threads, groups of rows by streams. Returns the flags."""
    span = -(-work.rows // threads)
    group = max(min(span, GROUP_ROWS), 1)
    if model._unstreamable() is None:
        block = choose_block(model, group, min(work.frames, BLOCK_FRAMES))
    else:
        block = max(work.frames, 1)
    while group > 1 and model._stream_bytes(group, block) > WHOLE_BYTES:
        group //= 2
    check_memory(model, group, block)

    def run_span(start: int) -> int:
        flags = 0
        stream = None
        stop = min(start + span, work.rows)
        for first in range(start, stop, group):
            part = slice(first, min(first + group, stop))
            rows = part.stop - first
            if stream is None or stream.batch != rows:
                stream = _core.Stream(model, rows, nonfinite, block)
            else:
                stream._reset_rows(None)
            if initial is not None:
                stream._move_state([(index, array[part]) for index, array in initial], True)
            flags |= stream._run_arrays(
                work.frames,
                tuple([array[part] for array in work.inputs]),
                tuple([array[part] for array in work.targets]),
                None if valid is None else valid[part],
            )
            stream._move_state([(index, array[part]) for index, array in final], False)
        return flags

    starts = range(0, work.rows, max(span, 1))
    if len(starts) < 2:
        return sum(map(run_span, starts))
    # A pool for each call: about 0.1 ms, and nothing that a fork could leave behind locked.
    with ThreadPoolExecutor(len(starts)) as pool:
        return functools.reduce(operator.or_, pool.map(run_span, starts))
