# SPDX-License-Identifier: Apache-2.0
"""Layers that exporters take to pieces: nn.GRUCell, layer norm, a cropped convolution."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from grucore.converters.onnx.read.source import AFTER, CELL, OnnxNode, Source
from grucore.graph.tensors import Array

__all__ = ["fuse"]


@dataclass(frozen=True)
class Linear:
    """A product with constants: ``x @ weight.T + bias``."""

    x: str
    weight: Array
    bias: Array


class Pieces:
    """Who writes what, and who reads it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.maker = {name: node for node in source.nodes for name in node.outputs if name}
        self.readers: dict[str, list[OnnxNode]] = {}
        for node in source.nodes:
            for name in dict.fromkeys(node.reads):
                self.readers.setdefault(name, []).append(node)
        self.uses = Counter(name for node in source.nodes for name in node.reads)
        self.uses.update(source.outputs)

    def made(self, name: str, op: str) -> OnnxNode | None:
        """The node that writes the value, if it is such an operator without attributes."""
        node = self.maker.get(name)
        return node if node is not None and node.op == op and not node.attributes else None

    def pairs(self, name: str, op: str) -> Iterator[tuple[str, str]]:
        """The two inputs of an operator that does not mind their order, both ways."""
        node = self.made(name, op)
        if node is not None and len(node.inputs) == 2:
            yield node.inputs[0], node.inputs[1]
            yield node.inputs[1], node.inputs[0]

    def scalar(self, name: str) -> float | None:
        """A constant of one number."""
        array = self.source.constants.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def is_number(self, name: str, number: float) -> bool:
        """True if it is this constant, as far as half precision can tell it."""
        found = self.scalar(name)
        return found is not None and math.isclose(found, number, rel_tol=1e-3)


def fuse(source: Source) -> Source:
    """The graph with these layers in one piece, and without nodes that no output needs."""
    for pattern in (_cells, _wheres, _layer_norms, _crops):
        source = pattern(source)
    return replace(source, nodes=_needed(source))


def _needed(source: Source) -> tuple[OnnxNode, ...]:
    """The nodes that the outputs need; a state of a loop needs what it becomes."""
    needed, count = set(source.outputs), -1
    while len(needed) > count:
        count = len(needed)
        for node in reversed(source.nodes):
            carried = node.op == AFTER and node.inputs[0] in needed
            if carried or needed.intersection(filter(None, node.outputs)):
                needed.update((*node.reads, *node.outputs))
    return tuple(node for node in source.nodes if needed.intersection(filter(None, node.outputs)))


def _replaced(source: Source, match: Callable[[OnnxNode], OnnxNode | None]) -> Source:
    return replace(source, nodes=tuple(match(node) or node for node in source.nodes))


def _cells(source: Source) -> Source:
    pieces = Pieces(source)
    constants = dict(source.constants)

    def match(node: OnnxNode) -> OnnxNode | None:
        found = _cell(pieces, node.outputs[0]) if node.op == "Add" else None
        if found is None:
            return None
        x, h = found
        names = []
        for part, array in (
            ("weight_ih", x.weight),
            ("weight_hh", h.weight),
            ("bias_ih", x.bias),
            ("bias_hh", h.bias),
        ):
            names.append(f"{node.outputs[0]}.{part}")
            constants[names[-1]] = array
        name = node.name.strip("/").replace("/", ".").rpartition(".")[0] or "gru_cell"
        return OnnxNode(CELL, name, (x.x, h.x, *names), node.outputs)

    return replace(_replaced(source, match), constants=constants)


def _cell(pieces: Pieces, output: str) -> tuple[Linear, Linear] | None:
    """The two products of a cell that writes this value."""
    for h, z, n in _mixtures(pieces, output):
        tanh = pieces.made(n, "Tanh")
        gate = pieces.made(z, "Sigmoid")
        if tanh is None or gate is None:
            continue
        for x_n, gated in pieces.pairs(tanh.inputs[0], "Add"):
            for h_n, r in pieces.pairs(gated, "Mul"):
                reset = pieces.made(r, "Sigmoid")
                if reset is None:
                    continue
                found = _products(pieces, (reset.inputs[0], gate.inputs[0]), x_n, h_n)
                if found is not None and found[1].x == h:
                    return found
    return None


def _mixtures(pieces: Pieces, output: str) -> Iterator[tuple[str, str, str]]:
    """(h, z, n) such that the output is (h - n) z + n, or z h + (1 - z) n."""
    for product, n in pieces.pairs(output, "Add"):
        for difference, z in pieces.pairs(product, "Mul"):
            sub = pieces.made(difference, "Sub")
            if sub is not None and sub.inputs[1] == n:
                yield sub.inputs[0], z, n
    for kept, new in pieces.pairs(output, "Add"):
        for z, h in pieces.pairs(kept, "Mul"):
            for rest, n in pieces.pairs(new, "Mul"):
                sub = pieces.made(rest, "Sub")
                if sub is not None and sub.inputs[1] == z and pieces.is_number(sub.inputs[0], 1):
                    yield h, z, n


def _products(
    pieces: Pieces, sums: tuple[str, str], x_n: str, h_n: str
) -> tuple[Linear, Linear] | None:
    """The products whose thirds are r and z (added up in ``sums``) and n."""
    x_split, h_split = _third(pieces, x_n), _third(pieces, h_n)
    if x_split is None or h_split is None or x_split[1] != 2 or h_split[1] != 2:
        return None
    for place, total in enumerate(sums):
        parts = {_third(pieces, name) for name in next(pieces.pairs(total, "Add"), ())}
        if parts != {(x_split[0], place), (h_split[0], place)}:
            return None
    x, h = _linear(pieces, x_split[0]), _linear(pieces, h_split[0])
    if x is None or h is None or h.weight.shape[0] != 3 * h.weight.shape[1]:
        return None
    return (x, h) if x.weight.shape[0] == h.weight.shape[0] else None


def _third(pieces: Pieces, name: str) -> tuple[str, int] | None:
    """The value that is split in three, and which third this is."""
    node = pieces.maker.get(name)
    if node is None or node.op != "Split" or len(node.outputs) != 3:
        return None
    parts = node.get("split", None)
    if parts is None and len(node.inputs) > 1:
        constant = pieces.source.constants.get(node.inputs[1])
        parts = None if constant is None else constant.tolist()
    if node.get("axis", 0) not in (1, -1) or (parts is not None and len(set(parts)) > 1):
        return None
    return node.inputs[0], node.outputs.index(name)


def _linear(pieces: Pieces, name: str) -> Linear | None:
    """Gemm, or MatMul and perhaps Add, with constants."""
    constants = pieces.source.constants
    node = pieces.maker.get(name)
    if node is not None and node.op == "Gemm":
        weight = constants.get(node.inputs[1])
        plain = all(node.get(key, 1.0) == 1.0 for key in ("alpha", "beta"))
        if weight is None or weight.ndim != 2 or not plain or node.get("transA", 0):
            return None
        weight = weight if node.get("transB", 0) else weight.T
        bias: Array | None = np.zeros(len(weight), weight.dtype)
        if len(node.inputs) > 2 and node.inputs[2]:
            bias = constants.get(node.inputs[2])
        if bias is None or bias.reshape(-1).shape != (len(weight),):
            return None
        return Linear(node.inputs[0], weight, bias.reshape(-1))
    plain_product = pieces.made(name, "MatMul")
    if plain_product is not None:
        weight = constants.get(plain_product.inputs[1])
        if weight is None or weight.ndim != 2:
            return None
        return Linear(plain_product.inputs[0], weight.T, np.zeros(weight.shape[1], weight.dtype))
    for product, added in pieces.pairs(name, "Add"):
        matmul, bias = pieces.made(product, "MatMul"), constants.get(added)
        weight = None if matmul is None else constants.get(matmul.inputs[1])
        if matmul is None or weight is None or bias is None or weight.ndim != 2:
            continue
        if bias.reshape(-1).shape == (weight.shape[1],):
            return Linear(matmul.inputs[0], weight.T, bias.reshape(-1))
    return None


def _wheres(source: Source) -> Source:
    """``where(x > 0, x, slope * x)``; ``where(x > 20, x, softplus(x))``, the same above 17."""
    pieces = Pieces(source)

    def match(node: OnnxNode) -> OnnxNode | None:
        if node.op != "Where":
            return None
        condition, x, other = node.inputs
        greater = pieces.made(condition, "Greater") or pieces.made(condition, "GreaterOrEqual")
        limit = None if greater is None else pieces.scalar(greater.inputs[1])
        if greater is None or limit is None or greater.inputs[0] != x:
            return None
        softplus = pieces.made(other, "Softplus")
        if softplus is not None and softplus.inputs[0] == x and limit >= 17:
            return OnnxNode("Softplus", node.name, (x,), node.outputs)
        for slope, factor in pieces.pairs(other, "Mul"):
            if limit == 0 and factor == x and slope in source.constants:
                return OnnxNode("PRelu", node.name, (x, slope), node.outputs)
        return None

    return _replaced(source, match)


def _layer_norms(source: Source) -> Source:
    """``(x - mean) / sqrt(mean((x - mean)^2) + epsilon)``; scale and shift may follow."""
    pieces = Pieces(source)
    constants = dict(source.constants)

    def match(node: OnnxNode) -> OnnxNode | None:
        if node.op == "Div":
            centred, root = node.inputs
        elif node.op == "Mul":
            found = [
                (factor, reciprocal.inputs[0])
                for factor, inverse in pieces.pairs(node.outputs[0], "Mul")
                if (reciprocal := pieces.made(inverse, "Reciprocal")) is not None
            ]
            if len(found) != 1:
                return None
            centred, root = found[0]
        else:
            return None
        sqrt, minus = pieces.made(root, "Sqrt"), pieces.made(centred, "Sub")
        if sqrt is None or minus is None:
            return None
        mean = _mean(pieces, minus.inputs[1])
        for variance, epsilon in pieces.pairs(sqrt.inputs[0], "Add"):
            square = _mean(pieces, variance)
            number = pieces.scalar(epsilon)
            if square is None or mean is None or number is None:
                continue
            axis = mean[1]
            if mean == (minus.inputs[0], axis) and _is_square(pieces, square[0], centred):
                if square[1] != axis:
                    continue
                name = f"{node.outputs[0]}.scale"
                constants[name] = np.ones(1, np.float32)
                attributes = {"axis": axis, "epsilon": number}
                inputs = (minus.inputs[0], name)
                return OnnxNode("LayerNormalization", node.name, inputs, node.outputs, attributes)
        return None

    fused = _replaced(source, match)
    return replace(fused, constants=constants)


def _mean(pieces: Pieces, name: str) -> tuple[str, int] | None:
    """The value whose mean along one axis this is, and the axis."""
    node = pieces.maker.get(name)
    if node is None or node.op != "ReduceMean" or not node.get("keepdims", 1):
        return None
    axes = node.get("axes", None)
    if axes is None and len(node.inputs) > 1:
        constant = pieces.source.constants.get(node.inputs[1])
        axes = None if constant is None else constant.reshape(-1).tolist()
    return (node.inputs[0], int(axes[0])) if axes is not None and len(axes) == 1 else None


def _is_square(pieces: Pieces, name: str, of: str) -> bool:
    power = pieces.made(name, "Pow")
    if power is not None:
        return power.inputs[0] == of and pieces.is_number(power.inputs[1], 2)
    return next(pieces.pairs(name, "Mul"), None) == (of, of)


def _crops(source: Source) -> Source:
    """A convolution padded on both sides whose last frames are cut off again: a causal one."""
    pieces = Pieces(source)

    def match(node: OnnxNode) -> OnnxNode | None:
        if node.op != "Slice" or len(node.inputs) < 4 or pieces.uses[node.inputs[0]] != 1:
            return None
        conv = pieces.maker.get(node.inputs[0])
        cut = [pieces.scalar(name) for name in node.inputs[1:]]
        if conv is None or conv.op != "Conv" or None in cut or cut[0] != 0:
            return None
        pads = conv.get("pads", ())
        end = cut[1]
        assert end is not None
        if len(pads) != 2 or cut[2] not in (2, -1) or cut[3:] not in ([], [1.0]):
            return None
        if not -pads[1] <= end < 0 or conv.get("strides", (1,)) != (1,):
            return None
        attributes = {**conv.attributes, "pads": (pads[0], pads[1] + int(end))}
        return OnnxNode("Conv", conv.name, conv.inputs, node.outputs, attributes)

    return _replaced(source, match)
