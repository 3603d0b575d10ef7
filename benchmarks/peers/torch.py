# SPDX-License-Identifier: Apache-2.0
"""PyTorch: its cells, its layers, and both after quantize_dynamic (int8 weights, float state)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer

__all__ = ["TorchCell", "TorchCellInt8", "TorchGRU", "TorchInt8"]


def _torch() -> Any:
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.inference_mode(True).__enter__()  # for the process: it times nothing else
    return torch


def _quantized(torch: Any, layers: list[Any]) -> Any:
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings(), torch.inference_mode(False):
        warnings.simplefilter("ignore")
        return quantize_dynamic(torch.nn.Sequential(*layers), {type(layers[0])}, dtype=torch.qint8)


class TorchCell(Peer):
    """One cell for each layer: the documented way to step in torch."""

    name = "torch GRUCell"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.torch = torch = _torch()
        self.layers: list[Any] = []
        for layer in range(workload.layers):
            size = workload.hidden_size if layer else workload.input_size
            cell = getattr(torch.nn, f"{workload.cell.upper()}Cell")(
                size, workload.hidden_size
            ).eval()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(cell, name).copy_(torch.from_numpy(weights[f"{name}_l{layer}"]))
            self.layers.append(cell)
        self.layers = self.changed(self.layers)
        self.size, self.is_lstm = workload.hidden_size, workload.cell == "lstm"
        self.reset()

    def changed(self, layers: list[Any]) -> list[Any]:
        """The cells that are run."""
        return layers

    def frames(self, x: Array) -> list[Any]:
        return [self.torch.from_numpy(frame.copy()) for frame in x]

    def reset(self) -> None:
        zero = self.torch.zeros(1, self.size)
        self.state = [(zero, zero) if self.is_lstm else zero for _ in self.layers]

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        h = self.state[-1][0] if self.is_lstm else self.state[-1]
        return np.array(h[0])

    def steps(self, frames: Sequence[Any]) -> None:
        cells, state = self.layers, self.state
        if self.is_lstm:
            for frame in frames:
                for layer, cell in enumerate(cells):
                    state[layer] = cell(frame, state[layer])
                    frame = state[layer][0]
            return
        for frame in frames:
            for layer, cell in enumerate(cells):
                frame = state[layer] = cell(frame, state[layer])


class TorchCellInt8(TorchCell):
    """The same after quantize_dynamic."""

    name = "torch GRUCell int8"
    weights = "int8"

    def changed(self, layers: list[Any]) -> list[Any]:
        return list(_quantized(self.torch, layers))


class TorchGRU(Peer):
    """`torch.nn.GRU`, and its siblings."""

    name = "torch GRU"
    forms = "SQBL"

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.torch = torch = _torch()
        layer = getattr(torch.nn, workload.cell.upper())
        module = layer(workload.input_size, workload.hidden_size, workload.layers).eval()
        for name, values in weights.items():
            getattr(module, name).copy_(torch.from_numpy(values))
        self.module = self.changed(module)
        self.state_shape = (workload.layers, 1, workload.hidden_size)
        self.is_lstm = workload.cell == "lstm"
        self.reset()

    def changed(self, module: Any) -> Any:
        """The module that is run."""
        return module

    def frames(self, x: Array) -> list[Any]:
        return [self.torch.from_numpy(frame[None].copy()) for frame in x]

    def reset(self) -> None:
        zero = self.torch.zeros(self.state_shape)
        self.state = (zero, zero) if self.is_lstm else zero

    def step(self, frame: Any) -> Array:
        self.steps([frame])
        return np.array((self.state[0] if self.is_lstm else self.state)[-1, 0])

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
    cells = ("gru", "lstm")  # it quantizes cells of a plain RNN alone

    def changed(self, module: Any) -> Any:
        return _quantized(self.torch, [module])[0]
