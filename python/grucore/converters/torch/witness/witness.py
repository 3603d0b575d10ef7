# SPDX-License-Identifier: Apache-2.0
"""The evidence for a conversion from torch: its own operations with the tensors that were read.

They run twice where torch is installed: in float32, as torch would, and in float64.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.chain.export import WRAPPED
from grucore.converters.torch.read.live_tensors import at_inference
from grucore.converters.torch.readings import Reading
from grucore.converters.torch.witness.sequences import (
    examples_of,
    from_states,
    witness,
)
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence, FromStates, Witness, reference_evidence
from grucore.proof.signals import LENGTHS, memory_states

__all__ = ["module_evidence", "program_evidence"]


def program_evidence(
    reading: Reading,
    *,
    what: str = "the layers of torch",
    wide: bool = False,
    fixed: bool = False,
    examples: Sequence[tuple[Array, ...]] = (),
) -> Evidence:
    """Torch's operations as the graph has them, or the reference where torch is not installed.

    ``wide``: in float64 alone. ``fixed``: torch runs the graph at the length that it has only,
    while the reference runs the model at any.
    """
    graph = reading.walked.graph
    try:
        import torch
    except (ImportError, OSError):  # OSError: installed, but its libraries do not load
        lengths = LENGTHS if fixed else reading.lengths
        why = "torch is not installed"
        return reference_evidence(reading.graph, why, lengths=lengths, examples=examples)
    exact, stated = _program(torch, graph, reading, torch.float64)
    return Evidence(
        exact if wide else _program(torch, graph, reading, torch.float32)[0],
        f"{what} {torch.__version__}",
        exact=None if wide else exact,
        lengths=(reading.walked.frames or 1,) if fixed else reading.lengths,
        examples=examples,
        states=_given(reading),
        from_states=stated,
        given=partial(memory_states, reading.graph) if reading.walked.memories else None,
        zeros=reading.walked.zeros or 0,
    )


def module_evidence(
    module: Any, reading: Reading, arguments: Sequence[Any], lengths: Sequence[int]
) -> Evidence:
    """A live module as it is, and a copy of it in float64 where one can be made and runs."""
    torch = sys.modules["torch"]
    examples = examples_of(reading, arguments)
    plain, exact = witness(torch, module, reading, arguments), None
    try:
        with at_inference(module):
            wide = copy.deepcopy(module).double()
            doubles = [each.double() if each.is_floating_point() else each for each in arguments]
            exact = witness(torch, wide, reading, doubles)
            exact(*examples[0])
    except Exception:  # somebody's code, which may insist on float32 in any way
        exact = None

    def stated(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        with at_inference(module):
            return from_states(torch, module, reading, arguments, state, xs)

    return Evidence(
        _undisturbed(module, plain),
        f"{type(getattr(module, WRAPPED, module)).__name__} of torch {torch.__version__} itself",
        exact=None if exact is None else _undisturbed(module, exact),
        lengths=lengths,
        examples=examples,
        states=_given(reading),
        from_states=stated,
        given=partial(memory_states, reading.graph) if reading.walked.memories else None,
        zeros=reading.walked.zeros or 0,
    )


def _given(reading: Reading) -> tuple[str, ...]:
    """The states that a caller may give, of a module that reads whole sequences."""
    return () if reading.in_steps else tuple(reading.walked.starts)


def _undisturbed(module: Any, run: Witness) -> Witness:
    """The same with the module in eval mode, and afterwards as it was."""

    def quietly(*xs: Array) -> tuple[Array, ...]:
        with at_inference(module):
            return run(*xs)

    return quietly


def _program(
    torch: Any, graph: AtenGraph, reading: Reading, dtype: Any
) -> tuple[Witness, FromStates]:
    """The graph from its own initial states, and from others."""
    from grucore.converters.torch.witness.program import Program

    kinds = {"int64": torch.int64, "int32": torch.int32, "bool": torch.bool}
    examples = [
        torch.zeros(spec.shape, dtype=kinds.get(spec.dtype, dtype)) for spec in graph.inputs
    ]
    program = Program(torch, graph, dtype)

    def stated(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        return from_states(torch, program, reading, examples, state, xs)

    return witness(torch, program, reading, examples), stated
