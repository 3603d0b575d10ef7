# SPDX-License-Identifier: Apache-2.0
"""State dicts: the layers that an architecture names, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore.converters.conversion import Conversion
from grucore.converters.torch.chain.layers import Layers
from grucore.converters.torch.chain.stages import Stage, chain_of, choose, unused
from grucore.converters.torch.readings import Reading, read
from grucore.converters.torch.walk.axes import BATCH, TIME, Axis
from grucore.converters.torch.walk.walk import Meaning
from grucore.converters.torch.witness.witness import program_evidence
from grucore.graph import gates
from grucore.graph.tensors import Array

__all__ = ["is_wide", "of_layers", "reading_of", "source_of"]


def of_layers(
    layers: Layers,
    architecture: str | None,
    source: Mapping[str, Any],
    *,
    examples: Sequence[tuple[Array, ...]] = (),
) -> Conversion:
    """The conversion of the layers of a state dict, which torch makes again where it is."""
    stages = choose(layers, architecture)
    reading = reading_of(stages)
    entries = source_of(stages, layers, architecture, source)
    return Conversion(
        reading.graph.with_metadata(source=entries),
        lambda: program_evidence(reading, wide=is_wide(stages), examples=examples),
        is_typed=architecture is not None,
    )


def source_of(
    stages: Sequence[Stage],
    layers: Layers,
    architecture: str | None,
    source: Mapping[str, Any],
) -> dict[str, Any]:
    """The metadata's source: what was left out or rounded, besides where the layers come from."""
    entries = {"axes": "(batch, time, features)", **source}
    if architecture is not None:
        entries["architecture"] = architecture
    left = unused(stages, layers)
    if left:
        entries["left_out"] = left
    rounding = _largest_rounding(stages)
    if rounding:
        entries["largest_rounding"] = rounding
    return entries


def reading_of(stages: Sequence[Stage]) -> Reading:
    """The model of these layers, and the graph that PyTorch would have of them."""
    graph = chain_of(stages)
    (spec,) = graph.inputs
    axes: list[Axis] = [(BATCH,), (TIME,), *((extent,) for extent in spec.shape[2:])]
    return read(graph, [Meaning(tuple(axes))])


def is_wide(stages: Sequence[Stage]) -> bool:
    """True if a weight is float64, so that torch must run in float64 to say what it means."""
    return any(
        array.dtype == np.float64 for stage in stages for array in getattr(stage, "arrays", [])
    )


def _largest_rounding(stages: Sequence[Stage]) -> float:
    """The largest change by which float64 became float32, relative to each tensor's largest."""
    largest = 0.0
    for stage in stages:
        for array in getattr(stage, "arrays", []):
            if array.dtype.itemsize > 4:
                change = np.abs(gates.rounded(array).astype(array.dtype) - array).max(initial=0.0)
                largest = max(largest, float(change / (np.abs(array).max(initial=0.0) or 1.0)))
    return largest
