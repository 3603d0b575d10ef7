# SPDX-License-Identifier: Apache-2.0
"""Initial states of Keras's recurrent layers that are inputs of the model: state= of ``run``.

They are rows that do not come with every frame, so they are no inputs of the graph. A decoder that
is fed its state by Keras's ``model([ids, h])`` is a stream here, or ``run(ids, state=...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras_config import Layer
from grucore.converters.keras_flow import Context, Start
from grucore.fileformat import read
from grucore.node import Array, Value
from grucore.proof import Proof

__all__ = ["check_states", "note_start", "take_start"]

SEED = 20240302


def take_start(
    layer: Layer, flows: list[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], Start | None]:
    """The tensors and keywords of a recurrent layer's call without its initial state, and that."""
    rest = dict(keywords)
    given = rest.pop("initial_state", None)
    if given is None and len(flows) > 1:  # as early versions write it
        flows, given = flows[:1], flows[1:]
    if isinstance(given, list | tuple) and len(given) == 1:
        given = given[0]
    if given is None or isinstance(given, Start):
        return flows, rest, given
    if isinstance(given, list | tuple) and all(isinstance(entry, Start) for entry in given):
        raise ConversionError(
            f"{layer} has {len(given)} inputs as its initial_state, expected the one of a GRU"
        )
    raise ConversionError(
        f"{layer} has an initial_state from another layer, which cannot be expressed: convert the "
        "models before and behind it apart, the second one with an Input of its own for the state, "
        "and hand it on as state="
    )


def note_start(context: Context, layer: Layer, start: Start, values: list[Value]) -> None:
    """Note which state of the model starts from an input: that of the layer that was just built."""
    (value, *more), node = values, context.builder.nodes[-1]
    if more or start.size != value.features or start.name in context.states:
        raise ConversionError(
            f"{layer} starts from input {start.name!r} of shape ({start.size},), expected one of "
            f"({', '.join(str(each.features) for each in values)},) that no other layer reads"
        )
    context.states[start.name] = f"{node.name}.h"


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
    from grucore.model import Model

    graph, model = read(data), Model(data)
    assert graph.test is not None
    generator = np.random.default_rng(SEED)
    xs = tuple(
        x if frames is None else np.resize(x, (frames, x.shape[1])) for x in graph.test.inputs
    )
    plain = tuple(x[:, 0] if x.dtype.kind == "i" else x for x in xs)
    given = plain if len(plain) > 1 else plain[0]
    _, state = model.run(given, return_state=True)
    state = {name: np.zeros_like(array) for name, array in state.items()}
    starts = {}
    for source, name in states.items():
        starts[source] = state[name] = generator.uniform(-1, 1, state[name].shape).astype(
            np.float32
        )
    ours, theirs = model.run(given, state=state), witness(*xs, starts=starts)
    for name, mine, other in zip(
        graph.outputs, ours if isinstance(ours, tuple) else (ours,), theirs, strict=True
    ):
        difference = float(np.abs(mine - other).max(initial=0.0))
        if not difference <= proof.bound:
            raise ConversionError(
                f"the converted model does not agree with its source: output {name!r} differs by "
                f"{difference:.2g} (bound {proof.bound:.2g}) from a state that is given"
            )
