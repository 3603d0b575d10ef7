# SPDX-License-Identifier: Apache-2.0
"""PyTorch: GRUCell, nn.GRU, and nn.GRU after quantize_dynamic (int8 weights, float state)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer

__all__ = ["TorchCell", "TorchGRU", "TorchInt8"]


def _torch() -> Any:
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.inference_mode(True).__enter__()  # for the process: it times nothing else
    return torch


class TorchCell(Peer):
    """One cell for each layer: the documented way to step in torch."""

    name = "torch GRUCell"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.torch = torch = _torch()
        self.cells = []
        for layer in range(workload.layers):
            size = workload.hidden_size if layer else workload.input_size
            cell = torch.nn.GRUCell(size, workload.hidden_size).eval()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(cell, name).copy_(torch.from_numpy(weights[f"{name}_l{layer}"]))
            self.cells.append(cell)
        self.size = workload.hidden_size
        self.reset()

    def frames(self, x: Array) -> list[Any]:
        return [self.torch.from_numpy(frame.copy()) for frame in x]

    def reset(self) -> None:
        self.state = [self.torch.zeros(1, self.size) for _ in self.cells]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[-1][0])

    def steps(self, frames: Sequence[Any]) -> None:
        cells, state = self.cells, self.state
        for frame in frames:
            for layer, cell in enumerate(cells):
                frame = state[layer] = cell(frame, state[layer])


class TorchGRU(Peer):
    """`torch.nn.GRU`."""

    name = "torch GRU"
    forms = "SQBL"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.torch = torch = _torch()
        module = torch.nn.GRU(workload.input_size, workload.hidden_size, workload.layers).eval()
        for name, values in weights.items():
            getattr(module, name).copy_(torch.from_numpy(values))
        self.module = self.changed(module)
        self.state_shape = (workload.layers, 1, workload.hidden_size)
        self.reset()

    def changed(self, module: Any) -> Any:
        """The module that is run."""
        return module

    def frames(self, x: Array) -> list[Any]:
        return [self.torch.from_numpy(frame[None].copy()) for frame in x]

    def reset(self) -> None:
        self.state = self.torch.zeros(self.state_shape)

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array(self.state[-1, 0])

    def steps(self, frames: Sequence[Any]) -> None:
        module, state = self.module, self.state
        for frame in frames:
            _, state = module(frame, state)
        self.state = state

    def sequence(self, x: Array) -> Any:
        return self.torch.from_numpy(x.copy())

    def run(self, x: Any) -> Any:
        return self.module(x)[0]


class TorchInt8(TorchGRU):
    """The same after quantize_dynamic."""

    name = "torch int8"
    weights = "int8"

    def changed(self, module: Any) -> Any:
        from torch.ao.quantization import quantize_dynamic

        torch = self.torch
        with warnings.catch_warnings(), torch.inference_mode(False):
            warnings.simplefilter("ignore")
            whole = torch.nn.Sequential(module)
            return quantize_dynamic(whole, {torch.nn.GRU}, dtype=torch.qint8)[0]
