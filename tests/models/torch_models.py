# SPDX-License-Identifier: Apache-2.0
"""Small torch modules for the tests of conversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.oracles import oracle

torch = oracle("torch")
nn = torch.nn


class Net(nn.Module):
    """An encoder and a head for each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0])


def net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net().eval()


def gru(**options: Any) -> nn.GRU:
    torch.manual_seed(1)
    return nn.GRU(3, 4, batch_first=True, **options)


def run(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        y = module(torch.from_numpy(x))
    return (y[0] if isinstance(y, tuple) else y).numpy()


def quantized() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(gru()), {nn.GRU})[0]
