# SPDX-License-Identifier: Apache-2.0
"""torch's higher-order scan as nodes of the graph that it stands in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenNode, Ref

__all__ = ["SCAN", "inlined"]

SCAN = "scan"
Read = Callable[[Any], AtenNode]
Argument = Callable[[Any], Any]


def inlined(node: Any, graphs: Mapping[str, Any], call: Read, argument: Argument) -> list[AtenNode]:
    """The nodes that take the place of ``scan(combine, init, xs, others)`` over the first axis.

    ``call`` and ``argument`` read a node and an argument of torch.fx.
    """
    combine, starts, sequences, others = node.args
    body = graphs[combine.name].graph
    places = [each for each in body.nodes if each.op == "placeholder"]
    name, states = node.name, len(starts)
    xs = [argument(x) for x in sequences]
    if not xs:
        raise ConversionError(f"{name} scans no sequence: no input gives it a frame")
    names = {each.name: f"{name}.{each.name}" for each in body.nodes}
    carried = places[:states]
    given = dict(zip((each.name for each in places[states + len(xs) :]), others, strict=False))
    outer = {inner: argument(other) for inner, other in given.items()}

    def own(found: Any) -> Any:
        """An argument of the body, as one of the graph around it."""
        if isinstance(found, Ref):
            return outer.get(found.name, Ref(names.get(found.name, found.name)))
        return [own(each) for each in found] if isinstance(found, list) else found

    whole = call(node)
    nodes = [
        _made(whole, "before", names[place.name], start=argument(start), sequences=xs)
        for place, start in zip(carried, starts, strict=True)
    ]
    nodes += [
        _made(whole, "frame", names[place.name], x=x)
        for place, x in zip(places[states:], xs, strict=False)
    ]
    results: Sequence[Any] = []
    for each in body.nodes:
        if each.op == "call_function":
            if getattr(each.target, "__name__", "") == SCAN or "higher_order" in str(each.target):
                raise ConversionError(f"{name} has a loop of its own inside, which is not read")
            made = call(each)
            arguments = {key: own(value) for key, value in made.arguments.items()}
            outputs = tuple(names[output] for output in made.outputs)
            nodes.append(replace(made, arguments=arguments, outputs=outputs))
        elif each.op == "output":
            results = [own(argument(result)) for result in each.args[0]]
        elif each.op != "placeholder":
            raise ConversionError(f"{name} has a {each.op} {each.name!r} inside")
    values = []
    for place, result in enumerate(results):
        values.append(Ref(f"{name}.result.{place}"))
        if place < states:
            state = Ref(names[carried[place].name])
            nodes.append(_made(whole, "after", values[-1].name, before=state, after=result))
        else:
            nodes.append(_made(whole, "frames", values[-1].name, x=result))
    nodes.append(replace(_made(whole, "results", name, values=values), is_tuple=True))
    return nodes


def _made(node: AtenNode, op: str, output: str, **arguments: Any) -> AtenNode:
    return replace(
        node, op=f"scan.{op}", arguments=arguments, outputs=(output,), shapes=(), is_tuple=False
    )
