# SPDX-License-Identifier: Apache-2.0
"""The engine's sources as one header and one source: inclusions folded where they stand.

Names in unnamed namespaces belong to their file. Those that another file has as well get the file's
name in front, since the files become one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["folded_header", "folded_source"]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|(GRUCORE_\w+))')
NAMED_FILE = re.compile(r'^#define (GRUCORE_\w+) "([^"]+)"')
GUARD = re.compile(r"^#ifndef (GRUCORE_\w+_H_)$", re.MULTILINE)
BEGINS, ENDS = re.compile(r"\s*#\s*if"), re.compile(r"\s*#\s*endif")
LICENCE = re.compile(r"^(?://|   )? ?SPDX-License-Identifier:[^\n*]*(\*/)?\n", re.MULTILINE)
UNNAMED = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.MULTILINE | re.DOTALL)
DECLARED = re.compile(
    r"^(?:struct|class|enum class|using) (?P<type>\w+)"
    r"|^(?!struct|class|enum|using|template|return|typedef|//|#)[\w:].*?(?P<value>\w+)"
    r"(?:\(|\[\w*\] =| = |;|\{)",
    re.MULTILINE,
)
STRING = re.compile(r'("(?:[^"\\]|\\.)*")')
# A frame's time goes into the kernels: they are worth the flash of -O2 where the rest has -Os.
FAST = """\
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2")
#endif"""
USUAL = """\
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif"""
PUBLIC = ("include/grucore/grucore.h", "include/grucore/grucore_c.h")
ROOTS = ("include", "src")


class _Folder:
    """Text of files, each guarded one once."""

    def __init__(self, files: Mapping[str, str], named: Mapping[str, str]) -> None:
        self.files = files
        self.given = named  # texts in place of macros that name files
        self.named = dict(named)
        self.done: set[str] = set()
        self.renamed = _renamings(files)

    def _found(self, quoted: str) -> str | None:
        paths = (f"{root}/{quoted}" for root in ROOTS)
        return next((path for path in paths if path in self.files), None)

    def fold(self, path: str, *, is_conditional: bool = False) -> Iterator[str]:
        """The lines of a file, with those of what it includes.

        ``is_conditional``: it stands where a compiler may not read it, so that a later inclusion is
        folded again.
        """
        text = self.files[path]
        depth = 0
        if GUARD.search(text):
            if path in self.done:
                return
            if not is_conditional:
                self.done.add(path)
            depth = -1  # of #if, but for the guard
        yield f"// ---- {path}"
        text = LICENCE.sub(lambda match: " */\n" if match[1] else "", text)
        for line in _with_names(text, self.renamed.get(path, {})).splitlines():
            depth += bool(BEGINS.match(line)) - bool(ENDS.match(line))
            yield from self._line(line, is_conditional=is_conditional or depth > 0)

    def _line(self, line: str, *, is_conditional: bool) -> Iterator[str]:
        define = NAMED_FILE.match(line)
        named = self._found(define[2]) if define else None
        if define and named and define[1] not in self.given:
            self.named[define[1]] = named
        match = INCLUDE.match(line)
        target = None
        if match:
            target = self._found(match[1]) if match[1] else self.named.get(match[2])
        if target is None:
            if not match or not match[1]:  # what is not there, of tests, is in no build
                yield line
        elif target in self.files:
            yield from self.fold(target, is_conditional=is_conditional)
        else:
            yield from target.splitlines()


def _unnamed(text: str) -> set[str]:
    """The names that the unnamed namespaces of a file declare."""
    found = set()
    for inside in UNNAMED.findall(text):
        for match in DECLARED.finditer(inside):
            found.add(match["type"] or match["value"])
    return found


def _renamings(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """For each source, its names that another one declares too, and what they become."""
    own = {
        path: _unnamed(text)
        for path, text in files.items()
        if path.endswith(".cpp") and "/tables/" not in path
    }
    counts = Counter(name for names in own.values() for name in names)
    found = {}
    for path, names in own.items():
        stem = path.rpartition("/")[2].removesuffix(".cpp")
        found[path] = {name: f"{stem}_{name}" for name in names if counts[name] > 1}
    return found


def _with_names(text: str, renamed: Mapping[str, str]) -> str:
    """The text with other names, outside of strings, members and other namespaces."""
    if not renamed:
        return text
    names = "|".join(sorted(map(re.escape, renamed), key=len, reverse=True))
    pattern = re.compile(rf"(?:(?<![\w.:])(?<!->)|(?<=\bdetail::))({names})\b(?!/)")
    parts = STRING.split(text)
    parts[::2] = [pattern.sub(lambda match: renamed[match[1]], part) for part in parts[::2]]
    return "".join(parts)


def folded_header(files: Mapping[str, str]) -> str:
    """Both interfaces, in C++ and in C."""
    folder = _Folder(files, {})
    of_c = "\n".join(folder.fold(PUBLIC[1]))
    of_cpp = "\n".join(folder.fold(PUBLIC[0]))
    return f"{of_c}\n\n#ifdef __cplusplus\n{of_cpp}\n#endif\n"


def folded_source(files: Mapping[str, str], layers: str, sources: Iterable[str]) -> str:
    """These sources in their order, which include the header of `folded_header`.

    ``layers``: the text of the list of layer kinds.
    """
    folder = _Folder(files, {"GRUCORE_LAYER_LIST": layers})
    for path in PUBLIC:  # their guarded part is the header
        list(folder.fold(path))
    lines: list[str] = []
    for path in sources:
        if "/tables/" in path:
            lines += [FAST, *folder.fold(path), USUAL]
        else:
            lines += folder.fold(path)
    return "\n".join(lines) + "\n"
