# SPDX-License-Identifier: Apache-2.0
"""benchmarks/mcu runs, and exported code stays ahead of the loops beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from export.targets import TARGETS, missing_tools, required

FOLDER = Path(__file__).parents[2] / "benchmarks" / "mcu"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree"),
]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    missing = missing_tools(TARGETS["cortex-m4"])
    if missing and required():
        pytest.fail(f"{', '.join(missing)}: missing")
    if missing:
        pytest.skip(f"{', '.join(missing)}: missing")
    monkeypatch.syspath_prepend(str(FOLDER))
    import run

    yield run
    del sys.modules["run"], sys.modules["workloads"]


def test_exported_code_takes_fewer_instructions_than_plain_loops(script: Any) -> None:
    rows = {kind: script.exported("keywords", "cortex-m4", kind) for kind in ("float32", "int8/16")}
    loops = {name: script.plain(name, "cortex-m4") for name in script.PLAIN}
    for one in (*rows.values(), *loops.values()):
        assert one["different"] == 0
    for name, loop in loops.items():
        assert loop["instructions"] > 1.3 * rows[loop["weights"]]["instructions"], name
    lines = script.table([*rows.values(), *loops.values()]).splitlines()
    assert len(lines) == 2 + len(rows) + len(loops)


def test_edgemark_within_its_goal(script: Any) -> None:
    """100 frames in 4.6 million instructions, 30 kB of flash, 2 kB of RAM."""
    one = script.exported("edgemark", "cortex-m4", "int8/8")
    assert one["different"] == 0
    assert 100 * one["instructions"] <= 4_600_000
    assert one["code_bytes"] + one["constant_bytes"] <= 30_000
    assert one["ram_bytes"] <= 2_000
