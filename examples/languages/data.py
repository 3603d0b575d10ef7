# SPDX-License-Identifier: Apache-2.0
"""Names of countries, languages, scripts and currencies in twelve languages, and who says which.

The texts are the translations of ISO's lists that the package pycountry carries (from Debian's
iso-codes, LGPL-2.1): they are read where it is installed, and none of them lies in this repository.
"""

from __future__ import annotations

import gettext
import hashlib
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np

LANGUAGES = ("cs", "da", "de", "es", "fi", "fr", "hu", "it", "nl", "pl", "pt", "sv")
DOMAINS = ("iso639-3", "iso3166-1", "iso4217", "iso15924")
PARTS = {"train": range(8), "validation": range(8, 9), "test": range(9, 10)}  # tenths
NAMES = 2  # in a text
LEAST = 20  # times that a letter must occur in training to have a number
PADDING, UNKNOWN = 0, 1


def plain(text: str) -> str:
    """Lower case, one form of each accented letter."""
    return unicodedata.normalize("NFC", text).lower()


def part_of(name: str) -> str:
    """The part that an entry belongs to, in all languages alike, by a hash of its English name."""
    tenth = hashlib.sha256(name.encode()).digest()[0] % 10
    return next(part for part, tenths in PARTS.items() if tenth in tenths)


def read() -> dict[str, dict[str, list[str]]]:
    """The names of each part and language, without those that two languages share."""
    import pycountry

    folder = Path(pycountry.__file__).parent / "locales"
    found: dict[tuple[str, str], str] = {}  # language and text -> part
    for language in LANGUAGES:
        for domain in DOMAINS:
            catalog = gettext.translation(domain, folder, [language])._catalog  # type: ignore[attr-defined]
            for english, text in catalog.items():
                if isinstance(english, str) and english and text != english:
                    found[language, plain(text)] = part_of(english)
    speakers = Counter(text for _, text in found)
    names: dict[str, dict[str, list[str]]] = {
        part: {language: [] for language in LANGUAGES} for part in PARTS
    }
    for (language, text), part in sorted(found.items()):
        if speakers[text] == 1:
            names[part][language].append(text)
    return names


def alphabet_of(names: dict[str, list[str]]) -> str:
    """Letters that training has seen often enough, the commonest first."""
    counts = Counter(letter for texts in names.values() for text in texts for letter in text)
    return "".join(letter for letter, count in counts.most_common() if count >= LEAST)


def numbers(text: str, alphabet: str) -> list[int]:
    """A number for each letter."""
    return [alphabet.find(letter) + 2 if letter in alphabet else UNKNOWN for letter in plain(text)]


def texts(
    names: dict[str, list[str]], count: int, rng: np.random.Generator
) -> tuple[list[str], np.ndarray]:
    """So many texts of two names each, of every language as many, and their languages' numbers."""
    labels = np.arange(count) % len(LANGUAGES)
    made = []
    for label in labels:
        choice = names[LANGUAGES[label]]
        made.append(", ".join(choice[i] for i in rng.integers(0, len(choice), NAMES)))
    return made, labels


def batch(made: list[str], alphabet: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (texts, longest), padded, and the lengths."""
    rows = [numbers(text, alphabet) for text in made]
    lengths = np.array([len(row) for row in rows])
    ids = np.full((len(rows), lengths.max()), PADDING, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    return ids, lengths
