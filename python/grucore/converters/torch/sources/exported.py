# SPDX-License-Identifier: Apache-2.0
"""From the graph in a `.pt2` archive to a model: its axes, or why they are in doubt."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.conversion import Conversion
from grucore.converters.source import Given
from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.chain.export import neutral
from grucore.converters.torch.read.pt2 import load_pt2
from grucore.converters.torch.readings import Reading, only, readings, source_entries
from grucore.converters.torch.walk.constants import evaluated
from grucore.converters.torch.witness.witness import program_evidence

__all__ = ["of_exported", "of_program"]

ADVICE = "export it again with more frames, or convert the live module with grucore.from_torch"


def of_program(given: Given) -> Conversion:
    """The conversion of the model in an archive."""
    graph, entries = load_pt2(given)
    return _conversion(graph, {"file": given.name, "container": "torch.export", **entries})


def of_exported(program: Any) -> Conversion:
    """The conversion of an ExportedProgram in memory; torch computes what no input reaches."""
    torch = sys.modules["torch"]
    graph = evaluated(torch, neutral(torch, program))
    about = {"container": "ExportedProgram", "version": torch.__version__}
    return _conversion(graph, about)


def _conversion(graph: AtenGraph, about: Mapping[str, Any]) -> Conversion:
    reading = _understood(graph)
    source = {"framework": "torch", **about, **source_entries(reading)}
    wide = any(array.dtype == np.float64 for array in graph.constants.values())
    return Conversion(
        reading.graph.with_metadata(source=source),
        lambda: program_evidence(
            reading,
            what="what was read, in the operations of torch",
            wide=wide,
            fixed=not reading.in_steps,
        ),
    )


def _understood(graph: AtenGraph) -> Reading:
    """The one reading of the graph; raises `ConversionError` where there are several, or doubts."""
    found = readings(graph)
    steps = [each for each in found if each.in_steps]
    if len(steps) == 1 and all(each.walked.frames == 1 for each in found if each not in steps):
        return steps[0]  # one frame in each call, and the state in and out
    certain = [each for each in found if not each.walked.doubts and each.walked.frames != 1]
    if len(certain) == 1 and len(found) == 1:
        return certain[0]
    reading = only(found)
    if reading.walked.doubts:
        raise ConversionError(f"{reading.walked.doubts[0]}: {ADVICE}")
    if reading.walked.frames == 1:
        raise ConversionError(f"the example has one frame, so time cannot be told: {ADVICE}")
    return reading
