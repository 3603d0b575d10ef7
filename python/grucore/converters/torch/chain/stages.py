# SPDX-License-Identifier: Apache-2.0
"""From the steps of an architecture to the layers and tensors of a file that they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from grucore._core import ConversionError
from grucore.converters.torch.chain.architecture import (
    DEFAULTS,
    LOOSE,
    NAMED,
    STARTS,
    Step,
    option_text,
)
from grucore.converters.torch.chain.kinds import Layer, LinearLayer, PlainLayer, RecurrentLayer
from grucore.converters.torch.chain.layers import Layers
from grucore.converters.torch.chain.loose import LooseTensor, initial_state, loose_tensor
from grucore.converters.torch.chain.names import HABITS, plain_name
from grucore.graph.tensors import Array

__all__ = ["Stage", "Unfit", "bind", "chain_problem", "completed", "unused", "width_after"]

Stage: TypeAlias = Layer | LooseTensor | Step


class Unfit(Exception):
    """An architecture that the layers of a file do not fit: the text says why."""


def bind(steps: Sequence[Step], layers: Layers) -> tuple[Stage, ...]:
    """The layers and tensors that the steps mean, and the steps that mean none.

    Raises `Unfit`; `ConversionError` for a layer of which not all is said.
    """
    named = {step.name for step in steps if step.name is not None}
    kinds = {step.kind for step in steps if step.kind in NAMED}
    taken = {
        layer.name
        for step in steps
        if step.name is not None
        for layer in layers.of_kind(step.kind)
        if _is_named(layer, {step.name}, layers)
    }
    free = {
        kind: [
            layer
            for layer in layers.of_kind(kind)
            if not _is_named(layer, named, layers) and layer.name not in taken
        ]
        for kind in kinds
    }
    for kind, candidates in free.items():
        wanted = sum(step.kind == kind and step.name is None for step in steps)
        if wanted and wanted != len(candidates):
            count = f"{wanted} {kind} steps without a name for {len(candidates)} such layers"
            raise Unfit(f"it has {count}")
        if wanted > 1 and not layers.ordered:
            raise Unfit(
                f"this kind of file does not keep the order of layers: name the {kind} steps"
            )
    stages: list[Stage] = []
    for step in steps:
        if step.kind in LOOSE:
            assert step.name is not None
            array = _tensor(step.name, step.kind, layers)
            stages.append(loose_tensor(step.kind, step.name, array, step.options))
        elif step.kind not in NAMED:
            stages.append(step)
        else:
            layer = free[step.kind].pop(0) if step.name is None else _named(step, layers)
            is_whole = isinstance(layer, LinearLayer)
            stages.append(layer if is_whole else completed(layer, step, layers.loose))
    return tuple(stages)


def completed(layer: Layer, step: Step, loose: Mapping[str, Array]) -> PlainLayer | RecurrentLayer:
    """The layer with what the step says of it, which is then everything."""
    assert not isinstance(layer, LinearLayer)
    options = {name: value for name, value in step.options.items() if name not in STARTS}
    whole = replace(layer, options={**layer.options, **options})
    for name, said in options.items():
        if name in layer.options and layer.options[name] != said:
            message = f"the architecture says {name}={said}, the file {layer.options[name]}"
            raise ConversionError(f"{layer.name}: {message}")
    if whole.missing:
        usual = {name: DEFAULTS[name] for name in NAMED[layer.kind]} | dict(whole.options)
        text = f"{layer.kind}({layer.name}, {option_text(usual)})"
        message = f"{layer.name} needs {', '.join(whole.missing)}, which the weights do not tell"
        raise ConversionError(f"{message}: with PyTorch's own defaults it would be {text}")
    if not isinstance(whole, RecurrentLayer):
        return whole
    starts = {}
    for start in (name for name in STARTS if name in step.options):
        tensor = step.options[start]
        if tensor not in loose:
            raise Unfit(f"there is no tensor {tensor!r} for {start} of {layer.name}")
        starts[start] = initial_state(tensor, loose[tensor], whole.rows, whole.hidden_size)
    return replace(whole, starts=starts)


def _tensor(name: str, kind: str, layers: Layers) -> Array:
    if name in layers.loose:
        return layers.loose[name]
    known = ", ".join(layers.loose) or "none"
    raise Unfit(f"there is no tensor {name!r} to {kind}; of those that belong to no layer: {known}")


def _spellings(name: str) -> set[str]:
    """The names by which a user may call a layer: as in the file, or without wrappers."""
    spellings = [name, plain_name(f"{name}.")[:-1]]
    for habit in HABITS:
        spellings.append(spellings[-1].removeprefix(habit))
    return set(spellings)


def _is_named(layer: Layer, names: set[str], layers: Layers) -> bool:
    return any(
        layer.name == name or {layer.name, layers.aliases.get(name)} & _spellings(name)
        for name in names
    )


def _named(step: Step, layers: Layers) -> Layer:
    assert step.name is not None
    candidates = layers.of_kind(step.kind)
    meant = layers.aliases.get(step.name, step.name)
    for layer in candidates:
        if layer.name == meant:
            return layer
    for layer in candidates:
        if layer.name in _spellings(meant):
            return layer
    raise Unfit(f"there is no {step.kind} layer called {step.name!r}")


def chain_problem(stages: Sequence[Stage]) -> str | None:
    """Why these layers cannot follow each other, or None."""
    before: str | None = None
    width: int | None = None
    for stage in stages:
        if not isinstance(stage, Step):
            if before is not None and None not in (width, stage.input_size):
                if stage.input_size != width:
                    reads = f"{stage.name} reads {stage.input_size} features"
                    return f"{reads}, but {before} writes {width}"
            elif before is not None and isinstance(stage, PlainLayer) and stage.kind == "embedding":
                return f"{stage.name} reads ids, but {before} writes features"
            before = stage.name
        width = width_after(stage, width)
    if not any(isinstance(stage, RecurrentLayer) for stage in stages):
        return "there is no gru, lstm or rnn in it"
    return None


def width_after(stage: Stage, before: int | None) -> int | None:
    """The features that a stage writes, where ``before`` come in."""
    if not isinstance(stage, Step):
        return before if stage.output_size is None else stage.output_size
    return before // 2 if stage.kind == "glu" and before is not None else before


def unused(steps: Sequence[Step], stages: Sequence[Stage], layers: Layers) -> list[str]:
    """Layers and tensors that the stages do not use."""
    names = {stage.name for stage in stages if not isinstance(stage, Step)}
    tensors = {stage.name for stage in stages if isinstance(stage, LooseTensor)}
    tensors |= {step.options[start] for step in steps for start in STARTS if start in step.options}
    tensors |= {f"{stage.name}.weight" for stage in stages if getattr(stage, "kind", "") == "prelu"}
    left = [layer.name for layer in layers.found if layer.name not in names - tensors]
    return left + [name for name in layers.strangers if name not in tensors]
