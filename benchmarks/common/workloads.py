# SPDX-License-Identifier: Apache-2.0
"""The workloads: sizes, weights, inputs, and the float64 answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CELLS", "WORKLOADS", "Workload", "chosen", "frames", "reference", "state_dict"]

Array = npt.NDArray[Any]

# Gates of each cell, and its states.
CELLS = {"gru": (3, "h"), "lstm": (4, "hc"), "rnn": (1, "h")}

CHECKED_STEPS = 200  # frames by which a contender that steps is compared


class Workload(NamedTuple):
    """A net that is stepped frame by frame (no `frames`), or run over a whole sequence or batch."""

    name: str
    input_size: int
    hidden_size: int
    layers: int
    like: str
    frames: int = 0
    batch: int = 1
    cell: str = "gru"

    @property
    def form(self) -> str:
        """S: stepped, state carried. Q: a sequence. B: a batch of them. L: a long one."""
        return self.name[0]

    @property
    def gates(self) -> int:
        """Products of each unit."""
        return CELLS[self.cell][0]

    @property
    def states(self) -> list[str]:
        """The states of the last layer last, h before c: h0, c0, h1, c1."""
        return [f"{state}{k}" for k in range(self.layers) for state in CELLS[self.cell][1]]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the float32 weights, biases and padding not counted."""
        return 4 * self.multiply_adds

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one frame of one row."""
        sizes = [self.input_size, *[self.hidden_size] * (self.layers - 1)]
        return sum(self.gates * self.hidden_size * (size + self.hidden_size) for size in sizes)

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


def chosen(names: str, cell: str = "gru") -> list[Workload]:
    """Workloads by a list of names or forms ("S1,Q,L"), or "all"; ValueError for anything else."""
    found = list(WORKLOADS.values()) if names == "all" else []
    for name in names.split(",") if names != "all" else ():
        matching = [one for one in WORKLOADS.values() if name in (one.name, one.form)]
        if not matching:
            raise ValueError(f"unknown workload {name!r}: expected {', '.join(WORKLOADS)}, S, Q, B")
        found += matching
    return [one._replace(cell=cell) for one in found]


def state_dict(workload: Workload, seed: int = 1) -> dict[str, Array]:
    """Weights by PyTorch's names, uniform within 1 / sqrt(hidden_size), float32."""
    rng = np.random.default_rng(seed)
    bound = workload.hidden_size**-0.5
    rows = workload.gates * workload.hidden_size
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
    cell = {"gru": _gru, "lstm": _lstm, "rnn": _rnn}[workload.cell]
    for layer in range(workload.layers):
        w_ih, w_hh, b_ih, b_hh = (
            weights[f"{name}_l{layer}"].astype(np.float64)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        zero = np.zeros((x.shape[1], workload.hidden_size))
        state = (zero,) * len(CELLS[workload.cell][1])
        rows = []
        for from_x in y @ w_ih.T + b_ih:
            if reset_after:
                state = cell(from_x, state[0] @ w_hh.T + b_hh, *state)
            else:
                state = _gru_before(from_x, w_hh, b_hh, *state)
            rows.append(state[0])
        y = np.array(rows)
    return y


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _gru(from_x: Array, from_h: Array, h: Array) -> tuple[Array]:
    x_r, x_z, x_n = np.split(from_x, 3, axis=1)
    h_r, h_z, h_n = np.split(from_h, 3, axis=1)
    z = _sigmoid(x_z + h_z)
    return ((1.0 - z) * np.tanh(x_n + _sigmoid(x_r + h_r) * h_n) + z * h,)


def _gru_before(from_x: Array, w_hh: Array, b_hh: Array, h: Array) -> tuple[Array]:
    size = h.shape[1]
    gates = h @ w_hh[: 2 * size].T + b_hh[: 2 * size]
    r, z = np.split(_sigmoid(from_x[:, : 2 * size] + gates), 2, axis=1)
    from_h = (r * h) @ w_hh[2 * size :].T + b_hh[2 * size :]
    return ((1.0 - z) * np.tanh(from_x[:, 2 * size :] + from_h) + z * h,)


def _lstm(from_x: Array, from_h: Array, h: Array, c: Array) -> tuple[Array, Array]:
    i, f, g, o = np.split(from_x + from_h, 4, axis=1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _rnn(from_x: Array, from_h: Array, h: Array) -> tuple[Array]:
    return (np.tanh(from_x + from_h),)
