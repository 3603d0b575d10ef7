# SPDX-License-Identifier: Apache-2.0
"""Two graphs as one: what the first one gives is what the second one reads."""

from __future__ import annotations

from dataclasses import replace

from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Dtype

__all__ = ["join"]


def join(first: Graph, second: Graph) -> Graph:
    """``second`` with the layers of ``first`` before it; each has one input, ``first`` one output.

    Values of ``second`` come as late and as seldom as what they are made of. Its names and metadata
    stay; those of ``first``, whose metadata are added, must be others. Raises ValueError where the
    two do not fit, ConversionError for a graph that no file can hold.
    """
    if len(second.inputs) != 1:
        names = ", ".join(map(repr, second.inputs))
        raise ValueError(f"the model has the inputs {names}, expected one for a front end")
    given, read = first.value(first.outputs[0]), second.value(second.inputs[0])
    if read.dtype is not Dtype.FLOAT32 or read.features != given.features:
        raise ValueError(
            f"the front end gives {given.features} features, and the model's input {read.name!r} "
            f"has {read.features} of {read.dtype.name.lower()}"
        )
    for kind, both in (
        ("value", {value.name for value in first.values} & {v.name for v in second.values}),
        ("layer", {node.name for node in first.nodes} & {n.name for n in second.nodes}),
    ):
        if both:
            raise ValueError(
                f"both the model and the front end have a {kind} {min(both)!r}: the model has a "
                "front end already, or calls something as one does"
            )
    renamed = {read.name: given.name}
    later = tuple(_later(given, value) for value in second.values if value.name != read.name)
    nodes = tuple(
        replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        for node in second.nodes
    )
    graph = Graph(
        values=(*first.values, *later),
        inputs=first.inputs,
        outputs=tuple(renamed.get(name, name) for name in second.outputs),
        nodes=(*first.nodes, *nodes),
        metadata={**second.metadata, **first.metadata},
    )
    check(graph)
    return graph


def _later(given: Value, value: Value) -> Value:
    """A value counted in frames of ``given``, counted in frames of what that is made of."""
    if value.rate is Rate.SEQUENCE:
        return value
    period, skip = value.period * given.period, given.skip + value.skip * given.period
    rate = Rate.FRAME if period == 1 else Rate.PERIOD
    return replace(value, rate=rate, period=period, skip=skip)
