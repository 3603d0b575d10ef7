# SPDX-License-Identifier: Apache-2.0
"""The weights of a float32 graph in every kind that they may take, and graphs made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from grucore.fileformat.layout import stored_bytes
from grucore.graph.blocks import BLOCK_INPUTS, BLOCK_ROWS, filled_blocks, fit_blocks
from grucore.graph.graph import Graph
from grucore.graph.node import Node
from grucore.graph.storage import Kind, stored_slots
from grucore.graph.tensors import Array, Dtype, Role, Slot
from grucore.graph.weights import Quantized, Weight, kind_text
from grucore.quantize.calibration import Block, Calibration
from grucore.quantize.rounding import best_rounding, int4_grid, int8_grid

__all__ = ["FLOAT16", "FLOAT32", "Candidates", "Choice", "Part"]

FLOAT16_LARGEST = 65504.0


class Part(NamedTuple):
    """A weight: that field of that layer."""

    node: str
    field: str

    def __str__(self) -> str:
        return f"{self.node}.{self.field}"

    @property
    def role(self) -> Role:
        """The dtype of the tensor."""
        return Role[self.field.upper()]


class Choice(NamedTuple):
    """The format of a weight, and the bits of the activations that it multiplies."""

    dtype: Dtype
    activations: int = 0
    in_blocks: bool = False

    def __str__(self) -> str:
        name = "sparse int8" if self.in_blocks else self.dtype.name.lower()
        return f"{name}/{self.activations}" if self.activations else name


FLOAT32, FLOAT16 = Choice(Dtype.FLOAT32), Choice(Dtype.FLOAT16)


class Candidates:
    """Roundings of a float32 graph's weights, each made when it is first asked for.

    ``data``: what they are to be good at, if that is known. Raises ValueError if a weight of the
    graph is not float32.
    """

    def __init__(self, graph: Graph, data: Calibration | None) -> None:
        self.base = replace(graph, test=None)
        self.data = data
        self._nodes = {node.name: node for node in graph.nodes}
        self.parts = tuple(
            Part(node.name, field) for node in graph.nodes for field in node.weight_fields
        )
        for part in self.parts:
            kind = kind_text(getattr(self._nodes[part.node], part.field))
            if kind != "float32":
                message = f"the model is quantized already, {part} is {kind}"
                raise ValueError(f"{message}: quantize the float32 model")
        self._rounded: dict[tuple[Part, Dtype, bool], tuple[Weight, Array]] = {}
        self._blocks: dict[str, dict[str, list[Block]]] = {}

    def node(self, part: Part) -> Node:
        """The layer that has it, in float32."""
        return self._nodes[part.node]

    def matrix(self, part: Part) -> Array:
        """The float32 weights."""
        weights: Array = getattr(self._nodes[part.node], part.field)
        return weights

    def misfit(self, part: Part, dtype: Dtype) -> str | None:
        """Why the weights cannot be of that dtype, or None."""
        largest = float(np.abs(self.matrix(part)).max(initial=0.0))
        if dtype is Dtype.INT4 and part.role is Role.TABLE:
            return "a table has no int4"
        if dtype is Dtype.FLOAT16 and largest > FLOAT16_LARGEST:
            return f"{largest:.6g} is beyond float16"
        if dtype is Dtype.INT4 and largest > 7 * FLOAT16_LARGEST:
            return f"{largest:.6g} is beyond the scales of int4"
        return None

    def _slot(self, part: Part) -> Slot:
        node = self._nodes[part.node]
        slots = type(node).slots(node.attributes, *self.base.ports(node))
        (bare,) = (slot for slot in slots if slot.role is part.role)
        return bare

    def stored_bytes(self, part: Part, dtype: Dtype) -> int:
        """Bytes in the file, scales and padding included."""
        kind = Kind(dtype, 0, len(self.matrix(part)))
        slots = stored_slots([self._slot(part)], {part.role: kind})
        return sum(stored_bytes(slot) for slot in slots)

    def filled(self, part: Part) -> float | None:
        """The share of the blocks of 8 rows and 4 inputs that are not all 0; None where the weights
        are not a matrix of such blocks."""
        slot, matrix = self._slot(part), self.matrix(part)
        if part.role is Role.TABLE or slot.taps or slot.groups > 1:
            return None
        if not fit_blocks((slot.shape[0], matrix.shape[-1]), slot.gates):
            return None
        return float(filled_blocks(matrix).mean())

    def graph(self, choices: Mapping[Part, Choice]) -> Graph:
        """The graph with these weights, and float32 where nothing is said."""
        nodes = []
        for node in self.base.nodes:
            own = {part: choice for part, choice in choices.items() if part.node == node.name}
            nodes.append(self._node(node, own))
        return replace(self.base, nodes=tuple(nodes))

    def _node(self, node: Node, choices: Mapping[Part, Choice]) -> Node:
        changes: dict[str, Any] = {}
        shifts: dict[str, Array] = {}
        for part, choice in choices.items():
            weight, shifts[part.field] = self.rounded(part, choice)
            if isinstance(weight, Quantized):
                weight = replace(weight, activations=choice.activations)
            changes[part.field] = weight
        if any(shift.any() for shift in shifts.values()):
            changes["bias"] = _shifted(node, shifts)
        return replace(node, **changes) if changes else node

    def rounded(self, part: Part, choice: Choice) -> tuple[Weight, Array]:
        """The weights in that format, and what has to be added to the sums of their rows."""
        key = part, choice.dtype, choice.in_blocks
        if key not in self._rounded:
            self._rounded[key] = self._round(part, choice)
        return self._rounded[key]

    def _round(self, part: Part, choice: Choice) -> tuple[Weight, Array]:
        matrix, dtype = self.matrix(part), choice.dtype
        nothing = np.zeros(len(matrix))
        if dtype in (Dtype.FLOAT32, Dtype.FLOAT16):
            return matrix.astype(dtype.numpy.newbyteorder("=")), nothing
        wide = matrix.astype(np.float64).reshape(len(matrix), -1, matrix.shape[-1])
        values, scales, shifts = [], [], []
        for block in self._blocks_of(part):
            rows = wide[block.rows]
            power = None if block.seen is None else block.seen.power
            grid = (int8_grid if dtype is Dtype.INT8 else int4_grid)(rows, power)
            flat = rows.reshape(len(rows), -1)
            stays = None
            if choice.in_blocks:
                filled = filled_blocks(flat)
                stays = ~filled.repeat(BLOCK_ROWS, axis=0).repeat(BLOCK_INPUTS, axis=1)
            integers, shift = best_rounding(flat, grid, block.seen, block.unseen, stays)
            values.append(integers)
            scales.append(grid.scale)
            shifts.append(shift)
        joined = np.concatenate(values).reshape(matrix.shape)
        weight = Quantized(joined, np.concatenate(scales), dtype, 0, choice.in_blocks)
        return weight, np.concatenate(shifts)

    def _blocks_of(self, part: Part) -> list[Block]:
        if self.data is None or part.role is Role.TABLE:
            return [Block(slice(None))]
        if part.node not in self._blocks:
            self._blocks[part.node] = self.data.blocks(self._nodes[part.node])
        return self._blocks[part.node][part.field]


def _shifted(node: Any, shifts: Mapping[str, Array]) -> Array:
    """The bias with what rounding took from the mean of the sums."""
    bias = np.asarray(node.bias, np.float64)
    for field, shift in shifts.items():
        bias[node.bias_rows(field)] += shift
    return bias.astype(np.float32)
