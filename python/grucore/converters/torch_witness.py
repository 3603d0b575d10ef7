# SPDX-License-Identifier: Apache-2.0
"""What a conversion is proved against: torch's own operations with the tensors that were read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore import reference
from grucore.converters.assemble import Stage, reading_of
from grucore.converters.torch_meanings import Reading
from grucore.ir import Graph
from grucore.node import Array
from grucore.proof import Witness

__all__ = ["graph_witness", "rebuilt_witness", "reference_witness", "witness_of"]


def witness_of(stages: Sequence[Stage], graph: Graph) -> tuple[Witness, str]:
    """Torch's layers if torch is installed, otherwise the float64 reference; and its name."""
    wide = any(
        array.dtype == np.float64 for stage in stages for array in getattr(stage, "arrays", [])
    )
    return graph_witness(reading_of(stages), graph, wide=wide)


def graph_witness(
    reading: Reading, graph: Graph | None = None, *, wide: bool = False
) -> tuple[Witness, str]:
    """The same for a graph that does not depend on its length; ``wide``: in float64."""
    try:
        import torch
    except (ImportError, OSError):  # OSError: installed, but its libraries do not load
        against = "the float64 reference (torch is not installed)"
        return reference_witness(graph or reading.graph), against
    return _program_witness(reading, wide=wide), f"the layers of torch {torch.__version__}"


def reference_witness(graph: Graph) -> Witness:
    """``python/grucore/reference.py`` on the graph."""
    return lambda *x: reference.run(graph, x if len(x) > 1 else x[0])[0]


def rebuilt_witness(stages: Sequence[Stage]) -> Witness:
    """A chain of torch's operations on the tensors as they were read, before any folding."""
    wide = any(
        array.dtype == np.float64 for stage in stages for array in getattr(stage, "arrays", [])
    )
    return _program_witness(reading_of(stages), wide=wide)


def _program_witness(reading: Reading, *, wide: bool) -> Witness:
    import torch

    from grucore.converters.torch_program import Program
    from grucore.converters.torch_sequences import witness

    dtype = torch.float64 if wide else torch.float32
    graph = reading.walked.graph
    kind = torch.int64 if graph.inputs[0].dtype == "int64" else dtype
    examples = [torch.zeros(graph.inputs[0].shape, dtype=kind)]
    run = witness(torch, Program(torch, graph, dtype), reading, examples)

    def guarded(*x: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            return run(*x)

    return guarded
