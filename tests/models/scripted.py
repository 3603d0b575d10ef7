# SPDX-License-Identifier: Apache-2.0
"""A module whose loop over time torch.jit.script keeps: it wants types that it can look up."""

import torch
from torch import Tensor, nn


class ScriptedLoop(nn.Module):
    """A cell written by hand over the frames of (batch, time, 3)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.of_x, self.of_h, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.size(0), 4)
        rows = torch.jit.annotate(list[Tensor], [])
        for t in range(x.size(1)):
            h = torch.clamp(torch.tanh(self.of_x(x[:, t]) + self.of_h(h)), -0.5, 0.5)
            rows.append(self.head(h))
        return torch.stack(rows, 1)
