# SPDX-License-Identifier: Apache-2.0
"""The reference of the C++ and C headers: it has every function, and wants a comment of each."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from page_blocks import ROOT

TOOL = ROOT / "tools" / "cpp_reference.py"
INCLUDE = ROOT / "cpp" / "include" / "grucore"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="away from the sources")


@pytest.fixture
def reference() -> Any:
    spec = importlib.util.spec_from_file_location("cpp_reference", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["grucore.h", "grucore_c.h"])
def test_every_function_and_type_is_there(name: str, reference: Any) -> None:
    """The names are those that a compiler sees after the preprocessor."""
    command = ["cc", "-E", "-P", "-x", "c" if name.endswith("_c.h") else "c++", "-"]
    text = f'#include "grucore/{name}"\n'
    done = subprocess.run(
        [*command, f"-I{INCLUDE.parent}"], input=text, capture_output=True, text=True, check=True
    )
    ours = done.stdout[done.stdout.index("version") - 40 :]  # behind the system's headers
    functions = set(
        re.findall(r"\b((?:grucore_)?[a-z_]+)\((?:const |void|uint32_t |Is|St|gru|\))", ours)
    )
    types = set(re.findall(r"\b(?:struct|enum class) (?:\[\[nodiscard\]\] )?(\w+)", ours))
    headings = " ".join(re.findall(r"^###+ (.*)$", reference.page(name), re.MULTILINE))
    there = set(re.findall(r"`([^`]+)`", headings))
    assert len(functions) > 30
    assert len(types) > 8
    assert functions | types <= there


def test_classes_have_their_public_functions_and_no_private_ones(reference: Any) -> None:
    page = reference.page("grucore.hpp")
    stream = page[page.index("### `OwnedStream`") :]
    for name in ("make", "copy", "step", "run", "reset", "take_flags", "state, set_state"):
        assert all(f"`{one}`" in stream for one in name.split(", "))
    assert "is_plain" not in page
    assert "arena_" not in page


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ('// The layer\'s name, such as "gru.l0".\n', "no comment: GRUCORE_API Text node_name"),
        ("// How a stream is made.\n", "no comment: struct StreamOptions"),
    ],
)
def test_a_declaration_without_a_comment_is_refused(
    old: str, message: str, reference: Any, tmp_path: Path
) -> None:
    text = (INCLUDE / "grucore.h").read_text("utf-8")
    assert old in text
    for file in INCLUDE.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "grucore.h").write_text(text.replace(old, "\n"), "utf-8")
    reference.INCLUDE = tmp_path
    with pytest.raises(SystemExit, match=re.escape(message)):
        reference.page("grucore.h")


def test_it_runs_by_itself() -> None:
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("# grucore/grucore.h\n")
