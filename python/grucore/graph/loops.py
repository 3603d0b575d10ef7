# SPDX-License-Identifier: Apache-2.0
"""Loops: the nodes that run frame by frame, since one of them reads what a later one writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grucore.graph.node import Node, Value

__all__ = ["arranged", "is_fed_back", "loop_problem", "loops"]


def is_fed_back(nodes: Sequence[Node], index: int) -> bool:
    """True if a node reads a value that it or a later node writes."""
    node = nodes[index]
    later = {other.output for other in nodes[index:]}
    return node.reads_later and node.inputs[0] in later


def loops(nodes: Sequence[Node]) -> list[range]:
    """The nodes of each loop, by their places; loops that share nodes are one."""
    writers = {node.output: place for place, node in enumerate(nodes)}
    found: list[range] = []
    for place, node in enumerate(nodes):
        last = writers.get(node.inputs[0], -1)
        if not node.reads_later or last < place:
            continue
        if found and place < found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, last + 1))
        else:
            found.append(range(place, last + 1))
    return found


def loop_problem(
    nodes: Sequence[Node], values: Mapping[str, Value], loop: range
) -> tuple[int, str] | None:
    """The place of the first node that cannot run in this loop, and why; or None."""
    clock = values[nodes[loop.start].output].clock
    for place in loop:
        node = nodes[place]
        if not node.streamable:
            return place, f"node {node.name!r} reads the future, and runs frame by frame in a loop"
        for name in (*node.inputs, node.output):
            if values[name].clock != clock:
                other = values[nodes[loop.start].output].name
                message = f"value {name!r} does not come with the frames of {other!r}"
                return place, f"node {node.name!r}: {message}, which a loop feeds back"
    return None


def arranged(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The same nodes in an order that a file may have: the nodes of a cycle side by side.

    The order given stays where it can. Delays come first in their cycle. Raises ValueError that
    names a node of a cycle without a delay.
    """
    writers = {node.output: place for place, node in enumerate(nodes)}
    reads = [[writers[name] for name in node.inputs if name in writers] for node in nodes]
    result: list[Node] = []
    for cycle in _cycles(reads):
        result += (nodes[place] for place in _within(nodes, reads, sorted(cycle)))
    return tuple(result)


def _within(nodes: Sequence[Node], reads: list[list[int]], cycle: list[int]) -> list[int]:
    """The nodes of a cycle, each after those that it reads, delays apart."""
    members, done, order = set(cycle), set[int](), list[int]()
    while len(order) < len(cycle):
        ready = [
            place
            for place in cycle
            if place not in done
            and (
                nodes[place].reads_later or all(r in done or r not in members for r in reads[place])
            )
        ]
        if not ready:
            stuck = next(place for place in cycle if place not in done)
            raise ValueError(f"node {nodes[stuck].name!r} reads itself without a delay in between")
        late = [place for place in ready if not nodes[place].reads_later]
        place = late[0] if late and order else ready[0]
        # A delay that feeds another one's input waits for nothing, so all of them go first.
        delays = [place for place in ready if nodes[place].reads_later]
        order += delays or [place]
        done.update(order)
    return order


def _cycles(reads: list[list[int]]) -> list[list[int]]:
    """Tarjan's strongly connected components, those that are read first."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    found: list[list[int]] = []
    for start in range(len(reads)):
        work = [(start, 0)] if start not in index else []
        while work:
            node, edge = work.pop()
            if edge == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
            if edge < len(reads[node]):
                work.append((node, edge + 1))
                other = reads[node][edge]
                if other not in index:
                    work.append((other, 0))
                elif other in stack:
                    low[node] = min(low[node], index[other])
                continue
            for other in reads[node]:
                if other in stack:
                    low[node] = min(low[node], low[other])
            if low[node] == index[node]:
                place = stack.index(node)
                found.append(stack[place:])
                del stack[place:]
    return found
