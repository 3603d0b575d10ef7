# SPDX-License-Identifier: Apache-2.0
"""exp, sigmoid, tanh, expm1, log, log1p and erf as docs/numerics.md writes them: in float32, one
rounded operation at a time, so that each bit is the engine's.

Each function takes a float32 array of any shape and gives one like it; nothing is raised for what
overflows or is not a number. The constants are those of the page.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "erf", "exp", "expm1", "flush", "log", "log1p", "number", "sigmoid", "tanh"]

Floats: TypeAlias = npt.NDArray[np.float32]
Words: TypeAlias = npt.NDArray[np.uint32]
Coefficients: TypeAlias = tuple[np.float32, ...]


def number(text: str) -> np.float32:
    """A constant in hexadecimal: as a float32, so that what it enters stays in float32."""
    return np.float32(float.fromhex(text))


def _numbers(text: str) -> Coefficients:
    return tuple(number(word) for word in text.split())


_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))
_SMALLEST_NORMAL = number("0x1p-126")
_SIGN, _EXPONENT, _MANTISSA = (np.uint32(word) for word in (0x80000000, 0x7F800000, 0x007FFFFF))

# Added to a small t it leaves rne(t) in the low bits of the sum; subtracted again, rne(t) itself.
_ROUND = number("0x1.8p23")
_ROUND_BIASED = _ROUND + np.float32(127)  # shifted left by 23, the low bits are 2^rne(t)
_ROUND_HALVED = _ROUND + np.float32(126)  # and here 2^(rne(t) - 1)

_LOG2_E = number("0x1.715476p+0")
_LN2_HIGH = number("0x1.62e4p-1")
_LN2_LOW = number("0x1.7f7d1cp-20")
_LN2 = number("0x1.62e430p-1")
_LN2_LOW_SHIFT = number("0x1p-55")
_EXP_LEAST = number("-0x1.5d589ep+6")
_EXP_OVERFLOW = number("0x1.62e430p+6")
# Coefficients of the second to the sixth power.
_EXP = _numbers("0x1.fffffcp-2 0x1.555492p-3 0x1.5558d2p-5 0x1.1239ccp-7 0x1.6a2408p-10")

_TANH_SPLIT, _TANH_SATURATED = number("0x1.2p-1"), number("0x1.3p+3")
_TANH_FIRST = number("0x1.62e430p-1")
_TANH_LARGE = _numbers("0x1.ebfbdap-3 0x1.c6af2ap-5 0x1.3b2e34p-7 0x1.5f3f60p-10 0x1.41fce0p-13")
_TANH_SMALL = _numbers("0x1.09f5b8p-6 -0x1.ae9d06p-5 0x1.10c650p-3 -0x1.555422p-2")

_LINEAR = number("0x1p-40")  # below it a function is x, or a multiple of it
_EXPM1 = _numbers("0x1.fffffep-2 0x1.5554b0p-3 0x1.5556c2p-5 0x1.122878p-7 0x1.6bed6ep-10")

_SQRT_HALF = np.uint32(0x3F3504F3)  # the bits of sqrt(1/2)
_LOG_BIAS = np.float32((1 << 23) + 127)
_LOG = _numbers(
    "-0x1.fffff8p-2 0x1.555550p-2 -0x1.000426p-2 0x1.99a3f4p-3 -0x1.542792p-3"
    " 0x1.2271e8p-3 -0x1.0f37e6p-3 0x1.084934p-3 -0x1.383140p-4"
)

_ERF_SPLIT = number("0x1.d8p-1")
_ERF_FIRST = number("-0x1.a0cae6p+0")
_ERF_LARGE = _numbers("-0x1.d59728p-1 -0x1.36f3bap-3 0x1.0e5f3ap-5 -0x1.2f933ap-8 0x1.42ee4ep-12")
_ERF_SMALL = _numbers(
    "-0x1.3a17f6p-11 0x1.473b9ap-8 -0x1.b68b5cp-6 0x1.ce1a70p-4 -0x1.8126e6p-2 0x1.06eba6p-3"
)


def _bits(x: Floats) -> Words:
    return x.view(np.uint32)


def _float(words: Words) -> Floats:
    return words.view(np.float32)


def _power(rounded: Floats) -> Floats:
    """2^n from what adding a `_ROUND` and a bias has left in the low bits."""
    return _float(_bits(rounded) << np.uint32(23))


def flush(x: Floats) -> Floats:
    """+0 for everything below 2^-126 in magnitude, -0 too; the rest as it is."""
    result: Floats = np.where(np.abs(x) < _SMALLEST_NORMAL, _ZERO, x)
    return result


def _signed(magnitude: Floats, x: Floats) -> Floats:
    """The magnitude with the sign of x."""
    return _float(_bits(magnitude) | (_bits(x) & _SIGN))


def _upper(c: Coefficients, x: Floats, x2: Floats) -> Floats:
    """The terms of the second to the sixth power: ``U`` of the page."""
    c23 = c[1] * x + c[0]
    c45 = c[3] * x + c[2]
    c456 = c[4] * x2 + c45
    return x2 * (x2 * c456 + c23)


def _horner(c: Coefficients, u: Floats) -> Floats:
    """Coefficients from the highest power down: ``H`` of the page."""
    q = c[0] * u + c[1]
    for coefficient in c[2:]:
        q = q * u + coefficient
    return q


def _exp_less_one(r: Floats) -> Floats:
    """About exp(r) - 1 for a reduced argument."""
    return r + _upper(_EXP, r, r * r)


def exp(x: Floats) -> Floats:
    """exp(x): infinity from 88.72 on, 0 below -87.34."""
    rounded = x * _LOG2_E + _ROUND
    n = rounded - _ROUND
    p = _exp_less_one((x - n * _LN2_HIGH) - (n * _LN2_LOW + _LN2_LOW_SHIFT))
    # n reaches 128, where 2^n is no float: it is added to the exponent.
    scaled = _float(_bits(_ONE + p) + (_bits(rounded) << np.uint32(23)))
    y = np.where(x < _EXP_OVERFLOW, scaled, x + np.float32(np.inf))
    return np.where(x < _EXP_LEAST, _ZERO, y)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    inside = np.where(np.float32(20) < x, np.float32(20), x)
    rounded = inside * -_LOG2_E + _ROUND_BIASED
    n = rounded - _ROUND_BIASED
    p = _exp_less_one((n * -_LN2_HIGH - inside) - (n * _LN2_LOW + _LN2_LOW_SHIFT))
    s = _power(rounded)
    high = s + _ONE
    lost = _ONE - (high - s)
    y = _ONE / (high + (s * p + lost))
    return np.where(x < _EXP_LEAST, _ZERO, y)


def tanh(x: Floats) -> Floats:
    """tanh(x), odd bit for bit."""
    a = np.abs(x)
    inside = np.where(a > _TANH_SATURATED, _TANH_SATURATED, a)
    inside = np.where(inside < _HALF, _HALF, inside)
    t = inside * (_TWO * _LOG2_E)
    rounded = t + _ROUND_BIASED
    f = t - (rounded - _ROUND_BIASED)
    p = _TANH_FIRST * f + _upper(_TANH_LARGE, f, f * f)
    s = _power(rounded)
    large = _ONE - _TWO / (s * p + (s + _ONE))

    base = np.where(a < _LINEAR, _ZERO, a)
    u = base * base
    small = flush(a) + base * u * _horner(_TANH_SMALL, u)
    return _signed(np.where(a > _TANH_SPLIT, large, small), x)


def expm1(x: Floats) -> Floats:
    """exp(x) - 1."""
    linear = np.abs(x) < _LINEAR
    inside = np.where(linear, _ZERO, x)
    inside = np.where(np.float32(-20) > inside, np.float32(-20), inside)
    inside = np.where(np.float32(89) < inside, np.float32(89), inside)
    rounded = inside * _LOG2_E + _ROUND_HALVED
    n = rounded - _ROUND_HALVED
    high = inside - n * _LN2_HIGH
    low = n * _LN2_LOW
    r = high - low
    s = _power(rounded)  # 2^(n-1), since 2^128 would be no float
    y = (s - _HALF) + s * (high + (_upper(_EXPM1, r, r * r) - low))
    return np.where(linear, flush(x), y + y)


def _log_split(x: Floats) -> tuple[Words, Floats, Floats]:
    """For a positive normal x = 2^n (1 + f): n + 127 in an exponent's place, n + 127 + 2^23, f."""
    split = _bits(x) + (np.uint32(0x3F800000) - _SQRT_HALF)
    exponent = _float((split >> np.uint32(23)) | np.uint32(0x4B000000))
    f = _float((split & _MANTISSA) + _SQRT_HALF) - _ONE
    return split, exponent, f


def _log_reduced(n: Floats, f: Floats, low: Floats | np.float32, base: Floats) -> Floats:
    """n ln 2 + log(1 + f + low); ``base`` is f + low, or 0 where that is tiny."""
    b2 = base * base
    q = _LOG[8] * b2 + (_LOG[7] * base + _LOG[6])
    for i in (4, 2, 0):
        q = q * b2 + (_LOG[i + 1] * base + _LOG[i])
    small = b2 * q + (n * _LN2_LOW + low)
    return (f + small) + n * _LN2_HIGH


def _log_edges(x: Floats, y: Floats) -> Floats:
    """y where x is positive and finite, and what the logarithm is elsewhere."""
    infinity = np.float32(np.inf)
    positive = np.where(x == infinity, infinity, y)
    return np.where(x > 0, positive, np.where(x == 0, -infinity, np.float32(np.nan)))


def log(x: Floats) -> Floats:
    """log(x): of both zeros -infinity, of less NaN; of denormals too."""
    denormal = x < _SMALLEST_NORMAL
    _, exponent, f = _log_split(np.where(denormal, x * np.float32(1 << 24), x))
    n = exponent - np.where(denormal, _LOG_BIAS + np.float32(24), _LOG_BIAS)
    return _log_edges(x, _log_reduced(n, f, _ZERO, f))


def log1p(x: Floats) -> Floats:
    """log(1 + x): of -1 -infinity, of less NaN."""
    larger = np.where(x < _ONE, _ONE, x)
    smaller = np.where(x > _ONE, _ONE, x)
    total = larger + smaller
    lost = smaller - (total - larger)
    split, exponent, f = _log_split(total)
    scale = _float(np.uint32(0x7F000000) - (split & _EXPONENT))  # 2^-n
    low = np.where(x > number("0x1p60"), _ZERO, lost * scale)
    whole = f + low
    base = np.where(np.abs(whole) < _LINEAR, _ZERO, whole)
    return _log_edges(total, flush(_log_reduced(exponent - _LOG_BIAS, f, low, base)))


def erf(x: Floats) -> Floats:
    """erf(x), odd bit for bit."""
    a = np.abs(x)
    inside = np.where(np.float32(4) < a, np.float32(4), a)
    inside = np.where(inside < _HALF, _HALF, inside)
    t = _ERF_FIRST * inside + _upper(_ERF_LARGE, inside, inside * inside)
    rounded = t + _ROUND_BIASED
    p = _exp_less_one((t - (rounded - _ROUND_BIASED)) * _LN2)
    s = _power(rounded)
    large = _ONE - (s + s * p)

    base = np.where(a < _LINEAR, _ZERO, a)
    small = flush(a + a * _horner(_ERF_SMALL, base * base))
    return _signed(np.where(a > _ERF_SPLIT, large, small), x)
