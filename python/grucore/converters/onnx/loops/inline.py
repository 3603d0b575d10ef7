# SPDX-License-Identifier: Apache-2.0
"""A graph without graphs inside: loops become programs of one frame, lists the values they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from grucore.converters.onnx.loops.loop import Inlined, Sequence, loop, scan
from grucore.converters.onnx.read.source import FRAMES, Body, OnnxNode, Source
from grucore.graph.tensors import Array

__all__ = ["INLINED", "flattened"]

Fold: TypeAlias = Callable[[Source], Source]
MAX_PASSES = 16
INSIDE = ("If", "Loop", "Scan")
LISTS = (
    "ConcatFromSequence",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceInsert",
    "SequenceLength",
    "SplitToSequence",
)
INLINED = (*INSIDE, *LISTS)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "ConcatFromSequence": ("axis", "new_axis"),
    "If": ("else_branch", "then_branch"),
    "Loop": ("body",),
    "Scan": (
        *("body", "num_scan_inputs", "scan_input_axes", "scan_input_directions"),
        *("scan_output_axes", "scan_output_directions"),
    ),
    "SequenceEmpty": ("dtype",),
    "SplitToSequence": ("axis", "keepdims"),
}


def flattened(source: Source, fold: Fold) -> Source:
    """The source, its constants computed by ``fold``, with loops and decided branches inlined.

    A branch whose condition depends on the input stays.
    """
    source = fold(source)
    for _ in range(MAX_PASSES):
        if not any(node.op in INLINED for node in source.nodes):
            break
        before = source.nodes
        source = fold(_Pass(source).source())
        if len(before) == len(source.nodes) and all(
            old is new for old, new in zip(before, source.nodes, strict=True)
        ):
            break
    return source


class _Pass:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._constants: dict[str, Array] = dict(source.constants)
        self._nodes: list[OnnxNode] = []
        self._sequences: dict[str, Sequence] = {}
        self._empty: set[str] = set()
        self._filled: dict[str, str] = {}

    def source(self) -> Source:
        for node in self._source.nodes:
            if node.op in INLINED:
                self._inline(node)
            else:
                self._nodes.append(node)
        lists = {*self._sequences, *self._empty, *self._filled}
        for node in self._nodes:
            if lists.intersection(node.reads):
                raise node.refuse("reads a list of tensors otherwise than by one frame at a time")
        return replace(self._source, nodes=tuple(self._nodes), constants=self._constants)

    def _inline(self, node: OnnxNode) -> None:
        node.check_attributes(ATTRIBUTES.get(node.op, ()))
        if node.op == "Scan":
            self._put(scan(node, self._source.opset))
        elif node.op == "Loop":
            self._put(loop(node, self._constants, self._sequences, self._empty))
        elif node.op == "If":
            self._branch(node)
        else:
            self._list(node)

    def _put(self, inlined: Inlined) -> None:
        self._nodes += inlined.nodes
        self._constants.update(inlined.constants)
        self._filled.update(inlined.lists)

    def _branch(self, node: OnnxNode) -> None:
        condition = self._constants.get(node.inputs[0])
        if condition is None or condition.size != 1:
            self._nodes.append(node)
            return
        body = node.attributes["then_branch" if condition.all() else "else_branch"]
        assert isinstance(body, Body)
        self._nodes += body.nodes
        for inner, name in zip(body.outputs, node.outputs, strict=False):
            if name:
                self._nodes.append(OnnxNode("Identity", node.name, (inner,), (name,)))

    def _list(self, node: OnnxNode) -> None:
        """An operator on lists of tensors."""
        output, given = node.outputs[0], node.inputs[0] if node.inputs else ""
        if node.op == "SequenceEmpty" or (node.op == "SequenceConstruct" and not node.inputs):
            self._empty.add(output)
        elif node.op == "SplitToSequence" and len(node.inputs) == 1:
            keeps = bool(node.get("keepdims", 1))
            self._sequences[output] = Sequence(given, int(node.get("axis", 0)), keeps)
        elif given in self._sequences and node.op in ("SequenceLength", "SequenceAt"):
            self._nodes += self._frame_of(node, self._sequences[given])
        elif given in self._filled and node.op == "ConcatFromSequence":
            more = {"axis": int(node.attributes.get("axis", 0)), "turned": 0}
            if not node.get("new_axis", 0):
                more["joins"] = 1
            inputs = (self._filled[given],)
            self._nodes.append(OnnxNode(FRAMES, node.name, inputs, (output,), more))
        else:
            self._nodes.append(node)

    def _frame_of(self, node: OnnxNode, of: Sequence) -> list[OnnxNode]:
        output = node.outputs[0]
        if node.op == "SequenceAt":
            found = OnnxNode(
                "Gather", node.name, (of.x, node.inputs[1]), (output,), {"axis": of.axis}
            )
            if not of.keeps:
                return [found]
            frame, axes = f"{output}/frame", f"{output}/axes"
            self._constants[axes] = np.array([of.axis], np.int64)
            return [
                replace(found, outputs=(frame,)),
                OnnxNode("Unsqueeze", node.name, (frame, axes), (output,)),
            ]
        shape, place = f"{output}/shape", f"{output}/place"
        self._constants[place] = np.array(of.axis, np.int64)
        return [
            OnnxNode("Shape", node.name, (of.x,), (shape,)),
            OnnxNode("Gather", node.name, (shape, place), (output,), {"axis": 0}),
        ]
