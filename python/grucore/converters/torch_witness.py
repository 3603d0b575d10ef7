# SPDX-License-Identifier: Apache-2.0
"""What a conversion is proved against: torch's own layers with the tensors that were read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grucore import reference
from grucore.converters.assemble import Last, Stage
from grucore.converters.state_dict import GruLayer, LinearLayer
from grucore.ir import Graph
from grucore.layers import Activation
from grucore.node import Array
from grucore.proof import Witness

__all__ = ["rebuilt_witness", "reference_witness", "witness_of"]


def witness_of(stages: Sequence[Stage], graph: Graph) -> tuple[Witness, str]:
    """Torch's layers if torch is installed, otherwise the float64 reference; and its name."""
    try:
        import torch
    except (ImportError, OSError):  # OSError: installed, but its libraries do not load
        return reference_witness(graph), "the float64 reference (torch is not installed)"
    return rebuilt_witness(stages), f"the layers of torch {torch.__version__}"


def reference_witness(graph: Graph) -> Witness:
    """``python/grucore/reference.py`` on the graph."""
    return lambda x: reference.run(graph, x)[0]


def rebuilt_witness(stages: Sequence[Stage]) -> Witness:
    """A chain of torch modules made of the tensors as they were read, before any folding."""
    import torch

    wide = any(
        array.dtype == np.float64 for stage in stages for array in getattr(stage, "arrays", [])
    )
    dtype = torch.float64 if wide else torch.float32
    modules = [_module(torch, stage, dtype) for stage in stages]

    def run(x: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            y = torch.from_numpy(x).to(dtype)[None]
            for module in modules:
                y = module(y)
        return (y[0].numpy(),)

    return run


def _module(torch: Any, stage: Stage, dtype: Any) -> Callable[[Any], Any]:
    if isinstance(stage, Last):
        return lambda y: y[:, -1]
    if isinstance(stage, LinearLayer):
        return _linear(torch, stage, dtype)
    return _gru(torch, stage, dtype)


def _linear(torch: Any, layer: LinearLayer, dtype: Any) -> Callable[[Any], Any]:
    module = torch.nn.Linear(
        layer.input_size, layer.output_size, bias=layer.bias is not None, dtype=dtype
    )
    tensors = {"weight": layer.weight, "bias": layer.bias}
    _load(torch, module, tensors, dtype)
    activations = {
        Activation.LINEAR: lambda y: y,
        Activation.SIGMOID: torch.sigmoid,
        Activation.TANH: torch.tanh,
        Activation.RELU: torch.relu,
    }
    activation = activations[layer.activation]
    return lambda y: activation(module(y))


def _gru(torch: Any, layer: GruLayer, dtype: Any) -> Callable[[Any], Any]:
    module = torch.nn.GRU(
        layer.input_size,
        layer.hidden_size,
        num_layers=layer.layer_count,
        bias=layer.parts[0, False][2] is not None,
        bidirectional=layer.bidirectional,
        batch_first=True,
        dtype=dtype,
    )
    tensors: dict[str, Array | None] = {}
    for (k, reverse), (weight_ih, weight_hh, bias_ih, bias_hh) in layer.parts.items():
        end = f"_l{k}{'_reverse' if reverse else ''}"
        tensors |= {f"weight_ih{end}": weight_ih, f"weight_hh{end}": weight_hh}
        tensors |= {f"bias_ih{end}": bias_ih, f"bias_hh{end}": bias_hh}
    _load(torch, module, tensors, dtype)
    return lambda y: module(y)[0]


def _load(torch: Any, module: Any, tensors: dict[str, Array | None], dtype: Any) -> None:
    module.load_state_dict(
        {
            name: torch.from_numpy(np.array(array)).to(dtype)
            for name, array in tensors.items()
            if array is not None
        }
    )
    module.eval()
