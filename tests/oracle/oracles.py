# SPDX-License-Identifier: Apache-2.0
"""Frameworks and programs that tests compare with: a missing one skips or fails a test."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType

import pytest

__all__ = ["REQUIRED", "oracle", "program"]

REQUIRED = os.environ.get("GRUCORE_REQUIRE_ORACLES") == "1"


def oracle(name: str) -> ModuleType:
    """The module; without it, skip, or raise ImportError where GRUCORE_REQUIRE_ORACLES=1."""
    if REQUIRED:
        module = importlib.import_module(name)
    else:
        module = pytest.importorskip(name, exc_type=ImportError)
    if name == "torch":
        module.set_num_threads(1)
    return module


def program(name: str) -> str:
    """The path of a program; without it, skip, or fail where GRUCORE_REQUIRE_ORACLES=1."""
    found = shutil.which(name)
    if found is None and REQUIRED:
        raise FileNotFoundError(f"{name} is not installed")
    return found or pytest.skip(f"{name} is not installed")
