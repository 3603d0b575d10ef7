# SPDX-License-Identifier: Apache-2.0
"""Whole live modules: exported at two lengths, read, and proved against themselves."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.conversion import Conversion
from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.chain.export import export
from grucore.converters.torch.read.limits import telling_length
from grucore.converters.torch.read.live_tensors import at_inference
from grucore.converters.torch.readings import (
    Reading,
    fingerprint,
    only,
    read,
    readings,
    source_entries,
)
from grucore.converters.torch.sources.arguments import adapted, inner
from grucore.converters.torch.sources.packed import without_packing
from grucore.converters.torch.witness.witness import module_evidence
from grucore.converters.trace.axes import TIME
from grucore.converters.trace.memory import MEMORY
from grucore.proof.evidence import Evidence
from grucore.proof.signals import LENGTHS

__all__ = ["of_module"]

LONGER = 3  # frames by which the second export is longer than the first
HALVES = ("torch.float16", "torch.bfloat16")


def of_module(module: Any, example_inputs: Any) -> Conversion:
    """The conversion of a module.

    ``example_inputs``: the arguments of one call, as `adapted` has them. Raises `ConversionError`
    that names the operation and the module it stands in.
    """
    torch = sys.modules["torch"]
    try:
        return _converted(*adapted(torch, module, example_inputs))
    except ConversionError as error:
        if "register a pytree" not in str(error):
            raise
    return _converted(*adapted(torch, module, example_inputs, unpack=True))


def _converted(module: Any, tensors: Sequence[Any]) -> Conversion:
    module, tensors = without_packing(sys.modules["torch"], module, tensors)
    # Copies: of one tensor for two arguments, such as h and c, the export would make one input.
    copies = [each.detach().clone() for each in tensors]
    plain, arguments, note = _in_float(module, copies)
    with at_inference(plain):
        reading, lengths = _read(plain, arguments)
    own = type(inner(module))
    source = {
        "framework": "torch",
        "version": sys.modules["torch"].__version__,
        "container": f"{own.__module__}.{own.__qualname__}",
        **source_entries(reading),
        **note,
    }
    if hasattr(module, "lengths") and module is not inner(module):
        source["lengths"] = module.lengths

    def evidence() -> Evidence:
        found = module_evidence(plain, reading, arguments, lengths)
        if "lengths" not in source:
            return found
        return replace(found, against=f"{found.against}, packed beside longer rows")

    return Conversion(reading.graph.with_metadata(source=source), evidence)


def _in_float(module: Any, arguments: Sequence[Any]) -> tuple[Any, list[Any], dict[str, Any]]:
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
    """The reading of the module for any length, and lengths to prove it on."""
    graph = export(module, arguments)
    found = readings(graph)
    timed = [reading for reading in found if not reading.in_steps]
    steps = [reading for reading in found if reading.in_steps]
    if steps and all(reading.walked.frames == 1 for reading in timed):
        # One frame in each call, and the state in and out.
        return _of_any_memory(module, arguments, only(steps)), LENGTHS
    agreed: dict[Any, Reading] = {}
    failure: ConversionError | None = None
    for reading in timed:
        try:
            longer = [_extended(reading, arguments, by) for by in _lengths(reading)]
            again = [
                read(export(module, e), reading.meanings, reading.walked.zeros) for e in longer
            ]
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
        bound = {fingerprint(each): each for each in timed if each.walked.bound}
        if not bound or any(_runs(module, each, arguments) for each in bound.values()):
            raise failure
        chosen = only(list(bound.values()))
        assert chosen.walked.frames is not None
        return chosen, [chosen.walked.frames]
    chosen = _of_any_memory(module, arguments, only(list(agreed.values())))
    longest = telling_length(module, _whole_numbers(chosen.walked.graph))
    longest += chosen.walked.shortest
    return chosen, [*chosen.lengths, longest]


def _runs(module: Any, reading: Reading, arguments: Sequence[Any]) -> bool:
    """True if the module takes another number of frames as well."""
    for frames in _lengths(reading):
        if frames == reading.walked.frames:
            continue
        try:
            with sys.modules["torch"].no_grad():
                module(*_extended(reading, arguments, frames))
        except Exception:  # whatever the module's own code raises
            continue
        return True
    return False


def _of_any_memory(module: Any, arguments: Sequence[Any], reading: Reading) -> Reading:
    """The reading, if the module computes the same over a memory of more frames."""
    if not reading.walked.memories:
        return reading
    have = reading.walked.memory or 1
    taken = {extent for spec in reading.walked.graph.inputs for extent in spec.shape}
    count = next(n for n in range(have + 1, have + 64) if n not in taken)
    longer = []
    for argument, meaning in zip(arguments, reading.meanings, strict=True):
        if meaning.is_memory:
            axis = meaning.axes.index(MEMORY)
            order = sys.modules["torch"].arange(count) % argument.shape[axis]
            argument = argument.index_select(axis, order)
        longer.append(argument)
    again = read(export(module, longer), reading.meanings)
    if fingerprint(again) != fingerprint(reading):
        raise ConversionError(
            f"the module computes something else over a memory of {count} frames than over one of "
            f"{have}: layers can attend to one of any length alone"
        )
    return reading


def _whole_numbers(graph: AtenGraph) -> Iterator[int]:
    """Those that stand in the calls of a graph."""
    for node in graph.nodes:
        for argument in node.arguments.values():
            for each in argument if isinstance(argument, list) else [argument]:
                if isinstance(each, int):
                    yield each


def _lengths(reading: Reading) -> tuple[int, int]:
    """Two numbers of frames, neither of which is any other size of the inputs."""
    have = reading.walked.frames or 1
    taken = {extent for spec in reading.walked.graph.inputs for extent in spec.shape} - {have}
    start = max(have, reading.walked.shortest + 1, 2)
    free = [n for n in range(start, start + 64) if n not in taken]
    return free[0], free[LONGER]


def _extended(reading: Reading, arguments: Sequence[Any], frames: int) -> list[Any]:
    """The same inputs with so many frames: what is there, again and again."""
    torch = sys.modules["torch"]
    longer = []
    for argument, meaning in zip(arguments, reading.meanings, strict=True):
        if meaning.has_time:
            axis, hop = next(
                (place, each.hop or 1)
                for place, each in enumerate(meaning.axes)
                if each == TIME or each.hop
            )
            count = (frames - (reading.walked.zeros or 0)) * hop
            order = torch.arange(count) % argument.shape[axis]
            argument = argument.index_select(axis, order)
        longer.append(argument)
    return longer
