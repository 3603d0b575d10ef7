# SPDX-License-Identifier: Apache-2.0
"""The table of `grucore bench --compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grucore.cli.console import Console

__all__ = ["show"]


def show(compared: Sequence[dict[str, Any]], console: Console) -> None:
    """A table of everything, a row for each."""
    columns = ["", "weights", "from float64"]
    steps = compared[0]["step"] is not None
    if steps:
        columns += ["step min", "median", "p50", "p99", "p99.9", "max"]
    columns += [f"run {run['batch']} x {run['frames']}" for run in compared[0]["run"]]
    rows = []
    for one in compared:
        row = [one["name"], one["weights"], f"{one['largest_difference']:.1e}"]
        if steps:
            latency = one["step"]["latency_us"]
            figures = [one["step"]["us_min"], one["step"]["us_median"]]
            figures += [latency[name] for name in ("p50", "p99", "p99.9", "max")]
            row += [f"{figure:.3f}" for figure in figures]
        rows.append(row + [f"{run['us_per_frame_min']:.3f}" for run in one["run"]])
    console.line("side by side, microseconds a step, and a frame of run(x)")
    console.table(columns, rows)
