# SPDX-License-Identifier: Apache-2.0
"""Every reader on damaged files: golden ones with bytes changed, cut out, doubled and moved."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grucore import ConversionError, FormatError, UnsupportedError
from grucore.converters.convert import convert_path
from oracle.oracles import oracle

for package in ("h5py", "onnx", "safetensors"):
    oracle(package)

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted(
    path
    for path in GOLDEN.rglob("*")
    if path.suffix in {".pt", ".pt2", ".keras", ".h5", ".onnx"} and path.stat().st_size < 200_000
)
# Where, how many bytes, what becomes of them.
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 16),
        st.sampled_from(["flip", "zero", "ones", "cut", "double", "random"]),
        st.binary(min_size=16, max_size=16),
    ),
    min_size=1,
    max_size=4,
)


def damage(data: bytes, changes: list[tuple[float, int, str, bytes]]) -> bytes:
    for where, count, how, noise in changes:
        at = int(where * len(data))
        piece = data[at : at + count]
        new = {
            "flip": bytes(byte ^ 1 << noise[0] % 8 for byte in piece[:1]) + piece[1:],
            "zero": bytes(len(piece)),
            "ones": b"\xff" * len(piece),
            "cut": b"",
            "double": piece * 2,
            "random": noise[: len(piece)],
        }[how]
        data = data[:at] + new + data[at + count :]
    return data


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=CHANGES)
def test_damage_ends_in_a_model_or_a_clear_error(
    path: Path, changes: list[tuple[float, int, str, bytes]], tmp_path: Path
) -> None:
    damaged = tmp_path / path.name
    damaged.write_bytes(damage(path.read_bytes(), changes))
    refusals = (ConversionError, FormatError, UnsupportedError)
    with warnings.catch_warnings(), contextlib.suppress(*refusals):
        warnings.simplefilter("ignore")  # of the numbers in damaged weights
        convert_path(damaged, verify=False)
