# SPDX-License-Identifier: Apache-2.0
"""State inputs of a step and the outputs that its caller hands back to them, by names and order."""

from __future__ import annotations

import re
from collections.abc import Mapping

from grucore._core import ConversionError
from grucore.converters.onnx.carried import WAY_OUT, is_own, paired_by_name
from grucore.converters.onnx.context import Work
from grucore.converters.onnx.read.source import CELL, RECURRENT, Source
from grucore.converters.trace.axes import Data, Operand, Unfit
from grucore.converters.trace.recurrent import are_alike

__all__ = ["connect", "pairs_of"]

# Words by which a file calls what its caller carries from frame to frame.
CALLED = (
    "h hx h0 hn c cx c0 cn hidden state states carry carried cell mem memory cache caches buf "
    "buffer buffers past prev previous history recurrent rnn gru lstm feedback"
)
WORDS = frozenset(re.findall(r"\w+", CALLED))
STATE_PLACES = {(CELL, 1), ("LSTM", 6), *((op, 5) for op in RECURRENT)}


def pairs_of(source: Source) -> dict[str, str]:
    """For each input that is called a state, or starts a recurrent operator, the output of it.

    Their names say which belongs to which; or the states are the last inputs and come back as the
    last outputs, or the first ones as the first. Empty where neither is so.
    """
    started = {
        name
        for node in source.nodes
        for place, name in enumerate(node.inputs)
        if (node.op, place) in STATE_PLACES
    }
    ports = [port.name for port in source.inputs]
    states = [name for name in ports if name in started or _words(name) & WORDS]
    outputs = list(source.outputs)
    count = len(states)
    if not 0 < count < len(ports) or len(outputs) < count:
        return {}
    named = paired_by_name(states, outputs)
    if named is not None:
        return named
    if states == ports[-count:]:
        return dict(zip(states, outputs[-count:], strict=True))
    if states == ports[:count]:
        return dict(zip(states, outputs[:count], strict=True))
    return {}


def _words(name: str) -> set[str]:
    return {*re.split(r"[^a-z]+", name.lower()), *re.split(r"[^a-z0-9]+", name.lower())}


def connect(work: Work, outputs: Mapping[str, Operand], pairs: Mapping[str, str]) -> None:
    """Give each delay its value of the next frame; raises `ConversionError`.

    A state that a layer carries has to come back as that layer's own.
    """
    nodes = {node.output: node for node in work.builder.nodes}
    for name, other in pairs.items():
        found = outputs[other]
        if name not in work.delays:
            parts = work.states.get(name)
            if parts is None or not is_own(work, nodes, parts, found):
                raise ConversionError(f"output {other!r} is not the new state {name!r}: {WAY_OUT}")
            continue
        delay = work.delays[name]
        if not isinstance(found, Data) or not are_alike(found, delay):
            text = found.text if isinstance(found, Data) else "no value of a frame"
            message = f"output {other!r} is {text}, expected {delay.text} as the state {name!r}"
            raise ConversionError(message)
        work.label = other
        try:
            work.builder.feed_back(delay.value, work.ordered(found))
        except Unfit as problem:
            raise ConversionError(f"output {other!r}: {problem}") from None
