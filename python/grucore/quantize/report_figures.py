# SPDX-License-Identifier: Apache-2.0
"""How two models of the same layers differ inside: values, gates and rows of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.fileformat import write
from grucore.graph.graph import Graph
from grucore.graph.node import Node
from grucore.graph.storage import SCALES
from grucore.graph.tensors import Array, Dtype, Role
from grucore.graph.weights import as_float64, kind_text
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run

__all__ = ["layer_figures", "matrix_figures"]

MOST_OUTPUTS = 64  # of a model
MOST_NUMBERS = 1 << 25  # of inner values in memory, of each model
WINDOWS = 10
WORST = 5
SATURATED, EXTREME = 0.01, 0.99  # gates that near to 0 or 1; a candidate beyond that

Figures = dict[str, Any]


def layer_figures(
    graphs: tuple[Graph, Graph],
    inputs: tuple[Array, ...],
    *,
    isa: str,
    advance: Callable[[float], None],
) -> dict[str, Figures]:
    """For each layer by name, what it writes in both models and how its gates stand.

    ``inputs``: (B, frames, features) each. The engine runs copies of the models whose outputs are
    inner values. ``advance`` is told each share when it is done; they sum to 1.
    """
    graph, found = graphs[0], {}
    for nodes, names in _groups(graph, inputs[0].shape[0] * inputs[0].shape[1]):
        before, after = (_values(each, names, inputs, isa) for each in graphs)
        twins = {node.name: node for node in graphs[1].nodes}
        for node in nodes:
            value = graph.value(node.output)
            figures: Figures = {"error": None, "gates": None}
            if value.dtype is Dtype.FLOAT32:
                figures["error"] = _error(before[value.name], after[value.name])
            if node.gates:
                twin = twins[node.name]
                figures["gates"] = {"before": _gates(node, before), "after": _gates(twin, after)}
            found[node.name] = figures
        advance(len(nodes) / len(graph.nodes))
    return found


def _groups(graph: Graph, frames: int) -> Iterator[tuple[list[Node], list[str]]]:
    """Layers a few at a time, and the values that their figures take."""
    nodes: list[Node] = []
    names: dict[str, int] = {}
    for node in graph.nodes:
        reads = node.inputs if node.gates else ()
        own = {
            name: graph.value(name).features * frames
            for name in (*reads, node.output)
            if name not in graph.inputs
        }
        both = {**names, **own}
        if nodes and (len(both) > MOST_OUTPUTS or sum(both.values()) > MOST_NUMBERS):
            yield nodes, list(names)
            nodes, both = [], own
        nodes, names = [*nodes, node], both
    if nodes:
        yield nodes, list(names)


def _values(
    graph: Graph, names: Sequence[str], inputs: tuple[Array, ...], isa: str
) -> dict[str, Array]:
    """Values (B, values, features), or (B, features) of those that are per sequence."""
    model = Loaded(write(replace(graph, outputs=tuple(names), test=None)), isa=isa)
    results = run(model, inputs, nonfinite="error")
    return {
        **dict(zip(graph.inputs, inputs, strict=True)),
        **dict(zip(names, results, strict=True)),
    }


def _error(before: Array, after: Array) -> Figures:
    """Largest and RMS difference of (B, values, features) or (B, features), and their places.

    ``drift``: the same in windows of time. A difference is None where one of both is not finite
    and the other is not the same.
    """
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = after.astype(np.float64) - before
        difference = np.where(same, 0.0, np.where(np.isfinite(difference), difference, np.inf))
        scale = _rms(np.where(np.isfinite(before), before, 0.0).astype(np.float64))
    windows = []
    if difference.ndim == 3:
        count = min(WINDOWS, difference.shape[1])
        windows = [part for part in np.array_split(difference, count or 1, axis=1) if part.size]
    columns = np.sqrt(np.square(difference).reshape(-1, difference.shape[-1]).mean(axis=0))
    worst = np.argsort(-columns, kind="stable")[:WORST]
    return {
        "max": _number(np.abs(difference).max(initial=0.0)),
        "rms": _number(_rms(difference)),
        "scale": _number(scale),
        "drift": [
            {"max": _number(np.abs(part).max()), "rms": _number(_rms(part))} for part in windows
        ],
        "worst_features": [{"feature": int(i), "rms": _number(columns[i])} for i in worst],
    }


def _rms(numbers: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(numbers).mean())) if numbers.size else 0.0


def _number(number: Any) -> float | None:
    """For JSON, which knows no infinity."""
    return float(f"{number:.6g}") if np.isfinite(number) else None


def _gates(node: Node, values: Mapping[str, Array]) -> Figures:
    """The shares of saturated gates, by the states that the engine gave."""
    counts: dict[str, float] = {}
    total = 0
    for found in node.gate_values(values):
        total += found[0].size
        for name, gate in zip(node.gates, found, strict=True):
            if name == node.candidate:
                tests = {f"{name}_near_1": np.abs(gate) > EXTREME}
            else:
                tests = {f"{name}_near_0": gate < SATURATED, f"{name}_near_1": gate > 1 - SATURATED}
            for title, test in tests.items():
                counts[title] = counts.get(title, 0) + np.count_nonzero(test)
    return {title: _number(count / max(total, 1)) for title, count in counts.items()}


def matrix_figures(before: Node, after: Node) -> list[Figures]:
    """For each matrix of a layer its kinds, and how far its rows are from what they were."""
    found = []
    tensors, twins = before.tensors(), after.tensors()
    for role in (role for role in tensors if role in SCALES):
        old, new = as_float64(tensors[role]), as_float64(twins[role])
        old, new = old.reshape(len(old), -1), new.reshape(len(new), -1)
        size = np.sqrt(np.square(old).mean(axis=1))
        lost = np.sqrt(np.square(new - old).mean(axis=1))
        share = np.divide(lost, size, out=np.zeros_like(lost), where=size > 0)
        worst = np.argsort(-share, kind="stable")[:WORST]
        found.append(
            {
                "layer": before.name,
                "weight": role.name.lower(),
                "before": kind_text(tensors[role]),
                "after": kind_text(twins[role]),
                "error": _number(_rms(new - old) / max(_rms(old), 1e-300)),
                "worst_rows": [
                    {"row": int(i), "gate": _gate(before, role, int(i)), "error": _number(share[i])}
                    for i in worst
                ],
            }
        )
    return found


def _gate(node: Node, role: Role, row: int) -> str | None:
    """The gate of a row, where gates stand one below the other."""
    if not node.gates:
        return None
    size = len(node.tensors()[Role.WEIGHT_IH]) // len(node.gates)
    return node.candidate if role is Role.WEIGHT_HN else node.gates[row // size]
