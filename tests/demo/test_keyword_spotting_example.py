# SPDX-License-Identifier: Apache-2.0
"""The keyword spotter in its short form: speech, a checkpoint, its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle, program

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
oracle("torch")

EXAMPLE = Path(__file__).parents[2] / "examples" / "keyword_spotting"


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the examples are not here")
def test_from_nothing_to_a_checkpoint(tmp_path: Path) -> None:
    program("espeak-ng")
    data, output = tmp_path / "data", tmp_path / "output"
    short = ("--output", str(output), "--epochs", "1", "--tracks", "128")
    for script, *options in (("generate.py", "--quick"), ("train.py", *short)):
        command = [sys.executable, str(EXAMPLE / script), "--cache", str(data), *options]
        subprocess.run(command, capture_output=True, check=True, timeout=900)
    settings = json.loads((output / "keywords.json").read_text("utf-8"))
    assert len(settings["accuracy"]) == 13  # silence, and three noises at four levels
    assert {row["clips"] for row in settings["accuracy"]} == {68}
    model = grucore.convert(output / "keywords.pt", architecture=settings["architecture"])
    scores = model.run(np.zeros((5, settings["features"]["bands"]), np.float32))
    assert scores.shape == (5, len(settings["labels"]))
    with np.load(output / "clips.npz") as clips:
        assert clips.files
