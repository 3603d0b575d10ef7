# SPDX-License-Identifier: Apache-2.0
"""Modules of one frame a call whose state is not a cell's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oracle.oracles import oracle

__all__ = ["COLUMN", "ROW", "STEPS", "made", "normalized", "zeros"]

torch = oracle("torch")
nn = torch.nn


class Step(nn.Module):  # type: ignore[misc, name-defined]
    """Layers for all of the steps below, and one of these as its forward."""

    def __init__(self, step: Callable[..., Any]) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.a, self.b = nn.GRUCell(3, 8), nn.GRUCell(8, 8)
        self.lstm, self.gru = nn.LSTM(3, 8, 2), nn.GRU(3, 8, 2, batch_first=True)
        self.w, self.u = nn.Linear(3, 24), nn.Linear(8, 24)
        self.n1, self.n2, self.norm = nn.LayerNorm(24), nn.LayerNorm(24), nn.LayerNorm(8)
        self.out, self.p = nn.Linear(8, 2), nn.Linear(8, 8)
        self.conv = nn.Conv1d(3, 8, 3, dilation=2)
        self.deep = nn.Conv1d(4, 6, 2, groups=2)
        self.step = step


def made(step: Callable[..., Any], forward: Callable[..., Any]) -> Any:
    kind = type("Step", (Step,), {"forward": forward})
    return kind(step).eval()


def clamped(s: Any, x: Any, h1: Any, h2: Any) -> Any:
    h1 = s.a(x, h1).clamp(-0.1, 0.1)
    h2 = s.b(h1, h2)
    return s.out(h2), h1, h2


def exchanged(s: Any, x: Any, h1: Any, h2: Any) -> Any:
    h1 = s.a(x, h1)
    h2 = s.b(h1, h2)
    return s.out(h2), h2, h1


def normalized(s: Any, x: Any, hidden: Any) -> Any:
    hidden = s.norm(s.a(x, hidden))
    return s.out(hidden), hidden


def layer_norm_gru(s: Any, x: Any, h: Any) -> Any:
    a, b = s.n1(s.w(x)).chunk(3, -1), s.n2(s.u(h)).chunk(3, -1)
    r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
    h = (1 - z) * torch.tanh(a[2] + r * b[2]) + z * h
    return s.out(h), h


def minimal_gru(s: Any, x: Any, state: Any) -> Any:
    z, n, _ = s.w(x).chunk(3, -1)
    state = torch.sigmoid(z) * state + torch.sigmoid(-z) * n
    return s.out(state), state


def light_gru(s: Any, x: Any, hx: Any) -> Any:
    a, b = s.n1(s.w(x)).chunk(3, -1), s.u(hx).chunk(3, -1)
    z = torch.sigmoid(a[0] + b[0])
    hx = z * hx + (1 - z) * torch.relu(a[1] + b[1])
    return s.out(hx), hx


def layers_clamped(s: Any, x: Any, h: Any) -> Any:
    y, h = s.gru(x, h)
    return s.out(y), h.clamp(max=0.2)


def decaying_cells(s: Any, x: Any, states: Any) -> Any:
    y, (h, c) = s.lstm(x, states)
    return s.out(y), (h, 0.5 * c)


def cached(s: Any, x: Any, cache: Any, h: Any) -> Any:
    heard = torch.cat([cache, x], 2)
    h = s.b(torch.relu(s.conv(heard))[:, :, 0], h)
    return h, heard[:, :, 1:], h


def average(s: Any, x: Any, prev: Any) -> Any:
    y = 0.9 * prev + 0.1 * x
    return y, y


def state_first(s: Any, h: Any, x: Any) -> Any:
    h = torch.tanh(s.p(h) + s.w(x)[:, :8]).abs()
    return h, s.out(h)


def state_alone(s: Any, x: Any, h: Any) -> Any:
    return torch.tanh(s.p(h) + s.w(x)[:, :8]).abs()


ROW, COLUMN, LAYERS = (1, 3), (1, 8), (2, 1, 8)
# The step, the shapes of its arguments, the place of x, the states that stay a layer's own.
STEPS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int, list[str]]] = {
    "clamped": (clamped, (ROW, COLUMN, COLUMN), 0, ["b.l0.h"]),
    "exchanged": (exchanged, (ROW, COLUMN, COLUMN), 0, []),
    "normalized": (normalized, (ROW, COLUMN), 0, []),
    "layer_norm_gru": (layer_norm_gru, (ROW, COLUMN), 0, []),
    "minimal_gru": (minimal_gru, (ROW, COLUMN), 0, []),
    "light_gru": (light_gru, (ROW, COLUMN), 0, []),
    "layers_clamped": (layers_clamped, ((1, 1, 3), LAYERS), 0, []),
    "decaying_cells": (decaying_cells, ((1, 1, 3), (LAYERS, LAYERS)), 0, []),
    "cached": (cached, ((1, 3, 1), (1, 3, 4), COLUMN), 0, ["b.l0.h"]),
    "average": (average, (ROW, ROW), 0, []),
    "state_first": (state_first, (COLUMN, ROW), 1, []),
    "state_alone": (state_alone, (ROW, COLUMN), 0, []),
}


def zeros(shape: Any) -> Any:
    if isinstance(shape[0], tuple):
        return tuple(zeros(each) for each in shape)
    return torch.zeros(shape)
