# SPDX-License-Identifier: Apache-2.0
"""Random torch modules for both ONNX exporters."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from oracle.oracles import oracle

torch = oracle("torch")
nn = torch.nn


class Whole(nn.Module):
    """Perhaps an embedding or a convolution, GRUs, a head: all by the seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)

        def size() -> int:
            return int(rng.choice([2, 3, 4, 5, 8, 16, 17]))

        self.features = size()
        self.ids = int(rng.integers(3, 20)) if rng.random() < 0.25 else 0
        self.batch_first = bool(rng.random() < 0.7)
        self.embedding = nn.Embedding(self.ids, self.features) if self.ids else None
        width = self.features
        self.convolution = None
        if self.batch_first and rng.random() < 0.3:
            self.padding = int(rng.integers(0, 3))
            self.convolution = nn.Conv1d(width, size(), 3)
            width = self.convolution.out_channels
            self.norm = nn.BatchNorm1d(width)
            self.norm.running_mean.uniform_(-1, 1)
            self.norm.running_var.uniform_(0.5, 2)
        hidden = size()
        self.gru = nn.GRU(
            width,
            hidden,
            num_layers=int(rng.integers(1, 4)),
            bidirectional=bool(rng.random() < 0.4),
            bias=bool(rng.random() < 0.8),
            batch_first=self.batch_first,
        )
        width = hidden * (2 if self.gru.bidirectional else 1)
        self.head = str(rng.choice(["frames", "last", "h_n", "mean", "both"]))
        kinds: list[Any] = [
            nn.ReLU(),
            nn.GELU(),
            nn.SiLU(),
            nn.ELU(),
            nn.LeakyReLU(0.1),
            nn.Hardswish(),
            nn.PReLU(),
            nn.Softplus(),
            nn.Hardtanh(-0.5, 0.7),
            nn.Hardsigmoid(),
            nn.LayerNorm(width, eps=0.01),  # of few features it is badly conditioned with less
            nn.Sequential(nn.Linear(width, 2 * width), nn.GLU()),
        ]
        self.layer = kinds[int(rng.integers(len(kinds)))]
        self.linear = nn.Linear(width, size())
        self.end = nn.LogSoftmax(-1) if rng.random() < 0.3 else nn.Identity()
        self.eval()

    def forward(self, x: Any) -> Any:
        if self.embedding is not None:
            x = self.embedding(x)
        if self.convolution is not None:
            padded = nn.functional.pad(x.transpose(1, 2), (2, 0))
            x = torch.relu(self.norm(self.convolution(padded))).transpose(1, 2)
        y, h = self.gru(x)
        time = 1 if self.batch_first else 0
        if self.head == "last":
            y = y.select(time, -1)
        elif self.head == "mean":
            y = y.mean(time)
        elif self.head == "h_n":
            parts = [h[-2], h[-1]] if self.gru.bidirectional else [h[-1]]
            y = torch.cat(parts, -1)
        y = self.end(self.linear(self.layer(y)))
        return (y, h) if self.head == "both" else y

    def example(self, rng: np.random.Generator, batch: int, frames: int) -> np.ndarray:
        """(batch, frames) or (batch, frames, features)."""
        if self.ids:
            return rng.integers(0, self.ids, (batch, frames))
        return rng.uniform(-2, 2, (batch, frames, self.features)).astype(np.float32)

    def turned(self, x: np.ndarray) -> Any:
        """As the module wants it."""
        return torch.from_numpy(x if self.batch_first else np.ascontiguousarray(x.swapaxes(0, 1)))


def export(module: nn.Module, arguments: tuple[Any, ...], path: Path, **options: Any) -> None:
    """torch.onnx.export without its talk."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, arguments, path, **options)


def export_whole(module: Whole, path: Path, *, dynamo: bool, dynamic: bool) -> None:
    """A `Whole` with example sizes, or with open ones as far as the exporter goes."""
    x = module.turned(module.example(np.random.default_rng(0), 2, 7))
    options: dict[str, Any] = {"dynamo": dynamo}
    lead = ("batch", "time") if module.batch_first else ("time", "batch")
    if dynamic and dynamo:
        place = lead.index("batch")  # it fixes the frames of a GRU
        options["dynamic_shapes"] = ({place: torch.export.Dim("batch")},)
    elif dynamic:
        options["input_names"] = ["x"]
        options["dynamic_axes"] = {"x": dict(enumerate(lead))}
    export(module, (x,), path, **options)
