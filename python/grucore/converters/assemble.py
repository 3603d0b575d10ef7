# SPDX-License-Identifier: Apache-2.0
"""From the layers of a state dict and an architecture to a graph, or to what could be meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np

from grucore import gates
from grucore._core import ConversionError
from grucore.architecture import Step, describe, parse
from grucore.converters.state_dict import GruLayer, Layers, LinearLayer
from grucore.converters.tensor_names import HABITS, plain_name
from grucore.ir import Graph
from grucore.layers import Concat, Dense, Direction, Gru, Take
from grucore.node import Node, Rate, Value

__all__ = ["Last", "Stage", "assemble", "choose"]


class Last:
    """The stage that keeps the last frame only."""


Stage: TypeAlias = GruLayer | LinearLayer | Last

MAX_LISTED = 12  # layers in an error message
MAX_PERMUTED = 5  # layers whose orders are all tried


def choose(layers: Layers, architecture: str | None) -> tuple[Stage, ...]:
    """The layers in the order of the architecture, which a single GRU alone does without.

    Raises `ConversionError` that lists the layers found and the architectures that fit them.
    """
    if architecture is None:
        if len(layers.found) == 1 and layers.grus and not layers.strangers:
            return (layers.grus[0],)
        if not layers.grus:
            raise ConversionError(_with_findings("there is no GRU in it", layers))
        message = "its weights alone do not say how these layers follow each other; name an"
        raise ConversionError(_with_findings(f"{message} architecture", layers))
    steps = parse(architecture)
    stages = _bind(steps, layers, architecture)
    _check_chain(stages, layers, architecture)
    if any(step.kind != "last" and step.name is None for step in steps):
        _check_all_used(stages, layers, architecture)
    return stages


def _bind(steps: Sequence[Step], layers: Layers, architecture: str) -> tuple[Stage, ...]:
    named = {step.name for step in steps if step.name is not None}
    free: dict[str, list[GruLayer] | list[LinearLayer]] = {
        "gru": [layer for layer in layers.grus if not _is_named(layer, named)],
        "linear": [layer for layer in layers.linears if not _is_named(layer, named)],
    }
    for kind, candidates in free.items():
        wanted = sum(step.kind == kind and step.name is None for step in steps)
        if wanted and wanted != len(candidates):
            message = f"architecture {architecture!r} has {wanted} {kind} steps without a name"
            message += f" for {len(candidates)} such layers"
            raise ConversionError(_with_findings(message, layers))
        if wanted > 1 and not layers.ordered:
            message = f"this kind of file does not keep the order of layers: name the {kind} steps"
            raise ConversionError(_with_findings(message, layers))
    stages: list[Stage] = []
    for step in steps:
        if step.kind == "last":
            stages.append(Last())
            continue
        layer = free[step.kind].pop(0) if step.name is None else _named(step, layers)
        if isinstance(layer, LinearLayer):
            layer = replace(layer, activation=step.activation)
        stages.append(layer)
    return tuple(stages)


def _spellings(name: str) -> set[str]:
    """The names by which a user may call a layer: as in the file, or without wrappers."""
    spellings = [name, plain_name(f"{name}.")[:-1]]
    for habit in HABITS:
        spellings.append(spellings[-1].removeprefix(habit))
    return set(spellings)


def _is_named(layer: GruLayer | LinearLayer, names: set[str]) -> bool:
    return layer.name in names or any(layer.name in _spellings(name) for name in names)


def _named(step: Step, layers: Layers) -> GruLayer | LinearLayer:
    assert step.name is not None
    candidates = layers.grus if step.kind == "gru" else layers.linears
    for layer in candidates:
        if layer.name == step.name:
            return layer
    for layer in candidates:
        if layer.name in _spellings(step.name):
            return layer
    message = f"there is no {step.kind} layer called {step.name!r}"
    raise ConversionError(_with_findings(message, layers))


def _check_chain(stages: Sequence[Stage], layers: Layers, architecture: str) -> None:
    problem = _chain_problem(stages)
    if problem:
        raise ConversionError(_with_findings(f"architecture {architecture!r}: {problem}", layers))


def _chain_problem(stages: Sequence[Stage]) -> str | None:
    before: GruLayer | LinearLayer | None = None
    for stage in stages:
        if isinstance(stage, Last):
            continue
        if before is not None and stage.input_size != before.output_size:
            return (
                f"{stage.name} reads {stage.input_size} features, "
                f"but {before.name} writes {before.output_size}"
            )
        before = stage
    if not any(isinstance(stage, GruLayer) for stage in stages):
        return "there is no gru in it"
    return None


def _check_all_used(stages: Sequence[Stage], layers: Layers, architecture: str) -> None:
    left = unused(stages, layers)
    if left:
        message = f"architecture {architecture!r} leaves out {', '.join(left[:MAX_LISTED])}"
        message += "; name every layer to leave out the others on purpose"
        raise ConversionError(_with_findings(message, layers))


def unused(stages: Sequence[Stage], layers: Layers) -> list[str]:
    """Layers and tensors that the stages do not use."""
    names = {stage.name for stage in stages if not isinstance(stage, Last)}
    return [layer.name for layer in layers.found if layer.name not in names] + list(
        layers.strangers
    )


def _with_findings(message: str, layers: Layers) -> str:
    lines = [f"{message}."]
    if layers.found or layers.strangers:
        lines.append("It holds:")
        strangers = [f"{name} {what}" for name, what in layers.strangers.items()]
        listed = [str(layer) for layer in layers.found] + strangers
        lines += [f"  {line}" for line in listed[:MAX_LISTED]]
        if len(listed) > MAX_LISTED:
            lines.append(f"  and {len(listed) - MAX_LISTED} more")
    candidates = _candidates(layers)
    if candidates:
        lines.append("These fit its shapes (add relu, sigmoid or tanh after a linear, if used):")
        lines += [f'  --architecture "{candidate}"' for candidate in candidates]
    return "\n".join(lines)


def _candidates(layers: Layers) -> list[str]:
    """Architectures, every layer named, that use all layers and whose shapes chain."""
    few = len(layers.found) <= MAX_PERMUTED
    every = permutations(layers.found) if few else iter([layers.found])
    orders = [order for order in every if not _chain_problem(order)]
    texts = []
    for order in orders[:MAX_LISTED]:
        last_gru = max(i for i, layer in enumerate(order) if isinstance(layer, GruLayer))
        steps = [
            Step("gru" if isinstance(layer, GruLayer) else "linear", layer.name) for layer in order
        ]
        texts.append(describe(steps))
        texts.append(describe([*steps[: last_gru + 1], Step("last"), *steps[last_gru + 1 :]]))
    return texts[:MAX_LISTED]


def assemble(stages: Sequence[Stage], metadata: Mapping[str, Any]) -> Graph:
    """The graph: input ``x``, output ``y``, a node for each layer and direction."""
    first = next(stage for stage in stages if not isinstance(stage, Last))
    builder = _Builder(Value("x", first.input_size))
    for stage in stages:
        if isinstance(stage, Last):
            take = Take(name="last", inputs=(builder.at.name,), output="")
            builder.add(take, builder.at.features)
        elif isinstance(stage, LinearLayer):
            builder.linear(stage)
        else:
            builder.gru(stage)
    return builder.graph(metadata)


class _Builder:
    """Appends nodes; ``at`` is the value that the next one reads."""

    def __init__(self, source: Value) -> None:
        self.at = source
        self.values = [source]
        self.nodes: list[Node] = []

    def add(self, node: Node, features: int) -> Value:
        rate = Rate.SEQUENCE if isinstance(node, Take) else self.at.rate
        value = Value(f"{node.name}.out", features, rate=rate)
        self.nodes.append(replace(node, output=value.name))
        self.values.append(value)
        self.at = value
        return value

    def linear(self, layer: LinearLayer) -> None:
        bias = np.zeros(layer.output_size, np.float32) if layer.bias is None else layer.bias
        self.add(
            Dense(
                name=layer.name,
                inputs=(self.at.name,),
                output="",
                weight=gates.rounded(layer.weight),
                bias=gates.rounded(bias),
                activation=layer.activation,
            ),
            layer.output_size,
        )

    def gru(self, layer: GruLayer) -> None:
        for k in range(layer.layer_count):
            source = self.at
            written = []
            for reverse in (False, True) if layer.bidirectional else (False,):
                self.at = source
                weight_ih, weight_hh, bias = gates.from_torch(*layer.parts[k, reverse])
                node = Gru(
                    name=f"{layer.name}.l{k}{'_reverse' if reverse else ''}",
                    inputs=(source.name,),
                    output="",
                    weight_ih=weight_ih,
                    weight_hh=weight_hh,
                    bias=bias,
                    direction=Direction.REVERSE if reverse else Direction.FORWARD,
                )
                written.append(self.add(node, layer.hidden_size).name)
            if layer.bidirectional:
                name = f"{layer.name}.l{k}.both"
                self.add(Concat(name=name, inputs=tuple(written), output=""), layer.output_size)

    def graph(self, metadata: Mapping[str, Any]) -> Graph:
        last = replace(self.at, name="y")
        self.nodes[-1] = replace(self.nodes[-1], output="y")
        return Graph(
            values=(*self.values[:-1], last),
            inputs=(self.values[0].name,),
            outputs=("y",),
            nodes=tuple(self.nodes),
            metadata=metadata,
        )
