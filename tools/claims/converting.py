# SPDX-License-Identifier: Apache-2.0
"""docs/converting.md."""

from __future__ import annotations

from collections.abc import Callable

from claims.files import markdown, result

__all__ = ["TABLES", "sentences"]

PAGE = "docs/converting.md"
# By what the page calls a way: the routes of the script, and the sources that take it.
WAYS = {
    "PyTorch, live module": (("live",), "torch"),
    "PyTorch, `.pt2`": (("pt2",), "torch"),
    "PyTorch, `.pt2` of fixed sizes": (("pt2 fixed",), "torch"),
    "PyTorch, TorchScript": (("script",), "torch"),
    "PyTorch, pickled module": (("pickle",), "torch"),
    "PyTorch, state dict": (("state dict",), "torch"),
    "Keras, live model": (("live",), "keras"),
    "Keras, `.keras`": (("keras",), "keras"),
    "Keras, `.h5`": (("h5",), "keras"),
    "ONNX of PyTorch, `dynamo=False`": (("onnx",), "torch"),
    "ONNX of PyTorch, fixed sizes": (("onnx fixed",), "torch"),
    "ONNX of PyTorch, `dynamo=True`": (("dynamo",), "torch"),
    "ONNX, other graphs": (("file",), "onnx"),
}
FAULTS = ("wrong", "raw", "internal")


def meanings() -> str:
    """What became of the mutants, by the way that they took."""
    head = ["way", "programs", "conversions", "right", "refused", "silently different"]
    table = [[*head, "other faults"]]
    routes = result("meanings")["routes"]
    for way, (names, of) in WAYS.items():
        found = [
            kinds
            for name in names
            for source, kinds in routes.get(name, {}).items()
            if source.startswith(of)
        ]
        if not found:
            continue
        right, refused, wrong, raw, internal = (
            sum(kinds.get(kind, 0) for kinds in found) for kind in ("right", "refused", *FAULTS)
        )
        programs = max(
            sum(
                kinds["programs"] for source, kinds in routes[name].items() if source.startswith(of)
            )
            for name in names
            if name in routes
        )
        whole = right + refused + wrong + raw + internal
        cells = programs, whole, right, refused, wrong, raw + internal
        table.append([way, *(f"{cell:,}" for cell in cells)])
    return markdown(table, 1)


def sentences() -> dict[str, list[str]]:
    """None: the table has all counts."""
    return {}


TABLES: dict[tuple[str, str], Callable[[], str]] = {(PAGE, "meanings"): meanings}
