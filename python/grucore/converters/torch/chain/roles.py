# SPDX-License-Identifier: Apache-2.0
"""The part that a tensor of no layer may play, by its name and its shape.

Nothing is decided here: each part is offered to the user, who knows the model's code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from grucore.converters.torch.chain.architecture import NAMED, Step
from grucore.converters.torch.chain.kinds import Layer, RecurrentLayer
from grucore.converters.torch.chain.layers import Layers
from grucore.graph.tensors import Array

__all__ = ["with_loose"]

END = r"(?:[._]?\d*)$"
MEAN = re.compile(rf"(?:^|[._])(?:mean|mu|shift|offset|center|loc){END}", re.IGNORECASE)
SPREAD = re.compile(rf"(?:^|[._])(?:std|stdev|sigma|scale|deviation){END}", re.IGNORECASE)
# Not `weight` or `gamma`, which norms have, and not of a norm.
GAIN = re.compile(rf"(?:^|.*[._])(?:gain|scale|scaling){END}", re.IGNORECASE)
NORM = re.compile(r"norm|(?:^|[._])(?:ln|bn|gn)\d*[._]", re.IGNORECASE)
STATE = {
    "h_0": re.compile(
        r"(?:^|.*[._])(?:h_?0|(?:h_?)?init(?:ial)?(?:_?(?:h|hidden|state))*|hidden(?:_?state)?)",
        re.I,
    ),
    "c_0": re.compile(
        r"(?:^|.*[._])(?:c_?0|c_?init|init(?:ial)?_?(?:c|cell)(?:_?state)?|cell(?:_?state)?)", re.I
    ),
}
OF_OUTPUT = re.compile(r"(?:^|[._])(?:out|output|y|target|label)", re.IGNORECASE)


def with_loose(steps: Sequence[Step], layers: Layers) -> Iterator[list[Step]]:
    """The steps with each loose tensor in the part that it may have, and as they are."""
    loose = {name: array for name, array in layers.loose.items() if name in layers.strangers}
    loose |= {name: array for name, array in layers.loose.items() if name not in layers.strangers}
    owners = {layer.name: layer for layer in layers.found}
    placed = _started(steps, loose, owners)
    placed = _normalized(placed, loose, owners)
    placed = _scaled(placed, loose, owners)
    if list(placed) != list(steps):
        yield placed
    yield list(steps)


def _started(
    steps: Sequence[Step], loose: dict[str, Array], owners: dict[str, Layer]
) -> list[Step]:
    """Initial states, where their names and sizes are those of one."""
    result = list(steps)
    for place, step in enumerate(steps):
        layer = owners.get(step.name or "")
        if not isinstance(layer, RecurrentLayer):
            continue
        for start in ("h_0", "c_0") if layer.kind == "lstm" else ("h_0",):
            whole = [extent for extent in (layer.rows, layer.hidden_size) if extent != 1]
            for name, array in list(loose.items()):
                sizes = [extent for extent in array.shape if extent != 1]
                if STATE[start].fullmatch(name) and sizes == whole and array.dtype.kind == "f":
                    options = {**result[place].options, start: name}
                    result[place] = replace(result[place], options=options)
                    del loose[name]
                    break
    return result


def _normalized(
    steps: Sequence[Step], loose: dict[str, Array], owners: dict[str, Layer]
) -> list[Step]:
    """Statistics of the inputs in front, and those of the targets behind."""
    width = next((owners[s.name].input_size for s in steps if s.name in owners), None)
    behind = [owners[step.name].output_size for step in steps if step.name in owners]
    result = list(steps)
    for is_output in (False, True):
        size = behind[-1] if is_output and behind else width
        fitting = [
            name
            for name, array in loose.items()
            if array.size in (1, size) and bool(OF_OUTPUT.search(name)) == is_output
        ]
        means = [name for name in fitting if MEAN.search(name)]
        spreads = [name for name in fitting if SPREAD.search(name)]
        if len(means) != 1 or len(spreads) > 1:
            continue
        # A scale of other features than the mean's is a gain, and no spread.
        spreads = [name for name in spreads if loose[name].size == loose[means[0]].size]
        parts = [Step("subtract", means[0]), *(Step("divide", name) for name in spreads)]
        undone = [*(Step("multiply", name) for name in spreads), Step("add", means[0])]
        result = [*result, *undone] if is_output else [*parts, *result]
        for name in (*means, *spreads):
            del loose[name]
    return result


def _scaled(steps: Sequence[Step], loose: dict[str, Array], owners: dict[str, Layer]) -> list[Step]:
    """Gains, behind the last layer that writes as many features."""
    result = list(steps)
    for name, array in list(loose.items()):
        if not GAIN.search(name) or NORM.search(name) or array.dtype.kind != "f":
            continue
        if name.rpartition(".")[0] in owners:
            continue  # a part of that layer
        several = [extent for extent in array.shape if extent != 1]
        for place in range(len(result) - 1, -1, -1):
            step = result[place]
            layer = owners.get(step.name or "") if step.kind in NAMED else None
            if layer is not None and several in ([], [layer.output_size]):
                # One of a module stands behind its own layers.
                result.insert(place + 1, Step("multiply", name))
                del loose[name]
                break
    return result
