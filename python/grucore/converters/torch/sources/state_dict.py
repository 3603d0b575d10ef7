# SPDX-License-Identifier: Apache-2.0
"""State dicts: the layers that an architecture names, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore.converters.torch.chain.layers import (
    Layers,
)
from grucore.converters.torch.chain.stages import Stage, chain_of, choose, unused
from grucore.converters.torch.readings import Reading, read
from grucore.converters.torch.walk.axes import BATCH, TIME, Axis
from grucore.converters.torch.walk.walk import Meaning
from grucore.converters.torch.witness.witness import Witnesses, graph_witness, program_witness
from grucore.graph import gates
from grucore.graph.graph import Graph
from grucore.graph.tensors import Array
from grucore.proof.proof import finish, prove
from grucore.runtime.proof_record import Proof
from grucore.version import __version__


def convert_layers(
    layers: Layers,
    architecture: str | None,
    source: Mapping[str, Any],
    *,
    verify: bool = True,
    examples: tuple[Array, ...] = (),
) -> tuple[bytes, Proof | None]:
    """The `.gru` bytes of the layers of a state dict, proved against torch or the reference."""
    stages = choose(layers, architecture)
    graph = graph_of(stages, layers, architecture, source)
    if not verify:
        return finish(graph), None
    found = witness_of(stages, graph)
    lengths = reading_of(stages).lengths
    return prove(
        graph, found.witness, found.against, exact=found.exact, examples=examples, lengths=lengths
    )


def graph_of(
    stages: tuple[Stage, ...],
    layers: Layers,
    architecture: str | None,
    source: Mapping[str, Any],
) -> Graph:
    """The graph, whose metadata says where it comes from and what was left out or rounded."""
    entries = {"axes": "(batch, time, features)", **source}
    if architecture is not None:
        entries["architecture"] = architecture
    left = unused(stages, layers)
    if left:
        entries["left_out"] = left
    rounding = _largest_rounding(stages)
    if rounding:
        entries["largest_rounding"] = rounding
    return assemble(stages, {"producer": f"grucore {__version__}", "source": entries})


def _largest_rounding(stages: tuple[Stage, ...]) -> float:
    """The largest change by which float64 became float32, relative to each tensor's largest."""
    largest = 0.0
    for stage in stages:
        for array in getattr(stage, "arrays", []):
            if array.dtype.itemsize > 4:
                change = np.abs(gates.rounded(array).astype(array.dtype) - array).max(initial=0.0)
                largest = max(largest, float(change / (np.abs(array).max(initial=0.0) or 1.0)))
    return largest


def assemble(stages: Sequence[Stage], metadata: Mapping[str, Any]) -> Graph:
    """The graph: input ``x``, output ``y``, a node for each layer and direction."""
    return reading_of(stages).graph.with_metadata(**metadata)


def reading_of(stages: Sequence[Stage]) -> Reading:
    """The model of these layers, and the graph that PyTorch would have of them."""
    graph = chain_of(stages)
    (spec,) = graph.inputs
    axes: list[Axis] = [(BATCH,), (TIME,), *((extent,) for extent in spec.shape[2:])]
    return read(graph, [Meaning(tuple(axes))])


def witness_of(stages: Sequence[Stage], graph: Graph) -> Witnesses:
    """Torch's layers if torch is installed, otherwise the float64 reference."""
    return graph_witness(reading_of(stages), graph, wide=_is_wide(stages))


def rebuilt_witness(stages: Sequence[Stage]) -> Witnesses:
    """A chain of torch's operations on the tensors as they were read, before any folding."""
    reading = reading_of(stages)
    found = program_witness(reading.walked.graph, reading, "torch", wide=_is_wide(stages))
    assert found is not None  # a live module comes from torch
    return found


def _is_wide(stages: Sequence[Stage]) -> bool:
    return any(
        array.dtype == np.float64 for stage in stages for array in getattr(stage, "arrays", [])
    )
