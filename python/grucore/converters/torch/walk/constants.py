# SPDX-License-Identifier: Apache-2.0
"""Calls that no input reaches: torch computes them, and the walk sees their results alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.aten import AtenGraph, AtenNode, Ref
from grucore.graph.tensors import Array

__all__ = ["evaluated", "operation"]

MAX_ELEMENTS = 1 << 26  # of a constant
# Where a constant lies and how wide its floats are is decided here, not by the call.
PLACING = ("device", "pin_memory", "layout", "memory_format")
RANDOM = "it draws random numbers, which no model repeats"
MUTATED = "it changes a constant that an earlier operation has read"


def operation(torch: Any, name: str) -> Any:
    """Torch's function of a name such as "aten.linear.default"."""
    target = torch.ops
    for part in name.split("."):
        target = getattr(target, part)
    return target


def evaluated(torch: Any, graph: AtenGraph) -> AtenGraph:
    """The graph without the calls that depend on no input: their results are its constants.

    They are computed in float64, by torch itself: any operation that it has may stand there.
    Raises `ConversionError` for random numbers, and for what torch refuses.
    """
    return _Evaluation(torch, graph).result()


class _Evaluation:
    def __init__(self, torch: Any, graph: AtenGraph) -> None:
        self.torch = torch
        self.graph = graph
        self.known: dict[str, Any] = {}
        self.kept: list[AtenNode] = []
        self.read: set[str] = set()  # names that calls on inputs have read so far
        self.moving = {spec.name for spec in graph.inputs}

    def result(self) -> AtenGraph:
        for node in self.graph.nodes:
            names = _names(node.arguments)
            if names & self.moving or not self._is_torch(node):
                self.kept.append(node)
                self.read |= names
                self.moving.update(node.outputs)
            else:
                self._compute(node)
        wanted = {name for node in self.kept for name in _names(node.arguments)}
        wanted |= _names({"": list(self.graph.outputs)})
        constants = dict(self.graph.constants)
        shared: dict[Any, Array] = {}
        for name in wanted & set(self.known):
            constants[name] = self._array(self.known[name], shared)
        return replace(self.graph, nodes=tuple(self.kept), constants=constants)

    def _is_torch(self, node: AtenNode) -> bool:
        """True if it is an operation on tensors that are known."""
        known = _names(node.arguments) <= {*self.known, *self.graph.constants}
        if not node.op.startswith("aten."):
            return known and node.op == "python.getitem"
        elements = max((int(np.prod(s)) for s in node.shapes if s is not None), default=0)
        return known and 0 < elements <= MAX_ELEMENTS

    def _compute(self, node: AtenNode) -> None:
        if node.op == "python.getitem":
            self.known[node.outputs[0]] = self._tensor(node.arguments["0"])[node.arguments["1"]]
            return
        function = operation(self.torch, node.op)
        if self.torch.Tag.nondeterministic_seeded in function.tags and _draws(node):
            raise node.refuse(RANDOM)
        given = {
            name: self._argument(name, each)
            for name, each in node.arguments.items()
            if name not in PLACING
        }
        if function._schema.is_mutable:
            self._check_unread(node, given)
        try:
            with self.torch.no_grad():
                found = function(**given)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise node.refuse(f"torch fails: {str(error).splitlines()[0]:.200}") from None
        several = isinstance(found, list | tuple)
        found = [self._wide(each) for each in found] if several else self._wide(found)
        results = list(found) if several and not node.is_tuple else [found]
        self.known.update(zip(node.outputs, results, strict=False))

    def _check_unread(self, node: AtenNode, given: Mapping[str, Any]) -> None:
        """A change in place also changes what was read before it under another name."""
        own = next(each for each in given.values() if hasattr(each, "untyped_storage"))
        place = own.untyped_storage().data_ptr()
        for name in self.read & set(self.known):
            each = self.known[name]
            if hasattr(each, "untyped_storage") and each.untyped_storage().data_ptr() == place:
                raise node.refuse(MUTATED)

    def _argument(self, name: str, argument: Any) -> Any:
        if name == "dtype" and isinstance(argument, str):
            kind = "float64" if argument == "float32" else argument
            return getattr(self.torch, kind)
        if name == "dtype" and argument is self.torch.float32:
            return self.torch.float64
        return self._tensor(argument)

    def _tensor(self, argument: Any) -> Any:
        if isinstance(argument, Ref):
            if argument.name not in self.known:
                array = np.array(self.graph.constants[argument.name])
                self.known[argument.name] = self._wide(self.torch.from_numpy(array))
            return self.known[argument.name]
        if isinstance(argument, list | tuple):
            return [self._tensor(each) for each in argument]
        return argument

    def _wide(self, found: Any) -> Any:
        """In float64 where it is float32: what makes a constant, makes the latter."""
        narrow = hasattr(found, "double") and found.dtype == self.torch.float32
        return found.double() if narrow else found

    def _array(self, found: Any, shared: dict[Any, Array]) -> Any:
        """Numpy's array of a tensor; equal ones are one, as the weights of a loop's cell are."""
        if isinstance(found, list | tuple):
            return [self._array(each, shared) for each in found]
        if not hasattr(found, "detach"):
            return found
        array = np.asarray(found.detach().numpy())
        return shared.setdefault((array.dtype, array.shape, array.tobytes()), array)


def _draws(node: AtenNode) -> bool:
    """True if an operation that may be random is: a dropout at inference is not."""
    return bool(node.arguments.get("train", node.arguments.get("training", True)))


def _names(arguments: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    pending = list(arguments.values())
    while pending:
        each = pending.pop()
        if isinstance(each, Ref):
            found.add(each.name)
        elif isinstance(each, list | tuple):
            pending.extend(each)
    return found
