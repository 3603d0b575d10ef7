# SPDX-License-Identifier: Apache-2.0
"""grucore from Python: `stream.step(x, out=out)` and `model.run(x, out=out)`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from common.workloads import Array, Workload, state_dict

from peers.base import Peer

__all__ = ["ENGINE", "GRUCORE", "Grucore", "file_of"]

# By name: kind of weights, and bits of activations where that is a choice.
GRUCORE: dict[str, tuple[str, dict[str, Any]]] = {
    "float32": ("float32", {}),
    "float16": ("float16", {}),
    "int8/16": ("int8", {"activations": 16}),
    "int8/8": ("int8", {"activations": 8}),
    "int4": ("int4", {"activations": 16}),
}
# The names of grucore's kinds of weights in the engine's benchmark.
ENGINE = {
    "float32": ["--weights", "float32"],
    "float16": ["--weights", "float16"],
    "int8/16": ["--weights", "int8", "--activations", "16"],
    "int8/8": ["--weights", "int8", "--activations", "8"],
    "int4": ["--weights", "int4", "--activations", "16"],
}


@lru_cache(maxsize=len(GRUCORE) + 1)
def file_of(workload: Workload, variant: str) -> bytes:
    """The file of a workload; every instruction set reads the same one."""
    import grucore

    if variant == "float32":
        weights = state_dict(workload)
        if workload.cell == "gru":
            return bytes(grucore.from_torch(weights))
        cell = {"lstm": "lstm", "rnn": "rnn(nonlinearity=tanh)"}[workload.cell]
        return bytes(grucore.from_torch(weights, architecture=cell))
    kind, options = GRUCORE[variant]
    return bytes(grucore.load(file_of(workload, "float32")).quantize(kind, **options))


class Grucore(Peer):
    """One kind of weights on one instruction set."""

    name = "grucore"
    forms = "SQBL"

    def __init__(self, workload: Workload, variant: str, isa: str | None) -> None:
        import grucore

        self.model = grucore.load(file_of(workload, variant), isa=isa)
        self.stream = self.model.stream()
        self.out = np.empty(workload.hidden_size, np.float32)
        shape = (workload.batch, workload.frames, workload.hidden_size)
        self.outs = np.empty(shape[1:] if workload.batch == 1 else shape, np.float32)

    def frames(self, x: Array) -> list[Any]:
        return [frame[0].copy() for frame in x]

    def reset(self) -> None:
        self.stream.reset()

    def step(self, frame: Any) -> Array:
        return np.array(self.stream.step(frame, out=self.out))

    def steps(self, frames: Sequence[Any]) -> None:
        step, out = self.stream.step, self.out
        for frame in frames:
            step(frame, out=out)

    def sequence(self, x: Array) -> Any:
        return x[:, 0].copy() if x.shape[1] == 1 else x.swapaxes(0, 1).copy()

    def run(self, x: Any) -> Any:
        return self.model.run(x, out=self.outs)

    def result(self, y: Any) -> Array:
        return np.asarray(y)[:, None] if y.ndim == 2 else np.asarray(y).swapaxes(0, 1)
