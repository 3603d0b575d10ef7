# SPDX-License-Identifier: Apache-2.0
"""Activations: a code and up to two parameters, three attribute words in the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import numpy as np

from grucore.graph.layers.checks import check_code
from grucore.graph.node import Defect, float32_bits, float32_of
from grucore.graph.tensors import Float

__all__ = ["Activation", "ActivationCode", "check_activation"]


class ActivationCode(IntEnum):
    """Codes of docs/format.md, which has the formulas."""

    LINEAR = 0
    SIGMOID = 1
    TANH = 2
    RELU = 3
    LEAKY_RELU = 4
    ELU = 5
    HARD_SIGMOID = 6
    SOFTSIGN = 7
    SOFTPLUS = 8
    GELU = 9
    GELU_TANH = 10
    SILU = 11
    HARD_SWISH = 12
    CLIP = 13
    EXP = 14
    LOG = 15
    LOG1P = 16


_PARAMETERS = {
    ActivationCode.LEAKY_RELU: 1,
    ActivationCode.ELU: 1,
    ActivationCode.HARD_SIGMOID: 2,
    ActivationCode.CLIP: 2,
    ActivationCode.LOG: 2,
    ActivationCode.LOG1P: 2,
}


def _sigmoid(x: Float) -> Float:
    # exp of a negative number only: no overflow on either side.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def _log(x: Float, alpha: float, beta: float, function: Callable[[Float], Float]) -> Float:
    # As in the engine, zero gives -infinity, and a negative number NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        return beta * function(np.where(x < alpha, alpha, x))


def _gelu(x: Float) -> Float:
    erf: Float = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2))
    return x / 2 * (1 + erf)


def _gelu_tanh(x: Float) -> Float:
    inner: Float = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    squashed: Float = np.tanh(inner)
    return x / 2 * (1 + squashed)


_FORMULAS: dict[ActivationCode, Callable[[Float, float, float], Float]] = {
    ActivationCode.LINEAR: lambda x, alpha, beta: x,
    ActivationCode.SIGMOID: lambda x, alpha, beta: _sigmoid(x),
    ActivationCode.TANH: lambda x, alpha, beta: np.tanh(x),
    ActivationCode.RELU: lambda x, alpha, beta: np.where(x < 0, 0.0, x),
    ActivationCode.LEAKY_RELU: lambda x, alpha, beta: np.where(x < 0, alpha * x, x),
    ActivationCode.ELU: lambda x, alpha, beta: np.where(
        x < 0, alpha * np.expm1(np.minimum(x, 0)), x
    ),
    ActivationCode.HARD_SIGMOID: lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    ActivationCode.SOFTSIGN: lambda x, alpha, beta: x / (1 + np.abs(x)),
    ActivationCode.SOFTPLUS: lambda x, alpha, beta: np.logaddexp(0, x),
    ActivationCode.GELU: lambda x, alpha, beta: _gelu(x),
    ActivationCode.GELU_TANH: lambda x, alpha, beta: _gelu_tanh(x),
    ActivationCode.SILU: lambda x, alpha, beta: x * _sigmoid(x),
    ActivationCode.HARD_SWISH: lambda x, alpha, beta: x * np.clip(x / 6 + 0.5, 0, 1),
    ActivationCode.CLIP: lambda x, alpha, beta: np.clip(x, alpha, beta),
    ActivationCode.EXP: lambda x, alpha, beta: np.exp(x),
    ActivationCode.LOG: lambda x, alpha, beta: _log(x, alpha, beta, np.log),
    ActivationCode.LOG1P: lambda x, alpha, beta: _log(x, alpha, beta, np.log1p),
}


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of one number; ``alpha`` and ``beta`` are rounded to float32.

    Those without parameters are constants (`Activation.TANH`), the others functions, without
    defaults since no two frameworks agree on one: `leaky_relu`, `elu`, `hard_sigmoid`, `clip`,
    `log`, `log1p`.
    """

    code: ActivationCode
    alpha: float = 0.0
    beta: float = 0.0

    LINEAR: ClassVar[Activation]
    SIGMOID: ClassVar[Activation]
    TANH: ClassVar[Activation]
    RELU: ClassVar[Activation]
    SOFTSIGN: ClassVar[Activation]
    SOFTPLUS: ClassVar[Activation]
    GELU: ClassVar[Activation]
    GELU_TANH: ClassVar[Activation]
    SILU: ClassVar[Activation]
    HARD_SWISH: ClassVar[Activation]
    EXP: ClassVar[Activation]

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            with np.errstate(over="ignore"):
                rounded = float(np.float32(getattr(self, name)))
            object.__setattr__(self, name, rounded)

    @classmethod
    def leaky_relu(cls, alpha: float) -> Activation:
        """``x < 0 ? alpha x : x``."""
        return cls(ActivationCode.LEAKY_RELU, alpha)

    @classmethod
    def elu(cls, alpha: float) -> Activation:
        """``x < 0 ? alpha (exp(x) - 1) : x``."""
        return cls(ActivationCode.ELU, alpha)

    @classmethod
    def hard_sigmoid(cls, alpha: float, beta: float) -> Activation:
        """``clip(alpha x + beta, 0, 1)``: Keras 3 and torch 1/6, Keras 1 and 2 and ONNX 0.2."""
        return cls(ActivationCode.HARD_SIGMOID, alpha, beta)

    @classmethod
    def clip(cls, least: float, most: float) -> Activation:
        """``x`` within [least, most]; either may be infinite."""
        return cls(ActivationCode.CLIP, least, most)

    @classmethod
    def log(cls, least: float, factor: float = 1.0) -> Activation:
        """``factor log(x)``, of ``least`` where x is below it: 0 or more, or -infinity for none.

        The factor is 1 / ln(10) for the decimal logarithm, 10 / ln(10) for decibels of a power.
        """
        return cls(ActivationCode.LOG, least, factor)

    @classmethod
    def log1p(cls, least: float, factor: float = 1.0) -> Activation:
        """``factor log(1 + x)``, of ``least`` where x is below it."""
        return cls(ActivationCode.LOG1P, least, factor)

    def __call__(self, x: Float) -> Float:
        """The function of every element, in float64."""
        return _FORMULAS[self.code](x, self.alpha, self.beta)

    @property
    def name(self) -> str:
        """As in docs/format.md: "hard_sigmoid"."""
        return self.code.name.lower()

    @property
    def words(self) -> tuple[int, int, int]:
        """The attribute words."""
        return int(self.code), float32_bits(self.alpha), float32_bits(self.beta)

    @classmethod
    def of_words(cls, words: Sequence[int]) -> Activation:
        """The inverse of `words`, which are checked."""
        return cls(ActivationCode(words[0]), float32_of(words[1]), float32_of(words[2]))

    def __str__(self) -> str:
        used = (self.alpha, self.beta)[: _PARAMETERS.get(self.code, 0)]
        parameters = ", ".join(f"{number:.6g}" for number in used)
        return f"{self.name}({parameters})" if parameters else self.name


for _code in ActivationCode:
    if _code not in _PARAMETERS:
        setattr(Activation, _code.name, Activation(_code))


def check_activation(
    words: Sequence[int], first: int, what: str, codes: int = len(ActivationCode)
) -> None:
    """Raise `Defect` unless the three words from ``first`` on are one of the first ``codes``."""
    code = ActivationCode(check_code(ActivationCode, words, first, what))
    if code >= codes:
        message = f"{what} is {code.name.lower()}, expected a code below {codes}"
        raise Defect("kBadAttribute", message, first)
    used = _PARAMETERS.get(code, 0)
    for place, name in enumerate(("alpha", "beta")):
        index = first + 1 + place
        number = float32_of(words[index])
        if place >= used and words[index] != 0:
            message = f"{what}, {code.name.lower()}, has {name} {number}, expected none"
            raise Defect("kBadAttribute", message, index)
        has_floor = place == 0 and code in (ActivationCode.LOG, ActivationCode.LOG1P)
        may_be_infinite = code is ActivationCode.CLIP or has_floor
        if math.isnan(number) or (math.isinf(number) and not may_be_infinite):
            message = f"{what}, {code.name.lower()}, has {name} {number}, expected a number"
            raise Defect("kBadAttribute", message, index)
