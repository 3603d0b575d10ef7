# SPDX-License-Identifier: Apache-2.0
"""Keras's own layers, made one by one of the attributes and weights that our reader read.

Nothing of the config reaches Keras's loader, which imports what a config names: each layer is made
by a class chosen here, with the attributes that compute something. Called only where Keras is
installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.ops.activations import number
from grucore.converters.keras.ops.cells import SINGLE
from grucore.converters.keras.ops.layers import VANISHING
from grucore.converters.keras.ops.operations import OPERATIONS
from grucore.converters.keras.read.config import MODELS, Call, Layer, Ref, node_shifts, references
from grucore.converters.keras.read.names import Weights, backward_of, snake_case
from grucore.converters.keras.read.variables import RENORM, variables
from grucore.graph import gates
from grucore.graph.tensors import Array

__all__ = ["Rebuilt"]

# The attributes that Keras's classes get; all else is for training.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "GRU": (
        *("units", "activation", "recurrent_activation", "use_bias", "reset_after"),
        *("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"),
    ),
    "GRUCell": ("units", "activation", "recurrent_activation", "use_bias", "reset_after"),
    "LSTM": (
        *("units", "activation", "recurrent_activation", "use_bias"),
        *("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"),
    ),
    "LSTMCell": ("units", "activation", "recurrent_activation", "use_bias"),
    "SimpleRNN": (
        *("units", "activation", "use_bias"),
        *("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"),
    ),
    "SimpleRNNCell": ("units", "activation", "use_bias"),
    "RNN": ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"),
    "StackedRNNCells": (),
    "Bidirectional": ("merge_mode",),
    "TimeDistributed": (),
    "Dense": ("units", "activation", "use_bias"),
    "Embedding": ("input_dim", "output_dim", "mask_zero"),
    "Masking": ("mask_value",),
    "Conv1D": (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups"),
        *("activation", "use_bias"),
    ),
    "Conv2D": (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups"),
        *("activation", "use_bias"),
    ),
    "DepthwiseConv1D": (
        *("kernel_size", "strides", "padding", "depth_multiplier", "dilation_rate"),
        *("activation", "use_bias"),
    ),
    "SeparableConv1D": (
        *("filters", "kernel_size", "strides", "padding", "depth_multiplier", "dilation_rate"),
        *("activation", "use_bias"),
    ),
    "ZeroPadding1D": ("padding",),
    "Cropping1D": ("cropping",),
    "MaxPooling1D": ("pool_size", "strides", "padding"),
    "AveragePooling1D": ("pool_size", "strides", "padding"),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "BatchNormalization": ("axis", "epsilon", "center", "scale"),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "Normalization": ("axis", "invert"),
    "GroupNormalization": ("groups", "axis", "epsilon", "center", "scale"),
    "UnitNormalization": ("axis",),
    "RMSNormalization": ("axis", "epsilon"),
    "EinsumDense": ("equation", "output_shape", "activation", "bias_axes"),
    "Attention": ("use_scale", "score_mode"),
    "AdditiveAttention": ("use_scale",),
    "MultiHeadAttention": (
        *("num_heads", "key_dim", "value_dim", "use_bias", "output_shape", "attention_axes"),
    ),
    "Dot": ("axes", "normalize"),
    "Rescaling": ("scale", "offset"),
    "Activation": ("activation",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "PReLU": ("shared_axes",),
    "Softmax": ("axis",),
    "Flatten": (),
    "Reshape": ("target_shape",),
    "Permute": ("dims",),
    "RepeatVector": ("n",),
    "GlobalAveragePooling1D": ("keepdims",),
    "GlobalMaxPooling1D": ("keepdims",),
    "Concatenate": ("axis",),
    "Add": (),
    "STFTSpectrogram": (
        *("mode", "frame_length", "frame_step", "fft_length", "window", "periodic", "scaling"),
        *("padding", "expand_dims"),
    ),
    "Subtract": (),
    "Multiply": (),
    "Average": (),
    "Maximum": (),
    "Minimum": (),
}
RENAMED = {
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "TimeDistributedDense": "Dense",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
}
KERAS1 = {"output_dim": "units", "inner_activation": "recurrent_activation", "bias": "use_bias"}
DTYPE = "float64"  # float32 of a back end is no better than what it is compared with
OLD_GATE = "hard_sigmoid_of_keras_2"


class Rebuilt:
    """A model of Keras layers that are called one after the other, without a graph."""

    def __init__(self, model: Layer, weights: Weights, version: tuple[int, ...] | None) -> None:
        import keras

        self._keras, self._model, self._weights = keras, model, weights
        self._version = version
        self._made: dict[Layer, Any] = {}

    def __call__(self, batches: Sequence[Array]) -> dict[str, Any]:
        """The outputs by name for arrays (batch, time, ...)."""
        wide = [batch.astype(DTYPE) if batch.dtype.kind == "f" else batch for batch in batches]
        inputs = [self._keras.ops.convert_to_tensor(batch) for batch in wide]
        return self._run(self._model, inputs)

    def _run(self, model: Layer, inputs: Sequence[Any]) -> dict[str, Any]:
        if model.kind == "Sequential":
            result: Any = inputs[0]
            for layer in model.layers:
                if layer.kind != "InputLayer":
                    result = self._apply(layer, [result], {})
            parts = self._keras.tree.flatten(result)
            return {str(place): part for place, part in enumerate(parts)}
        known: dict[Ref, Any] = dict(zip(model.inputs, inputs, strict=True))
        shifts = node_shifts(model)
        waiting: list[tuple[Layer, int, Call]] = [
            (layer, place + shifts[layer.name], call)
            for layer in model.layers
            if layer.kind != "InputLayer"
            for place, call in enumerate(model.calls[layer.name])
        ]
        while waiting:
            layer, node, call = waiting.pop(0)
            if not all(ref in known for ref in references([call.arguments, call.keywords])):
                waiting.append((layer, node, call))
                continue
            result = self._apply(
                layer, _filled(call.arguments, known), _filled(call.keywords, known)
            )
            parts = self._keras.tree.flatten(result)  # states of a stack are lists in a list
            known |= {Ref(layer.name, node, place): part for place, part in enumerate(parts)}
        return {name: known[ref] for name, ref in model.outputs.items()}

    def _apply(self, layer: Layer, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        if layer.kind in OPERATIONS:
            return self._operation(layer, arguments, keywords)
        if layer.kind in MODELS:
            inputs = arguments[0] if isinstance(arguments[0], list) else arguments
            outputs = list(self._run(layer, inputs).values())
            return outputs if len(outputs) > 1 else outputs[0]
        if layer.kind in VANISHING:
            return arguments[0]
        if layer.kind == "SpectralNormalization":
            return self._apply(layer.inside["layer"], arguments, keywords)
        given = {name: value for name, value in keywords.items() if value is not None}
        given.pop("training", None)
        is_recurrent = layer.kind in (*SINGLE, "RNN", "Bidirectional")
        if is_recurrent and isinstance(arguments[0], list):
            sequence, *given["initial_state"] = arguments[0]  # as early versions write it
            arguments = [sequence]
        made = self._made.get(layer)
        if made is None:
            made = self._made[layer] = self._make(layer)
            made(*arguments, **given)  # builds it
            self._fill(layer, made)
        return made(*arguments, **given)

    def _operation(
        self, layer: Layer, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Any:
        """A function of keras.ops: it is called as its class is, in snake case."""
        kind, ops = layer.kind.removeprefix("ops."), self._keras.ops
        if kind == "GetItem":
            keys = arguments[1] if isinstance(arguments[1], list) else arguments[1:]
            return arguments[0][tuple(keys)]
        settings = layer.settings.items()
        options = {name: value for name, value in settings if name not in ("name", "dtype")}
        options |= {name: value for name, value in keywords.items() if value is not None}
        if "dtype" in layer.settings and kind in ("OnesLike", "ZerosLike"):
            options["dtype"] = layer.settings["dtype"]
        if kind == "Cast":
            options["dtype"] = DTYPE
        if kind == "Einsum":
            arguments = [options.pop("subscripts"), *arguments]
        if kind == "Reshape":
            size = arguments[0].shape[0]
            options["newshape"] = [size if n is None else n for n in options["newshape"]]
        return getattr(ops, snake_case(kind))(*arguments, **options)

    def _make(self, layer: Layer, **extra: Any) -> Any:
        kind = RENAMED.get(layer.kind, layer.kind)
        if kind not in ATTRIBUTES:
            raise ConversionError(f"the proof cannot make {layer} again: convert with verify=False")
        renamed = KERAS1 if kind in ("GRU", "LSTM", "SimpleRNN", "Dense") else {}
        settings = {renamed.get(name, name): value for name, value in layer.settings.items()}
        if kind == "LeakyReLU":
            settings.setdefault("negative_slope", number(settings.get("alpha", 0.3)))
        options = {name: settings[name] for name in ATTRIBUTES[kind] if name in settings}
        for name in ("activation", "recurrent_activation"):
            if name in options:
                options[name] = self._activation(layer, options[name])
        if kind in ("GRU", "GRUCell"):
            options["reset_after"] = self._reset_after(layer)
        if kind == "RNN":
            cell = layer.inside["cell"]
            cells = [self._make(inner) for inner in cell.layers] or [self._make(cell)]
            options["cell"] = cells if cell.layers else cells[0]
        if kind == "TimeDistributed":
            options["layer"] = self._inner(layer.inside["layer"])
        if kind == "Bidirectional":
            forward = layer.inside.get("forward_layer") or layer.inside["layer"]
            options["layer"] = self._make(forward)
            options["backward_layer"] = self._make(backward_of(layer))
        if kind in ("BatchNormalization", "LayerNormalization"):
            options["axis"] = _one_axis(options.get("axis", -1))
        if kind == "Normalization":
            options["axis"] = options.get("axis", -1) or None
            found = self._weights.get(layer, settings)
            options |= {name: np.asarray(found[name]) for name in ("mean", "variance")}
        # Bidirectional makes its layers again from what they say of themselves.
        with self._keras.saving.custom_object_scope({OLD_GATE: self._old_gate()}):
            return getattr(self._keras.layers, kind)(**options, **extra, dtype=DTYPE)

    def _old_gate(self) -> Any:
        """hard_sigmoid up to Keras 2, by the name under which Keras finds it."""
        ops = self._keras.ops

        def gate(x: Any) -> Any:
            return ops.clip(0.2 * x + 0.5, 0.0, 1.0)

        gate.__name__ = OLD_GATE
        return gate

    def _inner(self, layer: Layer) -> Any:
        """The inside of a TimeDistributed: a layer of any kind, or a whole model."""

        base: Any = self._keras.layers.Layer

        class Inner(base):  # type: ignore[misc]
            def call(_, x: Any) -> Any:
                return self._apply(layer, [x], {})

        return Inner(dtype=DTYPE)

    def _reset_after(self, layer: Layer) -> bool:
        bias = self._weights[layer].get("bias") if layer in self._weights else None
        if layer.kind == "CuDNNGRU":
            return True
        if bias is not None:
            return bias.ndim == 2
        return bool(layer.settings.get("reset_after", False))

    def _activation(self, layer: Layer, found: Any) -> Any:
        if isinstance(found, Mapping):
            settings = found["config"]
            if isinstance(settings, str):
                return self._activation(layer, settings)
            return self._make(Layer(str(found["class_name"]), layer.name, layer.path, settings))
        if found == "hard_sigmoid" and self._version is not None and self._version[0] < 3:
            return self._old_gate()
        return found

    def _fill(self, layer: Layer, made: Any) -> None:
        """Assign the weights, layer by layer."""
        if layer.kind == "Bidirectional":
            self._fill(
                layer.inside.get("forward_layer") or layer.inside["layer"], made.forward_layer
            )
            self._fill(backward_of(layer), made.backward_layer)
            return
        if layer.kind == "MultiHeadAttention":
            for role, inner in layer.inside.items():
                self._fill(inner, getattr(made, f"_{role}"))
            return
        if layer.kind == "RNN":
            cell = layer.inside["cell"]
            made_cells = made.cell.cells if cell.layers else [made.cell]
            for inner, made_cell in zip(cell.layers or (cell,), made_cells, strict=True):
                self._fill(inner, made_cell)
            return
        if layer.kind == "Normalization" or not variables(layer):
            return
        names = [name for name in variables(layer) if name not in RENORM]
        found = [self._weights[layer][name] for name in names]
        if layer.kind == "CuDNNGRU":
            found = list(gates.from_cudnn_keras(*found))
        if layer.kind == "CuDNNLSTM":
            found = list(gates.from_cudnn_keras_lstm(*found))
        if "inner_activation" in layer.settings:
            found = list(gates.from_separate_keras(dict(zip(names, found, strict=True))))
        made.set_weights([np.asarray(array, DTYPE) for array in found])


def _one_axis(axis: Any) -> Any:
    """Keras 2 wrote a list of one axis, which Keras 3 does not take."""
    return axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis


def _filled(content: Any, known: Mapping[Ref, Any]) -> Any:
    if isinstance(content, Ref):
        return known[content]
    if isinstance(content, list):
        return [_filled(item, known) for item in content]
    if isinstance(content, dict):
        return {name: _filled(item, known) for name, item in content.items()}
    return content
