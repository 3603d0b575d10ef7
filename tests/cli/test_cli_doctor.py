# SPDX-License-Identifier: Apache-2.0
"""`grucore doctor`: the machine, each table, the extras, and exit codes."""

from __future__ import annotations

import numpy as np
import pytest
from cli_calls import as_json

import grucore
from grucore.cli import doctor, main


def test_doctor_knows_the_tables_and_extras(capsys: pytest.CaptureFixture[str]) -> None:
    report = as_json(capsys, "doctor")
    assert report["version"] == grucore.__version__
    assert tuple(row["isa"] for row in report["tables"]) == grucore.supported_isas()
    assert {row["result"] for row in report["tables"]} == {"ok"}
    assert [row["chosen"] for row in report["tables"]].count(True) == 1
    assert report["numpy"] == np.__version__
    assert report["extras"]["convert"]["packages"].keys() == {"safetensors", "onnx"}


def test_doctor_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: None if name == "onnx" else "1.0")
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert 'without onnx: pip install "grucore[convert]"' in shown
    assert "chosen" in shown


def test_a_table_that_fails_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"isa": "avx2", "numerics": "fused", "chosen": True, "result": "other bits"}]
    monkeypatch.setattr(doctor, "_tables", lambda: rows)
    assert main(["doctor"]) == 1
    assert "the self-test failed on avx2" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_versions(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr().out == f"grucore {grucore.__version__}\n"
