# SPDX-License-Identifier: Apache-2.0
"""The example: a trained Keras file, converted and streamed over a real series without keras."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grucore

pytest.importorskip("h5py")

EXAMPLE = Path(__file__).parents[2] / "examples" / "sunspots"


@pytest.fixture(scope="module")
def forecast() -> ModuleType:
    """The script of the example."""
    if not EXAMPLE.is_dir():
        pytest.skip("the examples are not here")
    sys.path.insert(0, str(EXAMPLE))
    try:
        import forecast
    finally:
        sys.path.remove(str(EXAMPLE))
    return forecast


@pytest.fixture(scope="module")
def series(forecast: ModuleType) -> dict[str, Any]:
    """The years, their sunspots, and what Keras says after each."""
    with np.load(EXAMPLE / "expected.npz") as expected:
        return dict(expected)


@pytest.fixture(scope="module")
def ours(forecast: ModuleType, series: dict[str, Any]) -> Any:
    """The stream's forecast after each year."""
    model = grucore.convert(EXAMPLE / "sunspots.keras", verify=False)
    return forecast.stream(model, series["counts"])


def test_stream_says_what_keras_says(series: dict[str, Any], ours: Any) -> None:
    assert ours.shape == series["outputs"].shape == series["years"].shape
    assert np.abs(ours - series["outputs"]).max() < 1e-5


def test_errors_are_those_of_the_readme(
    forecast: ModuleType, series: dict[str, Any], ours: Any
) -> None:
    years, counts = series["years"], series["counts"]
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for name, outputs in {
        "grucore, streamed": ours,
        "Keras": series["outputs"],
        "linear, last nine years": forecast.autoregression(years, counts),
        "last year's value": forecast.scale(counts),
    }.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| {name} |"))
        stated = [float(cell) for cell in row.split("|")[2:4]]
        assert np.abs(np.subtract(forecast.errors(years, counts, outputs), stated)).max() < 0.006
