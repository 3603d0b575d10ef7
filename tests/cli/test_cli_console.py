# SPDX-License-Identifier: Apache-2.0
"""Drawing of the command line, on a terminal and elsewhere, with rich and without."""

from __future__ import annotations

import io
import sys
import time

import pytest

from grucore.cli import console as _console
from grucore.cli.console import Console, printable

ROWS = [["gru.l0", "1,200"], ["linear \x1b[2J", ""]]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(params=["rich", "plain"])
def with_or_without_rich(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "rich":
        pytest.importorskip("rich")
    else:
        for name in ("rich.console", "rich.progress", "rich.table", "rich.text"):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("COLUMNS", "100")
    return str(request.param)


def test_plain_table() -> None:
    output = io.StringIO()
    Console(output).table(("node", "bytes"), ROWS)
    assert output.getvalue().splitlines() == [
        "node            bytes",
        "gru.l0          1,200",
        "linear \\x1b[2J",
    ]


def test_table_on_a_terminal(with_or_without_rich: str) -> None:
    output = Terminal()
    Console(output).table(("node", "bytes"), ROWS)
    assert "gru.l0" in output.getvalue()
    assert "1,200" in output.getvalue()
    assert "\x1b[2J" not in output.getvalue()


def test_line_in_a_narrow_encoding() -> None:
    buffer = io.BytesIO()
    output = io.TextIOWrapper(buffer, encoding="ascii")
    Console(output).line("größe")
    output.flush()
    assert buffer.getvalue().strip() == b"gr\\xf6\\xdfe"


def test_printable_keeps_words() -> None:
    assert printable("größe 語 a\tb\n") == "größe 語 a\\tb\\n"


@pytest.mark.parametrize("total", [None, 4.0])
def test_progress(
    total: float | None, with_or_without_rich: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_console, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(_console, "DRAW_SECONDS", 0.01)
    errors = Terminal()
    with Console(io.StringIO(), errors).progress("working", total) as task:
        for _ in range(4):
            time.sleep(0.03)
            task.advance(1.0)
    assert "working" in errors.getvalue()
    if total is not None:
        assert "100%" in errors.getvalue()


@pytest.mark.parametrize("total", [None, 4.0])
def test_no_progress_for_what_is_quick_or_not_watched(total: float | None) -> None:
    for errors in (Terminal(), io.StringIO()):
        with Console(io.StringIO(), errors).progress("working", total) as task:
            task.advance(4.0)
        assert errors.getvalue() == ""
