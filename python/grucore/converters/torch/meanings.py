# SPDX-License-Identifier: Apache-2.0
"""The meanings that the axes of a graph's inputs can have, and the sizes that follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from grucore.converters.torch.aten import AtenGraph, InputSpec
from grucore.converters.torch.walk.walk import Meaning
from grucore.converters.trace.axes import BATCH, FEATURES, TIME, Axes, Axis, samples
from grucore.converters.trace.carried import are_called_states

__all__ = ["agree", "extents", "hops", "meanings_of", "uneven"]

IDS = ("int64", "int32")
# Operations that make frames of samples, and the argument that says how far they are apart.
HOPS = {
    "aten.stft.default": "hop_length",
    "aten.stft.center": "hop_length",
    "aten.unfold.default": "step",
}


def agree(inputs: Sequence[InputSpec], meanings: Sequence[Meaning]) -> bool:
    """True if these inputs agree about the extents of batch and time."""
    sizes: dict[Axis, int] = {}
    return all(
        axis == FEATURES or sizes.setdefault(axis, extent) == extent
        for spec, meaning in zip(inputs, meanings, strict=True)
        for axis, extent in _outer(spec, meaning)
    )


def _outer(spec: InputSpec, meaning: Meaning) -> Iterator[tuple[Axis, int]]:
    """The axes of an input and their extents; of samples those are hops of them."""
    for axis, extent in zip(meaning.axes, spec.shape, strict=True):
        yield (TIME, extent // axis.hop) if axis.hop else (axis, extent)


def extents(inputs: Sequence[InputSpec], meanings: Sequence[Meaning]) -> dict[Axis, int] | None:
    """The extents of batch and time, or None if the inputs disagree."""
    sizes: dict[Axis, int] = {}
    if all(meaning.is_given for meaning in meanings):
        return None
    timed = {meaning.has_time for meaning in meanings if not meaning.is_given}
    stateless = not any(meaning.is_state for meaning in meanings)
    if timed == {False} and stateless and not _are_frames(meanings):
        return None
    if not agree(inputs, meanings):
        return None
    for spec, meaning in zip(inputs, meanings, strict=True):
        sizes.update(_outer(spec, meaning))
    sizes.pop(FEATURES, None)
    batched = {BATCH in meaning.axes for meaning in meanings}
    return None if len(batched) > 1 and stateless else sizes


def _are_frames(meanings: Sequence[Meaning]) -> bool:
    """True if each input is a frame of a model that carries no state at all."""
    return any(meaning.is_memory for meaning in meanings) or all(
        BATCH in meaning.axes for meaning in meanings
    )


def hops(graph: AtenGraph) -> list[int]:
    """The numbers of samples from one frame to the next, where the graph makes frames of them."""
    found: dict[int, None] = {}
    for node in graph.nodes:
        hop = node.arguments.get(HOPS.get(node.op, ""))
        if node.op in HOPS and hop is None:  # a quarter of the frame, as torch has it
            hop = int(node.arguments.get("n_fft", 0)) // 4
        if isinstance(hop, int) and hop > 0:
            found[hop] = None
    return list(found)


def uneven(inputs: Sequence[InputSpec], hop: int) -> str:
    """Why no input has whole hops of samples; empty where one has."""
    longest = max((size for spec in inputs for size in spec.shape), default=0)
    if longest % hop == 0:
        return ""
    near = max(longest // hop, 1) * hop
    return (
        f"an input of {longest} samples is no whole number of hops of {hop}, which are the frames "
        f"of the model: give an example of {near} or {near + hop} samples"
    )


def meanings_of(spec: InputSpec, hops: Sequence[int]) -> Iterator[Meaning]:
    """The meanings that the axes of an input can have; the most usual first. ``hops``: of samples,
    where it may have some."""
    is_sound = spec.dtype.startswith("float")
    for meaning in _plain_meanings(spec):
        for hop in hops if is_sound else ():
            whole = all(
                extent % hop == 0
                for axis, extent in zip(meaning.axes, spec.shape, strict=True)
                if axis == TIME
            )
            if meaning.has_time and whole:
                axes = (samples(hop) if axis == TIME else axis for axis in meaning.axes)
                yield Meaning(tuple(axes))
        yield meaning


def _plain_meanings(spec: InputSpec) -> Iterator[Meaning]:
    rank = len(spec.shape)
    roles: list[Axes] = [(BATCH, TIME), (TIME,), (BATCH,), ()]
    for wanted in roles:
        if len(wanted) > rank:
            continue
        for places in permutations(range(rank), len(wanted)):
            axes = [FEATURES] * rank
            for place, role in zip(places, wanted, strict=True):
                axes[place] = role
            yield Meaning(tuple(axes))
            # An id is a state only where it is called one: a token is what a decoder reads.
            fits = (
                are_called_states(spec.name) and rank < 3 if spec.dtype in IDS else rank in (2, 3)
            )
            if TIME not in wanted and fits:
                yield Meaning(tuple(axes), is_state=True)
