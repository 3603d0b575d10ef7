"""Fits the polynomials of cpp/src/kernels/activations-inl.h and prints them as C++ float constants.

Each is a minimax fit in the relative error of the function it serves, by Remez exchange in 80 digits. The coefficients
are rounded to float32 and then moved by single ulps while that lowers the largest error. Needs mpmath.
Usage: python tools/fit_activations.py
"""
# SPDX-License-Identifier: Apache-2.0

import struct

from mpmath import mp, mpf, cos, exp, expm1, fabs, log, lu_solve, matrix, pi, tanh

mp.dps = 80
GRID = 1500


def to_float32(x):
    return struct.unpack("<f", struct.pack("<f", float(x)))[0]


def remez(error_without, basis, low, high):
    """Coefficients c of the least max|error_without(x) - sum c_i basis_i(x)| on [low, high], and that maximum."""
    count = len(basis)
    middle, half = (low + high) / 2, (high - low) / 2
    grid = [middle - half * cos(pi * i / GRID) for i in range(GRID + 1)]
    target = [error_without(x) for x in grid]
    # With an odd lowest power all basis functions change sign at 0, and the alternation with them.
    signs = [1 if basis[0](x) >= 0 else -1 for x in grid]
    columns = [[b(x) for b in basis] for x in grid]
    # All basis functions may vanish at 0, where no error can be levelled: start beside it.
    reference = [round(GRID * i / count) + (GRID // (4 * count) if 2 * i == count else 0) for i in range(count + 1)]
    for _ in range(50):
        system = matrix(count + 1, count + 1)
        right = matrix(count + 1, 1)
        for row, at in enumerate(reference):
            for i in range(count):
                system[row, i] = columns[at][i]
            system[row, count] = (-1) ** row * signs[at]
            right[row] = target[at]
        solution = lu_solve(system, right)
        coefficients = [solution[i] for i in range(count)]
        errors = [t - sum(c * g for c, g in zip(coefficients, row)) for t, row in zip(target, columns)]
        worst = max(fabs(e) for e in errors)
        if worst <= fabs(solution[count]) * mpf("1.0001"):
            break
        reference = exchange([s * e for s, e in zip(signs, errors)], count + 1)
    return coefficients, worst


def exchange(errors, count):
    """The indices of the extremes of alternating sign, the largest `count` neighbours among them."""
    extremes = []
    for i, e in enumerate(errors):
        if fabs(e) < mpf("1e-40"):
            continue
        if extremes and (errors[extremes[-1]] > 0) == (e > 0):
            if fabs(e) > fabs(errors[extremes[-1]]):
                extremes[-1] = i
        else:
            extremes.append(i)
    while len(extremes) > count:
        extremes.pop(0 if fabs(errors[extremes[0]]) < fabs(errors[extremes[-1]]) else -1)
    return extremes


def polish(points, coefficients):
    """Moves float32 coefficients by single ulps while that lowers the largest |target - sum c_i column_i|."""

    def worst(c):
        return max(abs(target - sum(x * y for x, y in zip(c, columns))) for target, columns in points)

    best = worst(coefficients)
    improved = True
    while improved:
        improved = False
        for i in range(len(coefficients)):
            for step in (-4, -2, -1, 1, 2, 4):
                trial = list(coefficients)
                trial[i] = next_float32(trial[i], step)
                error = worst(trial)
                if error < best:
                    coefficients, best, improved = trial, error, True
    return coefficients, best


def next_float32(x, step):
    pattern = struct.unpack("<I", struct.pack("<f", x))[0]
    return struct.unpack("<f", struct.pack("<I", pattern + step))[0]


def fit(name, function, fixed, powers, low, high):
    """Fits function(x)[0] = fixed(x) + sum c_k x^k, error measured against function(x)[1]; prints the float32 c_k."""

    def rest(x):
        return (function(x)[0] - fixed(x)) / function(x)[1]

    basis = [lambda x, k=k: x**k / function(x)[1] for k in powers]
    ideal_coefficients, ideal = remez(rest, basis, mpf(low), mpf(high))
    grid = [mpf(low) + (mpf(high) - mpf(low)) * i / 500 for i in range(501)]
    points = [(float(rest(x)), [float(g(x)) for g in basis]) for x in grid]
    coefficients, reached = polish(points, [to_float32(c) for c in ideal_coefficients])
    print(f"{name}: on [{float(low):.6g}, {float(high):.6g}], relative error 2^{float(log(reached, 2)):.2f}"
          f" (2^{float(log(ideal, 2)):.2f} before rounding)")
    for k, c in zip(powers, coefficients):
        print(f"    x^{k}  {c.hex()}f  {c!r}")


def main():
    ln2 = log(mpf(2))
    tiny = mpf("1e-4")  # a function and what its error is measured against: here the weight's limit at 0 is 1
    margin = ln2 / 2 + mpf("1e-5")
    for top in (5, 6):
        fit(f"expm1, degree {top}", lambda x: (expm1(x), exp(x)), lambda x: x, list(range(2, top + 1)), -margin, margin)
    for top in (5, 6):
        fit(f"2^x - 1, degree {top}", lambda x: (expm1(x * ln2), exp(x * ln2)), lambda x: mpf(0),
            list(range(1, top + 1)), mpf("-0.5"), mpf("0.5"))
    for top in (9, 11):
        fit(f"tanh, degree {top}", lambda x: (tanh(x), tanh(x)), lambda x: x, list(range(3, top + 1, 2)), tiny,
            mpf("0.5625"))
    high = mpf(round(ln2 * 2**15)) / 2**15
    print("ln 2 =", float(high).hex(), "+", to_float32(ln2 - high).hex(), "; 1/ln 2 =",
          to_float32(1 / ln2).hex(), "; 2/ln 2 =", to_float32(2 / ln2).hex())


if __name__ == "__main__":
    main()
