# SPDX-License-Identifier: Apache-2.0
"""The scripts of benchmarks/ still run; what they measure here means nothing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree"),
]


def run(script: str, output: Path, *arguments: str) -> dict:
    command = [sys.executable, str(FOLDER / script), "--rounds", "1", "--out", str(output)]
    subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=300)
    return json.loads(output.read_text("utf-8"))


def test_compare(tmp_path: Path) -> None:
    installed = [
        peer
        for peer, module in (("torch GRU", "torch"), ("onnxruntime", "onnxruntime"))
        if importlib.util.find_spec(module)
    ]
    more = ["--quick", "--weights", "float32,int8/8", "--peers", ",".join([*installed, "ncnn"])]
    report = run("compare.py", tmp_path / "out.json", *more, "--isa", "scalar")
    assert list(report["workloads"]) == ["S1", "Q3"]
    for one in report["workloads"].values():
        found = one["contenders"]
        for title in ("grucore float32", "grucore float32 scalar", *installed):
            assert found[title]["us_min"] > 0
            assert found[title]["error"] < 2e-6
        assert found["grucore int8/8"]["error"] < 0.1
        assert one["not_timed"].keys() <= {"ncnn"}
    done = subprocess.run(
        [sys.executable, str(FOLDER / "tables.py"), str(tmp_path / "out.json")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "| grucore float32 |" in done.stdout
    if importlib.util.find_spec("matplotlib"):
        script = [sys.executable, str(FOLDER / "plots.py"), str(tmp_path / "out.json")]
        subprocess.run([*script, "--folder", str(tmp_path)], check=True, timeout=300)
        plots = list(tmp_path.glob("*.svg"))
        assert plots
        assert all(plot.stat().st_size < 60_000 for plot in plots)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_compare_of_another_cell(cell: str, tmp_path: Path) -> None:
    """Every peer computes the same cell, or it is named with a reason."""
    more = ["--quick", "--weights", "float32,int8/8", "--cell", cell]
    report = run("compare.py", tmp_path / "out.json", *more)
    for one in report["workloads"].values():
        assert one["contenders"]["grucore float32"]["error"] < 2e-6
        assert not [why for why in one["not_timed"].values() if why.startswith("wrong")]
    if importlib.util.find_spec("torch"):
        assert f"torch {cell.upper()}" in report["workloads"]["S1"]["contenders"]


@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")
def test_contenders_in_cpp(tmp_path: Path) -> None:
    """One that is there agrees with float64; of one that is not the report says how to build it."""
    source = FOLDER.parent / "cpp" / "bench" / "yardsticks"
    library = tmp_path / "libyardstick_columns.so"
    command = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-o", str(library)]
    files = [str(source / name) for name in ("columns.cpp", "yardstick.cpp")]
    subprocess.run([*command, *files], check=True, timeout=300)
    more = ["--quick", "--weights", "float32", "--peers", "C++ columns,C++ Eigen"]
    report = run("compare.py", tmp_path / "out.json", *more, "--yardsticks", str(tmp_path))
    for one in report["workloads"].values():
        assert one["contenders"]["C++ columns"]["error"] < 2e-6
        assert "--target yardsticks (it needs Eigen" in one["not_timed"]["C++ Eigen"]


def test_streams(tmp_path: Path) -> None:
    report = run("streams.py", tmp_path / "out.json", "--streams", "10", "--workload", "S2")
    for found in report["weights"].values():
        assert found["half"]["us_min"] > 0


def test_pool(tmp_path: Path) -> None:
    report = run("pool.py", tmp_path / "out.json", "--streams", "10,300", "--frames", "20")
    assert report["ticks"].keys() == {"10", "300"}
    assert report["join_and_leave"] > 0
    assert report["differ"] == 0
    assert report["compared"] > 1000


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
    rows = table("quantized/errors.py", tmp_path / "out.json", *more)
    assert len(rows) == 5
    assert all(row["RMS / same weights"] < 1.01 for row in rows)


def test_quantized_speed(tmp_path: Path) -> None:
    more = ["--seconds", "0.01", "--size", "40x64", "--isa", "scalar"]
    (row,) = table("quantized/speed.py", tmp_path / "out.json", *more)
    assert all(cost["us_min"] > 0 for cost in row["kinds"].values())


def test_quantized_examples(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    found = table("quantized/examples.py", tmp_path / "out.json", "--only", "sunspots")
    errors = {row["weights"]: row["MAE"] for row in found["sunspots"]}
    assert abs(errors["int8/16"] - errors["float32"]) < 0.1
    assert abs(errors["float16"] - errors["float32"]) < 0.05


def test_two_runs_keep_the_lesser_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    import compare

    def report(us: float, limit: float, *names: str) -> dict[str, Any]:
        engine = dict.fromkeys(("us", "us_median", "read_us", "turning_read_us"), us)
        one = {"us_min": us, "us_median": us, "chunks": 3, "preempted": 1}
        found = {**one, "engine": {**engine, "limit_us": limit}}
        one = {"load": [[us]], "contenders": {"a": found}, "not_timed": {}}
        return json.loads(json.dumps({"workloads": dict.fromkeys(names, one)}))

    try:
        later, earlier = report(2.0, 1.5, "L", "S1"), report(3.0, 1.0, "S1", "S2")
        earlier["workloads"]["S1"]["contenders"]["b"] = {"us_min": 7.0}
        later["workloads"]["S1"]["not_timed"] = {"b": "not asked for", "c": "missing"}
        compare.with_earlier(later, earlier)
    finally:
        for name in set(sys.modules) - known:
            del sys.modules[name]
    assert list(later["workloads"]) == ["S1", "S2", "L"]
    both, one = (later["workloads"][name]["contenders"]["a"] for name in ("S1", "S2"))
    assert (both["us_min"], both["engine"]["limit_us"], both["chunks"]) == (2.0, 1.0, 6)
    assert (one["us_min"], one["chunks"]) == (3.0, 3)
    assert later["workloads"]["S1"]["load"] == [[2.0], [3.0]]
    assert later["workloads"]["S1"]["contenders"]["b"] == {"us_min": 7.0}
    assert later["workloads"]["S1"]["not_timed"] == {"c": "missing"}
