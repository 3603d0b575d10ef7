# SPDX-License-Identifier: Apache-2.0
"""More models of Keras: stacks, pools, ends, orders, norms, states that the caller carries."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from converters.doors.meanings import rules
from converters.doors.meanings_judge import Argument
from converters.doors.meanings_keras import ROUTES, prepare
from converters.doors.meanings_keras import RULES as COMMON

__all__ = ["PROGRAMS", "ROUTES", "RULES", "prepared"]

_X = (Argument("x", 5),)
_H0 = Argument("h0", state=("B", 6))
_TEXTS: dict[str, str] = {
    "stack": """
        y = layers.GRU(6, return_sequences=True, name='one')(x)
        y = layers.GRU(6, return_sequences=True, go_backwards=True)(y)
        return Model(x, layers.Dense(3)(y))
        """,
    "last frame": """
        y = layers.LSTM(6, return_sequences=True)(x)
        return Model(x, layers.Dense(3, activation='tanh')(y[:, -1]))
        """,
    "mean": """
        y = layers.SimpleRNN(6, return_sequences=True, activation='relu')(x)
        y = layers.GlobalAveragePooling1D()(y)
        return Model(x, layers.Dense(3)(y))
        """,
    "ends": """
        y = layers.Bidirectional(layers.GRU(6))(x)
        return Model(x, layers.Dense(3, activation='sigmoid')(y))
        """,
    "both states": """
        y, h, c = layers.LSTM(6, return_sequences=True, return_state=True)(x)
        z = layers.LSTM(6, return_sequences=True)(y, initial_state=[h, c])
        return Model(x, layers.Dense(3)(z))
        """,
    "handed on": """
        y, h = layers.GRU(6, return_sequences=True, return_state=True)(x)
        z = layers.GRU(6, return_sequences=True)(x, initial_state=h)
        return Model(x, layers.Dense(3)(z))
        """,
    "repeated": """
        h = layers.GRU(6)(x)
        y = layers.RepeatVector(4)(h)
        return Model(x, layers.Dense(3)(y))
        """,
    "attended": """
        y = layers.GRU(6, return_sequences=True)(x)
        a = layers.Softmax(axis=1)(layers.Dense(1)(y))
        return Model(x, layers.Dense(3)(ops.sum(a * y, axis=1)))
        """,
    "gated": """
        y = layers.GRU(6, return_sequences=True)(x)
        a, b = ops.split(layers.Dense(8)(y), 2, axis=-1)
        return Model(x, a * ops.sigmoid(b))
        """,
    "normed": """
        y = layers.BatchNormalization()(layers.Dense(6)(x))
        y = layers.PReLU(shared_axes=[1])(y)
        y = layers.GRU(6, return_sequences=True)(y)
        return Model(x, layers.LayerNormalization()(y))
        """,
    "grouped": """
        y = layers.GRU(6, return_sequences=True)(x)
        y = layers.GroupNormalization(2)(y)
        return Model(x, layers.Dense(3)(y))
        """,
    "apart": """
        y = layers.SeparableConv1D(6, 3, padding='causal')(x)
        y = layers.LeakyReLU(0.2)(y)
        y = layers.GRU(6, return_sequences=True)(y)
        return Model(x, layers.Dense(3)(y))
        """,
    "averaged": """
        y = layers.AveragePooling1D(2)(layers.Conv1D(6, 3, padding='same')(x))
        y = layers.LSTM(6)(y)
        return Model(x, layers.Dense(3, activation='softmax')(y))
        """,
    "shifted": """
        p = layers.ZeroPadding1D((1, 0))(x)[:, :-1]
        y = layers.GRU(5, return_sequences=True)(layers.Concatenate()([x, p]))
        return Model(x, layers.Add()([y, p]))
        """,
    "turned": """
        y = layers.GRU(6, return_sequences=True)(x)
        z = layers.GRU(6, return_sequences=True, go_backwards=True)(x)
        return Model(x, layers.Dense(3)(y + ops.flip(z, axis=1)))
        """,
    "cell": """
        y = layers.RNN(layers.GRUCell(6), return_sequences=True)(x)
        return Model(x, layers.Dense(3)(y))
        """,
    "cells": """
        y = layers.RNN([layers.LSTMCell(6), layers.LSTMCell(4)], return_sequences=True)(x)
        return Model(x, layers.Dense(3)(y))
        """,
    "summed": """
        y = layers.GRU(6, return_sequences=True)(x)
        y = ops.einsum('btf,gf->btg', y, ops.reshape(ops.arange(18, dtype='float32') / 9, (3, 6)))
        return Model(x, layers.Activation('tanh')(y))
        """,
    "residual sum": """
        y = layers.Dense(6, activation='elu')(x)
        y = y + layers.Bidirectional(layers.GRU(3, return_sequences=True))(y)
        return Model(x, layers.Dense(3)(y))
        """,
    "carried behind": """
        h0 = Input((6,))
        y = layers.Dense(6, activation='relu')(x)
        y, h = layers.GRU(6, return_sequences=True, return_state=True)(y, initial_state=h0)
        return Model([x, h0], [layers.Dense(3)(y), h])
        """,
    "carried answer": """
        h0 = Input((6,))
        y, h = layers.SimpleRNN(6, return_sequences=True, return_state=True)(x, initial_state=h0)
        return Model([x, h0], [layers.Dense(3)(y[:, -1]), h])
        """,
    "carried under a mask": """
        h0 = Input((6,))
        y = layers.Masking(0.0)(x)
        y, h = layers.GRU(6, return_sequences=True, return_state=True)(y, initial_state=h0)
        return Model([x, h0], [layers.Dense(3)(y), h])
        """,
}
PROGRAMS = {
    name: "x = Input((None, 5))\n" + textwrap.dedent(text).strip() + "\n"
    for name, text in _TEXTS.items()
}
RULES = (
    *rules(r"""
y\[:, -1\]
    y[:, 0] | y[:, -2] | y[:, 5] | y[:, -1:] | y[-1] | y[:, :, -1] | ops.take(y, -1, axis=1)
    ops.mean(y, axis=1) | ops.max(y, axis=1) | ops.flip(y, axis=1)[:, 0] | y[::-1][:, -1]
GlobalAveragePooling1D\(\)
    GlobalMaxPooling1D() | GlobalAveragePooling1D(keepdims=True) | Flatten()
    GlobalAveragePooling1D(data_format='channels_first')
\[h, c\]
    [c, h] | [h, h] | [0.5 * h, c] | [h, ops.tanh(c)] | [y[:, -1], c] | [y[:, 0], c]
    [ops.zeros_like(h), c] | [ops.flip(h, axis=0), c] | [ops.stop_gradient(h), c] | [c, c]
initial_state=h\)
    initial_state=0.5 * h) | initial_state=ops.tanh(h)) | initial_state=y[:, 0])
    initial_state=ops.clip(h, -0.1, 0.1)) | initial_state=y[:, -1]) | initial_state=-h)
    initial_state=ops.mean(y, axis=1)) | ) | initial_state=ops.flip(h, axis=1))
    initial_state=layers.Dense(6)(h)) | initial_state=layers.Identity()(h))
RepeatVector\(4\)\(h\)
    RepeatVector(1)(h) | Reshape((1, 6))(h) | RepeatVector(7)(h[:, ::-1]) | Reshape((2, 3))(h)
Softmax\(axis=1\)
    Softmax(axis=-1) | Softmax(axis=2) | Softmax(axis=0) | Softmax(axis=-2) | Identity()
ops\.sum\(a \* y, axis=1\)
    ops.sum(a * y, axis=2) | ops.mean(a * y, axis=1) | ops.max(a * y, axis=1)
    layers.Dot(1)([a, y])
    ops.sum(a * ops.flip(y, axis=1), axis=1) | ops.sum(a * y, axis=-2) | ops.sum(a + y, axis=1)
    ops.matmul(ops.transpose(a, (0, 2, 1)), y)[:, 0] | ops.einsum('btk,btf->bf', a, y)
    ops.cumsum(a * y, axis=1)[:, -1] | ops.sum(a * y, axis=0)
2, axis=-1\)
    2, axis=1) | 2, axis=2) | 2, axis=-1)[::-1] | [4], axis=-1) | [3], axis=-1)
GroupNormalization\(2\)
    GroupNormalization(3) | GroupNormalization(1) | GroupNormalization(-1)
    GroupNormalization(2, epsilon=0.1) | GroupNormalization(2, center=False)
    GroupNormalization(2, axis=1) | LayerNormalization() | RMSNormalization()
PReLU\(shared_axes=\[1\]\)
    PReLU(shared_axes=[1, 2]) | LeakyReLU(0.2) | ReLU(max_value=0.5) | ELU(0.5) | Softmax()
    ReLU(negative_slope=0.1, threshold=0.2) | Activation('gelu')
LeakyReLU\(0\.2\)
    LeakyReLU(0.5) | ELU(0.3) | ReLU() | ReLU(max_value=0.3) | Softmax() | PReLU(shared_axes=[1])
SeparableConv1D\(6, 3
    SeparableConv1D(6, 3, depth_multiplier=2 | Conv1D(6, 3 | DepthwiseConv1D(3
    SeparableConv1D(6, 3, use_bias=False | SeparableConv1D(6, 3, activation='relu'
padding='same'
    padding='valid' | padding='causal' | padding='same', strides=2 | padding='same', groups=1
    padding='same', dilation_rate=2 | padding='same', data_format='channels_first'
AveragePooling1D\(2\)
    AveragePooling1D(2, padding='same') | MaxPooling1D(2) | AveragePooling1D(3, 1, padding='same')
    AveragePooling1D(3, 2, padding='same') | AveragePooling1D(2, 1) | MaxPooling1D(3, 1)
ZeroPadding1D\(\(1, 0\)\)\(x\)\[:, :-1\]
    ZeroPadding1D((0, 1))(x)[:, 1:] | ZeroPadding1D((2, 0))(x)[:, :-2] | Cropping1D((1, 0))(x)
    ZeroPadding1D((1, 0))(x[:, :-1]) | Identity()(ops.roll(x, 1, axis=1))
    Identity()(ops.concatenate([x[:, :1], x[:, :-1]], axis=1)) | ZeroPadding1D(1)(x)[:, 1:-1]
    Identity()(ops.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]) | ZeroPadding1D(1)(x)[:, :-2]
\+ ops\.flip\(z, axis=1\)
    + z | - ops.flip(z, axis=1) | * ops.flip(z, axis=1) | + z[:, ::-1] | + ops.flip(z, axis=0)
    + ops.flip(z, axis=2) | + ops.flip(z, axis=-2) | + ops.flip(ops.flip(z, axis=1), axis=1)
'btf,gf->btg'
    '...f,gf->...g' | 'btf,gf->bgt' | 'btf,gf->tbg' | 'btf,gf->bg' | 'xyf,gf->xyg'
(GRU|LSTM)Cell\((\d)\)
    \1Cell(\2, use_bias=False) | \1Cell(\2, recurrent_activation='hard_sigmoid')
    \1Cell(\2, activation='relu') | SimpleRNNCell(\2) | GRUCell(\2, reset_after=False)
    \1Cell(\2, dropout=0.5) | \1Cell(\2, recurrent_activation='tanh') | LSTMCell(\2)
return_sequences=True\)\(x\)
    return_sequences=True, go_backwards=True)(x) | return_sequences=True)(x * 0.5)
    return_sequences=True)(ops.flip(x, axis=1)) | return_sequences=True)(x[:, :, ::-1])
, go_backwards=True
    (nothing)
y \+ layers
    y - layers | y * layers | ops.flip(y, axis=1) + layers | 0.5 * y + layers | x[:, :, :1] + layers
"""),
    *COMMON,
)


def prepared(name: str, text: str) -> Callable[[str], None]:
    carried = "h0" in _TEXTS[name]
    return prepare(text, (*_X, _H0) if carried else _X, (1,) if carried else ())
