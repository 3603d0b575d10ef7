# SPDX-License-Identifier: Apache-2.0
"""Builds a graph layer by layer: every converter of whole models puts its layers here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import Delay, Select
from grucore.graph.loops import arranged
from grucore.graph.node import MAX_FEATURES, Node, Rate, Value
from grucore.graph.tensors import Dtype

__all__ = ["GraphBuilder"]


@dataclass
class GraphBuilder:
    """Collects values and nodes; names are made unique, and the graph is checked at the end."""

    values: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """Return ``name``, or the first of ``name_1``, ``name_2`` ... that is not taken yet."""
        if not isinstance(name, str):  # protobuf gives the bytes of a text that is none
            raise ConversionError(f"a name is no text, {name!r:.60}: the file is damaged")
        name = "".join(c if c.isprintable() else "_" for c in name)[:200] or "_"
        candidate, count = name, 0
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate

    def input(self, name: str, features: int, dtype: Dtype = Dtype.FLOAT32) -> Value:
        """Add an input of the model: one row of so many features for every frame."""
        if features > MAX_FEATURES:
            raise ConversionError(
                f"input {name!r} has {features} features, expected at most {MAX_FEATURES}"
            )
        value = Value(self.unique(name), features, dtype, Rate.FRAME)
        self.values.append(value)
        self.inputs.append(value.name)
        return value

    def add(self, kind: type[Node], name: str, inputs: Sequence[Value], **attributes: Any) -> Value:
        """Add a layer that reads ``inputs``; return the value that it writes."""
        name = self.unique(name)
        node = kind(
            name=name,
            inputs=tuple(value.name for value in inputs),
            output=self.unique(f"{name}.out"),
            **attributes,
        )
        value = node.written(*inputs)
        if value.features > MAX_FEATURES:  # here, before layers multiply what a tiny file says
            raise ConversionError(
                f"{node.layer} {name!r} writes {value.features} features, expected at most "
                f"{MAX_FEATURES}"
            )
        self.nodes.append(node)
        self.values.append(value)
        return value

    def maker(self, value: Value) -> Node | None:
        """The layer that writes a value; None for an input."""
        return next((node for node in self.nodes if node.output == value.name), None)

    def delay(
        self,
        name: str,
        features: int,
        initial: Any = None,
        like: Value | None = None,
        dtype: Dtype = Dtype.FLOAT32,
    ) -> Value:
        """Add the value of the frame before of what `feed_back` will say.

        ``initial`` (features,): the value before the first frame; None for zeros. ``like``: a value
        that comes at the same frames; None for every frame. ``dtype``: int32 for ids.
        """
        name = self.unique(name)
        output = self.unique(f"{name}.out")
        start = None if initial is None else np.asarray(initial, np.float32).reshape(1, features)
        node = Delay(name=name, inputs=(output,), output=output, initial_state=start)
        value = Value(output, features, dtype)
        if like is not None:
            value = replace(like, name=output, features=features, dtype=dtype)
        self.nodes.append(node)
        self.values.append(value)
        return value

    def feed_back(self, delayed: Value, value: Value) -> None:
        """Say what comes out of a delay one frame later."""
        for place, node in enumerate(self.nodes):
            if node.output == delayed.name:
                self.nodes[place] = replace(node, inputs=(value.name,))

    def finish(self, outputs: Mapping[str, Value], metadata: Mapping[str, Any]) -> Graph:
        """Return the checked graph with these outputs, called as the keys say.

        Layers that no output needs are left out. A value that is an input, or that is given twice,
        is copied, since a graph gives each value once and under one name. A layer may be called as
        the output that it writes.
        """
        given: dict[str, str] = {}
        for name, value in outputs.items():
            if value.name in self.inputs or value.name in given:
                identity = np.arange(value.features, dtype=np.int32)
                value = self.add(Select, f"{name}.copy", [value], index=identity)
            given[value.name] = name
        needed = self.needed(given)
        taken = {value.name for value in self.values if value.name not in given}
        renamed = {old: self.unique(new) if new in taken else new for old, new in given.items()}
        graph = Graph(
            values=tuple(
                replace(value, name=renamed.get(value.name, value.name))
                for value in self.values
                if value.name in needed
            ),
            inputs=tuple(self.inputs),
            outputs=tuple(renamed[old] for old in given),
            nodes=arranged(
                [
                    replace(
                        node,
                        inputs=tuple(renamed.get(name, name) for name in node.inputs),
                        output=renamed.get(node.output, node.output),
                    )
                    for node in self.nodes
                    if node.output in needed
                ]
            ),
            metadata=dict(metadata),
        )
        check(graph)
        return graph

    def needed(self, outputs: Iterable[str]) -> set[str]:
        """The values that these outputs are made of, and the inputs."""
        needed = {*outputs, *self.inputs}
        count = 0
        while len(needed) > count:  # again, since a delay reads what comes later
            count = len(needed)
            for node in reversed(self.nodes):
                if node.output in needed:
                    needed.update(node.inputs)
        return needed
