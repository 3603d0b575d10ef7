# SPDX-License-Identifier: Apache-2.0
"""The demo with a quantized model beside the float32 one."""

from __future__ import annotations

import io
import json

import pytest

from cli.cli_calls import as_json
from grucore.cli import main
from grucore.demo.comparison import pair_up, run_comparison
from grucore.demo.runner import load_model, run_demo


@pytest.fixture(scope="module")
def shown() -> tuple[dict, str]:
    model = load_model()
    output = io.StringIO()
    models = {"float32": model, "int8": model.quantize("int8")}  # type: ignore[attr-defined]
    return run_comparison(models, stream_output=output), output.getvalue()


@pytest.mark.slow
def test_quantized_model_hears_the_same(shown: tuple[dict, str]) -> None:
    report, text = shown
    wide, small = report["models"]
    assert (wide["name"], small["name"]) == ("float32", "int8")
    assert small["correct"] == wide["correct"]
    assert small["microphone"] == wide["microphone"]
    assert report["agreement"]["clips"] == report["clips"]
    assert report["agreement"]["reports"] == report["agreement"]["of_reports"]
    assert small["bytes"] < wide["bytes"] / 2.5  # the front end stays as it is
    for model in (wide, small):
        assert 0 < model["step_us"]["median"] < model["frame_us"]["median"]
        assert f"{model['bytes']:,} bytes" in text
        assert f"{model['correct']} of {report['clips']}" in text
    assert len(text.splitlines()) > report["clips"]


@pytest.mark.slow
def test_alone_and_side_by_side_are_the_same(shown: tuple[dict, str]) -> None:
    alone = run_demo(stream_output=io.StringIO())
    side = shown[0]["models"][0]
    for key in ("correct", "accuracy", "by_condition", "microphone"):
        assert side[key] == alone[key]


@pytest.mark.slow
def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    report = as_json(capsys, "demo", "--quantize", "float16")
    assert [model["name"] for model in report["models"]] == ["float32", "float16"]
    json.dumps(report, allow_nan=False)
    assert main(["demo", "--quantize", "int7"]) == 2


def test_reports_are_paired() -> None:
    words = [[("up", 1.0), ("go", 2.0), ("go", 3.0)], [("up", 1.05), ("no", 2.0), ("go", 3.0)]]
    assert pair_up(words) == [
        ("up", [1.0, 1.05]), ("go", [2.0, None]), ("no", [None, 2.0]), ("go", [3.0, 3.0])
    ]  # fmt: skip
