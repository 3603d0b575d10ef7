# SPDX-License-Identifier: Apache-2.0
"""A graph of aten calls as a program that torch runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore.converters.torch.aten import AtenGraph, Ref
from grucore.converters.torch.ops import OPS
from grucore.converters.torch.ops.views import PYTHON

# Results of these are float32 unless they say something else.
FRESH = ("zeros.default", "ones.default", "full.default", "empty.memory_format")


# Arguments of operations that say where and how a tensor lies, not what is in it.
PLACING = ("device", "pin_memory", "layout", "memory_format", "cudnn_enabled", "cudnn_enable")


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
            if node.is_tuple:
                names[node.outputs[0]] = results
            else:
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
