# SPDX-License-Identifier: Apache-2.0
"""Puts measured figures into the pages: what a script wrote into a file, and nothing else.

    python tools/figures.py          # after a script of benchmarks/ has written its file again
    python tools/figures.py --check  # what a page says and no file has, or has otherwise

The files are `benchmarks/results/*.json`, and those that examples write beside their pages. A
module of `tools/claims` says what a page makes of them: tables, which stand between two comments,
and sentences. Figures with a unit that neither accounts for are faults too; `claims/settings.py`
lists those that are no measurement.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from claims import SENTENCES, SETTINGS, SPECIFICATIONS, TABLES

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")
TABLE = re.compile(r"<!-- figures: ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
UNIT = (
    r"%|times|percent|points|microseconds?|milliseconds?|seconds?|minutes?|hours?|us|ms|ns|[kM]B|KB|bytes"
    r"|(?:\w+ )?instructions|limits?|Gmac/s|GB/s"
)
MEASURED = re.compile(
    rf"(?<![\w.,-])\d[\d.,]*(?:e-?\d+)? ?(?:(?:{UNIT})(?!\w))|(?<![\w.,-])\d+\.\d+(?![\w.])"
)
WORDS = re.compile(
    r"\b(?:an?|one) (?:quarter|third|fifth|sixth|seventh|eighth|tenth)\b|\bhalf the\b"
)


def pages() -> list[Path]:
    """Every page that may claim something; the log of changes tells what was."""
    folders = ("*.md", "docs/*.md", "benchmarks/*.md", "examples/*/*.md", "cpp/examples/*/*.md")
    found = [path for folder in folders for path in ROOT.glob(folder)]
    return sorted(path for path in found if path.name != "CHANGELOG.md")


def loose(sentence: str) -> re.Pattern[str]:
    """Each number of a sentence as any number, each space as any white space."""
    parts = []
    end = 0
    for found in NUMBER.finditer(sentence):
        parts += [_spaced(sentence[end : found.start()]), r"\d(?:[\d.,]*\d)?"]
        end = found.end()
    return re.compile("".join([*parts, _spaced(sentence[end:])]))


def _spaced(text: str) -> str:
    return r"\s+".join(re.escape(part) for part in re.split(r"\s+", text))


def with_tables(text: str, page: str, faults: list[str]) -> str:
    """The page with its tables as the files have them."""

    def table(found: re.Match[str]) -> str:
        make = TABLES.get((page, found[1]))
        if make is None:
            faults.append(f"{page}: no table {found[1]} in tools/claims")
            return found[0]
        return f"<!-- figures: {found[1]} -->\n\n{make()}\n\n<!-- end -->"

    text = TABLE.sub(table, text)
    there = {found[1] for found in TABLE.finditer(text)}
    faults += [
        f"{page}: no table {name}" for at, name in TABLES if at == page and name not in there
    ]
    return text


def with_numbers(text: str, numbers: list[str]) -> str:
    """The text with other numbers in the places of its own."""
    left = iter(numbers)
    return NUMBER.sub(lambda _: next(left), text)


def with_sentences(text: str, page: str, faults: list[str]) -> str:
    """The page with the numbers of its sentences as the files have them."""
    for sentence in SENTENCES.get(page, ()):
        found = list(loose(sentence).finditer(text))
        if len(found) != 1:
            faults.append(f"{page}: {len(found)} times, and not once: {sentence!r}")
            continue
        new = with_numbers(found[0][0], NUMBER.findall(sentence))
        text = text[: found[0].start()] + new + text[found[0].end() :]
    return text


def unaccounted(text: str, page: str) -> Iterator[str]:
    """Figures with a unit, and fractions in words, which no claim and no setting accounts for."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    text = TABLE.sub(blank, text)
    for sentence in SENTENCES.get(page, ()):
        text = loose(sentence).sub(blank, text)
    for setting in SETTINGS.get(page, ()):
        known = re.compile(_spaced(setting))
        if not known.search(text):
            yield f"{page}: not there, and a setting in tools/claims: {setting!r}"
        text = known.sub(blank, text)
    text = CODE.sub(blank, text)
    for found in (*MEASURED.finditer(text), *WORDS.finditer(text)):
        line = text.count("\n", 0, found.start()) + 1
        yield f"{page}:{line}: {found[0]!r} comes from no file"


def main() -> int:
    """Write the pages, or compare them; 1 if anything is not as the files have it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    faults: list[str] = []
    for path in pages():
        page = path.relative_to(ROOT).as_posix()
        old = path.read_text("utf-8")
        new = with_sentences(with_tables(old, page, faults), page, faults)
        if page not in SPECIFICATIONS:
            faults += unaccounted(new, page)
        if new != old and arguments.check:
            faults.append(f"{page}: not as the files have it: run tools/figures.py")
        elif new != old:
            path.write_text(new, "utf-8")
            print(page)
    print(*faults, sep="\n", end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
