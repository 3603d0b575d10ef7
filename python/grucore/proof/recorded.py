# SPDX-License-Identifier: Apache-2.0
"""A pair of inputs and outputs that a user recorded from the trained model itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.graph.graph import Graph
from grucore.proof.sensitivity import Rounding
from grucore.runtime.arrays import as_tuple
from grucore.runtime.loaded import Loaded
from grucore.runtime.sequences import Sequences, run_whole

__all__ = ["Recorded", "check_recorded"]

Recorded = tuple[Any, Any]
"""``(x, y)``: inputs as `Model.run` takes them, and the outputs that the source gave for them."""

BOUND = 1e-5
ROUNDINGS = 8
LOOSEST = 1e-4
MOST_ROWS = 8  # of a batch whose rounding is measured


def check_recorded(graph: Graph, model: Loaded, pair: Recorded) -> tuple[float, int]:
    """The largest difference, as a part of each output's scale, and the number of frames.

    Raises `ConversionError` above 1e-5, or where rounding alone moves the model by more, above 8
    times that and at most 1e-4; ValueError or TypeError for arrays that the model does not take.
    """
    x, y = pair
    ours = as_tuple(run_whole(model, x))
    theirs = _outputs(y, graph.outputs)
    largest = 0.0
    for place, (name, mine, given) in enumerate(zip(graph.outputs, ours, theirs, strict=True)):
        other = np.asarray(given, np.float64)
        if mine.shape != other.shape:
            raise ValueError(
                f"check: output {name!r} has shape {other.shape}, the model gives {mine.shape}"
            )
        if not other.size or not np.isfinite(other).all():
            raise ValueError(f"check: output {name!r} is empty or not finite")
        scale = float(np.abs(other).max()) or 1.0
        difference = float(np.abs(mine - other).max()) / scale
        bound = BOUND if difference <= BOUND else _loosened(graph, model, x, place, scale)
        if not difference <= bound:
            raise ConversionError(
                f"the converted model does not agree with the recorded outputs: output {name!r} "
                f"differs by {difference:.2g} of its scale (bound {bound:.2g}); are the layers in "
                "this order, was the model in eval mode, was it run in float32?"
            )
        largest = max(largest, difference)
    work = Sequences(model, x)
    return largest, work.rows * work.frames


def _outputs(y: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    if isinstance(y, Mapping):
        if set(y) != set(names):
            raise ValueError(f"check: outputs {', '.join(y)}, expected {', '.join(names)}")
        return tuple(y[name] for name in names)
    several = y if isinstance(y, tuple | list) and len(names) > 1 else (y,)
    if len(several) != len(names):
        raise ValueError(f"check: {len(several)} outputs, expected {', '.join(names)}")
    return tuple(several)


def _loosened(graph: Graph, model: Loaded, x: Any, place: int, scale: float) -> float:
    """The bound where rounding alone moves this output on these inputs by more."""
    rows = Sequences(model, x).inputs
    rounding = Rounding(graph)
    moved = max(
        rounding(tuple(array[number] for array in rows))[place]
        for number in range(min(len(rows[0]), MOST_ROWS))
    )
    return max(BOUND, min(ROUNDINGS * moved / scale, LOOSEST))
