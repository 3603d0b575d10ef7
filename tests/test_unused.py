# SPDX-License-Identifier: Apache-2.0
"""Every function and method of the package has somebody who refers to it, tests apart."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "grucore"
# A decorator that registers what it decorates refers to it; these do not.
PLAIN = {
    "abstractmethod",
    "cache",
    "cached_property",
    "classmethod",
    "contextmanager",
    "lru_cache",
    "overload",
    "property",
    "setter",
    "staticmethod",
}
OF_OTHERS = {"_repr_html_"}  # notebooks call it
WORD = re.compile(r"[A-Za-z_]\w*")

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").exists(), reason="away from the source tree: users' names are in the docs"
)


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def definitions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            registers = {name_of(each) for each in node.decorator_list} - PLAIN
            if not registers and not node.name.startswith("__"):
                yield node.name


def references(tree: ast.AST) -> Iterator[str]:
    """Names that are read, imported, or in a string: for getattr, and types in quotes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.Constant(value=str(text)) if len(text) < 100:
                yield from WORD.findall(text)


def prefixes(tree: ast.AST) -> Iterator[str]:
    """The beginnings of names that are put together: f"_op_{name}", "_on" + name."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                yield text
            case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add()):
                yield text


def unused(sources: list[str], others: str) -> set[str]:
    """Functions of Python `sources` to which neither these nor `others`, any text, refer."""
    defined: set[str] = set()
    used: Counter[str] = Counter(WORD.findall(others))
    made: set[str] = set()
    for source in sources:
        tree = ast.parse(source)
        defined |= set(definitions(tree))
        used.update(references(tree))
        made |= {text for text in prefixes(tree) if re.fullmatch(r"_[a-z]\w*", text)}
    return {name for name in defined if not used[name] and not name.startswith(tuple(made))}


def test_an_unused_function_is_found() -> None:
    source = """
import registry
def called(): pass
def _on_start(): pass
@registry.row("x")
def registered(): pass
class A:
    @property
    def forgotten(self): called(); return getattr(self, f"_on_{self}")
    def documented(self): pass
"""
    assert unused([source], "call `A.documented`") == {"forgotten"}
    assert unused(["def alone(): pass"], "") == {"alone"}


def test_every_function_is_referred_to() -> None:
    paths = sorted(PACKAGE.rglob("*.py"))
    files = [path.read_text(encoding="utf-8") for path in paths]
    others = [*(ROOT / "src").rglob("*.pyx"), *(ROOT / "src").rglob("*.pxd"), ROOT / "README.md"]
    others += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "tools").rglob("*.py")]
    others += [*(ROOT / "examples").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in others)
    left = unused(files, text) - OF_OTHERS
    assert not left, f"nobody refers to {', '.join(sorted(left))}: use or delete it"
