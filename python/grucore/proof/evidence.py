# SPDX-License-Identifier: Apache-2.0
"""The evidence that a conversion is held against: its source as it runs, or the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.tensors import Array
from grucore.proof.signals import LENGTHS
from grucore.reference import run as reference

__all__ = ["Evidence", "FromStates", "Witness", "reference_evidence"]

Witness: TypeAlias = Callable[..., tuple[Array, ...]]
"""Gives the outputs of the source for one sequence: called with an array (T, features) for each
input of the graph, float32 or int32. Float64 comes from a source that was run in float64."""

FromStates: TypeAlias = Callable[[Mapping[str, Array], tuple[Array, ...]], tuple[Array, ...]]
"""The same from states that are given: by the names of the model, each of one sequence."""


@dataclass(frozen=True)
class Evidence:
    """A source that runs, and on what to run it.

    ``against`` names it. ``exact`` is the same source in float64, None where ``witness`` is that
    already or nobody has it. ``lengths`` are those of generated sequences; ``examples`` are the
    user's own, a tuple of arrays (T, features) each. ``states`` are the states of the model that a
    caller of the source may give, and ``from_states`` is the source called with them. ``bound``:
    of the comparison in float64, as a part of the scale, where it is not the usual one. ``given``:
    the states that a caller sets for a sequence of so many frames, such as a memory, which the
    witnesses then start from as well. ``zeros``: frames at the end of each sequence that are zeros,
    since the source has them of its own.
    """

    witness: Witness
    against: str
    exact: Witness | None = None
    lengths: Sequence[int] = LENGTHS
    examples: Sequence[tuple[Array, ...]] = ()
    states: tuple[str, ...] = ()
    from_states: FromStates | None = None
    bound: float | None = None
    given: Callable[[int], Mapping[str, Array]] | None = None
    zeros: int = 0

    def ended(self, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """A sequence with its zeros at the end."""
        if not self.zeros:
            return xs
        return tuple(np.concatenate([x[: -self.zeros], 0 * x[-self.zeros :]]) for x in xs)


def reference_evidence(
    graph: Graph,
    why: str,
    *,
    lengths: Sequence[int] = LENGTHS,
    examples: Sequence[tuple[Array, ...]] = (),
    states: tuple[str, ...] = (),
) -> Evidence:
    """The float64 reference on the graph itself, where its framework is not there: ``why`` says."""

    def witness(*xs: Array) -> tuple[Array, ...]:
        return reference.run(graph, xs)[0]

    def from_states(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        return reference.run(graph, xs, state=state)[0]

    return Evidence(
        witness,
        f"the float64 reference ({why})",
        lengths=lengths,
        examples=examples,
        states=states,
        from_states=from_states,
    )
