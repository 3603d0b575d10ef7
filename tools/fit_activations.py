"""Fits the polynomials of the kernels' activations-inl.h and prints them as C++ float constants.

Each is a minimax fit in the relative error of the function it serves, by Remez exchange in 80
digits. The coefficients are rounded to float32 and then moved by single ulps while that lowers the
largest error. Needs mpmath. Usage: python tools/fit_activations.py
"""
# SPDX-License-Identifier: Apache-2.0

import struct
from operator import mul, sub

from mpmath import cos, exp, expm1, fabs, log, lu_solve, matrix, mp, mpf, pi, tanh

mp.dps = 80
GRID = 1500


def to_float32(x):
    return struct.unpack("<f", struct.pack("<f", float(x)))[0]


def remez(error_without, basis, low, high):
    """The c of the least max|error_without(x) - sum c_i basis_i(x)| over x, and that maximum."""
    count = len(basis)
    middle, half = (low + high) / 2, (high - low) / 2
    grid = [middle - half * cos(pi * i / GRID) for i in range(GRID + 1)]
    target = [error_without(x) for x in grid]
    # With an odd lowest power all basis functions change sign at 0, and the alternation with them.
    signs = [1 if basis[0](x) >= 0 else -1 for x in grid]
    columns = [[b(x) for b in basis] for x in grid]
    # All basis functions may vanish at 0, where no error can be levelled: start beside it.
    reference = [
        round(GRID * i / count) + (GRID // (4 * count) if 2 * i == count else 0)
        for i in range(count + 1)
    ]
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
        fitted = [sum(map(mul, coefficients, row)) for row in columns]
        errors = list(map(sub, target, fitted))
        worst = max(fabs(e) for e in errors)
        if worst <= fabs(solution[count]) * mpf("1.0001"):
            break
        reference = exchange(list(map(mul, signs, errors)), count + 1)
    return coefficients, worst


def exchange(errors, count):
    """The indices of `count` neighbouring extremes of alternating sign, the larger ones."""
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
    """Moves float32 coefficients by ulps while that lowers max|target - sum c_i column_i|."""

    def worst(c):
        return max(abs(target - sum(map(mul, c, columns))) for target, columns in points)

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


def fit(name, function, measure, fixed, powers, low, high):
    """Fits function(x) = fixed(x) + sum c_k x^k, its error in units of measure(x); prints c_k."""

    def rest(x):
        return (function(x) - fixed(x)) / measure(x)

    basis = [lambda x, k=k: x**k / measure(x) for k in powers]
    ideal_coefficients, ideal = remez(rest, basis, low, high)
    grid = [low + (high - low) * i / 500 for i in range(501)]
    points = [(float(rest(x)), [float(g(x)) for g in basis]) for x in grid]
    coefficients, reached = polish(points, [to_float32(c) for c in ideal_coefficients])
    print(f"{name}: on [{float(low):.6g}, {float(high):.6g}]", end=", ")
    print(f"relative error 2^{float(log(reached, 2)):.2f}, in reals 2^{float(log(ideal, 2)):.2f}")
    for k, c in zip(powers, coefficients, strict=True):
        print(f"    x^{k}  {c.hex()}f  {c!r}")


def main():
    ln2 = log(mpf(2))
    edge = ln2 / 2 + mpf("1e-5")
    fit("expm1", expm1, exp, lambda x: x, [2, 3, 4, 5, 6], -edge, edge)
    half = mpf("0.5")
    powers = [1, 2, 3, 4, 5, 6]
    fit(
        "2^x - 1", lambda x: expm1(x * ln2), lambda x: mpf(2) ** x, lambda _: 0, powers, -half, half
    )
    fit("tanh", tanh, tanh, lambda x: x, [3, 5, 7, 9], mpf("1e-4"), mpf("0.5625"))
    high = mpf(round(ln2 * 2**15)) / 2**15
    print(f"ln 2 = {float(high).hex()} + {to_float32(ln2 - high).hex()}")
    print(f"1 / ln 2 = {to_float32(1 / ln2).hex()}")


if __name__ == "__main__":
    main()
