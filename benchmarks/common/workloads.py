# SPDX-License-Identifier: Apache-2.0
"""The workloads: sizes, weights, inputs, and the float64 answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["WORKLOADS", "Workload", "chosen", "frames", "reference", "state_dict"]

Array = npt.NDArray[Any]

CHECKED_STEPS = 200  # frames by which a contender that steps is compared


class Workload(NamedTuple):
    """A GRU that is stepped frame by frame (no `frames`), or run over a whole sequence or batch."""

    name: str
    input_size: int
    hidden_size: int
    layers: int
    like: str
    frames: int = 0
    batch: int = 1

    @property
    def form(self) -> str:
        """S: stepped, state carried. Q: a sequence. B: a batch of them. L: a long one."""
        return self.name[0]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the float32 weights, biases and padding not counted."""
        return 4 * self.multiply_adds

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one frame of one row."""
        sizes = [self.input_size, *[self.hidden_size] * (self.layers - 1)]
        return sum(3 * self.hidden_size * (size + self.hidden_size) for size in sizes)

    @property
    def checked_frames(self) -> int:
        """Frames by which a contender is compared with float64."""
        return self.frames or CHECKED_STEPS


_SIZES = (
    (1, 16, 1, "guitar amplifier"),
    (24, 24, 1, "small noise suppressor"),
    (40, 64, 1, "keyword spotter"),
    (128, 128, 1, "speech enhancement"),
    (256, 256, 1, "DeepFilterNet"),
    (384, 384, 1, "RNNoise 0.2"),
    (400, 400, 2, "NSNet2"),
    (512, 1024, 1, "larger than the second-level cache"),
)

WORKLOADS = {
    workload.name: workload
    for workload in (
        *(Workload(f"S{i}", *size) for i, size in enumerate(_SIZES, 1)),
        *(Workload(f"Q{i}", *_SIZES[i - 1], frames=100) for i in range(3, 8)),
        *(
            Workload(f"B{size}x{batch}", size, size, 1, "batch", frames=100, batch=batch)
            for size in (128, 256)
            for batch in (16, 64)
        ),
        Workload("L", 1, 40, 1, "a second of audio, sample by sample", frames=48_000),
    )
}


def chosen(names: str) -> list[Workload]:
    """Workloads by a list of names or forms ("S1,Q,L"), or "all"; ValueError for anything else."""
    if names == "all":
        return list(WORKLOADS.values())
    found = []
    for name in names.split(","):
        matching = [one for one in WORKLOADS.values() if name in (one.name, one.form)]
        if not matching:
            raise ValueError(f"unknown workload {name!r}: expected {', '.join(WORKLOADS)}, S, Q, B")
        found += matching
    return found


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
    """Standard normal input, (count, batch, input_size), float32."""
    rng = np.random.default_rng(seed)
    shape = (count, workload.batch, workload.input_size)
    return rng.standard_normal(shape).astype(np.float32)


def reference(
    workload: Workload, weights: dict[str, Array], x: Array, *, reset_after: bool = True
) -> Array:
    """PyTorch's equations in float64, or the reset-before cell's: (frames, batch, hidden_size)."""
    y = x.astype(np.float64)
    for layer in range(workload.layers):
        w_ih, w_hh, b_ih, b_hh = (
            weights[f"{name}_l{layer}"].astype(np.float64)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h = np.zeros((x.shape[1], workload.hidden_size))
        rows = []
        for from_x in y @ w_ih.T + b_ih:
            x_r, x_z, x_n = np.split(from_x, 3, axis=1)
            h_r, h_z, h_n = np.split(h @ w_hh.T + b_hh, 3, axis=1)
            r = 1.0 / (1.0 + np.exp(-(x_r + h_r)))
            z = 1.0 / (1.0 + np.exp(-(x_z + h_z)))
            if reset_after:
                from_h = r * h_n
            else:
                split = 2 * workload.hidden_size
                from_h = (r * h) @ w_hh[split:].T + b_hh[split:]
            h = (1.0 - z) * np.tanh(x_n + from_h) + z * h
            rows.append(h)
        y = np.array(rows)
    return y
