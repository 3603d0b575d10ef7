# SPDX-License-Identifier: Apache-2.0
"""States of one frame a call that are more than a layer's own: values of the frame before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.ops.returned import check_windows
from grucore.converters.keras.read.config import Layer
from grucore.graph.layers import Take
from grucore.graph.node import Rate

__all__ = ["feed_back", "rows"]


def feed_back(context: Context, outputs: Mapping[str, Any]) -> None:
    """Give each state its value of the next frame.

    The outputs without a time axis that are as long as the states give them back in their order:
    where several could, the last ones. Raises `ConversionError`.
    """
    check_windows(context)
    sizes = [value.features for value in context.delays.values()]
    alike = [
        name
        for name, flow in outputs.items()
        if isinstance(flow, Flow) and flow.is_row and flow.value.features in sizes
    ]
    features = [outputs[name].value.features for name in alike]
    last = list(outputs)[-len(sizes) :]
    if len(alike) > len(sizes) and alike[-len(sizes) :] == last:
        alike, features = alike[-len(sizes) :], features[-len(sizes) :]
    if features != sizes:
        raise ConversionError(
            f"the states {', '.join(context.delays)} go in, and the outputs do not give them back"
        )
    noted = {}
    for (source, delay), name in zip(context.delays.items(), alike, strict=True):
        context.builder.feed_back(delay, outputs[name].value)
        noted[source] = f"the input is the state of {delay.name.removesuffix('.out')}.x"
    context.notes["states"] = noted
    context.notes["fed_back"] = dict(zip(context.delays, alike, strict=True))


def rows(
    context: Context, layer: Layer, arguments: Sequence[Any], results: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The results, which have a time axis where what a layer reads has one.

    The first and the last frame of one frame are that frame.
    """
    if not context.delayed:
        return results
    read = {flow.is_row for flow in _flows(arguments)}
    if len(read) > 1:
        raise ConversionError(f"{layer} reads a frame with a time axis and one without")
    return tuple(
        _row(context, each, read == {True}) if isinstance(each, Flow) else each for each in results
    )


def _row(context: Context, flow: Flow, is_row: bool) -> Flow:
    if flow.value.rate is Rate.SEQUENCE:
        node = next(node for node in context.builder.nodes if node.output == flow.value.name)
        if not isinstance(node, Take):
            raise ConversionError(f"{node.name!r} makes one value of a sequence of one frame")
        value = next(each for each in context.builder.values if each.name == node.inputs[0])
        return replace(flow, value=value, is_row=True)
    return replace(flow, is_row=is_row or flow.is_row)


def _flows(arguments: Sequence[Any]) -> Iterator[Flow]:
    for each in arguments:
        if isinstance(each, Flow):
            yield each
        elif isinstance(each, list):
            yield from _flows(each)
