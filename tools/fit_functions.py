"""Fits the polynomials of the kernels' functions-inl.h and prints them as C++ float constants.

The method is that of fit_activations.py. Needs mpmath. Usage: python tools/fit_functions.py
"""
# SPDX-License-Identifier: Apache-2.0

from fit_activations import fit
from mpmath import erf, erfc, expm1, fabs, log, log1p, mpf, sqrt


def unless_tiny(function, otherwise):
    """`function`, and `otherwise` where nothing is left of it in 80 digits."""
    return lambda x: function(x) if fabs(x) > mpf("1e-30") else otherwise(x)


def fit_tail(name, function, powers, low, high):
    """Fits what function(x) has beyond x; the error is relative to the function itself."""
    value = unless_tiny(function, lambda x: x)
    measure = unless_tiny(function, lambda _: mpf(1))
    fit(name, value, measure, lambda x: x, powers, low, high)


def main():
    ln2 = log(mpf(2))
    margin = mpf("1e-6")
    edge = ln2 / 2 + mpf("1e-5")
    fit_tail("expm1", expm1, list(range(2, 7)), -edge, edge)
    low, high = sqrt(mpf(0.5)) - 1 - margin, sqrt(mpf(2)) - 1 + margin
    fit_tail("log1p", log1p, list(range(2, 11)), low, high)
    split = mpf("0.921875")
    fit("erf", erf, erf, lambda x: x, [1, 3, 5, 7, 9, 11], mpf("1e-4"), split)
    # An error e of t = log2(erfc) is an error e*ln(2)*erfc of erf = 1 - 2^t.
    fit(
        "log2(erfc)",
        lambda x: log(erfc(x)) / ln2,
        lambda x: 1 / (ln2 * erfc(x)),
        lambda _: 0,
        list(range(1, 7)),
        split,
        mpf(4),
    )


if __name__ == "__main__":
    main()
