# SPDX-License-Identifier: Apache-2.0
"""Initial states of Keras's recurrent layers that are inputs of the model: state= of ``run``.

They are rows that do not come with every frame, so they are no inputs of the graph. A decoder that
is fed its state by Keras's ``model([ids, h])`` is a stream here, or ``run(ids, state=...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from grucore._core import ConversionError
from grucore.fileformat import read
from grucore.graph.tensors import Array
from grucore.runtime.loaded import Loaded
from grucore.runtime.proof_record import Proof
from grucore.runtime.run import run, zero_state

__all__ = [
    "check_states",
]

SEED = 20240302


def check_states(
    data: bytes,
    proof: Proof,
    states: Mapping[str, str],
    witness: Callable[..., tuple[Array, ...]],
    frames: int | None,
) -> None:
    """Raise unless the model agrees with its source from other states than zeros.

    ``states``: the model's state by the name of the input that Keras takes it from. ``frames``: the
    only length that the source knows.
    """
    graph, model = read(data), Loaded(data)
    assert graph.test is not None
    generator = np.random.default_rng(SEED)
    xs = tuple(
        x if frames is None else np.resize(x, (frames, x.shape[1])) for x in graph.test.inputs
    )
    state = zero_state(model)
    starts = {}
    for source, name in states.items():
        starts[source] = state[name] = generator.uniform(-1, 1, state[name].shape).astype(
            np.float32
        )
    ours, theirs = run(model, xs, state=state), witness(*xs, starts=starts)
    for name, mine, other in zip(graph.outputs, ours, theirs, strict=True):
        difference = float(np.abs(mine - other).max(initial=0.0))
        if not difference <= proof.bound:
            raise ConversionError(
                f"the converted model does not agree with its source: output {name!r} differs by "
                f"{difference:.2g} (bound {proof.bound:.2g}) from a state that is given"
            )
