# SPDX-License-Identifier: Apache-2.0
"""The use that each page makes of measured figures: tables, sentences, numbers that are none."""

from __future__ import annotations

from claims import audio, cells, converting, embedded, examples, performance, quantization, readme
from claims.settings import SETTINGS, SPECIFICATIONS

__all__ = ["SENTENCES", "SETTINGS", "SPECIFICATIONS", "TABLES"]

PAGES = (audio, converting, readme, performance, cells, quantization, embedded, examples)
TABLES = {place: make for page in PAGES for place, make in page.TABLES.items()}
SENTENCES: dict[str, list[str]] = {}
for _page in PAGES:
    for _name, _sentences in _page.sentences().items():
        SENTENCES.setdefault(_name, []).extend(_sentences)
