# SPDX-License-Identifier: Apache-2.0
"""The inner door to the engine: a tuple of arrays in, a tuple of arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grucore.runtime.arrays import Array, as_tuple, single
from grucore.runtime.loaded import Loaded
from grucore.runtime.sequences import run_whole
from grucore.runtime.states import new_states, to_dict

__all__ = ["run", "zero_state"]


def run(
    model: Loaded,
    inputs: Sequence[Array],
    *,
    state: Mapping[str, Array] | None = None,
    nonfinite: str = "propagate",
) -> tuple[Array, ...]:
    """Run one sequence, or several of the same length, from the initial state or another.

    ``inputs``: for each input of the model (frames, features) or (batch, frames, features), the
    axis of features always there. Each output is (frames, features) or (batch, frames, features),
    and (features,) or (batch, features) where it comes once per sequence. ``state``: as
    `Model.run` takes it, without or with the axis of the batch as ``inputs`` are.
    """
    alone = inputs[0].ndim == 2
    batch = tuple(x[None] for x in inputs) if alone else tuple(inputs)
    if state is not None and alone:
        state = {name: array[None] for name, array in state.items()}
    outputs = as_tuple(run_whole(model, single(batch), state=state, nonfinite=nonfinite))
    return tuple(y[0] for y in outputs) if alone else outputs


def zero_state(model: Loaded) -> dict[str, Array]:
    """The states that users see, of one sequence, all zeros."""
    return dict(to_dict(model, new_states(model, 1), batched=False))
