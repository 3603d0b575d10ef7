# SPDX-License-Identifier: Apache-2.0
"""The example of a cluster: each sequence has the scores that it has alone, by any process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

FOLDER = Path(__file__).parents[2] / "examples" / "bulk_scoring"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree")


def test_a_cluster_scores_as_one_process_does(tmp_path: Path) -> None:
    oracle("distributed")
    command = [sys.executable, str(FOLDER / "generate.py"), str(tmp_path), "--parts", "6"]
    subprocess.run([*command, "--sequences", "40", "--longest", "60"], check=True, timeout=300)
    parts = sorted(tmp_path.glob("part-*.npz"))
    command = [sys.executable, str(FOLDER / "score.py"), str(tmp_path / "keywords.gru")]
    command += [*map(str, parts), "-o", str(tmp_path / "scores"), "--workers", "1,2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["workers"] for report in reports] == [1, 2]
    for report in reports:
        assert report["mapped"] == 1
        assert report["sequences"] == 240
        assert 1 <= report["processes"] <= report["workers"]
    model = grucore.load(tmp_path / "keywords.gru")
    for part in parts:
        data, scores = np.load(part), np.load(tmp_path / "scores" / part.name)["scores"]
        ends = np.cumsum(data["lengths"])
        for end, length, found in zip(ends, data["lengths"], scores, strict=True):
            assert np.array_equal(found, model.run(data["frames"][end - length : end])[-1])
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == [p.name for p in parts]
