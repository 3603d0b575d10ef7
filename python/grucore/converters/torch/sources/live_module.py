# SPDX-License-Identifier: Apache-2.0
"""Whole live modules: exported at two lengths, read, and proved against themselves."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.chain.export import export
from grucore.converters.torch.readings import Reading, fingerprint, read, readings, source_entries
from grucore.converters.torch.walk.axes import BATCH, TIME
from grucore.converters.torch.witness.sequences import arranged, examples_of, flat, sequence_of
from grucore.converters.torch.witness.witness import module_witness
from grucore.graph.layers import Conv1d, Gru
from grucore.graph.tensors import Array
from grucore.proof.proof import BOUND_FLOAT32, LENGTHS, prove
from grucore.runtime.loaded import Loaded
from grucore.runtime.proof_record import Proof
from grucore.runtime.run import run
from grucore.version import __version__

__all__ = [
    "at_inference",
    "convert_module",
]

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
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        source = {
            "framework": "torch",
            "version": torch.__version__,
            "container": kind,
            **source_entries(reading),
            **note,
        }
        graph = reading.graph.with_metadata(producer=f"grucore {__version__}", source=source)
        found = module_witness(torch, module, reading, arguments)
        examples = examples_of(reading, arguments)
        data, proof = prove(
            graph,
            found.witness,
            found.against,
            exact=found.exact,
            examples=examples,
            lengths=lengths,
        )
        if reading.walked.states and not reading.in_steps:
            _check_states(torch, module, reading, arguments, data, proof.bound)
        return data, proof


def _check_states(
    torch: Any, module: Any, reading: Reading, arguments: Sequence[Any], data: bytes, bound: float
) -> None:
    """Run both from random initial states, which a proof from zeros says nothing about."""
    model = Loaded(data)
    generator = np.random.default_rng(1)
    starts: dict[str, Array] = {}
    call: list[Any] = []
    columns = examples_of(reading, arguments)[0]
    for spec, meaning, argument in zip(
        reading.walked.graph.inputs, reading.meanings, arguments, strict=True
    ):
        if meaning.is_state:
            rows = [extent for axis in meaning.axes for extent in axis if isinstance(extent, int)]
            start = generator.uniform(-1, 1, rows).astype(np.float32)
            starts[spec.name] = start.reshape(-1)
            array = arranged(start.reshape(-1), meaning, reading.walked.sizes.get(BATCH, 1))
        else:
            place = len(call) - len(starts)
            array = arranged(columns[place], meaning, reading.walked.sizes.get(BATCH, 1))
        call.append(torch.from_numpy(array).to(argument.dtype))
    state: dict[str, Array] = {}
    for node in reading.graph.nodes:
        size = node.hidden_size if isinstance(node, Gru) else 0
        if isinstance(node, Gru) and node.name in reading.walked.states:
            name, row = reading.walked.states[node.name]
            state[f"{node.name}.h"] = starts[name][row * size : (row + 1) * size]
        elif isinstance(node, Gru):
            own = node.initial_state
            state[f"{node.name}.h"] = np.zeros(size, np.float32) if own is None else own
        elif isinstance(node, Conv1d) and node.reach:
            channels = reading.graph.value(node.inputs[0]).features
            state[f"{node.name}.history"] = np.zeros((node.reach, channels), np.float32)
    ours = run(model, columns, state=state)
    outputs = flat(module(*call))
    for mine, place, flow in zip(ours, reading.kept, reading.outputs, strict=True):
        theirs = sequence_of(outputs[place].numpy(), flow, len(columns[0]))
        scale = np.abs(theirs).max(initial=0.0) or 1.0
        if not np.abs(mine - theirs).max(initial=0.0) <= max(bound, BOUND_FLOAT32) * scale:
            raise ConversionError("from another initial state the model does not agree")


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
    steps = [reading for reading in found if reading.in_steps]
    if steps and all(reading.walked.sizes[TIME] == 1 for reading in timed):
        return _only(steps), LENGTHS  # one frame in each call, and the state in and out
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
    if not agreed:
        assert failure is not None
        raise failure
    chosen = _only(list(agreed.values()))
    return chosen, chosen.lengths


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
