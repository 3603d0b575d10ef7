# SPDX-License-Identifier: Apache-2.0
"""A file that is understood: its graph, and the axes of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grucore.converters.onnx.read.source import Source
from grucore.converters.onnx.search import Layouts
from grucore.converters.trace.axes import Tracked
from grucore.graph.graph import Graph


@dataclass(frozen=True)
class Reading:
    """A graph, and what is needed to run its source on the same inputs."""

    graph: Graph
    source: Source
    layouts: Layouts
    outputs: Mapping[str, Tracked]
    frames: int | None
    batch: int | None
    # The output that the caller hands back to each state input; empty if none comes back.
    feedback: Mapping[str, str]
    steps: bool
    # Outputs that only hand a state back, which the model does not give.
    gone: frozenset[str] = frozenset()
    # Frames below which it computes nothing.
    shortest: int = 1

    @property
    def in_chunks(self) -> bool:
        """True if its caller may cut a sequence into calls, and hand the states back."""
        streamable = all(node.streamable for node in self.graph.nodes)
        return bool(self.feedback) and streamable and not self.steps
