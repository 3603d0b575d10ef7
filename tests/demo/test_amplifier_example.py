# SPDX-License-Identifier: Apache-2.0
"""The amplifier's training in its short form, and the file that it writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
oracle("torch")

EXAMPLE = Path(__file__).parents[2] / "examples" / "amplifier"


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the examples are not here")
def test_a_short_training_writes_a_file_that_converts(tmp_path: Path) -> None:
    before = (EXAMPLE / "amp.json").read_bytes()
    path = tmp_path / "quick.json"
    command = [sys.executable, str(EXAMPLE / "train.py"), "--epochs", "1", "--seconds", "6"]
    done = subprocess.run(
        [*command, "--output", str(path)], capture_output=True, text=True, check=True, timeout=600
    )
    found = re.search(r"notes it has not heard: ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) < 1.0  # of the energy of the sound: silence has 1
    model = grucore.convert(path)
    assert model.run(np.zeros((5, 1), np.float32)).shape == (5, 1)
    assert (EXAMPLE / "amp.json").read_bytes() == before
