# SPDX-License-Identifier: Apache-2.0
"""A described graph as two tables."""

from __future__ import annotations

from typing import Any

from grucore.text import Page

__all__ = ["number", "show", "value_text"]

GRAPH = ("node", "kind", "shape", "reads", "writes", "attributes")
USUAL = ("forward", "repeat")  # settings that nearly every layer has
COST = ("node", "parameters", "weights", "bytes", "multiply-adds", "streams")


def number(count: float) -> str:
    """An integer with commas."""
    return f"{count:,}"


def value_text(value: dict[str, Any]) -> str:
    """An input or output in words."""
    return f"{value['name']}: {value['features']} {value['dtype']} per {value['rate']}"


def show(description: dict[str, Any], page: Page) -> None:
    """Two tables with a row for each layer: what it is, and what it costs."""
    graph, cost = [], []
    for node in description["nodes"]:
        shape = " + ".join(str(features) for features in node["input_features"])
        graph.append(
            [
                node["name"],
                node["kind"],
                f"{shape} -> {node['output_features']}",
                ", ".join(node["inputs"]),
                node["output"],
                _settings(node["attributes"]),
            ]
        )
        work = node["multiply_adds"]
        cost.append(
            [
                node["name"],
                number(node["parameters"]) if node["parameters"] else "",
                node["weights"],
                number(node["bytes"]) if node["bytes"] else "",
                f"{number(work)} per {node['rate']}" if work else "",
                "yes" if node["streamable"] else "no",
            ]
        )
    page.table(GRAPH, graph)
    page.line()
    page.table(COST, cost)


def _settings(attributes: dict[str, Any]) -> str:
    """Settings in words: names of enum members and flags speak for themselves, numbers do not."""
    words = []
    for name, value in attributes.items():
        spoken = name.replace("_", " ")
        if isinstance(value, str):
            words.append(value.replace("_", " ") if value not in USUAL else "")
        elif isinstance(value, bool):
            words.append(spoken if value else "")
        else:
            words.append(
                f"{spoken} {value:.6g}" if isinstance(value, float) else f"{spoken} {value}"
            )
    return ", ".join(filter(None, words))
