# SPDX-License-Identifier: Apache-2.0
"""The comparison from states that a caller gives, of which a proof from a model's own says nothing.

A state that the source takes as an input is no input of the graph, but ``state=`` of ``run``.
"""

from __future__ import annotations

import numpy as np

from grucore._core import ConversionError
from grucore.graph.graph import Graph
from grucore.graph.layers import Position, Take
from grucore.graph.node import Rate
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence
from grucore.proof.signals import test_inputs
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run, zero_state

__all__ = ["check_from_states", "given_state"]

SEED = 20240302
FRAMES = 16
CALLS = 3  # of the caller's own loop
LOOP = (
    "over a loop of calls that hand the states on: a stream goes on where a call begins anew, with "
    "what it reduces, skips or reverses"
)


def check_from_states(graph: Graph, model: Loaded, evidence: Evidence, bound: float) -> None:
    """Raise `ConversionError` unless model and source agree from states that are drawn at random.

    ``bound`` is a part of each output's scale. Nothing is done where the source takes no state.
    """
    if not evidence.states or evidence.from_states is None:
        return
    if evidence.examples:
        xs = evidence.examples[0]
    else:
        least = FRAMES + max(graph.value(name).skip for name in graph.outputs)
        xs = test_inputs(graph, evidence.lengths[0] if len(evidence.lengths) == 1 else least)
    generator = np.random.default_rng(SEED)
    given: dict[str, Array] = {}
    state = zero_state(model) | _own_states(graph)
    fixed = {} if evidence.given is None else dict(evidence.given(len(xs[0])))
    state.update(fixed)
    for name in evidence.states:
        given[name] = generator.uniform(-1, 1, state[name].shape).astype(np.float32)
    ours = run(model, xs, state=state | given)
    theirs = evidence.from_states(given, xs)
    _compare(graph, ours, theirs, bound, "from a state that is given")
    returned = _returned(graph, evidence.states)
    carried = set(zero_state(model)) - set(fixed)
    if len(returned) != len(evidence.states) or set(returned) != carried:
        return
    # The caller's own loop: what comes back goes in again.
    calls, state_now = [], given
    for _ in range(CALLS):
        calls.append(evidence.from_states(state_now, xs))
        state_now = {name: calls[-1][place] for name, place in returned.items()}
    several = tuple(np.concatenate([x] * CALLS) for x in xs)
    ours = run(model, several, state=given | fixed)
    looped = tuple(
        np.concatenate([call[place] for call in calls])
        if graph.value(name).rate is Rate.FRAME
        else calls[-1][place]
        for place, name in enumerate(graph.outputs)
    )
    _compare(graph, ours, looped, bound, LOOP)


def given_state(
    graph: Graph, model: Loaded, evidence: Evidence, frames: int
) -> dict[str, Array] | None:
    """The states that a sequence of so many frames starts from; None: the model's own."""
    if evidence.given is None:
        return None
    return zero_state(model) | _own_states(graph) | dict(evidence.given(frames))


def _compare(
    graph: Graph,
    ours: tuple[Array, ...],
    theirs: tuple[Array, ...],
    bound: float,
    where: str,
) -> None:
    for name, mine, other in zip(graph.outputs, ours, theirs, strict=True):
        scale = float(np.abs(other).max(initial=0.0)) or 1.0
        difference = float(np.abs(mine - other).max(initial=0.0)) / scale
        if not difference <= bound:
            raise ConversionError(
                f"the converted model does not agree with its source: output {name!r} differs by "
                f"{difference:.2g} of its scale (bound {bound:.2g}) {where}"
            )


def _returned(graph: Graph, states: tuple[str, ...]) -> dict[str, int]:
    """By state the number of the output that gives its layer's last frame, where there is one."""
    layers = {node.output: f"{node.name}.h" for node in graph.nodes}
    found = {}
    for node in graph.nodes:
        last = isinstance(node, Take) and node.position is Position.LAST
        if last and node.output in graph.outputs and layers.get(node.inputs[0]) in states:
            found[layers[node.inputs[0]]] = list(graph.outputs).index(node.output)
    return found


def _own_states(graph: Graph) -> dict[str, Array]:
    """The learned states from which layers start by themselves."""
    return {
        f"{node.name}{suffix}": state
        for node in graph.nodes
        for suffix, state in zip(node.state_suffixes, node.initial_states, strict=True)
        if state is not None
    }
