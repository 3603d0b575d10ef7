# SPDX-License-Identifier: Apache-2.0
"""What a conversion is proved against: torch's own operations with the tensors that were read.

They run twice where torch is installed: in float32, as torch would, and in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.readings import Reading
from grucore.graph.graph import Graph
from grucore.graph.tensors import Array
from grucore.proof.proof import Witness
from grucore.reference import run as reference

__all__ = [
    "Witnesses",
    "graph_witness",
    "module_witness",
    "program_witness",
    "reference_witness",
]


@dataclass(frozen=True)
class Witnesses:
    """What `proof.prove` compares with: ``exact`` in float64, None where ``witness`` is so."""

    witness: Witness
    exact: Witness | None
    against: str


def graph_witness(reading: Reading, graph: Graph | None = None, *, wide: bool = False) -> Witnesses:
    """The same for a graph that does not depend on its length; ``wide``: in float64 alone."""
    found = program_witness(reading.walked.graph, reading, "the layers of torch", wide=wide)
    return found or reference_witness(graph or reading.graph)


def reference_witness(graph: Graph) -> Witnesses:
    """``python/grucore/reference/run.py`` on the graph."""

    def run(*x: Array) -> tuple[Array, ...]:
        return reference.run(graph, x if len(x) > 1 else x[0])[0]

    return Witnesses(run, None, "the float64 reference (torch is not installed)")


def program_witness(
    graph: AtenGraph, reading: Reading, what: str, *, wide: bool = False
) -> Witnesses | None:
    """Torch's operations as the graph has them; None without torch."""
    try:
        import torch
    except (ImportError, OSError):  # OSError: installed, but its libraries do not load
        return None
    exact = _program(torch, graph, reading, torch.float64)
    against = f"{what} {torch.__version__}"
    if wide:
        return Witnesses(exact, None, against)
    return Witnesses(_program(torch, graph, reading, torch.float32), exact, against)


def module_witness(
    torch: Any, module: Any, reading: Reading, arguments: Sequence[Any]
) -> Witnesses:
    """A live module as it is, and a copy of it in float64 where one can be made and runs."""
    from grucore.converters.torch.witness.sequences import examples_of, witness

    against = f"{type(module).__name__} of torch {torch.__version__} itself"
    alone = Witnesses(witness(torch, module, reading, arguments), None, against)
    try:
        wide = copy.deepcopy(module).double()
        exact = witness(torch, wide, reading, _widened(arguments))
        exact(*examples_of(reading, arguments)[0])
    except Exception:  # somebody's code, which may insist on float32 in any way
        return alone
    return Witnesses(alone.witness, exact, against)


def _widened(arguments: Sequence[Any]) -> list[Any]:
    return [each.double() if each.is_floating_point() else each for each in arguments]


def _program(torch: Any, graph: AtenGraph, reading: Reading, dtype: Any) -> Witness:
    from grucore.converters.torch.witness.program import Program
    from grucore.converters.torch.witness.sequences import witness

    kinds = {"int64": torch.int64, "int32": torch.int32}
    examples = [
        torch.zeros(spec.shape, dtype=kinds.get(spec.dtype, dtype)) for spec in graph.inputs
    ]
    return witness(torch, Program(torch, graph, dtype), reading, examples)
