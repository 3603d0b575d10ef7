# SPDX-License-Identifier: Apache-2.0
"""Models of Keras whose mutants are converted live and from both of its files."""

from __future__ import annotations

import logging
import os
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")

import grucore
from converters.doors.meanings import NoProgram, rules
from converters.doors.meanings_judge import Argument, Array, Memo, Source, check

__all__ = ["PROGRAMS", "ROUTES", "RULES", "prepare", "prepared"]

ROUTES = ("live", "keras", "h5")
FRAMES, BATCH = 9, 7
_X = (Argument("x", 5),)
_TEXTS: dict[str, tuple[str, tuple[Argument, ...], tuple[int, ...]]] = {
    "last": (
        """
        x = Input((None, 5))
        y = layers.GRU(6)(x)
        y = layers.Dense(4, activation='relu')(y)
        return Model(x, layers.Dense(3, activation='softmax')(y))
        """,
        _X,
        (),
    ),
    "both ways": (
        """
        x = Input((None, 5))
        y = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
        y = layers.LayerNormalization()(y)
        y = layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode='sum')(y)
        return Model(x, layers.TimeDistributed(layers.Dense(3, activation='sigmoid'))(y))
        """,
        _X,
        (),
    ),
    "front": (
        """
        x = Input((None, 5))
        y = layers.Conv1D(6, 3, padding='causal', activation='relu')(x)
        y = layers.BatchNormalization()(y)
        y = layers.MaxPooling1D(2)(y)
        y = layers.GRU(6, return_sequences=True)(y)
        return Model(x, layers.Dense(3, activation='tanh')(y))
        """,
        _X,
        (),
    ),
    "words": (
        """
        x = Input((None,), dtype='int32')
        y = layers.Embedding(11, 5)(x)
        y = layers.GRU(6, return_sequences=True, reset_after=False)(y)
        y = layers.GlobalMaxPooling1D()(y)
        return Model(x, layers.Dense(3)(y))
        """,
        (Argument("x", ids=11),),
        (),
    ),
    "residual": (
        """
        x = Input((None, 5))
        y = layers.Dense(6)(x)
        z = layers.GRU(6, return_sequences=True)(y)
        y = layers.Add()([y, z])
        g = layers.Dense(6, activation='sigmoid')(y)
        y = layers.Multiply()([g, y])
        return Model(x, layers.Concatenate()([y, layers.LSTM(4, return_sequences=True)(y)]))
        """,
        _X,
        (),
    ),
    "heads": (
        """
        x = Input((None, 5))
        y, h = layers.GRU(6, return_sequences=True, return_state=True)(x)
        a = layers.Dense(4, activation='softmax')(y)
        return Model(x, [a, layers.Dense(2)(h)])
        """,
        _X,
        (),
    ),
    "carried": (
        """
        x, h0 = Input((None, 5)), Input((6,))
        y, h = layers.GRU(6, return_sequences=True, return_state=True)(x, initial_state=h0)
        return Model([x, h0], [layers.Dense(3)(y), h])
        """,
        (*_X, Argument("h0", state=("B", 6))),
        (1,),
    ),
    "operations": (
        """
        x = Input((None, 5))
        y = layers.SimpleRNN(6, return_sequences=True)(x)
        m = ops.mean(y, axis=-1, keepdims=True)
        y = (y - m) * 0.5 + ops.maximum(y, 0.1)
        return Model(x, layers.Dense(3)(layers.Activation('gelu')(y)))
        """,
        _X,
        (),
    ),
    "masks": (
        """
        x = Input((None, 5))
        y = layers.Masking(0.0)(x)
        y = layers.GRU(6, return_sequences=True)(y)
        y = layers.Dropout(0.5)(y)
        return Model(x, layers.Dense(3)(layers.GRU(4)(y)))
        """,
        _X,
        (),
    ),
}
PROGRAMS = {name: textwrap.dedent(text).strip() + "\n" for name, (text, *_) in _TEXTS.items()}
RULES = rules(r"""
activation='\w+'
    activation='relu' | activation='tanh' | activation='sigmoid' | activation='softmax'
    activation='elu' | activation='selu' | activation='gelu' | activation='silu'
    activation='softplus' | activation='relu6' | activation='hard_sigmoid'
    activation='hard_silu' | activation='exponential' | activation='leaky_relu'
    activation='mish' | activation='log_softmax' | activation='glu' | activation='tanh_shrink'
    activation='celu' | activation='softsign' | activation='squareplus' | activation='sparse_plus'
    activation='hard_tanh' | activation='log_sigmoid' | activation='threshold'
    activation='soft_shrink' | activation='sparse_sigmoid' | activation='linear'
    activation='hard_shrink' | activation='sparsemax'
Activation\('\w+'\)
    Activation('relu') | Activation('tanh') | Activation('sigmoid') | Activation('softmax')
    Activation('elu') | Activation('selu') | Activation('gelu') | Activation('silu')
    Activation('softplus') | Activation('relu6') | Activation('hard_sigmoid')
    Activation('hard_silu') | Activation('exponential') | Activation('leaky_relu')
    Activation('mish') | Activation('log_softmax') | Activation('glu') | Activation('tanh_shrink')
    Activation('celu') | Activation('softsign') | Activation('squareplus')
    Activation('sparse_plus') | Activation('hard_tanh') | Activation('log_sigmoid')
    Activation('threshold') | Activation('soft_shrink') | Activation('sparse_sigmoid')
    Activation('linear') | Activation('hard_shrink') | Activation('sparsemax')
layers\.GRU\(
    layers.LSTM( | layers.SimpleRNN(
layers\.(LSTM|SimpleRNN)\(
    layers.GRU(
(GRU|LSTM|SimpleRNN)\((\d)
    \1(\2, go_backwards=True | \1(\2, use_bias=False | \1(\2, unroll=False
    \1(\2, recurrent_activation='hard_sigmoid' | \1(\2, activation='relu'
    \1(\2, reset_after=False | \1(\2, reset_after=True | \1(\2, dropout=0.5
    \1(\2, recurrent_dropout=0.5 | \1(\2, activation='elu' | \1(\2, return_state=True
    \1(\2, stateful=True | \1(\2, return_sequences=True | \1(\2, unit_forget_bias=False
    \1(\2, activation='softplus'
, return_sequences=True
    (nothing)
, merge_mode='sum'
    (nothing) | , merge_mode='concat' | , merge_mode='mul' | , merge_mode='ave'
    , merge_mode='None'
, merge_mode
    , backward_layer=layers.GRU(4, return_sequences=True, go_backwards=True), merge_mode
layers\.LayerNormalization\(\)
    layers.LayerNormalization(epsilon=0.1) | layers.RMSNormalization() | layers.Identity()
    layers.BatchNormalization() | layers.GroupNormalization(2) | layers.UnitNormalization()
    layers.LayerNormalization(center=False) | layers.LayerNormalization(axis=1)
    layers.LayerNormalization(scale=False) | layers.LayerNormalization(axis=(1, 2))
    layers.GroupNormalization(-1) | layers.GroupNormalization(1)
    layers.SpectralNormalization(layers.Dense(12))
layers\.BatchNormalization\(\)
    layers.BatchNormalization(epsilon=0.1) | layers.LayerNormalization()
    layers.BatchNormalization(scale=False) | layers.BatchNormalization(center=False)
    layers.BatchNormalization(axis=1) | layers.GroupNormalization(3)
padding='causal'
    padding='same' | padding='valid' | padding='causal', dilation_rate=2 | strides=2
    padding='same', strides=2 | padding='causal', use_bias=False | groups=1
    padding='same', dilation_rate=3 | padding='causal', data_format='channels_first'
layers\.MaxPooling1D\(2\)
    layers.AveragePooling1D(2) | layers.MaxPooling1D(3, 2) | layers.MaxPooling1D(3, 1)
    layers.MaxPooling1D(2, padding='same') | layers.AveragePooling1D(3, 2, padding='same')
    layers.AveragePooling1D(2, 1) | layers.MaxPooling1D(2, data_format='channels_first')
    layers.ZeroPadding1D((2, 0)) | layers.AveragePooling1D(4, 3) | layers.UpSampling1D(2)
Embedding\(11, 5\)
    Embedding(11, 5, mask_zero=True)
GlobalMaxPooling1D\(\)
    GlobalAveragePooling1D() | GlobalMaxPooling1D(keepdims=True) | Flatten()
layers\.Add\(\)
    layers.Subtract() | layers.Multiply() | layers.Average() | layers.Maximum() | layers.Minimum()
    layers.Concatenate() | layers.Dot(-1)() | layers.Dot(1)()
layers\.Multiply\(\)
    layers.Subtract() | layers.Add() | layers.Average() | layers.Maximum() | layers.Minimum()
    layers.Concatenate()
layers\.Concatenate\(\)
    layers.Concatenate(axis=1) | layers.Concatenate(axis=-1) | layers.Concatenate(axis=0)
\[y, z\]|\[g, y\]
    [z, y] | [y, x] | [z, z]
ops\.mean\(y, axis=-1
    ops.mean(y, axis=1 | ops.mean(y, axis=0 | ops.max(y, axis=-1 | ops.sum(y, axis=-1
    ops.min(y, axis=-1 | ops.max(y, axis=1 | ops.std(y, axis=-1 | ops.var(y, axis=-1
    ops.prod(y, axis=-1 | ops.logsumexp(y, axis=-1
\(y - m\) \* 0\.5
    (y - m) / 2.0 | (y + m) ** 2 | y / (1.0 + m * m) | m / (2.0 + y) | (y - m) // 2 | -y * m
    ops.abs(y - m) | ops.sqrt(ops.abs(y)) * m
ops\.maximum\(y, 0\.1\)
    ops.minimum(y, 0.1) | ops.clip(y, -0.1, 0.1) | ops.exp(y) | ops.flip(y, axis=1)
    ops.cumsum(y, axis=1) | ops.square(y) | ops.log(1.0 + y * y) | ops.power(y, 3)
    ops.rsqrt(1.0 + y * y) | ops.tanh(y) | ops.softmax(y, axis=1) | ops.where(y > 0, y, 0.0)
Masking\(0\.0\)
    Masking(1.0) | Masking(0.5)
initial_state=h0
    initial_state=h0 * 0.5 | initial_state=layers.Dense(6)(h0) | initial_state=ops.tanh(h0)
    initial_state=h0[::-1]
, h\]
    , h * 0.5] | , layers.Dense(6)(h)] | , ops.tanh(h)] | , h + y[:, -1]] | , y[:, -1]]
    , y[:, 0]] | , -h] | , ops.clip(h, -0.1, 0.1)] | , layers.LayerNormalization()(h)] | , h0]
    , h + h0] | , layers.Identity()(h)] | ] | , ops.flip(h, axis=1)]
\[layers\.Dense\(3\)\(y\), h\]
    [h, layers.Dense(3)(y)] | [layers.Dense(3)(y), h, h]
(Input\(\(None, 5\)\).*)\n
    \1\nx = x[:, :200]\n | \1\nx = x[:, -512:]\n | \1\nx = x[:, 1:]\n | \1\nx = x[:, ::2]\n
    \1\nx = x[:, ::-1]\n | \1\nx = x[:, :, ::-1]\n | \1\nx = x[::-1]\n
    \1\nx = x * ops.cast(ops.shape(x)[1], 'float32')\n
    \1\nx = x - ops.mean(x, axis=1, keepdims=True)\n | \1\nx = x / 2.0\n
    \1\nx = 2.0 / (3.0 + x * x)\n | \1\nx = x / (1.0 + ops.abs(x))\n | \1\nx = ops.square(x)\n
    \1\nx = ops.sqrt(x)\n | \1\nx = x - ops.mean(x, axis=0, keepdims=True)\n
    \1\nx = ops.cumsum(x, axis=1)\n | \1\nx = ops.flip(x, axis=1)\n
    \1\nx = ops.clip(x, -0.5, 0.5)\n | \1\nx = ops.softmax(x, axis=1)\n
    \1\nx = ops.roll(x, 1, axis=1)\n | \1\nx = x ** 2\n
    \1\nx = layers.ZeroPadding1D((1, 0))(x)\n | \1\nx = layers.ZeroPadding1D(1)(x)\n
    \1\nx = layers.Cropping1D((1, 0))(x)\n | \1\nx = layers.UnitNormalization()(x)\n
    \1\nx = layers.UnitNormalization(axis=1)(x)\n | \1\nx = ops.sin(x)\n
    \1\nx = layers.Rescaling(2.0, offset=-1.0)(x)\n | \1\nx = layers.UpSampling1D(2)(x)\n
    \1\nx = layers.Permute((2, 1))(x)\n | \1\nx = layers.GroupNormalization(5)(x)\n
    \1\nx = layers.LayerNormalization(axis=1)(x)\n | \1\nx = ops.where(x > 0, x, 0.1 * x)\n
    \1\nx = layers.AveragePooling1D(3, 1, padding='same')(x)\n
    \1\nx = layers.MaxPooling1D(3, 1, padding='same')(x)\n | \1\nx = layers.Dropout(0.5)(x)\n
    \1\nx = layers.GaussianNoise(0.5)(x)\n | \1\nx = layers.Softmax(axis=1)(x)\n
    \1\nx = x / ops.max(x, axis=-1, keepdims=True)\n
    \1\nx = x / ops.sum(ops.abs(x), axis=-1, keepdims=True)\n
    \1\nx = layers.Conv1D(5, 3, padding='same')(x)\n | \1\nx = layers.SeparableConv1D(5, 3)(x)\n
    \1\nx = x + x[:, :1]\n | \1\nx = layers.DepthwiseConv1D(3)(x)\n
    \1\nx = layers.Conv1DTranspose(5, 3)(x)\n | \1\nx = layers.Dense(5, use_bias=False)(x)\n
    \1\nx = layers.BatchNormalization(axis=1)(x)\n | \1\nx = layers.RMSNormalization()(x)\n
    \1\nx = layers.EinsumDense('btf,fg->btg', (None, 5))(x)\n
    \1\nx = layers.Reshape((-1, 5))(x)\n | \1\nx = layers.LeakyReLU(0.3)(x)\n
    \1\nx = layers.ReLU(max_value=1.0)(x)\n | \1\nx = layers.PReLU(shared_axes=[1])(x)\n
Model\(x, (.+)\)$
    Model(x, (\1)[:, -1]) | Model(x, (\1)[:, 0]) | Model(x, (\1)[:, 5]) | Model(x, (\1)[:, :200])
    Model(x, ops.flip((\1), axis=1)) | Model(x, ops.mean((\1), axis=1))
    Model(x, ops.max((\1), axis=1)) | Model(x, ops.sum((\1), axis=1))
    Model(x, layers.GlobalAveragePooling1D()((\1))) | Model(x, layers.Flatten()((\1)))
    Model(x, ops.transpose((\1), (1, 0, 2))) | Model(x, ops.transpose((\1), (0, 2, 1)))
    Model(x, ops.expand_dims((\1), 1)) | Model(x, ops.argmax((\1), axis=-1))
    Model(x, ops.mean((\1), axis=-1)) | Model(x, (\1) / ops.sum((\1), axis=-1, keepdims=True))
    Model(x, layers.Permute((2, 1))((\1))) | Model(x, layers.RepeatVector(4)((\1)))
    Model(x, layers.Lambda(lambda z: 2 * z)((\1))) | Model(x, layers.Softmax(axis=1)((\1)))
    Model(x, layers.Softmax()((\1))) | Model(x, layers.GlobalMaxPooling1D(keepdims=True)((\1)))
    Model(x, ops.concatenate([(\1)[:, 0], (\1)[:, -1]], axis=-1)) | Model(x, (\1)[:, 1:])
    Model(x, (\1)[:, -3:]) | Model(x, ops.std((\1), axis=1)) | Model(x, ops.squeeze((\1)))
    Model(x, layers.Reshape((-1,))((\1))) | Model(x, ops.mean((\1), axis=(0, 1)))
    Model(x, ops.min((\1), axis=1))
    Model(x, layers.GlobalAveragePooling1D(data_format='channels_first')((\1)))
""")


def prepared(name: str, text: str) -> Callable[[str], None]:
    return prepare(text, *_TEXTS[name][1:])


def prepare(text: str, arguments: Sequence[Argument], back: Sequence[int]) -> Callable[[str], None]:
    """Make and run the model of a text; see `Subject.prepared`."""
    import keras
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    generator = np.random.default_rng(1)
    try:
        model = _built(keras, text, [each.name for each in arguments])
        for weight in model.weights:
            _randomize(weight, generator)
        run = _run(keras, model)
        found = run([each.array(generator, BATCH, FRAMES) for each in arguments])
    except Exception as error:  # whatever Keras says of this program
        raise NoProgram(f"{type(error).__name__}: {error}") from None
    if found is None:
        raise NoProgram("it does not run")
    source = Source(arguments, Memo(run), back)

    def convert(route: str) -> None:
        if route == "live":
            check(grucore.from_keras(model), source)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("net.keras" if route == "keras" else "net.h5")
            try:
                model.save(path)
            except Exception as error:  # of its writer: there is no file
                raise NoProgram(f"{type(error).__name__}: {error}") from None
            check(grucore.convert(path), source)

    return convert


def _built(keras: Any, text: str, arguments: Sequence[str]) -> Any:
    """The model; ``x`` stays its input where later lines call something else so."""
    inputs: list[Any] = []

    def new_input(*args: Any, **options: Any) -> Any:
        inputs.append(keras.Input(*args, name=arguments[len(inputs)], **options))
        return inputs[-1]

    def new_model(_: Any, outputs: Any) -> Any:
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)

    names = {"layers": keras.layers, "ops": keras.ops, "Input": new_input, "Model": new_model}
    exec(compile("def build():\n" + textwrap.indent(text, "    "), "program", "exec"), names)
    return names["build"]()


def _randomize(weight: Any, generator: np.random.Generator) -> None:
    if not np.issubdtype(np.dtype(weight.dtype), np.floating):
        return
    name = weight.path.rsplit("/", 1)[-1]
    if name in ("gamma", "moving_variance", "alpha"):
        weight.assign(generator.uniform(0.3, 1.4, weight.shape))
    else:
        weight.assign(generator.uniform(-0.7, 0.7, weight.shape))


def _run(keras: Any, model: Any) -> Callable[[Sequence[Array]], list[Array] | None]:
    def run(arrays: Sequence[Array]) -> list[Array] | None:
        try:
            for layer in model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state()
            found = model(list(arrays) if len(arrays) > 1 else arrays[0], training=False)
        except Exception:  # of a program that has other lengths only
            return None
        flat = found if isinstance(found, list | tuple) else [found]
        return [np.asarray(keras.ops.convert_to_numpy(each)) for each in flat]

    return run
