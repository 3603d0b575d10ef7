# SPDX-License-Identifier: Apache-2.0
"""Random whole Keras models, and inputs for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")

from oracle.oracles import oracle

keras = oracle("keras")
layers = keras.layers
if keras.backend.backend() == "torch":
    oracle("torch")  # with one thread: more cost small matrices far more than they bring

__all__ = ["Case", "keras", "layers", "outputs_of", "random_model", "randomize"]

ACTIVATIONS = (
    *("linear", "relu", "relu6", "sigmoid", "tanh", "elu", "selu", "celu", "softsign"),
    *("softplus", "silu", "gelu", "leaky_relu", "hard_tanh", "hard_silu", "hard_sigmoid"),
    *("sparse_sigmoid", "mish", "log_sigmoid", "tanh_shrink", "soft_shrink", "softmax"),
    "log_softmax",
)
GATES = ("sigmoid", "sigmoid", "hard_sigmoid", "sparse_sigmoid")  # any other may grow without end
CANDIDATES = ("tanh", "tanh", "sigmoid", "softsign", "hard_sigmoid")
MERGES = ("Add", "Multiply", "Average", "Subtract")
MASK_VALUE = 0.5


@dataclass
class Case:
    """A model, the arrays of one batch for it, and what it is made of."""

    model: Any
    inputs: list[np.ndarray]


def randomize(model: Any, rng: np.random.Generator) -> None:
    """Give every weight a number of its own; variances are positive."""
    for weight in model.weights:
        shape = tuple(weight.shape)
        spread = 1.0 / np.sqrt(max(1, shape[0])) if len(shape) > 1 else 0.3
        if weight.name == "recurrent_kernel":
            spread /= 2  # a recurrence that forgets: others drift apart by rounding alone
        values = rng.normal(0, spread, shape)
        if weight.name in ("moving_variance", "gamma"):
            values = rng.uniform(0.5, 1.5, shape)
        weight.assign(values.astype(np.float32))


def outputs_of(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Keras's outputs for a batch, in the order of grucore's."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    if isinstance(found, dict):
        found = [found[name] for name in model._outputs_struct]
    found = found if isinstance(found, list | tuple) else [found]
    return [np.asarray(keras.ops.convert_to_numpy(part)) for part in found]


class _Maker:
    """Adds random layers to a functional model."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.frames = 0

    def pick(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def size(self) -> int:
        return int(self.pick(1, 2, 3, 4, 5, 7, 8, 16, 17))

    def flag(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def gru(self, **options: Any) -> Any:
        return layers.GRU(
            self.size(),
            reset_after=self.flag(0.7),
            use_bias=self.flag(0.8),
            activation=self.pick(*CANDIDATES),
            recurrent_activation=self.pick(*GATES),
            dropout=self.pick(0.0, 0.2),
            **options,
        )

    def lstm(self, **options: Any) -> Any:
        return layers.LSTM(
            self.size(),
            use_bias=self.flag(0.8),
            activation=self.pick("tanh", "softsign", "sigmoid"),
            recurrent_activation=self.pick(*GATES),
            **options,
        )

    def plain(self, **options: Any) -> Any:
        activation = self.pick("tanh", "softsign", "sigmoid")
        return layers.SimpleRNN(
            self.size(), use_bias=self.flag(0.8), activation=activation, **options
        )

    def cell(self) -> Any:
        kind = self.pick("gru", "gru", "lstm", "plain")
        if kind == "gru":
            return layers.GRUCell(self.size(), reset_after=self.flag(), activation="tanh")
        make = layers.LSTMCell if kind == "lstm" else layers.SimpleRNNCell
        return make(self.size(), use_bias=self.flag(0.8))

    def recurrent(self, *, sequences: bool = True) -> Any:
        kind = self.pick("one", "one", "one", "bidirectional", "rnn", "stack")
        make = self.pick(self.gru, self.gru, self.lstm, self.lstm, self.plain)
        backwards = self.flag(0.2)
        options = {"return_sequences": sequences, "go_backwards": backwards}
        if kind == "one":
            return make(**options)
        if kind == "bidirectional":
            mode = self.pick("concat", "sum", "mul", "ave")
            return layers.Bidirectional(make(return_sequences=sequences), merge_mode=mode)
        cells = [self.cell() for _ in range(1 if kind == "rnn" else 2)]
        return layers.RNN(cells if kind == "stack" else cells[0], **options)

    def framewise(self, features: int) -> Any:
        """A layer that works frame by frame."""
        makers: list[Callable[[], Any]] = [
            lambda: layers.Dense(
                self.size(), activation=self.pick(*ACTIVATIONS), use_bias=self.flag(0.8)
            ),
            lambda: layers.TimeDistributed(layers.Dense(self.size(), activation="tanh")),
            lambda: layers.BatchNormalization(scale=self.flag(0.8), center=self.flag(0.8)),
            lambda: layers.TimeDistributed(layers.BatchNormalization()),
            lambda: layers.LayerNormalization(epsilon=1e-2),
            lambda: layers.Activation(self.pick(*ACTIVATIONS)),
            lambda: layers.ReLU(max_value=self.pick(None, 2.0), negative_slope=self.pick(0.0, 0.1)),
            lambda: layers.LeakyReLU(negative_slope=0.2),
            lambda: layers.PReLU(shared_axes=[1]),
            lambda: layers.ELU(alpha=0.7),
            lambda: layers.Dropout(0.3),
            lambda: layers.SpatialDropout1D(0.3),
            lambda: layers.GaussianNoise(0.1),
            lambda: layers.Rescaling(0.5, 0.25),
        ]
        return self.pick(*makers)()

    def convolution(self, features: int) -> Any:
        taps, dilation = int(self.pick(1, 2, 3, 5)), int(self.pick(1, 1, 2))
        lost = dilation * (taps - 1)
        kind = self.pick("full", "full", "depthwise", "separable")
        paddings = ("causal", "causal", "same", "valid") if kind == "full" else ("same", "valid")
        padding = self.pick(*paddings)
        stride = int(self.pick(1, 2)) if padding != "same" and dilation == 1 else 1
        if padding == "valid" and self.frames < 2 * (lost + 3):
            padding = "same"
        self.frames = (self.frames - (lost if padding == "valid" else 0)) // stride
        options = {
            "padding": padding,
            "dilation_rate": dilation,
            "strides": stride if padding != "same" else 1,
            "activation": self.pick("linear", "relu", "tanh"),
            "use_bias": self.flag(0.8),
        }
        if kind == "depthwise":
            return layers.DepthwiseConv1D(taps, depth_multiplier=self.pick(1, 2), **options)
        if kind == "separable":
            multiplier = self.pick(1, 2)
            return layers.SeparableConv1D(self.size(), taps, depth_multiplier=multiplier, **options)
        groups = self.pick(1, features) if features <= 8 else 1
        filters = groups * int(self.pick(1, 2, 3))
        return layers.Conv1D(filters, taps, groups=groups, **options)

    def windowed(self, x: Any) -> Any:
        """Layers that change the number of frames, while there are enough of them."""
        kind = self.pick("pool", "pool", "pad", "crop")
        if kind == "pad":
            before, after = self.pick((2, 0), (1, 0), (1, 1), (0, 2))
            x = layers.ZeroPadding1D((before, after))(x)
            return layers.Conv1D(self.size(), 3, activation="relu")(x)
        if self.frames < 9:
            return x
        if kind == "crop":
            self.frames -= 3
            return layers.Cropping1D(self.pick((1, 2), (3, 0), (0, 2), 1))(x)
        taps, stride = int(self.pick(2, 3)), self.pick(None, 1, 2)
        self.frames = (self.frames - taps) // (stride or taps) + 1
        make = self.pick(layers.MaxPooling1D, layers.AveragePooling1D)
        return make(taps, strides=stride)(x)

    def sequence_layers(self, x: Any, count: int) -> Any:
        for _ in range(count):
            chance = self.rng.random()
            if chance < 0.35:
                x = self.recurrent()(x)
            elif chance < 0.45:
                x = self.convolution(x.shape[-1])(x)
            elif chance < 0.5:
                x = self.windowed(x)
            elif chance < 0.6:
                y = self.framewise(x.shape[-1])(x)
                same = y.shape[-1] == x.shape[-1]
                merge = self.pick("Concatenate", *(MERGES if same else []))
                x = getattr(layers, merge)()([x, y])
            elif chance < 0.68:
                width = x.shape[-1]
                inner = keras.Sequential(
                    [keras.Input((None, width)), layers.Dense(self.size()), self.framewise(width)]
                )
                x = inner(x)
            else:
                x = self.framewise(x.shape[-1])(x)
        return x


def random_model(seed: int, *, batch: int = 2) -> Case:
    """A model of three to eight layers around at least one recurrent one."""
    maker = _Maker(seed)
    rng = maker.rng
    frames = maker.frames = int(maker.pick(11, 23, 40))
    inputs, arrays = [], []
    kinds = maker.pick(["x"], ["x"], ["ids"], ["x", "ids"], ["masked"], ["x", "x"])
    flows = []
    for number, kind in enumerate(kinds):
        width = 1 if kind == "ids" else maker.size()
        if kind == "ids":
            source = keras.Input((None,), dtype=maker.pick("int32", "float32"), name=f"ids{number}")
            flow = layers.Embedding(9, maker.size(), mask_zero=maker.flag())(source)
            array = rng.integers(0, 9, (batch, frames)).astype(np.int32)
        else:
            source = keras.Input((None, width), name=f"x{number}")
            flow, array = source, rng.uniform(-3, 3, (batch, frames, width)).astype(np.float32)
        if kind == "masked":
            value = maker.pick(0.0, MASK_VALUE)
            array[rng.random((batch, frames)) < 0.3] = value
            flow = layers.Masking(value)(source)
        inputs.append(source)
        flows.append(flow)
        arrays.append(array)
    x = flows[0] if len(flows) == 1 else layers.Concatenate()(flows)
    x = maker.sequence_layers(x, int(rng.integers(0, 3)))
    x = maker.recurrent()(x)
    x = maker.sequence_layers(x, int(rng.integers(0, 3)))
    outputs = {}
    if maker.flag(0.3):
        outputs["frames"] = layers.Dense(2)(x)
    ending = maker.pick("frames", "last", "last", "mean", "maximum", "state")
    if ending == "last":
        x = maker.recurrent(sequences=False)(x)
    elif ending == "mean":
        x = layers.GlobalAveragePooling1D()(x)
    elif ending == "maximum":
        x = layers.GlobalMaxPooling1D()(x)
    elif ending == "state":
        x, state = maker.gru(return_state=True)(x)
        outputs["state"] = state
    activation = maker.pick("softmax", "sigmoid", "linear")
    outputs["y"] = layers.Dense(maker.size(), activation=activation)(x)
    model = keras.Model(inputs, outputs if len(outputs) > 1 or maker.flag() else outputs["y"])
    randomize(model, rng)
    return Case(model, arrays)
