# SPDX-License-Identifier: Apache-2.0
"""The summary of a model: a text for terminals, a table for notebooks."""

from __future__ import annotations

from html import escape
from io import StringIO
from typing import Any

from grucore.summary.tables import number, value_text
from grucore.text import Page

__all__ = ["html", "text"]

COLUMNS = ("layer", "kind", "shape", "parameters", "weights", "bytes", "multiply-adds")


def text(title: str, description: dict[str, Any]) -> str:
    """The ports, a row for each layer, and the sums; at most 100 columns for usual names."""
    output = StringIO()
    page = Page(output)
    page.line(title)
    page.fields(_ports(description))
    page.line()
    page.table(COLUMNS, [*_rows(description), _sums(description)])
    return output.getvalue()


def html(title: str, description: dict[str, Any]) -> str:
    """The same as a table of HTML, with the colours of the page around it."""
    ports = "<br>".join(f"{escape(name)}: {escape(what)}" for name, what in _ports(description))
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    lines = [*_rows(description), _sums(description)]
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    caption = f"<b>{escape(title)}</b><br>{ports}"
    return f"<div>{caption}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _ports(description: dict[str, Any]) -> list[tuple[str, str]]:
    stopper = description["unstreamable_layer"]
    return [
        *[("input", value_text(value)) for value in description["inputs"]],
        *[("output", value_text(value)) for value in description["outputs"]],
        ("streams", "yes" if stopper is None else f"no: layer {stopper!r} reads the future"),
    ]


def _rows(description: dict[str, Any]) -> list[list[str]]:
    return [
        [
            node["name"],
            node["kind"],
            f"{' + '.join(map(str, node['input_features']))} -> {node['output_features']}",
            number(node["parameters"]) if node["parameters"] else "",
            node["weights"],
            number(node["bytes"]) if node["bytes"] else "",
            number(node["multiply_adds"]) if node["multiply_adds"] else "",
        ]
        for node in description["nodes"]
    ]


def _sums(description: dict[str, Any]) -> list[str]:
    return [
        "all",
        "",
        "",
        number(description["parameters"]),
        "",
        number(description["weight_bytes"]),
        number(description["multiply_adds_per_frame"]),
    ]
