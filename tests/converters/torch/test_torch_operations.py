# SPDX-License-Identifier: Apache-2.0
"""Operations one by one, after a GRU and as torch writes them: against torch, live and saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from models.readers import program_in
from models.torch_wholes import exported
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn
functional = nn.functional

BOUND = 1e-5
SIZE = 6
X = torch.linspace(-3, 3, 2 * 9 * SIZE).cos().reshape(2, 9, SIZE) * 3
C = torch.linspace(-2, 2, SIZE)
W = torch.outer(C, C.roll(1))

# Functions of y, (2, 9, 6); the results are (2, 9, features) again.
FRAMES: dict[str, Callable[[Any], Any]] = {
    **{
        name: getattr(torch, name)
        for name in ("relu", "sigmoid", "tanh", "exp", "abs", "neg", "square", "selu", "celu")
    },
    **{
        name: getattr(functional, name)
        for name in ("silu", "relu6", "hardswish", "hardsigmoid", "softplus", "softsign")
    },
    **{name: getattr(functional, name) for name in ("logsigmoid", "elu", "leaky_relu", "gelu")},
    "gelu tanh": lambda y: functional.gelu(y, approximate="tanh"),
    "hardtanh": lambda y: functional.hardtanh(y, -0.3, 0.2),
    "mish": functional.mish,
    "celu with alpha": lambda y: functional.celu(y, alpha=0.5),
    "softplus with beta": lambda y: functional.softplus(y, beta=3),
    "threshold": lambda y: functional.threshold(y, 0.1, 0.1),
    "threshold at 0": lambda y: functional.threshold(y, 0.0, 0.0),
    "clip": lambda y: y.clip(-0.1, 0.3),
    "clamp": lambda y: y.clamp(-0.1, 0.3),
    "clamp below": lambda y: y.clamp(min=-0.1),
    "clamp above": lambda y: y.clamp(max=0.1),
    "add constant": lambda y: y + C,
    "constant minus": lambda y: C - y,
    "constant at each batch": lambda y: y * C.expand(2, 1, SIZE),
    "scalars": lambda y: (2 * y + 1) / 3 - 0.5,
    "add with alpha": lambda y: torch.add(y, y.tanh(), alpha=0.5),
    "subtract": lambda y: y.tanh() - y,
    "power": lambda y: y**2,
    "broadcast a feature": lambda y: y * y[..., :1],
    "broadcast a constant": lambda y: y[..., 2:3] * C,
    "softmax": lambda y: y.softmax(-1),
    "log_softmax": lambda y: functional.log_softmax(y, 2),
    "glu": functional.glu,
    "mean of features": lambda y: y.mean(-1, keepdim=True) + y.mean(2).unsqueeze(-1),
    "layer norm": lambda y: functional.layer_norm(y, (SIZE,)),
    "layer norm of two": lambda y: functional.layer_norm(
        y.unflatten(-1, (2, 3)), (2, 3), C.reshape(2, 3)
    ).flatten(2),
    "vector": lambda y: (y @ C).unsqueeze(-1),
    "matmul": lambda y: y @ W[:, :3],
    "product of slices": lambda y: (y.view(2, -1, 2, 3) @ W[:3]).flatten(2),
    "slices": lambda y: torch.cat([y[..., 1::2], y[..., :-3]], -1),
    "roll": lambda y: y.roll(2, -1),
    "roll of pairs": lambda y: y.view(2, -1, 2, 3).roll((1, -1), (2, 3)).flatten(2),
    "more features": lambda y: functional.pad(y, (1, 2)),
    "fewer and more features": lambda y: functional.pad(y, (-2, 1), value=0.5),
    "beside ones": lambda y: torch.cat([y.new_ones(2, y.shape[1], 2), y], -1),
    "beside a constant": lambda y: torch.cat([y, C.expand(2, y.shape[1], SIZE)], -1),
    "split": lambda y: torch.cat(y.split([1, 2, 3], -1)[::-1], -1),
    "unbind": lambda y: torch.stack(y.unbind(-1)[::2], -1),
    "chunk": lambda y: torch.cat(y.chunk(4, 2), -1),
    "narrow": lambda y: y.narrow(-1, 1, 3),
    "index_select": lambda y: y.index_select(-1, torch.tensor([5, 0, 0, 2])),
    "flip": lambda y: y.flip(-1),
    "flip over time": lambda y: y.flip(1) * 2,
    "permuted features": lambda y: y.view(2, -1, 2, 3).permute(0, 1, 3, 2).reshape(2, -1, 6),
    "movedim": lambda y: y.movedim(2, 0).movedim(0, -1),
    "transposes": lambda y: y.transpose(0, 1).mT.mT.transpose(1, 0),
    "merged with time": lambda y: y.reshape(-1, 6).tanh().reshape(y.shape),
    "expand": lambda y: y[..., None].expand(-1, -1, -1, 2).flatten(2),
    "squeeze": lambda y: y.unsqueeze(1).squeeze(1).unsqueeze(-1).squeeze(-1),
    "pad for a convolution": lambda y: functional.conv1d(
        functional.pad(y.transpose(1, 2), (2, 0)),
        W[..., None].repeat(1, 1, 3),
    ).transpose(1, 2),
    "zeros in front": lambda y: functional.conv1d(
        torch.cat([y.new_zeros(2, 6, 1), y.transpose(1, 2)], -1), torch.ones(6, 1, 2), groups=6
    ).transpose(1, 2),
    "same": lambda y: functional.conv1d(
        y.transpose(1, 2), W[..., None].repeat(1, 1, 4), padding="same"
    ).transpose(1, 2),
    "sum of features": lambda y: y.sum(-1, keepdim=True) + y,
    "greatest feature": lambda y: y.amax(-1, keepdim=True) - y.min(-1, keepdim=True).values,
    "sum of directions": lambda y: y.view(2, -1, 2, 3).sum(2),
    "mean of pairs": lambda y: y.view(2, -1, 3, 2).mean(3),
    "greater of two": lambda y: torch.minimum(torch.maximum(y, y * 2), y.exp()),
    "einsum": lambda y: torch.einsum("bti,oi->bto", y, W[:4]),
    "einsum of groups": lambda y: torch.einsum(
        "btgi,gih->btgh", y.view(2, -1, 2, 3), W.view(2, 3, 6)
    ).flatten(2),
    "mean of windows": lambda y: functional.avg_pool1d(y.transpose(1, 2), 3, 1).transpose(1, 2),
    "greatest of windows": lambda y: functional.max_pool1d(y.transpose(1, 2), 2).transpose(1, 2),
    "softmax of groups": lambda y: y.view(2, -1, 2, 3).softmax(-1).flatten(2),
    "softmax of columns": lambda y: y.view(2, -1, 2, 3).log_softmax(2).flatten(2),
    "softshrink": lambda y: functional.softshrink(y, 0.1),
    "lerp": lambda y: torch.lerp(y, y.tanh() + 1, 0.3),
    "lerp by a value": lambda y: torch.lerp(y, C, y.sigmoid()),
    "addcmul": lambda y: torch.addcmul(y, y.tanh(), C, value=0.5),
    "a frame later": lambda y: functional.pad(y, (0, 0, 1, 0))[:, :-1],
    "a frame later by one pad": lambda y: functional.pad(y, (0, 0, 1, -1)),
    "without an end by a pad": lambda y: functional.pad(y, (0, 0, 0, -1)),
    "two frames later": lambda y: torch.cat([y.new_zeros(2, 2, SIZE), y[:, :-2]], 1),
    "after a constant": lambda y: torch.cat([C.expand(2, 1, SIZE), y[:, :-1]], 1),
    "after constants": lambda y: torch.cat([W[:, :2].expand(2, 6, 2), y.mT[..., :-2]], -1).mT,
    "differences": lambda y: y - functional.pad(y, (0, 0, 1, 0))[:, :-1],
    "of constants": lambda y: y * (C.exp() + C.tanh() + functional.softplus(C)) / C.abs().max(),
    "a triangle": lambda y: y @ W.tril() + torch.mv(W, C) * C.dot(C),
    "prelu": lambda y: functional.prelu(y.transpose(1, 2), C).transpose(1, 2),
    "batch norm": lambda y: functional.batch_norm(
        y.transpose(1, 2), C, C.abs() + 0.1, C, C
    ).transpose(1, 2),
}
# Functions of y again; the results are (2, features).
WHOLE: dict[str, Callable[[Any], Any]] = {
    "last": lambda y: y[:, -1],
    "first": lambda y: y[:, 0],
    "last kept": lambda y: y[:, -1:].flatten(1),
    "mean": lambda y: y.mean(1),
    "mean kept": lambda y: y.mean(dim=1, keepdim=True).squeeze(1),
    "amax": lambda y: y.amax(1),
    "max": lambda y: y.max(1)[0],
    "adaptive mean": lambda y: functional.adaptive_avg_pool1d(y.transpose(1, 2), 1).flatten(1),
    "adaptive max": lambda y: functional.adaptive_max_pool1d(y.transpose(1, 2), 1).squeeze(-1),
    "first and last": lambda y: torch.cat([y[:, 0], y[:, -1]], -1),
    "ends added": lambda y: y[:, -1] + y[:, 0],
    "mean of the ends": lambda y: torch.stack([y[:, 0], y[:, -1]], 1).mean(1),
    "mean of everything": lambda y: y.mean((1, 2), keepdim=True).flatten(1),
    "last beside a constant": lambda y: torch.cat([y[:, -1], C.expand(2, SIZE)], -1),
    "all of them": lambda y: torch.cat([y.mean(1), y.amax(1), y[:, -1]], -1).tanh(),
}


class After(nn.Module):
    """The function of a GRU's output."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.gru = nn.GRU(SIZE, SIZE, batch_first=True)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self.gru(x)[0])


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("name", [*FRAMES, *WHOLE])
def test_operation(name: str) -> None:
    module = After({**FRAMES, **WHOLE}[name]).eval()
    expected = module(X).detach().numpy()
    scale = max(1.0, np.abs(expected).max())
    saved = program_in(exported(module, X)).data
    for model in (grucore.from_torch(module, example_inputs=X), grucore.load(saved)):
        assert np.abs(model.run(X.numpy()) - expected).max() < BOUND * scale
