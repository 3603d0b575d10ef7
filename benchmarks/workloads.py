# SPDX-License-Identifier: Apache-2.0
"""The streaming workloads S1 to S8: sizes, weights, inputs, and the float64 answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["WORKLOADS", "Workload", "frames", "reference", "state_dict"]

Array = npt.NDArray[Any]


class Workload(NamedTuple):
    """A GRU that is stepped frame by frame: batch 1, state carried."""

    name: str
    input_size: int
    hidden_size: int
    layers: int
    like: str

    @property
    def weight_bytes(self) -> int:
        """Bytes of the float32 weights, biases and padding not counted."""
        return 4 * self.multiply_adds

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one step."""
        sizes = [self.input_size, *[self.hidden_size] * (self.layers - 1)]
        return sum(3 * self.hidden_size * (size + self.hidden_size) for size in sizes)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("S1", 1, 16, 1, "guitar amplifier"),
        Workload("S2", 24, 24, 1, "small noise suppressor"),
        Workload("S3", 40, 64, 1, "keyword spotter"),
        Workload("S4", 128, 128, 1, "speech enhancement"),
        Workload("S5", 256, 256, 1, "DeepFilterNet"),
        Workload("S6", 384, 384, 1, "RNNoise 0.2"),
        Workload("S7", 400, 400, 2, "NSNet2"),
        Workload("S8", 512, 1024, 1, "larger than the second-level cache"),
    )
}


def state_dict(workload: Workload, seed: int = 1) -> dict[str, Array]:
    """Weights by PyTorch's names, uniform within 1 / sqrt(hidden_size), float32."""
    rng = np.random.default_rng(seed)
    bound = workload.hidden_size**-0.5
    rows = 3 * workload.hidden_size
    found = {}
    for layer in range(workload.layers):
        columns = workload.hidden_size if layer else workload.input_size
        shapes = {
            "weight_ih": (rows, columns),
            "weight_hh": (rows, workload.hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for name, shape in shapes.items():
            found[f"{name}_l{layer}"] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return found


def frames(workload: Workload, count: int, seed: int = 2) -> Array:
    """Standard normal input, (count, input_size), float32."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, workload.input_size)).astype(np.float32)


def reference(workload: Workload, weights: dict[str, Array], x: Array) -> Array:
    """PyTorch's equations in float64: (frames, hidden_size)."""
    y = x.astype(np.float64)
    for layer in range(workload.layers):
        w_ih, w_hh, b_ih, b_hh = (
            weights[f"{name}_l{layer}"].astype(np.float64)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h = np.zeros(workload.hidden_size)
        rows = []
        for from_x in y @ w_ih.T + b_ih:
            x_r, x_z, x_n = np.split(from_x, 3)
            h_r, h_z, h_n = np.split(w_hh @ h + b_hh, 3)
            r = 1.0 / (1.0 + np.exp(-(x_r + h_r)))
            z = 1.0 / (1.0 + np.exp(-(x_z + h_z)))
            h = (1.0 - z) * np.tanh(x_n + r * h_n) + z * h
            rows.append(h)
        y = np.array(rows)
    return y
