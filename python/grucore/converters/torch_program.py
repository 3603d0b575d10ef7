# SPDX-License-Identifier: Apache-2.0
"""From the graph in a `.pt2` archive to a model: its axes, or why they are in doubt; the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch_flow import TIME
from grucore.converters.torch_graph import AtenGraph, Ref
from grucore.converters.torch_meanings import Reading, readings
from grucore.converters.torch_pt2 import load_pt2
from grucore.converters.torch_views import PYTHON
from grucore.converters.torch_walk import OPS
from grucore.proof import LENGTHS, Proof, finish, prove

__all__ = ["Program", "convert_pt2"]

# What these make is float32 unless they say something else.
FRESH = ("zeros.default", "ones.default", "full.default", "empty.memory_format")
# Arguments of operations that say where and how a tensor lies, not what is in it.
PLACING = ("device", "pin_memory", "layout", "memory_format", "cudnn_enabled", "cudnn_enable")
ADVICE = "export it again with more frames, or convert the live module with grucore.from_torch"


def convert_pt2(data: bytes, file: str, *, verify: bool = True) -> tuple[bytes, Proof | None]:
    """The `.gru` bytes of the model in an archive, and the proof (None without ``verify``)."""
    from grucore import __version__
    from grucore.converters.torch_module import source_entries
    from grucore.converters.torch_witness import program_witness, reference_witness

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


class Program:
    """Runs the graph with torch's own operations: those that were understood, and no others."""

    def __init__(self, torch: Any, graph: AtenGraph, dtype: Any) -> None:
        self.torch = torch
        self.graph = graph
        self.dtype = dtype
        self.constants: dict[str, Any] = {}
        for name, array in graph.constants.items():
            tensor = torch.from_numpy(np.array(array))
            if tensor.is_floating_point():
                tensor = tensor.to(dtype)
            self.constants[name] = tensor

    def __call__(self, *arguments: Any) -> list[Any]:
        with self.torch.inference_mode():
            return self._run(arguments)

    def _run(self, arguments: Sequence[Any]) -> list[Any]:
        names: dict[str, Any] = dict(self.constants)
        for spec, argument in zip(self.graph.inputs, arguments, strict=True):
            names[spec.name] = argument
        for node in self.graph.nodes:
            assert node.op in OPS  # it was walked through
            given = self._given(node.arguments, names)
            kind, _, rest = node.op.partition(".")
            if kind == "python":
                result = PYTHON[rest](given["0"], given["1"])
            else:
                target = getattr(self.torch.ops, kind)
                for part in rest.split("."):
                    target = getattr(target, part)
                if kind == "aten" and rest in FRESH and given.get("dtype") is None:
                    given["dtype"] = self.dtype
                result = target(**given)
            several = isinstance(result, tuple | list)
            results = list(result) if several else [result]
            names.update(zip(node.outputs, results, strict=False))
        return [names[each.name] for each in self.graph.outputs]

    def _given(self, arguments: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._resolved(name, each, names)
            for name, each in arguments.items()
            if name not in PLACING or each is not None
        }

    def _resolved(self, name: str, argument: Any, names: Mapping[str, Any]) -> Any:
        if isinstance(argument, Ref):
            return names[argument.name]
        if isinstance(argument, list):
            return [self._resolved(name, each, names) for each in argument]
        if name == "dtype" and isinstance(argument, str):
            # In another precision the whole program is, with what it makes or casts on the way.
            return self.dtype if "float" in argument else getattr(self.torch, argument)
        return argument
