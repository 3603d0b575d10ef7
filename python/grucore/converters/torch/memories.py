# SPDX-License-Identifier: Apache-2.0
"""Inputs that a module attends to: once for each sequence, of a length of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph, InputSpec
from grucore.converters.torch.walk.walk import Meaning, Walk
from grucore.converters.trace.axes import BATCH, FEATURES, Axes
from grucore.converters.trace.memory import MEMORY, Memory, Scores

__all__ = ["attends", "check_memories", "memories"]

# Operations without which nothing attends to a memory.
ATTENDING = ("softmax", "_softmax", "scaled_dot_product_attention")


def attends(graph: AtenGraph) -> bool:
    """True if something in the graph may attend to a memory."""
    return any(node.op.split(".")[1] in ATTENDING for node in graph.nodes)


def memories(spec: InputSpec) -> Iterator[Meaning]:
    """The meanings of an input that is a memory."""
    rank = len(spec.shape)
    roles: list[Axes] = [(BATCH, MEMORY), (MEMORY,)]
    for wanted in roles:
        if len(wanted) >= rank or not spec.dtype.startswith("float"):
            continue
        for places in permutations(range(rank), len(wanted)):
            axes = [FEATURES] * rank
            for place, role in zip(places, wanted, strict=True):
                axes[place] = role
            yield Meaning(tuple(axes))


def check_memories(walked: Walk, outputs: Sequence[Any]) -> None:
    """Raise `ConversionError` for a memory that nothing attends to, or an output made of one."""
    for number, output in enumerate(outputs):
        if isinstance(output, Memory | Scores):
            what = "the shares of the frames of" if isinstance(output, Scores) else "made of"
            raise ConversionError(
                f"output {number} is {what} the memory {output.name!r}, which no value of the "
                "model is: leave it out of the outputs"
            )
    pairs = zip(walked.graph.inputs, walked.meanings, strict=True)
    given = {spec.name for spec, meaning in pairs if meaning.is_memory}
    unused = given - set(walked.memories.values())
    if unused:
        raise ConversionError(f"input {min(unused)!r} is no memory: nothing attends to it")
