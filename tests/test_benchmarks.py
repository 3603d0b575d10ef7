# SPDX-License-Identifier: Apache-2.0
"""The scripts of benchmarks/ still run; what they measure here means nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree"),
]


def run(script: str, output: Path, *arguments: str) -> dict:
    command = [sys.executable, str(FOLDER / script), "--rounds", "1", "--out", str(output)]
    subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=300)
    return json.loads(output.read_text("utf-8"))


def test_streaming(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.json"
    rows = [{"workload": "S1", "isa": "scalar", "us_min": 0.1, "limit_us": 0.01}]
    kernel.write_text(json.dumps({"results": rows}), "utf-8")
    more = ["--no-peers", "--isa", "scalar", "--workload", "S1,S3", "--kernel", str(kernel)]
    report = run("streaming.py", tmp_path / "out.json", *more)
    assert report["workloads"]["S1"]["kernel"]["us_min"] == 0.1
    assert report["workloads"]["S3"]["kernel"] is None
    for one in report["workloads"].values():
        assert one["peers"]["grucore"]["largest_difference"] < 2e-6


def test_overhead(tmp_path: Path) -> None:
    calls = run("overhead.py", tmp_path / "out.json")["calls"]
    assert calls["step(x, out=out)"]["us_min"] > 0


def test_imports(tmp_path: Path) -> None:
    imports = run("imports.py", tmp_path / "out.json")["imports"]
    assert not imports["import grucore"]["imports_numpy"]
    assert imports["import numpy"]["imports_numpy"]


def table(script: str, output: Path, *arguments: str) -> Any:
    command = [sys.executable, str(FOLDER / script), "--out", str(output), *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return json.loads(output.read_text("utf-8"))


def test_quantized_errors(tmp_path: Path) -> None:
    more = ["--seeds", "1", "--size", "40x64"]
    rows = table("quantized_errors.py", tmp_path / "out.json", *more)
    assert len(rows) == 5
    assert all(row["RMS / same weights"] < 1.01 for row in rows)


def test_quantized_speed(tmp_path: Path) -> None:
    more = ["--seconds", "0.01", "--size", "40x64", "--isa", "scalar"]
    (row,) = table("quantized_speed.py", tmp_path / "out.json", *more)
    assert all(cost["us_min"] > 0 for cost in row["kinds"].values())


def test_quantized_examples(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    found = table("quantized_examples.py", tmp_path / "out.json", "--only", "sunspots")
    errors = {row["weights"]: row["MAE"] for row in found["sunspots"]}
    assert abs(errors["int8/16"] - errors["float32"]) < 0.1
    assert abs(errors["float16"] - errors["float32"]) < 0.05
