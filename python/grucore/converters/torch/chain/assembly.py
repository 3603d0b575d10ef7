# SPDX-License-Identifier: Apache-2.0
"""The layers of an architecture as the graph that PyTorch would have of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.chain.architecture import Step
from grucore.converters.torch.chain.chain import FRAMES, Chain
from grucore.converters.torch.chain.kinds import LinearLayer, PlainLayer, RecurrentLayer
from grucore.converters.torch.chain.loose import LooseTensor
from grucore.converters.torch.chain.stages import Stage, width_after

__all__ = ["chain_of"]


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
        elif isinstance(stage, LooseTensor):
            chain.loose(stage)
        elif isinstance(stage, PlainLayer):
            chain.plain(_grouped(stage, width))
        else:
            chain.function(stage.kind, stage.options)
        width = width_after(stage, width)
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
