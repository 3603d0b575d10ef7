# SPDX-License-Identifier: Apache-2.0
"""Links of all pages: files and headings are there, addresses elsewhere are well formed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_blocks import ROOT, pages

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="away from the sources")

LINK = re.compile(
    r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|<(https?://[^>\s]+)>"
)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub and the site make anchors of them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in HEADING.findall(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        count = sum(1 for one in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", one))
        found.add(f"{slug}-{count}" if count else slug)
    return found


def fault(page: str, target: str) -> str | None:
    """The reason why a link leads nowhere, if it does."""
    parts = urlsplit(target)
    if parts.scheme:
        well_formed = re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", parts.netloc)
        is_known = parts.scheme in ("http", "https") and well_formed
        return None if is_known else f"{target}: not an address"
    path = (ROOT / page).parent / parts.path if parts.path else ROOT / page
    if not path.exists():
        return f"{target}: no such file"
    if not parts.fragment:
        return None
    file = path / "README.md" if path.is_dir() else path
    return None if parts.fragment in anchors(file) else f"{target}: no such heading"


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    text = CODE.sub("", (ROOT / page).read_text("utf-8"))
    targets = [found[1] or found[2] for found in LINK.finditer(text)]
    assert [why for target in targets if (why := fault(page, target))] == []


def test_broken_links_are_found() -> None:
    assert fault("README.md", "docs/cpp.md#firmware") is None
    assert fault("docs/cpp.md", "no.md") == "no.md: no such file"
    assert fault("docs/cpp.md", "embedded.md#nothing") == "embedded.md#nothing: no such heading"
    assert fault("docs/cpp.md", "https:/example") == "https:/example: not an address"
