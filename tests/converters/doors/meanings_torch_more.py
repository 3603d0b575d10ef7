# SPDX-License-Identifier: Apache-2.0
"""Modules of PyTorch that say the same in other words: axes, orders, slices, sums and places."""

from __future__ import annotations

from collections.abc import Callable

from converters.doors.meanings import Rule, rules
from converters.doors.meanings_judge import Argument
from converters.doors.meanings_routes import ALL, Program, prepare
from converters.doors.meanings_rules import RULES as COMMON

__all__ = ["PROGRAMS", "ROUTES", "RULES", "prepared"]

X = (Argument("x", 5),)
ROUTES = ALL
RULES: tuple[Rule, ...] = (
    *rules(r"""
, batch_first=True
    (nothing)
\.transpose\(0, 1\)
    .transpose(1, 0) | .transpose(1, 2) | .transpose(0, -2) | .permute(1, 0, 2) | .movedim(0, 1)
    .permute(1, 2, 0) | .swapaxes(0, 1) | (nothing) | .flip(0).transpose(0, 1)
    .transpose(0, 1).contiguous() | .reshape(y.shape[1], y.shape[0], -1)
\.transpose\(1, 2\)
    .mT | .permute(0, 2, 1) | .transpose(-1, -2) | .swapdims(2, 1) | .transpose(0, 2)
    .movedim(1, 2) | .flip(1).transpose(1, 2) | .transpose(1, 2).flip(1) | .transpose(2, 1).clone()
\.flip\(1\)
    .flip(0) | .flip(2) | .flip(-2) | .roll(1, 1) | (nothing) | .flip(1).flip(1) | .flip((1, 2))
    .fliplr() | [:, torch.arange(x.shape[1] - 1, -1, -1)] | .roll(-1, 1) | .flipud()
\bself\.(\w+)\((\w)\)
    self.\1(\2.detach()) | self.\1(\2.clone()) | self.\1(1.0 * \2) | self.\1(\2 + 0)
    self.\1(\2.contiguous()) | self.\1(\2.view_as(\2)) | self.\1(F.dropout(\2, 0.5, self.training))
    self.\1(\2.to(torch.float32)) | self.\1(\2[:]) | self.\1(torch.nan_to_num(\2))
    self.\1(F.dropout(\2, 0.5)) | self.\1(\2 * (1 + 1e-3)) | self.\1(\2.double().float())
    self.\1(\2.round(decimals=2)) | self.\1(\2.half().float()) | self.\1(\2.mul(2).div(2))
torch\.einsum\('btf,gf->btg'
    torch.einsum('...f,gf->...g' | torch.einsum('btf,gf->bgt' | torch.einsum('btf,gf->tbg'
    torch.einsum('xyf,gf->xyg' | torch.einsum('btf,gf->bg' | torch.einsum('btf,bf->btf'
    torch.einsum('b t f, g f -> b t g' | torch.einsum('btf,fg->btg' | torch.einsum('tbf,gf->tbg'
    torch.einsum('btf,gf->bt' | torch.einsum('btf,gf->tg' | torch.einsum('btf,ff->btf'
dim=1\)
    dim=2) | dim=0) | dim=-2) | dim=-1)
\(a \* y\)\.sum\(1\)
    (a * y).sum(2) | (a * y).mean(1) | (a * y).amax(1) | (a * y).cumsum(1)[:, -1]
    torch.bmm(a.transpose(1, 2), y).squeeze(1) | torch.einsum('btk,btf->bf', a, y)
    (a * y).sum(1, keepdim=True) | (a * y).sum(0) | (a * y.flip(1)).sum(1)
    (a * x[:, :, :1]).sum(1) | (a.mT @ y)[:, 0] | (a * y).sum(-2)
F\.pad\(x, \(0, 0, 1, 0\)\)\[:, :-1\]
    F.pad(x, (0, 0, 2, 0))[:, :-2] | F.pad(x, (0, 0, 0, 1))[:, 1:] | F.pad(x, (1, 0))[:, :, :-1]
    x.roll(1, 1) | torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1) | F.pad(x, (0, 0, 1, -1))
    torch.cat((x[:, :1], x[:, :-1]), 1) | F.pad(x[:, :-1], (0, 0, 1, 0)) | x.roll(-1, 1)
    torch.cat((x[:, 1:], x[:, -1:]), 1) | F.pad(x[:, :-1], (0, 0, 1, 0), value=1.0)
    torch.cat((torch.ones_like(x[:, :1]), x[:, :-1]), 1) | x - x.diff(dim=1, prepend=x[:, :1])
    F.pad(x.mT, (1, 0))[:, :, :-1].mT | F.pad(x, (0, 0, 0, 0, 1, 0))[:-1]
y \+= x
    y -= x | y *= x | y += x.flip(1) | y.add_(x, alpha=0.5) | y[:, 1:] += x[:, :-1] | y = y + x
    y[:, -1] += x[:, -1] | y[..., :2] += x[..., :2] | y.copy_(x) | y[:, ::2] += x[:, ::2]
    x += y | y /= 2 + x * x
y\[:, :, 0\] = 0
    y[:, :, -1] = 0 | y[:, 0] = 0 | y[:, :, 0] = y[:, :, 1] | y[:, :, 0] *= 2 | y[0] = 0
    y[:, :, 0].fill_(1) | y[:, -1, 0] = 0 | y[:, :, :2] = y[:, :, 2:4] | y.zero_()
    y[y > 0] = 0 | y.masked_fill_(y > 0.1, 0.1) | y.clamp_(0.1) | y.tanh_()
\.chunk\(2, -1\)
    .chunk(2, 1) | .split(4, -1) | .chunk(2, -1)[::-1] | .split((4, 4), 2) | .tensor_split(2, -1)
    .unflatten(-1, (2, 4)).unbind(-2) | .unflatten(-1, (4, 2)).unbind(-1) | .flip(-1).chunk(2, -1)
    .split((4, 4), 2)[::-1] | .view(*y.shape[:2], 4, 2).unbind(3) | .hsplit(2)
    .roll(1, -1).chunk(2, -1) | .chunk(2, 0)
self\.two\(y, h\)
    self.two(y, h.flip(0)) | self.two(y) | self.two(y, h[[1, 0]]) | self.two(y, 1.0 * h)
    self.two(y, h[-1:].expand(2, -1, -1).contiguous()) | self.two(y, torch.cat((h[:1], h[:1])))
    self.two(y, torch.tanh(h)) | self.two(y, 0.5 * h) | self.two(y, h.clamp(-0.1, 0.1))
    self.two(y, h.detach()) | self.two(y, y[:, -1].expand(2, -1, -1).contiguous())
    self.two(y, torch.stack((h[1], h[0]))) | self.two(y, torch.stack((h[0], h[1])))
    self.two(y.flip(1), h) | self.two(y, h.roll(1, 0)) | self.two(y, h.clone())
    self.two(y, h.mean(0, True).repeat(2, 1, 1))
    self.two(y, h.flip(2)) | self.two(y, torch.zeros_like(h)) | self.two(y, h.flip(1))
\bh\[-1\], c\[-1\]
    c[-1], h[-1] | h[-1], h[-1] | c[-1], c[-1] | h[0], c[0] | y[:, -1], c[-1] | h[-2], c[-1]
    y[:, -1], h[-1] | y[:, 0], h[-1] | h[-1], h[0] | h.sum(0), h[-1] | y[:, -1], y[:, -1]
groups=4
    groups=1 | groups=2 | groups=8 | groups=4, bias=False | groups=4, padding_mode='circular'
    groups=4, dilation=2 | groups=4, stride=2 | groups=4, padding_mode='reflect'
\(2, 0\)\)
    (0, 2)) | (1, 1)) | (2, 0), mode='replicate') | (2, 0), value=0.5) | (1, 0)) | (3, 0))
    (2, -1)) | (2, 0), mode='reflect') | (2, 0, 0, 0))
"""),
    *COMMON,
)

_PROGRAMS = {
    "time first": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, h = self.gru(x.transpose(0, 1))
            return self.fc(y).transpose(0, 1)
        """,
        X,
    ),
    "turned": Program(
        """
        def __init__(self):
            super().__init__()
            self.one = nn.GRU(5, 6, batch_first=True)
            self.two = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(12, 3)
        def forward(self, x):
            y, _ = self.one(x)
            z, _ = self.two(x.flip(1))
            return self.fc(torch.cat((y, z.flip(1)), -1))
        """,
        X,
    ),
    "exchanged": Program(
        """
        def __init__(self):
            super().__init__()
            self.one = nn.GRU(5, 6, num_layers=2, batch_first=True)
            self.two = nn.GRU(6, 6, num_layers=2, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, h = self.one(x)
            z, _ = self.two(y, h)
            return self.fc(z)
        """,
        X,
    ),
    "cells": Program(
        """
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 6, num_layers=2, batch_first=True)
            self.fc = nn.Linear(12, 3)
        def forward(self, x):
            y, (h, c) = self.lstm(x)
            return self.fc(torch.cat((h[-1], c[-1]), 1))
        """,
        X,
    ),
    "attended": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.key = nn.Linear(6, 4)
            self.score = nn.Linear(4, 1)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, _ = self.gru(x)
            a = F.softmax(self.score(torch.tanh(self.key(y))), dim=1)
            return self.fc((a * y).sum(1))
        """,
        X,
    ),
    "summed": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.weight = nn.Parameter(torch.rand(6, 6))
            self.bias = nn.Parameter(torch.rand(6))
        def forward(self, x):
            y, _ = self.gru(x)
            return torch.einsum('btf,gf->btg', y, self.weight) + self.bias
        """,
        X,
    ),
    "before": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(10, 5, batch_first=True)
            self.fc = nn.Linear(5, 5)
        def forward(self, x):
            p = F.pad(x, (0, 0, 1, 0))[:, :-1]
            y, _ = self.gru(torch.cat((x, p), -1))
            return p + self.fc(y)
        """,
        X,
    ),
    "in place": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 5)
        def forward(self, x):
            y, _ = self.gru(x)
            y = self.fc(y)
            y += x
            y[:, :, 0] = 0
            return torch.sigmoid(y)
        """,
        X,
    ),
    "halves": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 8)
        def forward(self, x):
            y, _ = self.gru(x)
            y = self.fc(y)
            a, b = y.chunk(2, -1)
            return a * torch.sigmoid(b)
        """,
        X,
    ),
    "apart": Program(
        """
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv1d(5, 8, 1)
            self.deep = nn.Conv1d(8, 8, 3, groups=4)
            self.norm = nn.GroupNorm(2, 8)
            self.rnn = nn.RNN(8, 6, batch_first=True)
        def forward(self, x):
            z = F.elu(self.wide(x.transpose(1, 2)))
            z = self.deep(F.pad(z, (2, 0))).transpose(1, 2)
            y, _ = self.rnn(z)
            return y
        """,
        X,
    ),
}
PROGRAMS = {name: each.text for name, each in _PROGRAMS.items()}


def prepared(name: str, text: str) -> Callable[[str], None]:
    return prepare(_PROGRAMS[name], text)
