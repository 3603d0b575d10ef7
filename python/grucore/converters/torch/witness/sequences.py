# SPDX-License-Identifier: Apache-2.0
"""Between the axes of a source and grucore's: one sequence in, its outputs (frames, features)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.readings import Reading
from grucore.converters.trace.arrangement import inward, outward
from grucore.converters.trace.axes import BATCH, FEATURES, TIME, Axes, Axis, Data
from grucore.converters.trace.memory import MEMORY
from grucore.graph.tensors import Array, Dtype
from grucore.proof.evidence import Witness
from grucore.proof.signals import drawn_memory

__all__ = ["examples_of", "flat", "from_states", "witness"]


def witness(torch: Any, module: Any, reading: Reading, arguments: Sequence[Any]) -> Witness:
    """Runs the module on one sequence in every row of a batch; the first row counts."""

    if reading.in_steps:
        return lambda *sequences: _stepped(torch, module, reading, arguments, sequences)
    return lambda *sequences: from_states(torch, module, reading, arguments, {}, sequences)


def from_states(
    torch: Any,
    module: Any,
    reading: Reading,
    arguments: Sequence[Any],
    state: Mapping[str, Array],
    sequences: Sequence[Array],
) -> tuple[Array, ...]:
    """The same from the states of the model that are given, the others zeros."""
    pending, call = list(sequences), []
    batch = reading.walked.batch or 1
    for spec, meaning, argument in zip(
        reading.walked.graph.inputs, reading.meanings, arguments, strict=True
    ):
        if meaning.is_state:
            row = np.zeros(argument.numel() // (batch if BATCH in meaning.axes else 1), np.float32)
            for name, (source, place) in reading.walked.starts.items():
                start = state.get(name) if source == spec.name else None
                if start is not None:
                    row[place * start.size : (place + 1) * start.size] = start
            array = inward(row, meaning.axes, spec.shape, batch)
        elif meaning.is_memory:
            array = _memory(reading, spec.shape, meaning.axes, len(sequences[0]))
        else:
            heard = len(sequences[0]) - (reading.walked.zeros or 0)
            array = inward(pending.pop(0)[:heard], meaning.axes, spec.shape, batch)
        call.append(torch.from_numpy(array).to(argument.dtype))
    outputs = flat(_called(module, call, len(sequences[0])))
    return tuple(
        _sequence(outputs[place], flow, len(sequences[0]))
        for place, flow in zip(reading.kept, reading.outputs, strict=True)
    )


def _called(module: Any, call: Sequence[Any], frames: int) -> Any:
    try:
        return module(*call)
    except Exception as error:  # whatever the module's own code raises
        message = f"the module fails on {frames} frames: {_said(error)}"
        raise ConversionError(f"{message}: a limit on the frames cannot be converted") from error


def _said(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {text:.200}"


def _stepped(
    torch: Any, module: Any, reading: Reading, arguments: Sequence[Any], sequences: Sequence[Array]
) -> tuple[Array, ...]:
    """Frame by frame, with the states handed on."""
    states = {
        spec.name: torch.zeros_like(argument)
        for spec, meaning, argument in zip(
            reading.walked.graph.inputs, reading.meanings, arguments, strict=True
        )
        if meaning.is_state
    }
    memories = {
        spec.name: torch.from_numpy(
            _memory(reading, spec.shape, meaning.axes, len(sequences[0]))
        ).to(argument.dtype)
        for spec, meaning, argument in zip(
            reading.walked.graph.inputs, reading.meanings, arguments, strict=True
        )
        if meaning.is_memory
    }
    rows: list[list[Array]] = [[] for _ in reading.kept]
    for frame in range(len(sequences[0])):
        pending = list(sequences)
        call = []
        for spec, meaning, argument in zip(
            reading.walked.graph.inputs, reading.meanings, arguments, strict=True
        ):
            if meaning.is_given:
                call.append((states if meaning.is_state else memories)[spec.name])
                continue
            one = inward(pending.pop(0)[frame], meaning.axes, spec.shape, reading.walked.batch or 1)
            call.append(torch.from_numpy(one).to(argument.dtype))
        try:
            outputs = flat(module(*call))
        except Exception as error:  # whatever the module's own code raises
            if not frame:
                raise
            text = f"the module fails with the states that it returned: {_said(error)}"
            raise ConversionError(f"{text}: return each state in the axes of its input") from error
        for name, place in reading.walked.handed_back.items():
            states[name] = outputs[place]
        for row, place, flow in zip(rows, reading.kept, reading.outputs, strict=True):
            row.append(_sequence(outputs[place], flow, 1).reshape(-1))
    return tuple(np.stack(row) for row in rows)


def _memory(reading: Reading, shape: Sequence[int], axes: Axes, frames: int) -> Array:
    """A memory as the source takes it, for a sequence of so many frames."""
    pairs = list(zip(axes, shape, strict=True))
    features = int(np.prod([size for axis, size in pairs if axis == FEATURES]))
    drawn = drawn_memory(reading.walked.memory or 1, features, frames)
    as_time = tuple(TIME if axis == MEMORY else axis for axis in axes)
    return inward(drawn, as_time, shape, reading.walked.batch or 1)


def flat(outputs: Any) -> list[Any]:
    """The tensors of a module's result, in the order in which the export lists them."""
    if isinstance(outputs, tuple | list):
        return [tensor for each in outputs for tensor in flat(each)]
    if isinstance(outputs, Mapping):
        return [tensor for each in outputs.values() for tensor in flat(each)]
    return [] if outputs is None else [outputs]


def _sequence(tensor: Any, x: Data, frames: int) -> Array:
    """An output of the module as (values, features) or (features,)."""
    return outward(tensor.numpy(), x.axes, x.index.shape, x.value.count(frames), None)


def _frames_first(row: Array, axes: Sequence[Axis]) -> Array:
    """The frames of one sequence; of samples each is a hop."""
    place = next(place for place, axis in enumerate(axes) if axis == TIME or axis.hop)
    if axes[place].hop:
        row = row.reshape(*row.shape[:place], -1, axes[place].hop, *row.shape[place + 1 :])
    return np.moveaxis(row, place, 0)


def examples_of(reading: Reading, arguments: Sequence[Any]) -> list[tuple[Array, ...]]:
    """The caller's own inputs, row by row."""
    from grucore.converters.torch.read.live_tensors import to_array

    columns: list[list[Array]] = []
    for name, argument, meaning in zip(
        reading.graph.inputs,
        [a for a, m in zip(arguments, reading.meanings, strict=True) if not m.is_given],
        [m for m in reading.meanings if not m.is_given],
        strict=True,
    ):
        value = reading.graph.value(name)
        array = np.asarray(to_array(name, argument))
        array = array.astype(np.int32 if value.dtype is Dtype.INT32 else np.float32)
        if BATCH in meaning.axes:
            rows = list(np.moveaxis(array, meaning.axes.index(BATCH), 0))
        else:
            rows = [array]
        rest = [axis for axis in meaning.axes if axis != BATCH]
        if meaning.has_time:
            rows = [_frames_first(row, rest) for row in rows]
        else:
            count = 1 if reading.in_steps else reading.walked.frames
            rows = [np.stack([row] * (count or 1)) for row in rows]
        silent = [(0, reading.walked.zeros or 0), *[(0, 0)] * (rows[0].ndim - 1)]
        if meaning.has_time:
            rows = [np.pad(row, silent) for row in rows]
        else:
            rows = [np.pad(row, silent, "edge") for row in rows]
        columns.append([np.ascontiguousarray(row.reshape(len(row), -1)) for row in rows])
    return [tuple(each) for each in zip(*columns, strict=True)]
