# SPDX-License-Identifier: Apache-2.0
"""Roots, powers, logarithms, quotients and norms of values in a module, against the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
F = torch.nn.functional


class Net(torch.nn.Module):
    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gru = torch.nn.GRU(5, 6, batch_first=True)
        self.rms = torch.nn.RMSNorm(6)
        self.rms.weight.data.uniform_(0.5, 1.5)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


def sequence(net: Any, x: Any) -> Any:
    return net.gru(x)[0]


def _share(y: Any) -> Any:
    return y.exp() / y.exp().sum(-1, keepdim=True)


KNOWN: dict[str, Callable[[Any, Any], Any]] = {
    "root": lambda net, x: sequence(net, x).abs().sqrt(),
    "logarithms": lambda net, x: torch.log1p(x.abs()) + torch.log2(1 + x * x),
    "quotient by a sum": lambda net, x: sequence(net, x / (1 + x.abs().sum(-1, keepdim=True))),
    "of length 1": lambda net, x: F.normalize(sequence(net, x), dim=-1),
    "of sum 1": lambda net, x: F.normalize(sequence(net, x), p=1, dim=-1),
    "by a norm": lambda net, x: sequence(net, x) / (x.norm(dim=-1, keepdim=True) + 0.01),
    "standardized": lambda net, x: sequence(
        net, (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-3).sqrt()
    ),
    "by a deviation": lambda net, x: sequence(net, x / (x.std(-1, keepdim=True) + 0.1)),
    "RMSNorm": lambda net, x: net.rms(sequence(net, x)),
    "sigmoid by hand": lambda net, x: 1 / (1 + torch.exp(-sequence(net, x))),
    "softmax by hand": lambda net, x: _share(sequence(net, x)),
    "cube": lambda net, x: sequence(net, x) ** 3,
    "power of 1.5": lambda net, x: sequence(net, x).abs() ** 1.5,
    "quotient of any sign": lambda net, x: x / (sequence(net, x * 2)[..., :5] * 4 - 5),
    "power of -3": lambda net, x: (sequence(net, x) - 3) ** -3,
    "power of -2": lambda net, x: (1 + sequence(net, x) ** 2) ** -2,
    "features in another order": lambda net, x: sequence(net, x[:, :, [1, 0, 2, 4, 3]]),
    "tanh of a quotient by 0": lambda net, x: sequence(net, torch.tanh(1 / x.relu())),
    "mean and variance": lambda net, x: torch.cat(
        torch.var_mean(sequence(net, x), -1, keepdim=True), -1
    ),
    "logarithm of a sum": lambda net, x: torch.logsumexp(sequence(net, x), -1, keepdim=True),
    "least of time": lambda net, x: sequence(net, x).amin(1),
    "error function": lambda net, x: torch.erf(sequence(net, x) * 3),
    "gelu by hand": lambda net, x: (
        sequence(net, x) * 0.5 * (1 + torch.erf(sequence(net, x) / 2**0.5))
    ),
    "sign": lambda net, x: sequence(net, x.sign() * x.abs().log1p()),
    "two values compared": lambda net, x: torch.where(x > x.roll(1, -1), x, -x),
    "cosine": lambda net, x: F.cosine_similarity(sequence(net, x)[..., :5], x, dim=-1)[..., None],
    "cosines to constants": lambda net, x: F.cosine_similarity(
        sequence(net, x)[:, :, None], net.gru.weight_hh_l0[:3], dim=-1
    ),
    "instance norm": lambda net, x: F.instance_norm(x.transpose(1, 2), eps=0.1).transpose(1, 2),
    "group norm over time": lambda net, x: F.group_norm(
        sequence(net, x).transpose(1, 2), 2, net.rms.weight, net.rms.weight - 1
    ).transpose(1, 2),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_a_power_of_a_value(kind: str) -> None:
    net = Net(KNOWN[kind]).eval()
    model = grucore.from_torch(net, example_inputs=(torch.randn(4, 9, 5),))
    for frames in (2, 7, 200) if "norm" in kind else (1, 7, 200):
        x = torch.randn(2, frames, 5)
        with torch.no_grad():
            wanted = net(x).numpy()
        assert np.abs(model.run(x.numpy()) - wanted).max() < 3e-6 * np.abs(wanted).max()


def test_gelu_by_hand_is_one_layer() -> None:
    net = Net(lambda net, x: net.gru(x * 0.5 * (1 + torch.erf(x / 2**0.5)))[0]).eval()
    model = grucore.from_torch(net, example_inputs=(torch.randn(4, 9, 5),))
    assert [layer.kind for layer in model.layers] == ["activation", "gru"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda net, x: x.norm(dim=1), "expected features"),
        (lambda net, x: x.norm(p=3, dim=-1), "a norm of order 3"),
    ],
)
def test_what_cannot_be_a_power(function: Callable[[Any, Any], Any], message: str) -> None:
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.from_torch(Net(function).eval(), example_inputs=(torch.randn(4, 9, 5),))
