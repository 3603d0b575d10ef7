# SPDX-License-Identifier: Apache-2.0
"""Small torch modules made of a function and its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import grucore
from oracle.oracles import oracle

torch = oracle("torch")
nn = torch.nn

BOUND = 2e-6


def made(forward: Callable[..., Any], **parts: Any) -> Any:
    """A module of these parts whose forward is the function."""

    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, *inputs: torch.Tensor) -> Any:
            return forward(self, *inputs)

    return Made().eval()


def gru(**options: Any) -> Any:
    torch.manual_seed(3)
    return nn.GRU(3, 4, **{"batch_first": True, **options})


X = torch.linspace(-2, 2, 2 * 9 * 3).sin().reshape(2, 9, 3) * 3


def model(module: Any, *inputs: torch.Tensor) -> grucore.Model:
    return grucore.from_torch(module, example_inputs=inputs or (X,))


def close(ours: np.ndarray, theirs: torch.Tensor) -> bool:
    return bool(np.abs(ours - theirs.detach().numpy()).max() < BOUND)


def source(found: grucore.Model) -> Any:
    return found.metadata["source"]
