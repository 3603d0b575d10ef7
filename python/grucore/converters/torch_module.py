# SPDX-License-Identifier: Apache-2.0
"""Whole live modules: exported at two lengths, read, and proved against themselves."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch_export import export
from grucore.converters.torch_flow import BATCH, TIME, Axis, Flow
from grucore.converters.torch_meanings import Reading, fingerprint, read, readings
from grucore.converters.torch_walk import Meaning
from grucore.node import Array, Dtype
from grucore.proof import LENGTHS, Proof, Witness, prove

__all__ = ["at_inference", "convert_module", "source_entries", "witness"]

LONGER = 3  # frames by which the second export is longer than the first
FLOATS = ("torch.float32", "torch.float64")
HALVES = ("torch.float16", "torch.bfloat16")


def convert_module(module: Any, example_inputs: Any) -> tuple[bytes, Proof]:
    """The `.gru` bytes of a module and the proof.

    ``example_inputs``: the arguments of one call, or a tuple of them. Raises `ConversionError`
    that names the operation and the module it stands in.
    """
    torch = sys.modules["torch"]
    given = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
    arguments = [each if hasattr(each, "detach") else torch.as_tensor(each) for each in given]
    module, arguments, note = _in_float(torch, module, arguments)
    with at_inference(module):
        reading, lengths = _read(module, arguments)
        # Imported here because the package's own __init__ may be what is running.
        from grucore import __version__

        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        source = {
            "framework": "torch",
            "version": torch.__version__,
            "container": kind,
            **source_entries(reading),
            **note,
        }
        graph = reading.graph.with_metadata(producer=f"grucore {__version__}", source=source)
        against = f"{type(module).__name__} of torch {torch.__version__} itself"
        run = witness(torch, module, reading, arguments)
        examples = _examples(reading, arguments)
        return prove(graph, run, against, examples=examples, lengths=lengths)


def source_entries(reading: Reading) -> dict[str, Any]:
    """What the axes of inputs and outputs are, and which inputs are initial states."""
    specs = list(zip(reading.walked.graph.inputs, reading.meanings, strict=True))
    entries: dict[str, Any] = {
        "axes": {spec.name: str(m) for spec, m in specs if not m.is_state},
        "outputs": {
            name: str(Meaning(flow.axes))
            for name, flow in zip(reading.graph.outputs, reading.outputs, strict=True)
        },
    }
    if len(entries["axes"]) == 1:
        entries["axes"] = next(iter(entries["axes"].values()))
    if reading.walked.states:
        entries["states"] = {
            f"{node}.h": f"{name}[{row}]" for node, (name, row) in reading.walked.states.items()
        }
    return entries


def _in_float(
    torch: Any, module: Any, arguments: Sequence[Any]
) -> tuple[Any, list[Any], dict[str, Any]]:
    """The module in float32 or float64, on the CPU; half precision would round each step."""
    parameters = [*module.parameters(), *module.buffers()]
    dtypes = {str(each.dtype) for each in parameters if each.is_floating_point()}
    devices = {str(each.device) for each in parameters}
    if not dtypes & set(HALVES) and devices <= {"cpu"}:
        return module, list(arguments), {"dtype": ", ".join(sorted(dtypes)).replace("torch.", "")}
    plain = copy.deepcopy(module).cpu().float()
    moved = [each.cpu().float() if each.is_floating_point() else each.cpu() for each in arguments]
    dtype = ", ".join(sorted(dtypes)).replace("torch.", "")
    return plain, moved, {"dtype": dtype, "compared_in": "float32 on the CPU"}


def _read(module: Any, arguments: Sequence[Any]) -> tuple[Reading, Sequence[int]]:
    """What the module computes at any length, and lengths to prove it on."""
    found = readings(export(module, arguments))
    timed = [reading for reading in found if not reading.in_steps]
    if not timed:
        return _only(found), LENGTHS
    agreed: dict[Any, Reading] = {}
    failure: ConversionError | None = None
    for reading in timed:
        try:
            longer = [_extended(reading, arguments, by) for by in _lengths(reading)]
            again = [read(export(module, each), reading.meanings) for each in longer]
        except ConversionError as error:
            failure = error
            continue
        if len({fingerprint(each) for each in again}) > 1:
            failure = ConversionError(
                "the module computes something else at another number of frames"
            )
            continue
        agreed.setdefault(fingerprint(again[0]), again[0])
    steps = [reading for reading in found if reading.in_steps]
    if not agreed:
        if steps:
            return _only(steps), LENGTHS
        assert failure is not None
        raise failure
    chosen = _only(list(agreed.values()))
    return chosen, sorted({max(length, chosen.walked.shortest) for length in LENGTHS})


def _lengths(reading: Reading) -> tuple[int, int]:
    """Two numbers of frames, neither of which is any other size of the inputs."""
    have = reading.walked.sizes[TIME]
    taken = {extent for spec in reading.walked.graph.inputs for extent in spec.shape} - {have}
    start = max(have, reading.walked.shortest + 1, 2)
    free = [n for n in range(start, start + 64) if n not in taken]
    return free[0], free[LONGER]


def _only(found: Sequence[Reading]) -> Reading:
    if len(found) > 1:
        axes = "; or ".join(each.axes_text for each in found[:4])
        raise ConversionError(f"the axes of the inputs can mean several things: {axes}")
    return found[0]


def _extended(reading: Reading, arguments: Sequence[Any], frames: int) -> list[Any]:
    """The same inputs with so many frames: what is there, again and again."""
    torch = sys.modules["torch"]
    longer = []
    for argument, meaning in zip(arguments, reading.meanings, strict=True):
        if (TIME,) in meaning.axes:
            axis = meaning.axes.index((TIME,))
            order = torch.arange(frames) % argument.shape[axis]
            argument = argument.index_select(axis, order)
        longer.append(argument)
    return longer


@contextmanager
def at_inference(module: Any) -> Iterator[Any]:
    """The module in eval mode and without gradients, then as it was."""
    torch = sys.modules["torch"]
    modes = [(each, each.training) for each in module.modules()]
    try:
        module.eval()
        with torch.no_grad():
            yield torch
    finally:
        for each, training in modes:
            each.training = training


def witness(torch: Any, module: Any, reading: Reading, arguments: Sequence[Any]) -> Witness:
    """Runs the module on one sequence in every row of a batch; the first row counts."""

    def run(*sequences: Array) -> tuple[Array, ...]:
        pending = list(sequences)
        frames = len(sequences[0])
        if reading.in_steps:
            return _stepped(torch, module, reading, arguments, sequences)
        call = []
        for argument, meaning in zip(arguments, reading.meanings, strict=True):
            if meaning.is_state:
                call.append(torch.zeros_like(argument))
                continue
            array = arranged(pending.pop(0), meaning, reading.walked.sizes.get(BATCH, 1))
            call.append(torch.from_numpy(array).to(argument.dtype))
        outputs = _flat(module(*call))
        return tuple(
            sequence_of(outputs[place].numpy(), flow, frames)
            for place, flow in zip(reading.kept, reading.outputs, strict=True)
        )

    return run


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
        outputs = _flat(module(*call))
        for name, place in back.items():
            states[name] = outputs[place]
        for row, place, flow in zip(rows, reading.kept, reading.outputs, strict=True):
            row.append(sequence_of(outputs[place].numpy(), flow, 1).reshape(-1))
    return tuple(np.stack(row) for row in rows)


def _returned(reading: Reading) -> dict[str, int]:
    """For each state that goes in, the number of the output that gives it back."""
    total = len(reading.walked.graph.outputs)
    dropped = [place for place in range(total) if place not in reading.kept]
    names = list(dict.fromkeys(name for name, _ in reading.walked.states.values()))
    if len(dropped) != len(names):
        raise ConversionError(f"{len(names)} states go in, {len(dropped)} come back")
    return dict(zip(names, dropped, strict=True))


def _flat(outputs: Any) -> list[Any]:
    """The tensors of a module's result, in the order in which the export lists them."""
    if isinstance(outputs, tuple | list):
        return [tensor for each in outputs for tensor in _flat(each)]
    if isinstance(outputs, Mapping):
        return [tensor for each in outputs.values() for tensor in _flat(each)]
    return [outputs]


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
    shaped = tensor.reshape([sizes[atom] if isinstance(atom, str) else atom for atom in atoms])
    if BATCH in atoms:
        shaped = shaped.take(0, atoms.index(BATCH))
        atoms.remove(BATCH)
    if TIME in atoms:
        shaped = np.moveaxis(shaped, atoms.index(TIME), 0)
        return shaped.reshape(count, -1).astype(np.float32)
    return shaped.reshape(-1).astype(np.float32)


def _examples(reading: Reading, arguments: Sequence[Any]) -> list[tuple[Array, ...]]:
    """The caller's own inputs, row by row."""
    from grucore.converters.torch import to_array

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
