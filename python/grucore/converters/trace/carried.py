# SPDX-License-Identifier: Apache-2.0
"""State that the caller of a source carries: which output goes back in as which input.

A stream carries the state of each layer, and what a delay holds, from frame to frame. So the
outputs that only hand a state back are no outputs of the model. They have to be the new state of
the layers that read it, or of one frame a call the next value of its delay, and nothing else may
remember anything, since the source starts anew in every call.
"""

from __future__ import annotations

import re
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from grucore._core import ConversionError
from grucore.converters.trace.axes import BATCH, TIME, Axes, Data, Ended, Operand, Tracked, Unfit
from grucore.converters.trace.trace import Part, Trace
from grucore.graph.layers import (
    Attention,
    Concat,
    Conv1d,
    Direction,
    MaskedOutput,
    Pool,
    Pool1d,
    Position,
    Recurrent,
    Select,
    Take,
    Window,
)
from grucore.graph.node import Node, Rate

__all__ = ["WAY_OUT", "Caller", "are_called_states", "connect", "handed_back", "left"]

K = TypeVar("K", bound=Hashable)
Origin: TypeAlias = tuple[str, int, Position | None]

# Words by which a source calls what its caller carries from frame to frame.
CALLED = (
    "h hx h0 hn c cx c0 cn hidden state states carry carried cell mem memory cache caches buf "
    "buffer buffers past prev previous history recurrent rnn gru lstm feedback"
)
WORDS = frozenset(CALLED.split())
# Words in the name of a state that say which side of the cell it is on.
BEFORE = ("current", "in", "init", "initial", "input", "old", "p", "prev", "previous")
AFTER = ("new", "next", "o", "out", "output")
SIDES = frozenset((*BEFORE, *AFTER, "i", "n", "s", "state", "t"))
WAY_OUT = (
    "a stream keeps the new state of each layer as it is. Give a model that returns it so, or "
    "one that reads whole sequences from a state of zeros"
)
MOST_ORDERS = 64


@dataclass(frozen=True)
class Caller(Generic[K]):
    """A source as its caller sees it: the number of axes of each input, and its outputs, in order.

    ``made_by`` has words for what writes an output, where the source has them. ``axes``: what those
    of an input mean, where it is known.
    """

    inputs: Mapping[str, int]
    outputs: Mapping[K, Operand]
    made_by: Mapping[K, str]
    axes: Mapping[str, Axes] = field(default_factory=dict)

    def states(self, trace: Trace) -> list[str]:
        """The inputs that start a layer or a delay."""
        return [name for name in self.inputs if trace.states.get(name) or name in trace.delays]


def are_called_states(name: str) -> bool:
    """True if a name has a word for what a caller carries."""
    words = {*re.split(r"[^a-z]+", name.lower()), *re.split(r"[^a-z0-9]+", name.lower())}
    return bool(words & WORDS)


def handed_back(trace: Trace, caller: Caller[K], *, steps: bool) -> dict[str, K]:
    """For each state input the output that its caller hands back; raises `ConversionError`.

    Empty where none comes back: the input is then the initial state of whole sequences.
    ``steps``: the source takes one frame a call, so that every state has to come back.
    Else a caller may call for many frames, and again for the next ones.
    """
    nodes = {node.output: node for node in trace.builder.nodes}
    states = caller.states(trace)
    fits: dict[str, list[K]] = {}
    for name in states:
        axes = trace.delays[name].axes if name in trace.delays else caller.axes.get(name, ())
        fits[name] = [
            key
            for key, found in caller.outputs.items()
            if not _turned(trace, axes, found)
            and (
                _is_alike(found, trace.delays[name])
                if name in trace.delays
                else is_own(trace, nodes, trace.states[name], found)
                # A call for whole sequences takes back only what it gave in the same axes.
                and (steps or _rank(found) == caller.inputs[name])
            )
        ]
        # Only an output of the same rank goes back in as it is.
        same = [key for key in fits[name] if _rank(caller.outputs[key]) == caller.inputs[name]]
        fits[name] = same or fits[name]
    returns = steps or any(fits.values())
    for name in states:
        changed = _changed(trace, caller, name, fits)
        ranks = {_rank(caller.outputs[key]) for key in fits[name]}
        is_given = caller.inputs[name] in ranks or (ranks and changed is None)
        if not is_given and (returns or changed is not None):
            raise ConversionError(_missing(trace, caller, name, changed))
    if not returns or not states:
        return {}
    pairs = _paired(states, caller, fits, trace.delays)
    _check_memory(trace, caller, pairs)
    return pairs


def left(caller: Caller[K], pairs: Mapping[str, K]) -> list[K]:
    """The outputs that are outputs of the model: all but those that are handed back, or all where
    the source gives nothing else."""
    back = set(pairs.values())
    rest = [key for key in caller.outputs if key not in back]
    return rest or [key for key in caller.outputs if isinstance(caller.outputs[key], Data)]


def connect(trace: Trace, caller: Caller[K], pairs: Mapping[str, K]) -> None:
    """Give each delay its value of the next frame; raises `ConversionError`."""
    for name, delay in trace.delays.items():
        key = pairs[name]
        try:
            value = trace.ordered(trace.data(caller.outputs[key]))
        except Unfit as problem:
            raise ConversionError(f"output {key!r}: {problem}") from None
        trace.builder.feed_back(delay.value, value)


def is_own(trace: Trace, nodes: Mapping[str, Node], parts: list[Part], found: Operand) -> bool:
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
        layer, final = nodes[part.value], Position.LAST
        if isinstance(layer, Recurrent):
            if layer.masked_output is MaskedOutput.ZERO and len(layer.inputs) > 1:
                return False
            if layer.direction is Direction.REVERSE:
                final = Position.FIRST
        for unit in range(part.size):
            value, feature, frame = _origin(trace, nodes, found.value.name, next(features))
            if (value, feature) != (part.value, unit):
                return False
            if frame is not final and not (frame is None and _is_one_frame(trace, found)):
                return False
    return True


def _turned(trace: Trace, axes: Axes, found: Operand) -> bool:
    """True if an output of as many axes has the batch on another one."""
    if trace.batch == 1 or _rank(found) != len(axes) or not isinstance(found, Data | Ended):
        return False
    return [axis == BATCH for axis in axes] != [axis == BATCH for axis in found.axes]


def _rank(found: Operand) -> int:
    return found.rank if isinstance(found, Data | Ended) else -1


def _is_one_frame(trace: Trace, found: Data) -> bool:
    return trace.frames == 1 or not found.has(TIME)


def _is_alike(found: Operand, delay: Data) -> bool:
    """True if both have the same axes; axes of features of size 1 may be missing."""
    if not isinstance(found, Data) or found.has(TIME):
        return False
    return found.value.dtype is delay.value.dtype and _wide(found) == _wide(delay)


def _wide(x: Tracked) -> list[Any]:
    sizes = zip(x.axes, x.index.shape, strict=True)
    return [(axis, size) for axis, size in sizes if size > 1 or axis.parts]


def _origin(trace: Trace, nodes: Mapping[str, Node], value: str, feature: int) -> Origin:
    """The value of a layer that a feature is of, past what only moves it."""
    frame: Position | None = None
    sizes = {each.name: each.features for each in trace.builder.values}
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
    trace: Trace, caller: Caller[K], name: str, fits: Mapping[str, Sequence[K]]
) -> K | None:
    """An output that could be handed back in place of this state: it has its axes and sizes."""
    taken = {key for found in fits.values() for key in found}
    size = sum(part.size for part in trace.states.get(name, ()))
    for key, found in caller.outputs.items():
        if key in taken or not isinstance(found, Data) or found.index.size != size:
            continue
        if found.rank == caller.inputs[name] and not found.has(TIME):
            return key
    return None


def _missing(trace: Trace, caller: Caller[K], name: str, changed: K | None) -> str:
    if name in trace.delays:
        text = trace.delays[name].text
        return f"input {name!r} is a state, and no output gives it back: none is {text}"
    parts = sorted(trace.states[name], key=lambda part: part.first)
    layers = ", ".join(part.state for part in parts)
    text = f"input {name!r} is the state of {layers}, and no output gives the new one back"
    if changed is not None:
        maker = f" of {caller.made_by[changed]}" if changed in caller.made_by else ""
        text += f" as it is (output {changed!r}{maker} is something else)"
    return f"{text}: {WAY_OUT}"


def _paired(
    states: list[str],
    caller: Caller[K],
    fits: Mapping[str, Sequence[K]],
    delays: Container[str],
) -> dict[str, K]:
    """One output for each state: by its name, by its place, or the only one that can be it."""
    named = _paired_by_name(states, caller.outputs)
    if named is not None:
        for name, key in named.items():
            if key not in fits[name]:
                raise ConversionError(
                    f"output {key!r} is called as input {name!r} is, and is not the new state "
                    f"of the same layers (output {fits[name][0]!r} is): {WAY_OUT}"
                )
        return named
    orders = _increasing(list(caller.outputs), [fits[name] for name in states])
    # A layer's new state is one value under all its names; that of a delay has its shape alone.
    open_ends = [place for place, name in enumerate(states) if name in delays]
    if len({tuple(order[place] for place in open_ends) for order in orders}) > 1:
        orders = _usual(states, caller, orders)
    if not orders:
        gives = ", ".join(f"{fits[name][0]!r} is that of {name!r}" for name in states)
        raise ConversionError(
            f"the states come back in another order than they go in: output {gives}. A caller who "
            "hands them back in their order exchanges them; give them in the order of the inputs"
        )
    if len({tuple(order[place] for place in open_ends) for order in orders}) > 1:
        names = ", ".join(map(repr, states))
        raise ConversionError(
            f"the states {names} may come back as outputs {orders[:2]}: give them as the last "
            "inputs, and return them last in the same order"
        )
    return dict(zip(states, orders[-1], strict=True))


def _usual(states: list[str], caller: Caller[K], orders: list[list[K]]) -> list[list[K]]:
    """The last outputs for the last inputs; for the first inputs the first or the last outputs,
    where it can only be one of them."""
    ports, keys, count = list(caller.inputs), list(caller.outputs), len(states)
    if states == ports[-count:] and keys[-count:] in orders:
        return [keys[-count:]]
    found = [order for order in orders if order in (keys[:count], keys[-count:])]
    return found if states == ports[:count] and len(found) == 1 else orders


def _increasing(keys: Sequence[K], fits: Sequence[Sequence[K]]) -> list[list[K]]:
    """The choices of one output for each state that keep their order."""
    place = {key: number for number, key in enumerate(keys)}
    found: list[list[K]] = [[]]
    for options in fits:
        found = [
            [*before, key]
            for before in found
            for key in options
            if not before or place[key] > place[before[-1]]
        ][:MOST_ORDERS]
    return found


def _paired_by_name(states: Iterable[str], outputs: Iterable[K]) -> dict[str, K] | None:
    """For each state the one output that is called as it is; None where there is no such."""
    stems: dict[str, list[K]] = {}
    for key in outputs:
        stems.setdefault(_stem(str(key)), []).append(key)
    mine = {name: _stem(name) for name in states}
    if len(set(mine.values())) < len(mine) or "" in mine.values():
        return None
    if any(len(stems.get(stem, ())) != 1 for stem in mine.values()):
        return None
    return {name: stems[stem][0] for name, stem in mine.items()}


def _stem(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return "_".join(word for word in words if word and word not in SIDES)


def _needed(trace: Trace, caller: Caller[K]) -> set[str]:
    values = [found.value for found in caller.outputs.values() if isinstance(found, Data)]
    return trace.builder.needed(value.name for value in values)


def _check_memory(trace: Trace, caller: Caller[K], pairs: Mapping[str, K]) -> None:
    """Refuse what goes on in a stream where the source starts anew in every call."""
    carried = {part.state for parts in trace.states.values() for part in parts}
    delays = {delay.value.name for delay in trace.delays.values()}
    needed = _needed(trace, caller) - delays
    nodes = [node for node in trace.builder.nodes if node.output in needed]
    clocks = {each.name: each.clock for each in trace.builder.values}
    streams = all(node.streamable for node in nodes)  # else each call of `run` is one of the source
    for node in nodes:
        rate, *clock = clocks[node.output]
        before = [[*clocks[name][1:]] for name in node.inputs]
        states = {f"{node.name}{suffix}" for suffix in node.state_suffixes}
        if streams and rate is not Rate.SEQUENCE and clock not in before:
            what = f"{node.layer} {node.name!r} leaves out frames, from the first of each call"
        elif _remembers(trace, node) and not states <= carried:
            what = f"{node.layer} {node.name!r} starts anew in every call"
        elif not streams:
            continue
        elif isinstance(node, Take) and node.position is Position.FIRST and trace.frames != 1:
            what = f"{node.layer} {node.name!r} gives the first frame of each call"
        elif isinstance(node, Pool):
            what = f"{node.layer} {node.name!r} sees the frames of one call alone"
        else:
            continue
        names = ", ".join(map(repr, pairs))
        raise ConversionError(
            f"{what} of the source, whose caller carries {names} alone; a stream goes on from call "
            "to call. Take the new states out of the outputs, and the model reads whole sequences, "
            "or make all that it remembers inputs and outputs"
        )


def _remembers(trace: Trace, node: Node) -> bool:
    """True if a stream hands something on from frame to frame; a memory is given to each call."""
    if isinstance(node, Conv1d | Pool1d):
        return node.reach > 0
    if isinstance(node, Window):
        hops = [each.features for each in trace.builder.values if each.name in node.inputs]
        return node.history_samples(*hops) > 0
    return bool(node.state_suffixes) and not isinstance(node, Attention)
