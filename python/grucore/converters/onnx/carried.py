# SPDX-License-Identifier: Apache-2.0
"""State that the caller carries: what a file returns has to be what its cells made.

A stream keeps the new state of each layer. A caller who hands states back gets the same from the
file only if each state input has an output that is the new state of its layers and nothing else,
and if no other layer of the file remembers anything, since a file starts anew in every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from grucore._core import ConversionError
from grucore.converters.onnx.context import Work
from grucore.converters.onnx.read.source import Source
from grucore.converters.trace.axes import TIME, Data, Ended, Operand
from grucore.converters.trace.trace import Part
from grucore.graph.layers import (
    Concat,
    Conv1d,
    Direction,
    Flip,
    Pool,
    Pool1d,
    Position,
    Recurrent,
    Select,
    Take,
)
from grucore.graph.node import Node

__all__ = ["WAY_OUT", "check_memory", "feedback_of", "is_own", "paired_by_name"]

Outputs: TypeAlias = Mapping[str, Operand]
Origin: TypeAlias = tuple[str, int, Position | None]

# Words in the name of a state that say which side of the cell it is on.
BEFORE = ("current", "in", "init", "initial", "input", "old", "p", "prev", "previous")
AFTER = ("new", "next", "o", "out", "output")
SIDES = frozenset((*BEFORE, *AFTER, "i", "n", "s", "state", "t"))
WAY_OUT = (
    "a stream keeps the new state of each layer as it is. Export a model that returns it so, or "
    "one that reads whole sequences from a state of zeros"
)


def feedback_of(source: Source, work: Work, outputs: Outputs, *, steps: bool) -> dict[str, str]:
    """For each state input the output that its caller hands back; raises `ConversionError`.

    Empty where none comes back: the input is then the initial state of whole sequences.
    ``steps``: the file takes one frame a call, so that some output has to come back.
    """
    nodes = {node.output: node for node in work.builder.nodes}
    ranks = {port.name: len(port.dims) for port in source.inputs}
    places = list(ranks)
    own = {
        name: [
            other
            for other, found in outputs.items()
            # A call for whole sequences takes back only what it gave in the same axes.
            if is_own(work, nodes, parts, found) and (steps or _rank(found) == ranks[name])
        ]
        # In the order of the file's inputs, which is the caller's; layers may read them in another.
        for name, parts in sorted(work.states.items(), key=lambda each: places.index(each[0]))
    }
    returns = steps or any(own.values())
    for name, found in own.items():
        changed = _changed(source, work, outputs, name, own)
        if not found and (returns or changed is not None):
            raise ConversionError(_missing(source, work, name, changed))
    if not returns:
        return {}
    pairs = _pairs(work, own, outputs)
    check_memory(work, outputs)
    return pairs


def is_own(work: Work, nodes: Mapping[str, Node], parts: list[Part], found: Operand) -> bool:
    """True if an output is the new state of these layers, in the order of the input."""
    parts = sorted(parts, key=lambda part: part.first)
    if isinstance(found, Ended):
        places = found.index.reshape(-1).tolist()
        in_order = places == list(range(sum(part.size for part in parts)))
        return in_order and found.states == tuple(part.state for part in parts)
    if any(part.state.endswith(".c") for part in parts):
        return False
    if not isinstance(found, Data) or found.index.size != sum(part.size for part in parts):
        return False
    if parts[0].first != 0:
        return False
    features = iter(found.index.reshape(-1).tolist())
    for part in parts:
        layer = nodes[part.value]
        reverse = isinstance(layer, Recurrent) and layer.direction is Direction.REVERSE
        final = Position.FIRST if reverse else Position.LAST
        for unit in range(part.size):
            value, feature, frame = _origin(work, nodes, found.value.name, next(features))
            if (value, feature) != (part.value, unit):
                return False
            if frame is not final and not (frame is None and _is_one_frame(work, found)):
                return False
    return True


def _rank(found: Operand) -> int:
    return len(found.axes) if isinstance(found, Data | Ended) else -1


def _is_one_frame(work: Work, found: Data) -> bool:
    return work.frames == 1 or not found.has(TIME)


def _origin(work: Work, nodes: Mapping[str, Node], value: str, feature: int) -> Origin:
    """The value of a layer that a feature is of, past what only moves it."""
    frame: Position | None = None
    sizes = {each.name: each.features for each in work.builder.values}
    while isinstance(node := nodes.get(value), Select | Concat | Take):
        value = node.inputs[0]
        if isinstance(node, Select):
            feature = int(node.index[feature])
        elif isinstance(node, Take):
            frame = node.position
        else:
            for value in node.inputs:
                if feature < sizes[value]:
                    break
                feature -= sizes[value]
    return value, feature, frame


def _changed(
    source: Source, work: Work, outputs: Outputs, name: str, own: Mapping[str, list[str]]
) -> str | None:
    """An output that could be handed back in place of this state: it has its axes and sizes."""
    taken = {other for found in own.values() for other in found}
    (port,) = (port for port in source.inputs if port.name == name)
    sizes = sum(part.size for part in work.states[name])
    for other, found in outputs.items():
        if other in taken or not isinstance(found, Data) or found.index.size != sizes:
            continue
        if len(found.axes) == len(port.dims) and not found.has(TIME):
            return other
    return None


def _missing(source: Source, work: Work, name: str, changed: str | None) -> str:
    parts = sorted(work.states[name], key=lambda part: part.first)
    layers = ", ".join(part.state for part in parts)
    text = f"input {name!r} is the state of {layers}, and no output gives the new one back"
    if changed is not None:
        makers = {each: node.label for node in source.nodes for each in node.outputs}
        maker = f" of {makers[changed]}" if changed in makers else ""
        text += f" as it is (output {changed!r}{maker} is something else)"
    return f"{text}: {WAY_OUT}"


def _pairs(work: Work, own: Mapping[str, list[str]], outputs: Outputs) -> dict[str, str]:
    """The outputs in the order of the inputs, unless names say which belongs to which."""
    named = paired_by_name(own, outputs)
    if named is not None:
        for name, other in named.items():
            if other not in own[name]:
                raise ConversionError(
                    f"output {other!r} is called as input {name!r} is, and is not the new state "
                    f"of the same layers (output {own[name][0]!r} is): {WAY_OUT}"
                )
        return named
    order = list(outputs)
    pairs = {name: found[0] for name, found in own.items()}
    places = [order.index(other) for other in pairs.values()]
    if places != sorted(places):
        gives = ", ".join(f"{other!r} is that of {name!r}" for name, other in pairs.items())
        raise ConversionError(
            f"the states come back in another order than they go in: output {gives}. A caller who "
            "hands them back in their order exchanges them; export them in the order of the inputs"
        )
    return pairs


def paired_by_name(own: Iterable[str], outputs: Iterable[str]) -> dict[str, str] | None:
    """For each state the one output that is called as it is; None where there is no such."""
    stems: dict[str, list[str]] = {}
    for name in outputs:
        stems.setdefault(_stem(name), []).append(name)
    mine = {name: _stem(name) for name in own}
    if len(set(mine.values())) < len(mine) or "" in mine.values():
        return None
    if any(len(stems.get(stem, ())) != 1 for stem in mine.values()):
        return None
    return {name: stems[stem][0] for name, stem in mine.items()}


def _stem(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return "_".join(word for word in words if word and word not in SIDES)


def check_memory(work: Work, outputs: Outputs) -> None:
    """Refuse a layer that remembers in a stream what the file forgets between two calls."""
    needed = work.builder.needed(
        found.value.name for found in outputs.values() if isinstance(found, Data)
    )
    carried = {part.state for parts in work.states.values() for part in parts}
    for node in work.builder.nodes:
        if node.output not in needed:
            continue
        states = {f"{node.name}{suffix}" for suffix in node.state_suffixes}
        remembers = isinstance(node, Recurrent) and not states <= carried
        remembers = remembers or (isinstance(node, Conv1d) and node.weight.shape[1] > 1)
        if remembers or isinstance(node, Pool | Pool1d | Flip):
            raise ConversionError(
                f"{node.layer} {node.name!r} starts anew in every call of the file, whose caller "
                f"carries the state of {_carried(work)} alone; a stream carries that of all "
                "layers. Export the model with all its states, or without any for whole sequences"
            )


def _carried(work: Work) -> str:
    return ", ".join(part.state for parts in work.states.values() for part in parts)
