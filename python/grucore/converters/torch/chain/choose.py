# SPDX-License-Identifier: Apache-2.0
"""The layers of a file in the order that its user wrote down, none of them left out in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grucore._core import ConversionError
from grucore.converters.torch.chain.architecture import NAMED, Step, parse
from grucore.converters.torch.chain.layers import Layers
from grucore.converters.torch.chain.offers import MAX_LISTED, ignoring, with_findings
from grucore.converters.torch.chain.stages import (
    Stage,
    Unfit,
    bind,
    chain_problem,
    completed,
    unused,
)

__all__ = ["Chosen", "choose"]

UNSAID = "its weights alone do not say how these layers follow each other; name an architecture"
NO_CHAIN = (
    "Where layers do not follow one another (skips, several inputs), the graph is needed: "
    "torch.export.save (.pt2), ONNX, or grucore.from_torch on the module."
)


@dataclass(frozen=True)
class Chosen:
    """The stages of a model, and layers and tensors of the file that they do not use."""

    stages: tuple[Stage, ...]
    left: tuple[str, ...] = ()


def choose(layers: Layers, architecture: str | None, *, is_own: bool = False) -> Chosen:
    """The layers in the order of the architecture, which a single recurrent layer does without,
    but not where ``is_own``: it stands in a module of somebody's own class, whose code is not read.

    Raises `ConversionError` that lists the layers found and the architectures that fit them.
    """
    if architecture is None:
        alone = len(layers.found) == 1 and not layers.strangers and not is_own
        if alone and layers.recurrent:
            layer = layers.recurrent[0]
            return Chosen((completed(layer, Step(layer.kind, layer.name), {}),))
        if not layers.recurrent:
            raise ConversionError(with_findings("there is no GRU, LSTM or RNN in it", layers))
        raise ConversionError(with_findings(UNSAID, layers) + f"\n{NO_CHAIN}")
    steps = parse(architecture)
    try:
        stages = bind(steps, layers)
    except Unfit as error:
        problem: str | None = str(error)
    else:
        problem = chain_problem(stages)
    if problem:
        raise ConversionError(with_findings(f"architecture {architecture!r}: {problem}", layers))
    left = unused(steps, stages, layers)
    if left and not _picks_a_network(steps, stages, layers):
        some = ", ".join(left[:MAX_LISTED]) + (" ..." if len(left) > MAX_LISTED else "")
        left_over = (
            f"architecture {architecture!r} leaves out {some}. What plays no part in the model "
            f"must be named: {ignoring(left)}"
        )
        raise ConversionError(with_findings(left_over, layers))
    return Chosen(stages, tuple(left))


def _picks_a_network(steps: Sequence[Step], stages: Sequence[Stage], layers: Layers) -> bool:
    """True if each layer is named, in a file that has the recurrent layers of another network."""
    used = {stage.name for stage in stages if not isinstance(stage, Step)}
    others = [layer for layer in layers.recurrent if layer.name not in used]
    return bool(others) and all(step.name for step in steps if step.kind in NAMED)
