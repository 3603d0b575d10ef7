# SPDX-License-Identifier: Apache-2.0
"""Training of a classifier of texts: any module that takes numbers and lengths."""

from __future__ import annotations

import time
from typing import Any

import data
import numpy as np
import torch

BATCH = 64
RATE = 4e-3


def loss_of(net: torch.nn.Module, made: list[str], labels: np.ndarray, alphabet: str) -> Any:
    """Cross entropy and accuracy of a batch."""
    ids, lengths = data.batch(made, alphabet)
    scores = net(torch.from_numpy(ids), torch.from_numpy(lengths))
    target = torch.from_numpy(labels)
    right = (scores.argmax(1) == target).float().mean()
    return torch.nn.functional.cross_entropy(scores, target), right


def measured(
    net: torch.nn.Module, names: dict[str, list[str]], alphabet: str, count: int = 3000
) -> tuple[float, float]:
    """Cross entropy and accuracy on texts that are the same for every network."""
    made, labels = data.texts(names, count, np.random.default_rng(99))
    net.eval()
    with torch.no_grad():
        loss, right = loss_of(net, made, labels, alphabet)
    return float(loss), float(right)


def fit(
    net: torch.nn.Module,
    names: dict[str, dict[str, list[str]]],
    alphabet: str,
    *,
    steps: int,
    seed: int,
    every: int = 100,
) -> list[dict[str, float]]:
    """Train, and return the curve: a point each `every` steps."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    curve, began = [], time.perf_counter()
    for step in range(1, steps + 1):
        net.train()
        made, labels = data.texts(names["train"], BATCH, rng)
        order = rng.permutation(BATCH)
        loss, _ = loss_of(net, [made[i] for i in order], labels[order], alphabet)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % every == 0 or step == steps:
            held_out, right = measured(net, names["validation"], alphabet, 1200)
            seconds = time.perf_counter() - began
            curve.append(
                {"step": step, "train": loss.item(), "validation": held_out, "right": right}
            )
            print(f"step {step:5}: {loss.item():.3f}, {held_out:.3f}, {right:.1%}, {seconds:.0f} s")
    return curve
