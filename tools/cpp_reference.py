# SPDX-License-Identifier: Apache-2.0
"""The public headers as pages of the site: each declaration with the comment that stands at it.

A comment belongs to what follows it up to an empty line or another comment; one at the end of a
line belongs to that line. A public declaration without a comment is an error, and so is one that
this reader does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["page"]

INCLUDE = Path(__file__).parents[1] / "cpp" / "include" / "grucore"
ROW = re.compile(r"^GRUCORE_(?:STATUS|ISA_ROW)\((.*?)\)$", re.MULTILINE | re.DOTALL)
RULER = re.compile(r"^(?://|/\*) -{10,} (.*?)(?: \*/)?$")
NAME = re.compile(r"(~?\w+|operator \w+)\s*\(")
KIND = re.compile(
    r"^(?:typedef )?(struct|class|enum class|enum)\b[^{;]*?(\w+)(?=\s*(?:final)?\s*[:{;])"
)
LISTS = {"status.inc": ("name", "number", "Python", "meaning"),
         "isa_list.inc": ("name", "number", "numerics", "architecture", "needs")}  # fmt: skip


class Part(NamedTuple):
    """A declaration, its body, the comment of its group, and the one at the end of its line."""

    text: str
    body: str
    comment: str
    aside: str
    group: int


def _plain(comment: str) -> str:
    """The words of a comment."""
    lines = [re.sub(r"^\s*(?://|/\*)?\s?|\s*\*/\s*$", "", line) for line in comment.splitlines()]
    return " ".join(line.strip() for line in lines).strip()


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The titles that rulers have, and what stands below each; the first is without one."""
    title, lines = "", []
    for line in text.splitlines():
        if found := RULER.match(line.strip()):
            yield title, "\n".join(lines)
            title, lines = found[1].capitalize(), []
        else:
            lines.append(line)
    yield title, "\n".join(lines)


def _without_directives(text: str) -> str:
    """No preprocessor; constants that are macros stay, as declarations."""
    text = text.replace("\\\n", " ")
    text = re.sub(r'^#ifdef __cplusplus\n(?:extern "C" \{|\})\n#endif$', "", text, flags=re.M)
    text = re.sub(r'^#include "grucore/(\w+)\.inc"$', r"LIST_\1", text, flags=re.M)
    text = re.sub(r"^#define (GRUCORE_[A-Z_]+ [^(/\n]+?)( /\*.*)?$", r"#\1;\2", text, flags=re.M)
    text = re.sub(r"^#(?!GRUCORE)(?:.*\n?)|^#GRUCORE_EXCEPTIONS.*\n?", "", text, flags=re.M)
    return re.sub(r"^(?:namespace grucore \{|\}  // namespace.*)$", "", text, flags=re.M)


def _ends(text: str, start: int) -> tuple[int, int, int]:
    """Where a declaration ends, and where its body in braces begins and ends (or nowhere)."""
    depth, body, close = 0, -1, -1
    parentheses = 0
    for place in range(start, len(text)):
        char = text[place]
        parentheses += (char == "(") - (char == ")")
        if char == "{":
            if not depth and not parentheses and body < 0:
                body = place
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth and not parentheses:
                close = place
                if not re.match(r"\s*(?:\w+\s*)?[;,{]", text[place + 1 :]):
                    return place + 1, body, close
        elif char == ";" and not depth and not parentheses:
            return place + 1, body, close
    raise SystemExit(f"no end: {text[start : start + 80]!r}")


def parts(text: str) -> Iterator[Part]:
    """The declarations of a text, in their order."""
    at, comment, group = 0, "", 0
    while at < len(text):
        rest = text[at:]
        if found := re.match(r"[ \t]*\n[ \t]*\n", rest):
            comment, group, at = "", group + 1, at + found.end() - 1
        elif found := re.match(r"\s+", rest):
            at += found.end() if "\n\n" not in found[0] else found[0].index("\n") or 1
        elif found := re.match(r"//[^\n]*(?:\n\s*//[^\n]*)*|/\*.*?\*/", rest, re.DOTALL):
            comment, group, at = _plain(found[0]), group + 1, at + found.end()
        else:
            end, body, close = _ends(text, at)
            inner = text[body + 1 : close] if body >= 0 else ""
            head = text[at : body if body >= 0 else end]
            trailing = re.match(r"[ \t]*(//[^\n]*|/\*.*?\*/)", text[end:])
            own = re.match(r"[ \t]*(//[^\n]*|/\*.*?\*/)[ \t]*\n", inner)
            asides = " ".join(_plain(one[1]) for one in (own, trailing) if one)
            head = re.sub(r"\s+", " ", re.sub(r" = 0\s+LIST_\w+", "", head)).strip()
            yield Part(head.replace(" ;", ";"), inner, comment, asides, group)
            at = end + (trailing.end() if trailing else 0)


def _signature(text: str) -> str:
    """A declaration as it is called, without what the linker wants to know."""
    text = re.sub(r"\bGRUCORE_API ", "", text)
    return re.sub(r"\s*:\s*(?:data_|std::runtime_error|status_)\(.*", "", text).rstrip(" ;{") + ";"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _members(body: str) -> list[str]:
    """The fields of a struct, a row for each."""
    rows = []
    for line in re.sub(r"/\*(.*?)\*/", r"//\1", body).splitlines():
        found = re.match(r"\s*(.+?)\s*;\s*(?://\s*(.*))?$", line)
        if found:
            rows.append(f"| `{_cell(found[1])}` | {_cell((found[2] or '').strip())} |")
    return ["| member | |", "| --- | --- |", *rows] if rows else []


def _public(body: str) -> str:
    """The declarations behind `public:` in a class."""
    found = re.search(r"^ public:\n(.*?)(?=^ private:|\Z)", body, re.MULTILINE | re.DOTALL)
    return re.sub(r"^#.*\n?", "", found[1], flags=re.MULTILINE) if found else ""


def _entry(where: str, group: list[Part], level: int) -> Iterator[str]:
    """One group of declarations: a heading, their signatures, the words, and what is in them."""
    names, code = [], []
    words = [group[0].comment] if group[0].comment else []
    if not words and any(not part.aside for part in group):
        raise SystemExit(f"{where}: no comment: {group[0].text}")
    for part in group:
        kind = KIND.match(part.text + ("{" if part.body else ";"))
        call = NAME.search(re.sub(r"GRUCORE_API|__attribute__\S*", "", part.text))
        if part.text == "enum":
            continue  # its list follows
        if kind:
            names.append(kind[2])
            is_short = part.text.startswith("enum class") and "LIST_" not in part.body
            body = " ".join(part.body.split()) if is_short else "..."
            code.append(part.text.rstrip(" ;") + (f" {{ {body} }};" if part.body else ";"))
            if part.body and part.aside:
                words.append(part.aside)
                continue
        elif part.text.startswith("#GRUCORE"):
            names.append(part.text.split()[0][1:])
            code.append("#define " + part.text[1:].rstrip(";"))
        elif call:
            names.append(call[1])
            code.append(_signature(part.text))
        else:
            found = re.match(r"(?:static )?(?:constexpr|typedef) .*?(\w+)(?: =.*)?;?$", part.text)
            if not found:
                raise SystemExit(f"{where}: not understood: {part.text!r}")
            names.append(found[1])
            code.append(part.text.rstrip(" ;") + ";")
        if part.aside:
            code[-1] += f"  // {part.aside}"
    yield f"{'#' * level} {', '.join(f'`{one}`' for one in dict.fromkeys(names))}\n"
    yield "```cpp\n" + "\n".join(code) + "\n```\n"
    if words:
        yield ". ".join(one[0].upper() + one[1:].rstrip(".") for one in words) + ".\n"
    for part in group:
        if part.text.startswith("class"):
            yield from _entries(where, _public(part.body), level + 1)
        elif listed := re.search(r"LIST_(\w+)", part.body):
            yield from _list(f"{listed[1]}.inc")
        elif "struct " in part.text and (rows := _members(part.body)):
            yield "\n".join(rows) + "\n"


def _entries(where: str, text: str, level: int) -> Iterator[str]:
    groups: dict[int, list[Part]] = {}
    for part in parts(text):
        if not re.match(r"\w+\(\) = default", part.text):
            groups.setdefault(part.group, []).append(part)
    for group in groups.values():
        yield from _entry(where, group, level)


def _list(name: str) -> Iterator[str]:
    """The rows of a list that makes an enum."""
    header = LISTS[name]
    yield f"| {' | '.join(header)} |\n| {' | '.join('---' for _ in header)} |"
    for found in ROW.finditer((INCLUDE / name).read_text("utf-8")):
        cells = [one.strip().strip('"') for one in re.split(r",\s*(?![^\"]*\"\s*$)", found[1])]
        yield f"| `{cells[0]}` | {' | '.join(map(_cell, cells[1:]))} |"
    yield ""


def page(name: str) -> str:
    """The page of a header."""
    text = (INCLUDE / name).read_text("utf-8")
    first = re.match(r"((?://[^\n]*\n)+)|/\*(.*?)\*/", text, re.DOTALL)
    assert first is not None
    lines = [line for line in first[0].splitlines() if "SPDX" not in line]
    found = [f"# grucore/{name}\n", _plain("\n".join(lines)) + "\n"]
    for title, section in _sections(text[first.end() :]):
        if title:
            found.append(f"## {title}\n")
        found += _entries(name, _without_directives(section), 3)
    return "\n".join(found)


if __name__ == "__main__":
    for header in ("grucore.h", "grucore.hpp", "grucore_c.h"):
        print(page(header))
