# SPDX-License-Identifier: Apache-2.0
"""Quantized GRUs err as their scheme does in float64: the engine's arithmetic adds nothing."""

from __future__ import annotations

import numpy as np
import pytest

import grucore
from grucore.graph.layers import Cell
from oracle.float64_scheme import rounded_int4, rounded_int8
from oracle.quantized_errors import measure

KINDS = [("int8", 16), ("int8", 8), ("float16", 0), ("int4", 16), ("int4", 8)]
SIZES = {(1, 16): 4, (24, 24): 4, (40, 64): 4, (256, 256): 2, (512, 384): 1}  # and seeds
# Ratio of the engine's error to that of the float64 scheme.
MAX_RATIO, RMS_RATIO = 1.3, 1.03
# The same integers and scales on both sides: only rounding in float32 is left between them, by
# which now and then an activation goes to the neighbouring integer.
SAME_MAX_RATIO, SAME_RMS_RATIO = 1.15, 1.005
# Largest and RMS error that ideal arithmetic has at 256 inputs and 256 units, and some room.
IDEAL = {
    ("int8", 16): (8e-3, 1.25e-3),
    ("int8", 8): (1.8e-2, 2.5e-3),
    ("float16", 0): (3.5e-4, 6e-5),
    ("int4", 16): (0.13, 1.9e-2),
    ("int4", 8): (0.13, 1.9e-2),
}


@pytest.mark.parametrize("cell", list(Cell))
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_errors_are_those_of_the_scheme(
    kind: str, bits: int, size: tuple[int, int], cell: Cell
) -> None:
    found = [measure(kind, bits, size, seed, cell=cell) for seed in range(SIZES[size])]
    for seed, errors in enumerate(found):
        for ours, ideal, bound in zip(
            errors.engine, errors.same_weights, (SAME_MAX_RATIO, SAME_RMS_RATIO), strict=True
        ):
            assert ours <= bound * ideal, f"seed {seed}: {ours / ideal:.4f}"
    # Weights are rounded better than the plain way, so seed by seed the largest error may be
    # another one: over all seeds it is not larger.
    engine = np.array([errors.engine for errors in found])
    scheme = np.array([errors.scheme for errors in found])
    assert engine[:, 0].max() <= MAX_RATIO * scheme[:, 0].max()
    assert np.sqrt(np.square(engine[:, 1]).mean()) <= RMS_RATIO * np.sqrt(
        np.square(scheme[:, 1]).mean()
    )
    if size == (256, 256):
        largest, rms = IDEAL[kind, bits]
        assert engine[:, 0].max() <= largest
        assert engine[:, 1].max() <= rms


@pytest.mark.parametrize("isa", grucore.supported_isas())
def test_every_table(isa: str) -> None:
    for kind, bits in KINDS:
        errors = measure(kind, bits, (40, 64), 0, isa=isa)
        assert errors.engine[1] <= SAME_RMS_RATIO * errors.same_weights[1]


def test_plain_roundings() -> None:
    row = np.array([[127.0, -63.4, 0.5, 1.5, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert rounded_int8(row).tolist() == [[127, -63, 0, 2, 0], [0, 0, 0, 0, 0]]
    wide = np.zeros((1, 34))
    wide[0, :3], wide[0, 33] = [-8, 7, 0.6], 16
    found = rounded_int4(wide)
    assert found[0, :3].tolist() == [-8, 7, 1]
    assert found[0, 33] == 16
