# SPDX-License-Identifier: Apache-2.0
"""The one thing that every frontend returns: a graph, and the evidence that it is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from grucore._core import ConversionError
from grucore.graph.graph import Graph
from grucore.proof.evidence import Evidence

__all__ = ["Conversion", "ambiguous"]

MOST_LISTED = 4


@dataclass(frozen=True)
class Conversion:
    """A source that was read and understood, before anything is proved or written.

    The graph's metadata says under "source" where it comes from. ``evidence`` is made when it is
    asked for, since that may import the framework. ``is_typed``: a user wrote down how the layers
    follow each other, which the source does not say. ``left``: tensors of the source that are not
    in the graph, as its user wants it.
    """

    graph: Graph
    evidence: Callable[[], Evidence]
    is_typed: bool = False
    left: tuple[str, ...] = ()


def ambiguous(meanings: Iterable[str]) -> ConversionError:
    """The error, to be raised, for inputs whose axes can mean several things."""
    listed = "; or ".join(list(meanings)[:MOST_LISTED])
    return ConversionError(f"the axes of the inputs can mean several things: {listed}")
