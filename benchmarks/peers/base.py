# SPDX-License-Identifier: Apache-2.0
"""The interface of a contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from common.workloads import CELLS, Array, Workload

__all__ = ["BOUNDS", "Peer"]

# The largest difference from float64, by kind of weights, with which a contender may be timed.
BOUNDS = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 5e-2, "int8": 0.1, "int4": 0.5}


class Peer(ABC):
    """A runtime for one workload. The constructor raises ImportError where it is not installed.

    It offers `steps` for workloads of form S and `run` for the others. State is carried from one
    call of `steps` to the next; each `run` starts from zeros.
    """

    name: ClassVar[str]
    weights: ClassVar[str] = "float32"
    forms: ClassVar[str] = "S"
    cells: ClassVar[tuple[str, ...]] = tuple(CELLS)
    reset_after: ClassVar[bool] = True  # False: compared with the other cell
    in_cpp: ClassVar[bool] = (
        False  # True: `many(frames, count)` is timed, a loop of steps outside Python
    )
    run: Callable[[Any], Any]  # what is timed where there are other forms: the whole sequence

    @abstractmethod
    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        """Build the network; ImportError where the runtime is not installed."""

    def frames(self, x: Array) -> list[Any]:
        """Frames (count, 1, input_size) as what `steps` takes."""
        return [frame.copy() for frame in x]

    @abstractmethod
    def reset(self) -> None:
        """Back to the zero state."""

    @abstractmethod
    def step(self, frame: Any) -> Array:
        """One frame, for the check: the output, hidden_size numbers."""

    @abstractmethod
    def steps(self, frames: Sequence[Any]) -> None:
        """The timed call: a step for each frame."""

    def sequence(self, x: Array) -> Any:
        """Frames (frames, batch, input_size) as what `run` takes."""
        return x

    def result(self, y: Any) -> Array:
        """The outputs of `run`, as (frames, batch, hidden_size)."""
        return np.asarray(y)
