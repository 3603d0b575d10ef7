# SPDX-License-Identifier: Apache-2.0
"""From the graph in a `.pt2` archive to a model: its axes, or why they are in doubt; the proof."""

from __future__ import annotations

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.read.pt2 import load_pt2
from grucore.converters.torch.readings import Reading, readings
from grucore.converters.torch.walk.axes import TIME
from grucore.proof.proof import LENGTHS, finish, prove
from grucore.runtime.proof_record import Proof
from grucore.version import __version__

__all__ = ["convert_pt2"]

ADVICE = "export it again with more frames, or convert the live module with grucore.from_torch"


def convert_pt2(data: bytes, file: str, *, verify: bool = True) -> tuple[bytes, Proof | None]:
    """The `.gru` bytes of the model in an archive, and the proof (None without ``verify``)."""
    from grucore.converters.torch.readings import source_entries
    from grucore.converters.torch.witness.witness import program_witness, reference_witness

    graph, entries = load_pt2(data)
    reading = _understood(graph)
    source = {
        "framework": "torch",
        "file": file,
        "container": "torch.export",
        **entries,
        **source_entries(reading),
    }
    model = reading.graph.with_metadata(producer=f"grucore {__version__}", source=source)
    if not verify:
        return finish(model), None
    wide = any(array.dtype == np.float64 for array in graph.constants.values())
    what = "what was read, in the operations of torch"
    found = program_witness(graph, reading, what, wide=wide)
    # Torch runs the program at the length that it has, the reference the model at any.
    is_fixed = found is not None and not reading.in_steps
    lengths = (reading.walked.sizes[TIME],) if is_fixed else LENGTHS
    found = found or reference_witness(model)
    return prove(model, found.witness, found.against, exact=found.exact, lengths=lengths)


def _understood(graph: AtenGraph) -> Reading:
    """The one reading of the graph; raises `ConversionError` where there are several, or doubts."""
    found = readings(graph)
    steps = [each for each in found if each.in_steps]
    if len(steps) == 1 and all(each.walked.sizes[TIME] == 1 for each in found if each not in steps):
        return steps[0]  # one frame in each call, and the state in and out
    certain = [
        each for each in found if not each.walked.doubts and each.walked.sizes.get(TIME) != 1
    ]
    if len(certain) == 1 and len(found) == 1:
        return certain[0]
    if len(found) > 1:
        axes = "; or ".join(each.axes_text for each in found[:4])
        raise ConversionError(f"the axes of the inputs can mean several things: {axes}")
    (only,) = found
    if only.walked.doubts:
        raise ConversionError(f"{only.walked.doubts[0]}: {ADVICE}")
    if only.walked.sizes.get(TIME) == 1:
        raise ConversionError(f"the example has one frame, so time cannot be told: {ADVICE}")
    return only
