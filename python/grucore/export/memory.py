# SPDX-License-Identifier: Apache-2.0
"""Where the values of one frame stand: two arrays, floats and ids, that values share in turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grucore.export.packing import padded_rows
from grucore.graph.graph import Graph
from grucore.graph.tensors import Dtype

__all__ = ["Places", "place_values"]


@dataclass(frozen=True)
class Places:
    """The first element of each value, and how many elements both arrays need."""

    at: Mapping[str, int]
    floats: int
    ids: int

    @property
    def bytes(self) -> int:
        """Bytes of both arrays."""
        return 4 * (self.floats + self.ids)


@dataclass
class _Span:
    name: str
    size: int
    first: int  # the node that writes it; -1: an input
    last: int  # the last node that reads it


def _spans(graph: Graph, room: Mapping[str, int], dtype: Dtype) -> list[_Span]:
    spans = {}
    for value in graph.values:
        if value.dtype is dtype:
            size = padded_rows(max(value.features, room.get(value.name, 0)))
            spans[value.name] = _Span(value.name, size, -1, -1)
    for index, node in enumerate(graph.nodes):
        if node.output in spans:
            spans[node.output].first = spans[node.output].last = index
        for name in node.inputs:
            if name in spans:
                spans[name].last = index
    late = [node.inputs[0] for node in graph.nodes if node.reads_later]
    for name in (*graph.outputs, *late):
        if name in spans:
            spans[name].last = len(graph.nodes)
    if dtype is Dtype.INT32:  # ids are read where the caller has them
        spans = {name: span for name, span in spans.items() if name not in graph.inputs}
    return sorted(spans.values(), key=lambda span: span.first)


def _fit(spans: list[_Span]) -> tuple[dict[str, int], int]:
    """Each at the first place where no other lies that is needed at the same time."""
    placed: list[tuple[int, _Span]] = []
    for span in spans:
        at = 0
        for other_at, other in sorted(placed, key=lambda place: place[0]):
            together = other.first <= span.last and span.first <= other.last
            if together and at < other_at + other.size and other_at < at + span.size:
                at = other_at + other.size
        placed.append((at, span))
    end = max((at + span.size for at, span in placed), default=0)
    return {span.name: at for at, span in placed}, end


def place_values(graph: Graph, room: Mapping[str, int]) -> Places:
    """``room``: elements that a value needs beyond its features, by name."""
    floats, float_end = _fit(_spans(graph, room, Dtype.FLOAT32))
    ids, id_end = _fit(_spans(graph, room, Dtype.INT32))
    return Places({**floats, **ids}, float_end, id_end)
