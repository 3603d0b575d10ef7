# SPDX-License-Identifier: Apache-2.0
"""States that the caller carries: the output of a state must be the new state of its cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grucore._core import ConversionError
from grucore.converters.torch.aten import InputSpec
from grucore.converters.torch.walk.walk import Walk
from grucore.converters.trace.axes import TIME, Data, Ended, Tracked, Unfit
from grucore.graph.layers import Concat, Select
from grucore.graph.node import Node

__all__ = ["check_order", "check_returned", "inputs_of", "states_of"]

CARRIED = "a stream carries the cell's own state, and nothing that was made of it"


def check_returned(
    walked: Walk, outputs: Mapping[int, Data], cells: Sequence[tuple[str, int]]
) -> dict[str, int]:
    """For each initial state the output that gives it back, of a model that reads whole sequences.

    ``outputs`` by their numbers; ``cells``: the inputs and outputs of cell states. An output of the
    same shape as a state is what the caller hands to the next call: raises
    `ConversionError` where it is something else than the states at the end. A model that gives
    none back starts from a state, and does not go on from one.
    """
    states = _states(walked)
    back: dict[str, int] = dict(cells)
    new = {
        number
        for number, flow in outputs.items()
        if any(_is_new_state(walked, flow, spec.name) for spec in states)
    }
    for spec in states:
        if spec.name in back:
            continue
        is_cell = any(
            n.endswith(".c") for n, (name, _) in walked.starts.items() if name == spec.name
        )
        alike = [
            number
            for number, flow in outputs.items()
            if not (is_cell and number in new)
            and not flow.has(TIME)
            and walked.shape(flow) == spec.shape
        ]
        exact = [number for number in alike if _is_new_state(walked, outputs[number], spec.name)]
        if exact:
            back[spec.name] = exact[0]
        elif alike:
            raise ConversionError(
                f"output {alike[0]} has the shape of the state {spec.name!r}, but is not its new "
                f"value: {CARRIED}. Return the state as the layer gives it, transform it elsewhere"
            )
    if back and len(back) < len(states):
        missing = ", ".join(repr(spec.name) for spec in states if spec.name not in back)
        raise ConversionError(f"no output gives back the state {missing}, but others are")
    check_order(walked, list(back.items()))
    return back


def check_order(walked: Walk, back: Sequence[tuple[str, int]]) -> None:
    """Raise `ConversionError` where states come back in another order than they go in."""
    order = [spec.name for spec in _states(walked)]
    names = [name for name, _ in sorted(back, key=lambda each: each[1])]
    if names != [name for name in order if name in names]:
        raise ConversionError(
            f"the states {', '.join(order)} go in, and come back as {', '.join(names)}: "
            "return them in the order of the arguments"
        )


def states_of(walked: Walk, x: Tracked) -> set[str]:
    """The recurrent layers whose final states an output is, if it is nothing else."""
    if isinstance(x, Ended):
        return _cell_states_of(walked, x)
    starts = walked.starts
    if not isinstance(x, Data) or not walked.in_steps or not starts:
        return set()
    names = {f"{node.output}": node for node in walked.builder.nodes}
    wanted = [names[x.value.name]] if x.value.name in names else []
    found: set[str] = set()
    while wanted:
        node = wanted.pop()
        if f"{node.name}.h" in starts:
            found.add(f"{node.name}.h")
        elif node.layer == "concat":
            wanted += [names[name] for name in node.inputs if name in names]
        else:
            return set()
    # A step's output and its state are one value; only what has the state's axes is the state.
    inputs = {
        spec.shape
        for spec in walked.graph.inputs
        if spec.name in {starts[name][0] for name in found}
    }
    return found if walked.shape(x) in inputs else set()


def _cell_states_of(walked: Walk, x: Ended) -> set[str]:
    """The cell states that an output is, where the model reads them as well."""
    if any(state not in walked.starts for state in x.states) or not x.in_order:
        layer = x.states[0].removesuffix(".c")
        raise Unfit(
            f"it is the cell state of {layer}, which is no value of a frame: leave it out of the "
            f"outputs, and take {x.states[0]!r} from run(..., return_state=True)"
        )
    return set(x.states)


def inputs_of(walked: Walk, states: set[str]) -> list[str]:
    """The inputs that start these states, each once, in the order of the arguments."""
    used = {walked.starts[name][0] for name in states}
    return [spec.name for spec in walked.graph.inputs if spec.name in used]


def _states(walked: Walk) -> list[InputSpec]:
    specs = zip(walked.graph.inputs, walked.meanings, strict=True)
    return [spec for spec, meaning in specs if meaning.is_state and walked.states.get(spec.name)]


def _is_new_state(walked: Walk, x: Data, state: str) -> bool:
    """True if each number is the last one of the unit that the same place of the state starts."""
    nodes = {node.output: node for node in walked.builder.nodes}
    places = x.index.reshape(-1)
    for place, number in enumerate(places):
        value, unit = _source(walked, nodes, x.value.name, int(number))
        cell = nodes.get(walked.finals.get(value, ""))
        if cell is None or walked.starts.get(f"{cell.name}.h", ("", 0))[0] != state:
            return False
        size = _size(walked, cell)
        if place != walked.starts[f"{cell.name}.h"][1] * size + unit:
            return False
    return len(places) > 0


def _size(walked: Walk, cell: Node) -> int:
    """Units of a recurrent layer."""
    return next(value.features for value in walked.builder.values if value.name == cell.output)


def _source(walked: Walk, nodes: dict[str, Node], value: str, number: int) -> tuple[str, int]:
    """The value and the feature that a feature is a copy of."""
    while value not in walked.finals:
        node = nodes.get(value)
        if isinstance(node, Select):
            value, number = node.inputs[0], int(node.index[number])
        elif isinstance(node, Concat):
            for name in node.inputs:
                size = next(each.features for each in walked.builder.values if each.name == name)
                if number < size:
                    value = name
                    break
                number -= size
        else:
            break
    return value, number
