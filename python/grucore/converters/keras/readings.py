# SPDX-License-Identifier: Apache-2.0
"""The readings of a Keras model: which inputs are states, rows of a sequence, or a memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, combinations
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import is_row
from grucore.converters.keras.graph import graph_as_read
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.inputs import id_inputs, input_ports, memory_inputs, sound_inputs
from grucore.converters.keras.read.names import Weights
from grucore.graph.graph import Graph

__all__ = ["graph_of"]

MOST_ROWS = 4  # beside sequences, of which each choice is tried


def graph_of(
    model: Layer,
    weights: Weights,
    version: tuple[int, ...] | None,
    metadata: Mapping[str, Any],
) -> Graph:
    """The checked graph of a model; ``metadata``'s source gets what became of its options.

    A model that cannot be read otherwise may attend to one of its inputs.
    """
    *others, last = [None, *memory_inputs(model)]
    for memory in others:
        with contextlib.suppress(ConversionError):
            return _graph_around(model, weights, version, metadata, memory)
    return _graph_around(model, weights, version, metadata, last)


def _graph_around(
    model: Layer,
    weights: Weights,
    version: tuple[int, ...] | None,
    metadata: Mapping[str, Any],
    memory: str | None,
) -> Graph:
    """The graph with this input as the memory that the model attends to.

    States of one frame a call that no layer carries are fed back: all of them at first, then as few
    as do.
    """

    def tried(delayed: frozenset[str] | None, once: Sequence[str] = ()) -> Graph:
        return graph_as_read(model, weights, version, metadata, delayed, frozenset(once), memory)

    ports = input_ports(model)
    of_ids = id_inputs(model, ports)
    of_sound = of_ids | set(sound_inputs(model, ports))
    rows = [port.name for port in ports if is_row(port, of_sound)]
    steps = {port.shape[0] for port in ports if port.name not in (*rows, memory)}
    if steps != {1}:
        single = [p.name for p in ports if p.name in of_ids and p.shape == (1,) and len(steps) > 1]
        return _with_rows(tried, rows, single)
    if not rows:
        return tried(None)
    try:
        return tried(frozenset())
    except ConversionError as error:
        delayed, failure = frozenset(rows), error
    try:
        graph = tried(delayed)
    except ConversionError:
        raise failure from None
    for name in rows:
        with contextlib.suppress(ConversionError):
            graph, delayed = tried(delayed - {name}), delayed - {name}
    return graph


def _with_rows(
    tried: Callable[[None, Sequence[str]], Graph], rows: Sequence[str], ids: Sequence[str]
) -> Graph:
    """The graph where rows beside sequences are states, or else, as few as do, come once for a
    sequence; ids do anyway."""
    failures: list[ConversionError] = []
    counts = range(len(rows) + 1) if len(rows) <= MOST_ROWS else (0, len(rows))
    for once in chain.from_iterable(combinations(rows, count) for count in counts):
        try:
            return tried(None, (*once, *ids))
        except ConversionError as error:
            failures.append(error)
    others = [each for each in failures if "state" not in str(each)]
    raise (others or failures)[0]
