# SPDX-License-Identifier: Apache-2.0
"""The demo's own feature, clip and decision code, loaded by path: training needs no built package.

Importing them as ``grucore.demo.features`` would import ``grucore`` and with it the compiled core.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

DEMO = Path(__file__).resolve().parents[2] / "python" / "grucore" / "demo"


def _load(name: str) -> ModuleType:
    qualified = f"keyword_spotting_{name}"
    spec = importlib.util.spec_from_file_location(qualified, DEMO / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


features = _load("features")
decisions = _load("decisions")
clips = _load("clips")

SAMPLE_RATE: int = features.SAMPLE_RATE
HOP_SAMPLES: int = features.HOP_SAMPLES
WINDOW_SAMPLES: int = features.WINDOW_SAMPLES
