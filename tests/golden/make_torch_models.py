# SPDX-License-Identifier: Apache-2.0
"""Makes whole models as torch saves them, and what torch computes: run it with torch 2.13.

    python tests/golden/make_torch_models.py

``expected.npz`` holds, for each file, ``<name>.x`` (T, features) or (T,), and ``<name>.y0`` ...
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).parent / "torch_models"
FRAMES = 12


class Words(nn.Module):
    """Ids, a causal convolution, norms, a GRU in both directions, attention-free pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 5)
        self.front = nn.Conv1d(5, 6, 3, dilation=2)
        self.batch = nn.BatchNorm1d(6)
        self.gru = nn.GRU(6, 4, num_layers=2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = functional.pad(self.embedding(x).transpose(1, 2), (4, 0))
        y = functional.gelu(self.batch(self.front(y))).transpose(1, 2)
        y, h = self.gru(y)
        y = functional.glu(self.head(self.norm(y)), -1)
        return torch.log_softmax(y, -1), y.mean(1), h[-1]


class Steps(nn.Module):
    """One frame a call: the state goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
        h = self.cell(x, h)
        return torch.tanh(self.head(h)), h


class Frames(nn.Module):
    """The other axis order, and a learned initial state."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4)
        self.start = nn.Parameter(torch.randn(1, 1, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.gru(x, self.start.expand(-1, x.shape[1], -1).contiguous())
        return self.head(y)


def sequential() -> nn.Sequential:
    """PyTorch's own classes only."""
    norm = nn.LayerNorm(4, eps=1e-3)
    gru = nn.GRU(4, 5, batch_first=True, bidirectional=True)
    return nn.Sequential(nn.Linear(3, 4), norm, nn.Dropout(0.3), nn.SiLU(), gru)


def main() -> None:
    """Write all files."""
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(11)
    x = torch.randn(2, FRAMES, 3) * 2
    ids = torch.randint(0, 9, (2, FRAMES))
    expected: dict[str, np.ndarray] = {}

    def keep(name: str, given: torch.Tensor, outputs: Any) -> None:
        expected[f"{name}.x"] = given[0].numpy()
        for number, y in enumerate(outputs):
            expected[f"{name}.y{number}"] = y.detach().numpy()

    def export(name: str, module: nn.Module, *inputs: torch.Tensor) -> None:
        torch.export.save(torch.export.export(module, inputs), FOLDER / f"{name}.pt2")

    words = Words()
    for buffer in words.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    words.eval()
    export("words", words, ids)
    keep("words", ids, [y[0] for y in words(ids)])

    frames = Frames().eval()
    export("frames", frames, x.transpose(0, 1).contiguous())
    keep("frames", x, [frames(x.transpose(0, 1))[:, 0]])

    steps = Steps().eval()
    export("steps", steps, x[:, 0], torch.zeros(2, 4))
    h, rows = torch.zeros(2, 4), []
    for frame in x.unbind(1):
        y, h = steps(frame, h)
        rows.append(y[0])
    keep("steps", x, [torch.stack(rows)])

    layers = sequential().eval()
    torch.save(layers, FOLDER / "sequential.pt")
    torch.jit.save(torch.jit.script(layers), FOLDER / "sequential_script.pt")
    for name in ("sequential", "sequential_script"):
        keep(name, x, [layers(x)[0][0]])

    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
