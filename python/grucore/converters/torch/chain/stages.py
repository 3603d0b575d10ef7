# SPDX-License-Identifier: Apache-2.0
"""From the layers of a state dict and an architecture to a graph, or to what could be meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import TypeAlias

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.chain.architecture import (
    DEFAULTS,
    NAMED,
    ONE_FRAME,
    Step,
    describe,
    option_text,
    parse,
)
from grucore.converters.torch.chain.chain import FRAMES, Chain
from grucore.converters.torch.chain.layers import (
    Layer,
    Layers,
    LinearLayer,
    PlainLayer,
    RecurrentLayer,
)
from grucore.converters.torch.chain.names import HABITS, plain_name

__all__ = ["Stage", "chain_of", "choose", "unused"]


Stage: TypeAlias = Layer | Step

NO_CHAIN = (
    "Where layers do not follow one another (skips, several inputs), the graph is needed: "
    "torch.export.save (.pt2), ONNX, or grucore.from_torch on the module."
)
NO_TENSOR = "not a tensor of numbers"  # the end of what is said of such a thing
MAX_LISTED = 12  # layers in an error message
MAX_PERMUTED = 5  # layers whose orders are all tried


def choose(layers: Layers, architecture: str | None) -> tuple[Stage, ...]:
    """The layers in the order of the architecture, which a single recurrent layer does without.

    Raises `ConversionError` that lists the layers found and the architectures that fit them.
    """
    if architecture is None:
        if len(layers.found) == 1 and layers.recurrent and not layers.strangers:
            alone = layers.recurrent[0]
            return (_completed(alone, Step(alone.kind, alone.name)),)
        if not layers.recurrent:
            message = "there is no GRU, LSTM or RNN in it"
            raise ConversionError(_with_findings(message, layers))
        message = "its weights alone do not say how these layers follow each other; name an"
        text = _with_findings(f"{message} architecture", layers)
        raise ConversionError(f"{text}\n{NO_CHAIN}")
    steps = parse(architecture)
    stages = _bind(steps, layers, architecture)
    problem = _chain_problem(stages)
    if problem:
        raise ConversionError(_with_findings(f"architecture {architecture!r}: {problem}", layers))
    if any(step.kind in NAMED and step.name is None for step in steps):
        _check_all_used(stages, layers, architecture)
    return stages


def _bind(steps: Sequence[Step], layers: Layers, architecture: str) -> tuple[Stage, ...]:
    named = {step.name for step in steps if step.name is not None}
    kinds = {step.kind for step in steps if step.kind in NAMED}
    taken = {
        layer.name
        for step in steps
        if step.name is not None
        for layer in layers.of_kind(step.kind)
        if _is_named(layer, {step.name})
    }
    free = {
        kind: [
            layer
            for layer in layers.of_kind(kind)
            if not _is_named(layer, named) and layer.name not in taken
        ]
        for kind in kinds
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
        if step.kind not in NAMED:
            stages.append(step)
            continue
        layer = free[step.kind].pop(0) if step.name is None else _named(step, layers)
        stages.append(layer if isinstance(layer, LinearLayer) else _completed(layer, step))
    return tuple(stages)


def _completed(layer: PlainLayer | RecurrentLayer, step: Step) -> PlainLayer | RecurrentLayer:
    """The layer with what the step says of it, which is then everything."""
    whole = replace(layer, options={**layer.options, **step.options})
    for name, said in step.options.items():
        if name in layer.options and layer.options[name] != said:
            message = f"the architecture says {name}={said}, the file {layer.options[name]}"
            raise ConversionError(f"{layer.name}: {message}")
    if whole.missing:
        usual = {name: DEFAULTS[name] for name in NAMED[layer.kind]} | dict(whole.options)
        text = f"{layer.kind}({layer.name}, {option_text(usual)})"
        message = f"{layer.name} needs {', '.join(whole.missing)}, which the weights do not tell"
        raise ConversionError(f"{message}: with PyTorch's own defaults it would be {text}")
    return whole


def _spellings(name: str) -> set[str]:
    """The names by which a user may call a layer: as in the file, or without wrappers."""
    spellings = [name, plain_name(f"{name}.")[:-1]]
    for habit in HABITS:
        spellings.append(spellings[-1].removeprefix(habit))
    return set(spellings)


def _is_named(layer: Layer, names: set[str]) -> bool:
    return layer.name in names or any(layer.name in _spellings(name) for name in names)


def _named(step: Step, layers: Layers) -> Layer:
    assert step.name is not None
    candidates = layers.of_kind(step.kind)
    for layer in candidates:
        if layer.name == step.name:
            return layer
    for layer in candidates:
        if layer.name in _spellings(step.name):
            return layer
    message = f"there is no {step.kind} layer called {step.name!r}"
    raise ConversionError(_with_findings(message, layers))


def _chain_problem(stages: Sequence[Stage]) -> str | None:
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
        width = _width(stage, width)
    if not any(isinstance(stage, RecurrentLayer) for stage in stages):
        return "there is no gru, lstm or rnn in it"
    return None


def _check_all_used(stages: Sequence[Stage], layers: Layers, architecture: str) -> None:
    left = unused(stages, layers)
    if left:
        message = f"architecture {architecture!r} leaves out {', '.join(left[:MAX_LISTED])}"
        message += "; name every layer to leave out the others on purpose"
        raise ConversionError(_with_findings(message, layers))


def unused(stages: Sequence[Stage], layers: Layers) -> list[str]:
    """Layers and tensors that the stages do not use."""
    names = {stage.name for stage in stages if not isinstance(stage, Step)}
    slopes = {f"{stage.name}.weight" for stage in stages if getattr(stage, "kind", "") == "prelu"}
    left = [layer.name for layer in layers.found if layer.name not in names]
    return left + [name for name in layers.strangers if name not in slopes]


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
    loose = [name for name, what in layers.strangers.items() if not what.endswith(NO_TENSOR)]
    if candidates and loose:
        lines.append(f"No order of the layers says where {', '.join(loose[:MAX_LISTED])} goes.")
        lines.append("If that plays no part in the model, name every layer, such as:")
        lines += [f"  {candidate}" for candidate in candidates]
    elif candidates:
        lines.append("These fit its shapes (add relu, sigmoid, tanh ... where they are used):")
        lines += [f'  --architecture "{line}"  {_meaning(line)}' for line in candidates]
    return "\n".join(lines)


def _meaning(line: str) -> str:
    """The answer of a line, in the user's words."""
    kinds = {part.strip().partition("(")[0] for part in line.split(">")}
    if "final" in kinds:
        return "(one answer per sequence, from the states at both ends)"
    return "(one answer per sequence)" if kinds & set(ONE_FRAME) else "(an answer per frame)"


def _candidates(layers: Layers) -> list[str]:
    """Architectures, every layer named, that use all layers and whose shapes chain."""
    if not layers.found:
        return []
    few = len(layers.found) <= MAX_PERMUTED
    every = permutations(layers.found) if few else iter([layers.found])
    orders = [
        order for order in every if not _chain_problem(order) or not _chain_problem(_as_read(order))
    ]
    texts: list[str] = []
    for order in orders[:MAX_LISTED]:
        last_cell = max(i for i, layer in enumerate(order) if isinstance(layer, RecurrentLayer))
        steps = [_step_of(layer) for layer in order]
        heads = [steps]
        if isinstance(order[0], LinearLayer) and order[0].bias is None:
            # A table of an embedding looks like a product without a bias, and is the likelier one.
            heads = [[Step("embedding", order[0].name), *steps[1:]], steps]
        for head in heads:
            if not _chain_problem([_named(step, layers) for step in head]):
                texts.append(describe(head))
                # The last frame of both directions is not the final states: the reverse one's
                # stands at the first.
                layer = order[last_cell]
                both = isinstance(layer, RecurrentLayer) and layer.bidirectional
                for kept in ("last", "final") if both else ("last",):
                    whole = [*head[: last_cell + 1], Step(kept), *head[last_cell + 1 :]]
                    texts.append(describe(whole))
    return texts[:MAX_LISTED]


def _as_read(order: Sequence[Layer]) -> list[Layer]:
    """The layers, the first of them as an embedding if it may be one."""
    first, *rest = order
    if isinstance(first, LinearLayer) and first.bias is None:
        table = {"weight": first.weight}
        return [PlainLayer(kind="embedding", prefix=first.prefix, tensors=table), *rest]
    return list(order)


def _step_of(layer: Layer) -> Step:
    """A step that means the layer, with PyTorch's defaults for what is not known of it."""
    if isinstance(layer, LinearLayer):
        return Step("linear", layer.name)
    usual = {name: DEFAULTS[name] for name in layer.missing}
    return Step(layer.kind, layer.name, usual)


def chain_of(stages: Sequence[Stage]) -> AtenGraph:
    """The graph that PyTorch would have of these layers, of which (batch, time, ...) goes in."""
    first = stages[0]
    if isinstance(first, PlainLayer) and first.kind == "embedding":
        chain = Chain((1, FRAMES), "int64")
    else:
        chain = Chain((1, FRAMES, _input_size(stages)), "float32")
    width: int | None = _input_size(stages)
    for stage in stages:
        if isinstance(stage, LinearLayer):
            chain.linear(stage)
        elif isinstance(stage, RecurrentLayer):
            chain.recurrent(stage)
        elif isinstance(stage, PlainLayer):
            chain.plain(_grouped(stage, width))
        else:
            chain.function(stage.kind, stage.options)
        width = _width(stage, width)
    return chain.graph()


def _input_size(stages: Sequence[Stage]) -> int:
    """Features of the input: those of the first layer that says."""
    for stage in stages:
        size = None if isinstance(stage, Step) else stage.input_size
        if size is not None:
            return size
        if isinstance(stage, PlainLayer) and stage.kind == "conv1d":
            return int(stage.tensors["weight"].shape[1]) * int(stage.options.get("groups", 1))
    raise ConversionError("no layer says how many features go in")


def _width(stage: Stage, before: int | None) -> int | None:
    if not isinstance(stage, Step):
        return before if stage.output_size is None else stage.output_size
    return before // 2 if stage.kind == "glu" and before is not None else before


def _grouped(layer: PlainLayer, width: int | None) -> PlainLayer:
    """A convolution with its number of groups: what it reads over what a group of it reads."""
    if layer.kind != "conv1d" or "groups" in layer.options or width is None:
        return layer
    weight = layer.tensors["weight"]
    groups, rest = divmod(width, int(weight.shape[1]))
    if rest or groups < 1 or len(weight) % groups:
        message = (
            f"{layer.name} reads groups of {weight.shape[1]} features, expected them of {width}"
        )
        raise ConversionError(message)
    return replace(layer, options={**layer.options, "groups": groups})
