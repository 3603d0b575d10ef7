# SPDX-License-Identifier: Apache-2.0
"""Every reader on damaged files: a model or a clear error, within bounds of time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.doors.reader_fuzz import READERS, watch
from oracle.oracles import oracle

for package in ("onnx", "safetensors"):
    oracle(package)

FILES = 2000  # tests/converters/doors/reader_fuzz.py takes more


@pytest.mark.parametrize("reader", READERS)
def test_damage_ends_in_a_model_or_a_clear_error(reader: str, tmp_path: Path) -> None:
    found = watch(reader, FILES, 1, tmp_path, None)
    assert found["converted"] > 0
    assert found["refused"] > FILES // 4
    assert found["converted"] + found["refused"] == FILES, dict(found)
