# SPDX-License-Identifier: Apache-2.0
"""Fused products and roots of exported code where a machine has no instruction for them."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.c_code import FLAGS, compiler
from grucore.export.pieces import pieces_for, with_prefix
from oracle.exact.products import _round_to_odd
from oracle.exact_bits import same

WRAP = """
void each(float *y, const float *a, const float *b, const float *c, uint32_t count) {
  uint32_t i;
  for (i = 0; i < count; ++i) y[i] = gc_madd(a[i], b[i], c[i]);
}
"""


def triples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random bits, cancellations, ties and what is next to them; factors are never denormal."""
    rng = np.random.default_rng(3)

    def of(low: int, high: int, count: int) -> np.ndarray:
        bits = rng.integers(0, 1 << 23, count) | rng.integers(low, high, count) << 23
        return (bits | rng.integers(0, 2, count) << 31).astype(np.uint32).view(np.float32)

    with np.errstate(all="ignore"):
        parts = [
            (of(1, 256, 200_000), of(1, 256, 200_000), of(0, 256, 200_000)),
            (of(100, 154, 200_000), of(100, 154, 200_000), of(90, 164, 200_000)),
            (of(1, 80, 100_000), of(40, 80, 100_000), of(0, 30, 100_000)),
        ]
        a, b = of(110, 140, 300_000), of(110, 140, 300_000)
        near = -(a * b)
        parts.append((a, b, near))
        nudged = near.view(np.uint32) + rng.integers(-2, 3, len(near)).astype(np.uint32)
        parts.append((a, b, nudged.view(np.float32)))
        # Few bits in the factors, and a sum whose half of the last place they are.
        short = (a.view(np.uint32) & np.uint32(0xFFFFF000)).view(np.float32)
        half = (short * short).view(np.uint32) + (rng.integers(20, 30, len(a)) << 23).astype(
            np.uint32
        )
        parts.append((short, short, half.view(np.float32)))
    zeros = np.array([0, -0.0, 1, -1, 2**-126, np.inf, -np.inf, np.nan, 3e38], np.float32)
    grid = np.meshgrid(zeros, zeros, np.append(zeros, np.float32(1e-45)))
    parts.append(tuple(axis.reshape(-1) for axis in grid))
    a, b, c = (np.concatenate(column) for column in zip(*parts, strict=True))
    return a, b, c


@pytest.mark.parametrize("emulation", [1, 2])
def test_emulated_fused_products(emulation: int, tmp_path: Path) -> None:
    """1: by doubles, 2: by integers."""
    text = "#include <stdint.h>\n" + "\n".join([*pieces_for([WRAP], "fused"), WRAP])
    (tmp_path / "fused.c").write_text(with_prefix(text, "t"), "utf-8")
    library = tmp_path / "fused.so"
    command = [compiler("gcc"), "-std=c99", *FLAGS, "-O2", f"-DT_EMULATE={emulation}"]
    subprocess.run(
        [*command, "-shared", "-fPIC", str(tmp_path / "fused.c"), "-o", str(library)], check=True
    )
    a, b, c = triples()
    found = np.zeros_like(a)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (found, a, b, c)]
    ctypes.CDLL(str(library)).each(*pointers, ctypes.c_uint32(len(a)))
    with np.errstate(all="ignore"):
        product = a.astype(np.float64) * b.astype(np.float64)
        expected = _round_to_odd(product, c.astype(np.float64)).astype(np.float32)
    assert same(found, expected)
