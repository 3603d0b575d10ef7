"""Fits the polynomials of cpp/src/kernels/functions-inl.h and prints them as C++ float constants.

The method is fit_activations.py's. Needs mpmath. Usage: python tools/fit_functions.py
"""
# SPDX-License-Identifier: Apache-2.0

from mpmath import mpf, erf, erfc, expm1, fabs, log, log1p, sqrt

from fit_activations import fit


def main():
    ln2 = log(mpf(2))

    def relative(function):
        """A function that is x near 0, with the weight of its relative error."""
        return lambda x: (function(x), function(x)) if fabs(x) > mpf("1e-30") else (x, mpf(1))

    # Weighed against expm1 itself, which is the result where no power of two goes before it.
    margin = ln2 / 2 + mpf("1e-5")
    for top in (6, 7):
        fit(f"expm1, degree {top}", relative(expm1), lambda x: x, list(range(2, top + 1)), -margin, margin)
    low, high = sqrt(mpf(0.5)) - 1 - mpf("1e-6"), sqrt(mpf(2)) - 1 + mpf("1e-6")
    for top in (9, 10):
        fit(f"log1p, degree {top}", relative(log1p), lambda x: x, list(range(2, top + 1)), low, high)

    split = mpf("0.921875")
    for top in (11, 13):
        fit(f"erf, degree {top}", lambda x: (erf(x), erf(x)), lambda x: x, list(range(1, top + 1, 2)), mpf("1e-4"), split)
    # An error e of log2(erfc) is an error e*ln(2)*erfc of erf = 1 - 2^log2(erfc).
    for top in (6, 7):
        fit(f"log2(erfc), degree {top}", lambda x: (log(erfc(x)) / ln2, 1 / (ln2 * erfc(x))), lambda x: mpf(0),
            list(range(1, top + 1)), split, mpf("4"))


if __name__ == "__main__":
    main()
