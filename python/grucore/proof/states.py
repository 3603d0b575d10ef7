# SPDX-License-Identifier: Apache-2.0
"""The comparison from states that a caller gives, of which a proof from a model's own says nothing.

A state that the source takes as an input is no input of the graph, but ``state=`` of ``run``.
"""

from __future__ import annotations

import numpy as np

from grucore._core import ConversionError
from grucore.graph.graph import Graph
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence
from grucore.proof.signals import test_inputs
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run, zero_state

__all__ = ["check_from_states"]

SEED = 20240302
FRAMES = 16


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
    for name in evidence.states:
        given[name] = generator.uniform(-1, 1, state[name].shape).astype(np.float32)
    ours = run(model, xs, state=state | given)
    theirs = evidence.from_states(given, xs)
    for name, mine, other in zip(graph.outputs, ours, theirs, strict=True):
        scale = float(np.abs(other).max(initial=0.0)) or 1.0
        difference = float(np.abs(mine - other).max(initial=0.0)) / scale
        if not difference <= bound:
            raise ConversionError(
                f"the converted model does not agree with its source: output {name!r} differs by "
                f"{difference:.2g} of its scale (bound {bound:.2g}) from a state that is given"
            )


def _own_states(graph: Graph) -> dict[str, Array]:
    """The learned states from which layers start by themselves."""
    found = {f"{node.name}.h": getattr(node, "initial_state", None) for node in graph.nodes}
    return {name: state for name, state in found.items() if state is not None}
