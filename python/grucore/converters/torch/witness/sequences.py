# SPDX-License-Identifier: Apache-2.0
"""Between the axes of a source and grucore's: one sequence in, its outputs (frames, features)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.readings import Reading
from grucore.converters.torch.walk.axes import BATCH, TIME, Axis, Flow
from grucore.converters.torch.walk.walk import Meaning
from grucore.graph.tensors import Array, Dtype
from grucore.proof.evidence import Witness

__all__ = ["arranged", "examples_of", "flat", "from_states", "sequence_of", "witness"]


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
    batch = reading.walked.sizes.get(BATCH, 1)
    for spec, meaning, argument in zip(
        reading.walked.graph.inputs, reading.meanings, arguments, strict=True
    ):
        if meaning.is_state:
            row = np.zeros(
                argument.numel() // (batch if (BATCH,) in meaning.axes else 1), np.float32
            )
            for name, (source, place) in reading.walked.states.items():
                start = state.get(name) if source == spec.name else None
                if start is not None:
                    row[place * start.size : (place + 1) * start.size] = start
            array = arranged(row, meaning, batch)
        else:
            array = arranged(pending.pop(0), meaning, batch)
        call.append(torch.from_numpy(array).to(argument.dtype))
    outputs = flat(_called(module, call, len(sequences[0])))
    return tuple(
        sequence_of(outputs[place].numpy(), flow, len(sequences[0]))
        for place, flow in zip(reading.kept, reading.outputs, strict=True)
    )


def _called(module: Any, call: Sequence[Any], frames: int) -> Any:
    try:
        return module(*call)
    except Exception as error:  # whatever the module's own code raises
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"the module fails on {frames} frames: {type(error).__name__}: {text:.200}"
        raise ConversionError(f"{message}: a limit on the frames cannot be converted") from error


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
    back = _returned(reading)
    rows: list[list[Array]] = [[] for _ in reading.kept]
    for frame in range(len(sequences[0])):
        pending = list(sequences)
        call = []
        for spec, meaning, argument in zip(
            reading.walked.graph.inputs, reading.meanings, arguments, strict=True
        ):
            if meaning.is_state:
                call.append(states[spec.name])
                continue
            one = arranged(pending.pop(0)[frame], meaning, reading.walked.sizes.get(BATCH, 1))
            call.append(torch.from_numpy(one).to(argument.dtype))
        outputs = flat(module(*call))
        for name, place in back.items():
            states[name] = outputs[place]
        for row, place, flow in zip(rows, reading.kept, reading.outputs, strict=True):
            row.append(sequence_of(outputs[place].numpy(), flow, 1).reshape(-1))
    return tuple(np.stack(row) for row in rows)


def _returned(reading: Reading) -> dict[str, int]:
    """For each state that goes in, the number of the output that gives it back."""
    walked = reading.walked
    back = {
        walked.states[state][0]: place
        for place, states in walked.given_back.items()
        for state in states
    }
    names = {name for name, _ in walked.states.values()}
    known = set(walked.delays)
    if set(back) != names or len(walked.given_back) != len(names) or known & names:
        raise ConversionError(f"{len(names)} states go in, {len(walked.given_back)} come back")
    return back | walked.fed_back


def flat(outputs: Any) -> list[Any]:
    """The tensors of a module's result, in the order in which the export lists them."""
    if isinstance(outputs, tuple | list):
        return [tensor for each in outputs for tensor in flat(each)]
    if isinstance(outputs, Mapping):
        return [tensor for each in outputs.values() for tensor in flat(each)]
    return [] if outputs is None else [outputs]


def arranged(array: Array, meaning: Meaning, batch: int) -> Array:
    """(frames, features), or (features,) of one frame, in the axes of the source."""
    features = [axis for axis in meaning.axes if axis not in ((BATCH,), (TIME,))]
    extents = [atom for axis in features for atom in axis if isinstance(atom, int)]
    has_time = (TIME,) in meaning.axes
    shaped = array.reshape([*([len(array)] if has_time else []), *extents])
    order: list[Axis] = [*([(TIME,)] if has_time else []), *features]
    places = [place for place, axis in enumerate(meaning.axes) if axis != (BATCH,)]
    source = [0 if meaning.axes[place] == (TIME,) else None for place in places]
    free = iter(range(1 if has_time else 0, len(order)))
    turned = shaped.transpose([next(free) if place is None else 0 for place in source])
    for place, axis in enumerate(meaning.axes):
        if axis == (BATCH,):
            turned = np.repeat(np.expand_dims(turned, place), batch, place)
    return np.ascontiguousarray(turned)


def sequence_of(tensor: Array, flow: Flow, frames: int) -> Array:
    """An output of the source, (..) as it comes, as (values, features) or (features,)."""
    count = flow.value.count(frames)
    atoms = [atom for axis in flow.axes for atom in axis]
    known = [atom for atom in atoms if isinstance(atom, int)]
    batch = tensor.size // max(1, int(np.prod(known)) * (count if TIME in atoms else 1))
    sizes = {BATCH: batch, TIME: count}
    wanted = int(np.prod([sizes[atom] if isinstance(atom, str) else atom for atom in atoms]))
    if wanted != tensor.size or not wanted:
        message = f"an output has shape {tensor.shape} for {frames} frames"
        raise ConversionError(f"{message}: a limit on the frames cannot be converted")
    shaped = tensor.reshape([sizes[atom] if isinstance(atom, str) else atom for atom in atoms])
    if BATCH in atoms:
        shaped = shaped.take(0, atoms.index(BATCH))
        atoms.remove(BATCH)
    if TIME in atoms:
        shaped = np.moveaxis(shaped, atoms.index(TIME), 0)
        return shaped.reshape(count, -1)
    return shaped.reshape(-1)


def examples_of(reading: Reading, arguments: Sequence[Any]) -> list[tuple[Array, ...]]:
    """The caller's own inputs, row by row."""
    from grucore.converters.torch.read.live_tensors import to_array

    columns: list[list[Array]] = []
    for name, argument, meaning in zip(
        reading.graph.inputs,
        [a for a, m in zip(arguments, reading.meanings, strict=True) if not m.is_state],
        [m for m in reading.meanings if not m.is_state],
        strict=True,
    ):
        value = reading.graph.value(name)
        array = np.asarray(to_array(name, argument))
        array = array.astype(np.int32 if value.dtype is Dtype.INT32 else np.float32)
        if (BATCH,) in meaning.axes:
            rows = list(np.moveaxis(array, meaning.axes.index((BATCH,)), 0))
        else:
            rows = [array]
        rest = [axis for axis in meaning.axes if axis != (BATCH,)]
        if (TIME,) in rest:
            rows = [np.moveaxis(row, rest.index((TIME,)), 0) for row in rows]
        else:
            rows = [row[None] for row in rows]
        columns.append([np.ascontiguousarray(row.reshape(len(row), -1)) for row in rows])
    return [tuple(each) for each in zip(*columns, strict=True)]
