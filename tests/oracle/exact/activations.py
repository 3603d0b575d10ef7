# SPDX-License-Identifier: Apache-2.0
"""The activations of docs/format.md, each operation rounded to float32 in the order of
docs/numerics.md. Comparisons are as they are written there, so that a NaN goes the same way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grucore.graph.layers import Activation, ActivationCode
from oracle.exact.functions import Floats, erf, exp, expm1, log, log1p, number, sigmoid, tanh

__all__ = ["activate", "leaky"]

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_SIXTH = _ONE / np.float32(6)
_INVERSE_SQRT_2 = number("0x1.6a09e6p-1")
_SQRT_2_OVER_PI = number("0x1.988454p-1")
_GELU_CUBE = np.float32(0.044715)

Function = Callable[[Floats, np.float32, np.float32], Floats]


def _clip(x: Floats, least: np.float32, most: np.float32) -> Floats:
    low = np.where(x < least, least, x)
    result: Floats = np.where(low > most, most, low)
    return result


def leaky(x: Floats, slope: Floats | np.float32) -> Floats:
    """``x < 0 ? slope x : x``; a slope for all, or one for each feature."""
    result: Floats = np.where(x < 0, slope * x, x)
    return result


def _elu(x: Floats, alpha: np.float32, _: np.float32) -> Floats:
    return np.where(x < 0, alpha * expm1(x), x)


def _softsign(x: Floats, *_: np.float32) -> Floats:
    result: Floats = np.divide(x, _ONE + np.abs(x))
    return result


def _softplus(x: Floats, *_: np.float32) -> Floats:
    return np.where(x < 0, _ZERO, x) + log1p(exp(-np.abs(x)))


def _gelu(x: Floats, *_: np.float32) -> Floats:
    return (_HALF * x) * (_ONE + erf(x * _INVERSE_SQRT_2))


def _gelu_tanh(x: Floats, *_: np.float32) -> Floats:
    cube = (x * x) * (_GELU_CUBE * x)
    return (_HALF * x) * (_ONE + tanh(_SQRT_2_OVER_PI * (x + cube)))


_FUNCTIONS: dict[ActivationCode, Function] = {
    ActivationCode.LINEAR: lambda x, alpha, beta: x,
    ActivationCode.SIGMOID: lambda x, alpha, beta: sigmoid(x),
    ActivationCode.TANH: lambda x, alpha, beta: tanh(x),
    ActivationCode.RELU: lambda x, alpha, beta: np.where(x < 0, _ZERO, x),
    ActivationCode.LEAKY_RELU: lambda x, alpha, beta: leaky(x, alpha),
    ActivationCode.ELU: _elu,
    ActivationCode.HARD_SIGMOID: lambda x, alpha, beta: _clip(alpha * x + beta, _ZERO, _ONE),
    ActivationCode.SOFTSIGN: _softsign,
    ActivationCode.SOFTPLUS: _softplus,
    ActivationCode.GELU: _gelu,
    ActivationCode.GELU_TANH: _gelu_tanh,
    ActivationCode.SILU: lambda x, alpha, beta: x * sigmoid(x),
    ActivationCode.HARD_SWISH: lambda x, alpha, beta: x * _clip(x * _SIXTH + _HALF, _ZERO, _ONE),
    ActivationCode.CLIP: _clip,
    ActivationCode.EXP: lambda x, alpha, beta: exp(x),
    ActivationCode.LOG: lambda x, alpha, beta: beta * log(np.where(x < alpha, alpha, x)),
    ActivationCode.LOG1P: lambda x, alpha, beta: beta * log1p(np.where(x < alpha, alpha, x)),
}


def activate(activation: Activation, x: Floats) -> Floats:
    """The activation of every element of a float32 array; not flushed."""
    alpha, beta = np.float32(activation.alpha), np.float32(activation.beta)
    return _FUNCTIONS[activation.code](x, alpha, beta)
