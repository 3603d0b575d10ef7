# SPDX-License-Identifier: Apache-2.0
"""Makes the checkpoints in this folder, and what torch computes with them: run it with torch 2.13.

    python tests/golden/make_torch.py

``expected.npz`` holds, for each checkpoint, ``<name>.x`` (T, features) and ``<name>.y``.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

FOLDER = Path(__file__).parent / "torch"
FRAMES = 12


class Net(nn.Module):
    """An encoder, the last frame, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0][:, -1])


def run(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """The module's output for one sequence, in its own precision or float32 if that is less."""
    module = copy.deepcopy(module)
    if next(module.parameters()).dtype in (torch.float16, torch.bfloat16):
        module = module.float()
    with torch.no_grad():
        y = module(x.to(next(module.parameters()).dtype)[None])
    return (y[0] if isinstance(y, tuple) else y)[0].numpy()


def gru(**options: Any) -> nn.GRU:
    """A small layer, and always the same weights."""
    torch.manual_seed(5)
    return nn.GRU(3, 4, batch_first=True, **options)


def net() -> Net:
    """A small model, and always the same weights."""
    torch.manual_seed(6)
    return Net()


def weight_normed(*, legacy: bool) -> nn.GRU:
    """One weight in parts."""
    module = gru()
    norm = torch.nn.utils.weight_norm if legacy else parametrizations.weight_norm
    norm(module, "weight_hh_l0")
    return module


def pruned() -> nn.GRU:
    """One weight with a mask."""
    module = gru()
    prune.random_unstructured(module, "weight_ih_l0", 0.5)
    return module


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(7)
    x = torch.randn(FRAMES, 3) * 2
    expected: dict[str, np.ndarray] = {}

    def keep(name: str, content: Any, module: nn.Module | None, **options: Any) -> None:
        torch.save(content, FOLDER / f"{name}.pt", **options)
        if module is not None:
            expected[f"{name}.x"], expected[f"{name}.y"] = x.numpy(), run(module, x)

    module = gru()
    keep("gru", module.state_dict(), module)
    keep("legacy", module.state_dict(), module, _use_new_zipfile_serialization=False)
    deep = gru(num_layers=2, bidirectional=True, bias=False)
    keep("deep", deep.state_dict(), deep)
    keep("half", gru().half().state_dict(), gru().half())
    keep("bfloat16", gru().bfloat16().state_dict(), gru().bfloat16())
    keep("double", gru(dtype=torch.float64).state_dict(), gru(dtype=torch.float64))
    turned = {name: tensor.t().contiguous().t() for name, tensor in module.state_dict().items()}
    keep("transposed", turned, module)
    block = torch.cat([tensor.flatten() for tensor in module.state_dict().values()])
    pieces = block.split([tensor.numel() for tensor in module.state_dict().values()])
    shared = {
        name: piece.view(tensor.shape)
        for piece, (name, tensor) in zip(pieces, module.state_dict().items(), strict=True)
    }
    keep("shared_storage", shared, module)
    for name, legacy in (("weight_norm", False), ("weight_norm_legacy", True)):
        normed = weight_normed(legacy=legacy)
        keep(name, normed.state_dict(), None)
        expected[f"{name}.x"], expected[f"{name}.y"] = x.numpy(), run(gru(), x)
    masked = pruned()
    keep("pruned", masked.state_dict(), None)
    with torch.no_grad():
        expected["pruned.x"], expected["pruned.y"] = x.numpy(), masked(x[None])[0][0].numpy()

    model = net()
    keep("net", model.state_dict(), model)
    wrapped = {f"module._orig_mod.{name}": t for name, t in model.state_dict().items()}
    keep("wrapped", wrapped, model)
    lightning = {
        "epoch": 3,
        "state_dict": {f"model.{name}": t for name, t in model.state_dict().items()},
        "optimizer_states": [torch.optim.Adam(model.parameters()).state_dict()],
        "hyper_parameters": {"path": Path("weights"), "sizes": (1, 2)},
    }
    keep("lightning", lightning, model)

    keep("lstm", nn.LSTM(3, 4).state_dict(), None)
    keep("rnn", nn.RNN(3, 4).state_dict(), None)
    keep("whole_module", module, None)
    keep("two_models", {"model": module.state_dict(), "ema": module.state_dict()}, None)
    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
