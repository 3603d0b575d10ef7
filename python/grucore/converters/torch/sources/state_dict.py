# SPDX-License-Identifier: Apache-2.0
"""State dicts: the layers that an architecture names, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.conversion import Conversion
from grucore.converters.ignored import Ignored
from grucore.converters.torch.chain.aliases import without_aliases
from grucore.converters.torch.chain.architecture import Step
from grucore.converters.torch.chain.assembly import chain_of
from grucore.converters.torch.chain.averages import check_averages
from grucore.converters.torch.chain.choose import Chosen, choose
from grucore.converters.torch.chain.layers import RECURRENT, Layers, read_layers
from grucore.converters.torch.chain.names import HABITS, kept, plain_name
from grucore.converters.torch.chain.stages import Stage
from grucore.converters.torch.readings import Reading, read
from grucore.converters.torch.walk.walk import Meaning
from grucore.converters.torch.witness.witness import program_evidence
from grucore.converters.trace.axes import BATCH, FEATURES, TIME
from grucore.graph import gates
from grucore.graph.tensors import Array

__all__ = ["Wanted", "is_wide", "of_state", "reading_of", "source_of"]

MOST = 64  # names of a list in the metadata
PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Wanted:
    """The user's words on a state dict: how its layers follow each other, and what to leave out."""

    architecture: str | None = None
    ignored: Ignored = field(default_factory=Ignored)


def of_state(
    state: Mapping[str, Any],
    wanted: Wanted,
    source: Mapping[str, Any],
    *,
    ordered: bool = True,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    foreign: Mapping[str, str] | None = None,
    beside: Mapping[str, Array] | None = None,
    examples: Sequence[tuple[Array, ...]] = (),
    is_own: bool = False,
) -> Conversion:
    """The conversion of a state dict, which torch makes again where it is.

    ``ordered``, ``options``, ``foreign``: as `read_layers` has them. ``beside``: tensors of the
    file that are not in the state dict, for an architecture to name. ``is_own``: as in `choose`.
    """
    left, averaged = _without_count(kept(state, wanted.ignored))
    check_averages(left)
    layers = read_layers(left, ordered=ordered, options=options, foreign=foreign)
    layers = without_aliases(replace(layers, loose={**(beside or {}), **layers.loose}))
    chosen = choose(layers, wanted.architecture, is_own=is_own)
    _check_whole(chosen.stages, wanted.ignored)
    reading = reading_of(chosen.stages)
    entries = {**source, **averaged}
    if beside:
        entries["beside"] = [f"{name} {array.shape}" for name, array in beside.items()][:MOST]
    entries = source_of(chosen, layers, wanted, entries)
    return Conversion(
        reading.graph.with_metadata(source=entries),
        lambda: program_evidence(reading, wide=is_wide(chosen.stages), examples=examples),
        is_typed=wanted.architecture is not None,
        left=(*wanted.ignored.names, *chosen.left),
    )


def _without_count(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state without the count that torch's AveragedModel keeps beside its `module.`."""
    count = state.get("n_averaged")
    others = [name for name in state if name != "n_averaged"]
    if not isinstance(count, np.ndarray) or count.size != 1 or count.dtype.kind not in "iu":
        return state, {}
    if not others or not all(name.startswith("module.") for name in others):
        return state, {}
    left = {name: state[name] for name in others}
    return left, {"averaged": f"over {int(count.reshape(-1)[0])} models, by AveragedModel"}


def _check_whole(stages: Sequence[Stage], ignored: Ignored) -> None:
    """Raise `ConversionError` where a part of a layer is ignored that the model uses."""
    used = {stage.name for stage in stages if not isinstance(stage, Step)}
    for name in ignored.names:
        prefix, _, part = plain_name(name).rpartition(".")
        is_part = part in PARTS or RECURRENT.fullmatch(part) is not None
        for habit in ("", *HABITS):
            prefix = prefix.removeprefix(habit)
            if is_part and prefix in used:
                raise ConversionError(f"{name} is a part of {prefix}, which the model uses")


def source_of(
    chosen: Chosen,
    layers: Layers,
    wanted: Wanted,
    source: Mapping[str, Any],
) -> dict[str, Any]:
    """The metadata's source: what was left out or rounded, besides where the layers come from."""
    entries = {"axes": "(batch, time, features)", **source}
    if wanted.architecture is not None:
        entries["architecture"] = wanted.architecture
    if wanted.ignored.names:
        entries["ignored"] = wanted.ignored.names[:MOST]
    if chosen.left:
        entries["left_out"] = list(chosen.left)[:MOST]
    if layers.aliases:
        entries["aliases"] = dict(list(layers.aliases.items())[:MOST])
    rounding = _largest_rounding(chosen.stages)
    if rounding:
        entries["largest_rounding"] = rounding
    return entries


def reading_of(stages: Sequence[Stage]) -> Reading:
    """The model of these layers, and the graph that PyTorch would have of them."""
    graph = chain_of(stages)
    (spec,) = graph.inputs
    axes = (BATCH, TIME, *(FEATURES,) * (len(spec.shape) - 2))
    return read(graph, [Meaning(axes)])


def is_wide(stages: Sequence[Stage]) -> bool:
    """True if a weight is float64, so that torch must run in float64 to say what it means."""
    return any(
        array.dtype == np.float64 for stage in stages for array in getattr(stage, "arrays", [])
    )


def _largest_rounding(stages: Sequence[Stage]) -> float:
    """The largest change by which float64 became float32, relative to each tensor's largest."""
    largest = 0.0
    for stage in stages:
        for array in getattr(stage, "arrays", []):
            if array.dtype.itemsize > 4:
                change = np.abs(gates.rounded(array).astype(array.dtype) - array).max(initial=0.0)
                largest = max(largest, float(change / (np.abs(array).max(initial=0.0) or 1.0)))
    return largest
