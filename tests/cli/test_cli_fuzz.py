# SPDX-License-Identifier: Apache-2.0
"""Random calls of the command line, bounded; `call_fuzz.py` runs longer."""

from __future__ import annotations

import pytest

from cli import call_fuzz


def test_no_call_ends_in_a_traceback() -> None:
    codes, bugs = call_fuzz.fuzz(300, seed=7)
    assert not bugs
    assert all(codes[code] > 10 for code in (0, 1, 2)), codes  # fewer succeed without extras


def test_the_fuzz_finds_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(call: list[str]) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(call_fuzz, "main", broken)
    codes, bugs = call_fuzz.fuzz(3, seed=1)
    assert codes == {None: 3}
    assert all("RuntimeError: a bug" in bug for bug in bugs)
