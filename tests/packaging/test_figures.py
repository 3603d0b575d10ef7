# SPDX-License-Identifier: Apache-2.0
"""Each figure of a page comes from a file that a script wrote; tools/figures.py says which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from page_blocks import ROOT

TOOLS = ROOT / "tools"

pytestmark = pytest.mark.skipif(not TOOLS.exists(), reason="away from the sources")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import figures

    yield figures
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_pages_say_what_the_files_have() -> None:
    command = [sys.executable, str(TOOLS / "figures.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_changed_figure_is_found_and_written_again(figures: Any) -> None:
    page = "docs/quantization.md"
    text = Path(ROOT, page).read_text("utf-8")
    (sentence,) = (one for one in figures.SENTENCES[page] if one.startswith("from "))
    found = figures.loose(sentence).search(text)
    assert found is not None
    wrong = figures.with_numbers(found[0], ["9.87"] * len(figures.NUMBER.findall(found[0])))
    faults: list[str] = []
    changed = text.replace(found[0], wrong)
    assert changed != text
    assert figures.with_sentences(changed, page, faults) == text
    table = text.replace("| float16 | 0", "| float16 | 1")
    assert table != text
    assert figures.with_tables(table, page, faults) == text
    assert faults == []


@pytest.mark.parametrize(
    ("line", "claim"),
    [
        ("A step takes 12 microseconds.", "12 microseconds"),
        ("It is 3.4 times as fast.", "3.4 times"),
        ("int4 takes a fifth of the size.", "a fifth"),
        ("The file has 31 kB.", "31 kB"),
    ],
)
def test_a_figure_without_a_file_is_found(line: str, claim: str, figures: Any) -> None:
    (fault,) = figures.unaccounted(f"# Page\n\n{line}\n", "docs/new.md")
    assert fault == f"docs/new.md:3: {claim!r} comes from no file"


def test_a_sentence_that_a_page_no_longer_has_is_found(figures: Any) -> None:
    faults: list[str] = []
    figures.with_sentences("# Numbers\n", "docs/cpp.md", faults)
    figures.with_tables("# Numbers\n", "docs/cpp.md", faults)
    assert faults == ["docs/cpp.md: no table engine"]
    figures.with_sentences("# Numbers\n", "docs/quantization.md", faults)
    assert all("0 times, and not once" in fault for fault in faults[1:])
    assert len(faults) > 3
