# SPDX-License-Identifier: Apache-2.0
"""Mutants of small programs: each is converted right, or refused in words."""

from __future__ import annotations

import importlib

import pytest

from converters.doors.meanings import SUBJECTS, Outcome, report, tried
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
for package in ("torch", "keras", "onnx", "onnxruntime"):
    oracle(package)

SEED = 1  # tests/converters/doors/meanings.py takes more


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_mutant_is_converted_right_or_refused(name: str) -> None:
    subject = importlib.import_module(f"converters.doors.meanings_{name}")
    outcomes = list(tried(subject, 1, SEED, spread=True, plain=False))
    counts, findings = report(outcomes)
    assert not findings, "\n".join(map(str, findings))
    assert counts["programs"] == len(subject.PROGRAMS)
    assert set(counts["routes"]) == set(subject.ROUTES)
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds.count("right") >= len(subject.PROGRAMS) / 4


def test_what_is_no_conversion_is_a_finding() -> None:
    for kind in ("wrong", "raw", "internal"):
        outcome = Outcome("a program", "a change", "a route", kind)
        assert report([outcome])[1] == [outcome]
