# SPDX-License-Identifier: Apache-2.0
"""Layers one after the other, as the graph that torch.export would have made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph, AtenNode, InputSpec, Ref
from grucore.converters.torch.chain.architecture import ONE_FRAME
from grucore.converters.torch.chain.kinds import LinearLayer, PlainLayer, RecurrentLayer
from grucore.converters.torch.chain.loose import LooseTensor
from grucore.graph.tensors import Array

__all__ = ["FRAMES", "Chain"]

FRAMES = 11  # of an example that nobody gave
RECURRENT = ("GRU", "LSTM", "RNN")

# Functions of one tensor: the operation, and its arguments besides it.
FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (f"{name}.default", {}) for name in ("relu", "sigmoid", "tanh", "silu", "softplus")},
    **{name: (f"{name}.default", {}) for name in ("hardsigmoid", "hardswish", "relu6", "selu")},
    **{name: (f"{name}.default", {}) for name in ("gelu", "elu", "leaky_relu", "hardtanh")},
    "logsigmoid": ("log_sigmoid.default", {}),
    "glu": ("glu.default", {"dim": -1}),
    "softmax": ("softmax.int", {"dim": -1}),
    "log_softmax": ("log_softmax.int", {"dim": -1}),
    "last": ("select.int", {"dim": 1, "index": -1}),
    "first": ("select.int", {"dim": 1, "index": 0}),
    "mean": ("mean.dim", {"dim": [1]}),
    "max": ("amax.default", {"dim": [1]}),
}

ARITHMETIC = {
    **{"add": "add.Tensor", "subtract": "sub.Tensor"},
    **{"multiply": "mul.Tensor", "divide": "div.Tensor"},
}


class Chain:
    """Appends calls; ``at`` is what the next one reads.

    ``frames_last``: convolutions and batch norms read (batch, channels, time) as it comes, as in an
    nn.Sequential; otherwise everything is (batch, time, features), and is transposed for them.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str, *, frames_last: bool = False) -> None:
        self.inputs = (InputSpec("x", shape, dtype),)
        self.nodes: list[AtenNode] = []
        self.constants: dict[str, Array] = {}
        self.at = Ref("x")
        self.frames_last = frames_last
        self._one_frame = False  # whether time is gone, so that features are axis 1
        # The states after the last recurrent module, and the rows of its last layer.
        self._states = Ref("")
        self._final_rows: tuple[int, ...] = ()

    def graph(self) -> AtenGraph:
        """The graph, whose output is what the last call gave."""
        return AtenGraph(self.inputs, (self.at,), tuple(self.nodes), self.constants)

    def _constant(self, name: str, array: Array | None) -> Ref | None:
        if array is None:
            return None
        self.constants[f"p.{name}"] = array
        return Ref(f"p.{name}")

    def call(self, op: str, given: Mapping[str, Any], path: str = "", module: str = "") -> None:
        """One operation, whose first result the next one reads."""
        name = f"v{len(self.nodes)}"
        outputs = (name, f"{name}.h_n", f"{name}.c_n") if module in RECURRENT else (name,)
        self.nodes.append(AtenNode(f"aten.{op}", given, outputs, (), path, module))
        self.at = Ref(name)

    def function(self, kind: str, options: Mapping[str, Any]) -> None:
        """A function of one frame, or of the sequence."""
        self._one_frame = self._one_frame or kind in ONE_FRAME
        if kind == "softsign":  # as torch writes it
            x = self.at
            self.call("abs.default", {"self": x})
            self.call("add.Tensor", {"self": self.at, "other": 1})
            self.call("div.Tensor", {"self": x, "other": self.at})
            return
        if kind == "final":
            states = []
            for row in self._final_rows:
                self.call("select.int", {"self": self._states, "dim": 0, "index": row})
                states.append(self.at)
            if len(states) > 1:
                self.call("cat.default", {"tensors": states, "dim": -1})
            return
        op, arguments = FUNCTIONS[kind]
        self.call(op, {"self": self.at, **arguments, **options})

    def transposed(self) -> None:
        """Time and features change places, for what wants channels first."""
        if not self.frames_last and not self._one_frame:
            self.call("transpose.int", {"self": self.at, "dim0": 1, "dim1": 2})

    def linear(self, layer: LinearLayer) -> None:
        """A product."""
        weight = self._constant(f"{layer.name}.weight", layer.weight)
        bias = self._constant(f"{layer.name}.bias", layer.bias)
        given = {"input": self.at, "weight": weight, "bias": bias}
        self.call("linear.default", given, layer.name, "Linear")

    def recurrent(self, layer: RecurrentLayer, *, batch_first: bool = True) -> None:
        """All layers and directions of one module."""
        params: list[Any] = []
        biased = layer.parts[0, False][2] is not None
        for (k, reverse), part in sorted(layer.parts.items()):
            end = f"_l{k}{'_reverse' if reverse else ''}"
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if biased else 2]
            for name, array in zip(names, part, strict=False):
                params.append(self._constant(f"{layer.name}.{name}{end}", array))
        rows = layer.rows
        zeros = np.zeros((rows, 1, layer.hidden_size), np.float32)
        states = [
            self._constant(f"{layer.name}.{name}", layer.starts.get(name, zeros))
            for name in ("h_0", "c_0")
        ]
        given = {
            "input": self.at,
            "hx": states if layer.kind == "lstm" else states[0],
            "params": params,
            "has_biases": biased,
            "num_layers": layer.layer_count,
            "dropout": 0.0,
            "train": False,
            "bidirectional": layer.bidirectional,
            "batch_first": batch_first,
        }
        kind = "_".join([layer.kind, *layer.options.values()])
        self.call(f"{kind}.input", given, layer.name, layer.kind.upper())
        self._states = Ref(f"{self.at.name}.h_n")
        self._final_rows = (rows - 2, rows - 1) if layer.bidirectional else (rows - 1,)

    def loose(self, step: LooseTensor) -> None:
        """One number, or one for each feature, and each frame."""
        other = self._constant(f"{step.name}.{len(self.nodes)}", step.operand)
        self.call(ARITHMETIC[step.kind], {"self": self.at, "other": other})

    def plain(self, layer: PlainLayer) -> None:
        """Any other layer with weights; its options must be complete."""
        if layer.missing:
            raise ConversionError(f"{layer}: {', '.join(layer.missing)} must be known")
        refs = {
            name: self._constant(f"{layer.name}.{name}", array)
            for name, array in layer.tensors.items()
        }
        getattr(self, f"_{layer.kind}")(layer, refs)

    def _embedding(self, layer: PlainLayer, refs: Mapping[str, Any]) -> None:
        given = {"weight": refs["weight"], "indices": self.at}
        self.call("embedding.default", given, layer.name, "Embedding")

    def _prelu(self, layer: PlainLayer, refs: Mapping[str, Any]) -> None:
        # Its slopes go along axis 1.
        several = layer.tensors["weight"].size > 1
        if several:
            self.transposed()
        given = {"self": self.at, "weight": refs["weight"]}
        self.call("prelu.default", given, layer.name, "PReLU")
        if several:
            self.transposed()

    def _layer_norm(self, layer: PlainLayer, refs: Mapping[str, Any]) -> None:
        shape = list(next(iter(layer.tensors.values())).shape)
        given = {"input": self.at, "normalized_shape": shape, "eps": layer.options["eps"]}
        self.call("layer_norm.default", {**given, **refs}, layer.name, "LayerNorm")

    def _batch_norm(self, layer: PlainLayer, refs: Mapping[str, Any]) -> None:
        self.transposed()
        given = {"input": self.at, "eps": layer.options["eps"], "training": False}
        given |= {"momentum": 0.1, "cudnn_enabled": False, "weight": None, "bias": None}
        self.call("batch_norm.default", {**given, **refs}, layer.name, "BatchNorm1d")
        self.transposed()

    def _conv1d(self, layer: PlainLayer, refs: Mapping[str, Any]) -> None:
        padding, weight = layer.options["padding"], layer.tensors["weight"]
        dilation = layer.options["dilation"]
        self.transposed()
        if padding == "causal":
            pad = [dilation * (weight.shape[2] - 1), 0]
            self.call("pad.default", {"self": self.at, "pad": pad})
        kept = 0 if padding == "causal" else padding
        op = "conv1d.padding" if isinstance(kept, str) else "conv1d.default"
        given = {"input": self.at, "stride": [layer.options["stride"]], "dilation": [dilation]}
        given["padding"] = kept if isinstance(kept, str) else [kept]
        given["groups"] = layer.options.get("groups", 1)
        self.call(op, {**given, "bias": None, **refs}, layer.name, "Conv1d")
        self.transposed()
