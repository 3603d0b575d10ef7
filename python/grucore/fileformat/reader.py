# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a `.gru` file to a graph: every field is checked, in the order of the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from grucore._core import FormatError
from grucore.fileformat import layout
from grucore.fileformat.layout import ALIGNMENT, HEADER, Counts, aligned
from grucore.fileformat.refusal import check_zero, refuse
from grucore.fileformat.tensors import Tensors
from grucore.graph.check import MAX_NAME_BYTES, MAX_PORTS, name_problem, value_problem
from grucore.graph.graph import Graph
from grucore.graph.layers import KINDS
from grucore.graph.loops import loop_problem, loops
from grucore.graph.node import Defect, Node, Rate, Value
from grucore.graph.tensors import Dtype, Slot

__all__ = ["read"]


def read(data: bytes | bytearray | memoryview) -> Graph:
    """The graph of a `.gru` file; its arrays are copies.

    Raises `FormatError`, or `UnsupportedError` for what a later release may read, with the byte
    offset and the name of the `grucore::Status`. It shares no code with the engine's own parser.
    """
    return _Reader(bytes(data)).graph()


class _NodeRecord(NamedTuple):
    at: int
    kind: type[Node]
    name_length: int
    input_count: int
    output: int
    attribute_count: int
    tensor_count: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.counts = self._header()
        self.sections = layout.sections(self.counts)

    def graph(self) -> Graph:
        self._padding()
        bare_values = self._values()
        records = self._nodes()
        names = self._names([length for length, _ in bare_values], records)
        values = [
            replace(value, name=name) for name, (_, value) in zip(names, bare_values, strict=False)
        ]
        (inputs, outputs), wiring = self._wiring(records, values)
        start, tables_end = self.sections[2][0], self.sections[-1][1]
        tensors = Tensors(self.data, start, self.counts.tensors, tables_end)
        nodes = []
        for record, name, (reads, words, place) in zip(
            records, names[len(values) :], wiring, strict=True
        ):
            sources, output = [values[index] for index in reads], values[record.output]
            slots = _slots(record, name, words, place, sources, output)
            weights = tensors.of_node(name, slots, record.tensor_count, record.at)
            try:
                record.kind.check_tensors(words, sources, weights)
            except Defect as defect:
                words_at = place + 4 * (defect.attribute or 0)
                at = tensors.place(defect.tensor) if defect.tensor else words_at
                refuse(defect.status, at, f"node {name!r}: {defect}")
            source_names = tuple(value.name for value in sources)
            nodes.append(record.kind.build(name, source_names, output.name, words, weights))
        by_name = {value.name: value for value in values}
        for loop in loops(nodes):
            problem = loop_problem(nodes, by_name, loop)
            if problem:
                refuse("kBadOrder", records[problem[0]].at, problem[1])
        test = tensors.of_model(
            [values[index] for index in inputs], [values[index] for index in outputs]
        )
        return Graph(
            values=tuple(values),
            inputs=tuple(values[index].name for index in inputs),
            outputs=tuple(values[index].name for index in outputs),
            nodes=tuple(nodes),
            metadata=self._metadata(),
            test=test,
        )

    def _header(self) -> Counts:
        data = self.data
        if data[:8] != layout.MAGIC[: len(data)]:
            refuse("kBadMagic", 0, f"the file starts with {data[:8]!r}, expected {layout.MAGIC!r}")
        if len(data) < HEADER.size:
            refuse("kTruncated", len(data), f"the header takes {HEADER.size} bytes")
        _, version, crc, file_bytes, *numbers, reserved = HEADER.unpack_from(data)
        if file_bytes > layout.MAX_FILE_BYTES or file_bytes % ALIGNMENT:
            message = f"the header announces {file_bytes} bytes, not a multiple of {ALIGNMENT}"
            refuse("kBadLength", 16, f"{message} up to {layout.MAX_FILE_BYTES}")
        if file_bytes > len(data):
            refuse("kTruncated", len(data), f"the header announces {file_bytes} bytes")
        if file_bytes < len(data):
            message = f"the header announces {file_bytes} bytes, the file has {len(data)}"
            refuse("kBadLength", 16, message)
        found = layout.checksum(data)
        if found != crc:
            message = f"the checksum is {found:#010x}, the header says {crc:#010x}"
            refuse("kBadChecksum", layout.CRC_OFFSET, message)
        if version != layout.VERSION:
            status = "kNewerVersion"
            refuse(status, 8, f"the file has version {version}, this reads {layout.VERSION}")
        counts = Counts(*numbers)
        for place, (what, count, least, most) in enumerate(
            zip(Counts._fields, counts, layout.LEAST, layout.BOUNDS, strict=True)
        ):
            if not least <= count <= most:
                message = f"the header counts {count} {what}, expected {least} to {most}"
                refuse("kCountOutOfBounds", 24 + 4 * place, message)
        if any(reserved):
            refuse("kReservedNotZero", 56, "reserved bytes of the header are not zero")
        end = layout.sections(counts)[-1][1]
        if end > len(data):
            refuse("kTruncated", len(data), f"the tables take {end} bytes")
        return counts

    def _padding(self) -> None:
        starts = [start for start, _ in self.sections[1:]]
        ends = [end for _, end in self.sections]
        for end, start in zip(ends, [*starts, aligned(ends[-1])], strict=True):
            check_zero(self.data, end, start)

    def _values(self) -> list[tuple[int, Value]]:
        """Length of the name, and the value without it."""
        values = []
        start, end = self.sections[0]
        for at in range(start, end, layout.VALUE.size):
            length, features, dtype, rate, period, skip, reserved = layout.VALUE.unpack_from(
                self.data, at
            )
            _check_name_length(length, at)
            if dtype not in (Dtype.FLOAT32, Dtype.INT32):
                refuse("kBadValue", at + 8, f"a value has dtype {dtype}, expected 0 or 1")
            if rate > max(Rate):
                refuse("kBadValue", at + 12, f"a value has rate {rate}, expected 0, 1 or 2")
            value = Value("", features, Dtype(dtype), Rate(rate), period, skip)
            problem = value_problem(value)
            if problem:
                refuse("kBadValue", at + problem[0], f"a value {problem[1]}")
            if any(reserved):
                refuse("kReservedNotZero", at + 24, "reserved bytes of a value are not zero")
            values.append((length, value))
        return values

    def _nodes(self) -> list[_NodeRecord]:
        records = []
        start, end = self.sections[1]
        for at in range(start, end, layout.NODE.size):
            kind, length, inputs, output, attributes, tensors, reserved = layout.NODE.unpack_from(
                self.data, at
            )
            if kind not in KINDS:
                refuse("kUnknownKind", at, f"a node is of kind {kind}")
            _check_name_length(length, at + 4)
            if not 1 <= inputs <= MAX_PORTS:
                message = f"a node reads {inputs} values, expected 1 to {MAX_PORTS}"
                refuse("kCountOutOfBounds", at + 8, message)
            if output >= self.counts.values:
                message = f"a node writes value {output} of {self.counts.values}"
                refuse("kBadIndex", at + 12, message)
            for place, what, count, most in (
                (16, "attributes", attributes, layout.MAX_ATTRIBUTES),
                (20, "tensors", tensors, layout.MAX_NODE_TENSORS),
            ):
                if count > most:
                    message = f"a node has {count} {what}, expected at most {most}"
                    refuse("kCountOutOfBounds", at + place, message)
            if any(reserved):
                refuse("kReservedNotZero", at + 24, "reserved bytes of a node are not zero")
            records.append(
                _NodeRecord(at, KINDS[kind], length, inputs, output, attributes, tensors)
            )
        return records

    def _names(self, value_lengths: list[int], records: list[_NodeRecord]) -> list[str]:
        start, _ = self.sections[4]
        lengths = value_lengths + [record.name_length for record in records]
        if sum(lengths) != self.counts.name_bytes:
            status = "kBadName" if sum(lengths) > self.counts.name_bytes else "kGap"
            message = f"the names take {sum(lengths)} bytes of {self.counts.name_bytes}"
            refuse(status, start, message)
        names: list[str] = []
        for place, length in enumerate(lengths):
            raw = self.data[start : start + length]
            try:
                name = raw.decode()
                problem = name_problem(name)
            except UnicodeDecodeError:
                name, problem = "", "is not UTF-8"
            if problem:
                refuse("kBadName", start, f"the name {raw!r} {problem}")
            # Values and nodes are two name spaces.
            split = len(value_lengths)
            if name in (names if place < split else names[split:]):
                refuse("kBadName", start, f"the name {name!r} stands twice")
            names.append(name)
            start += length
        return names

    def _wiring(
        self, records: list[_NodeRecord], values: Sequence[Value]
    ) -> tuple[tuple[list[int], list[int]], list[tuple[list[int], list[int], int]]]:
        """The model's inputs and outputs; for each node what it reads, attributes, their offset."""
        counts = self.counts
        start, end = self.sections[3]
        needed = counts.inputs + counts.outputs
        needed += sum(record.input_count + record.attribute_count for record in records)
        if needed != counts.words:
            status = "kBadIndex" if needed > counts.words else "kGap"
            refuse(status, 44, f"the lists take {needed} words of {counts.words}")
        words = [int(word) for word in np.frombuffer(self.data[start:end], "<u4")]
        at = 0

        def take(count: int, *, indices: bool) -> list[int]:
            nonlocal at
            taken = words[at : at + count]
            for place, index in enumerate(taken):
                if indices and index >= counts.values:
                    message = f"value {index} of {counts.values}"
                    refuse("kBadIndex", start + 4 * (at + place), message)
            at += count
            return taken

        inputs = take(counts.inputs, indices=True)
        for place in range(1, len(inputs)):
            if inputs[place] <= inputs[place - 1]:
                refuse("kBadIndex", start + 4 * place, "the model's inputs are not ascending")
        for place, index in enumerate(inputs):
            if values[index].clock != (Rate.FRAME, 1, 0):
                message = f"input {index} does not come with every frame"
                refuse("kBadValue", start + 4 * place, message)
        outputs = take(counts.outputs, indices=True)
        for place, index in enumerate(outputs):
            if index in outputs[:place]:
                message = f"value {index} is an output twice"
                refuse("kBadIndex", start + 4 * (len(inputs) + place), message)
        written = set(inputs)
        wiring = []
        for record in records:
            place = at
            reads = take(record.input_count, indices=True)
            for step, index in enumerate(reads):
                if index not in written and not record.kind.reads_later:
                    message = f"a node reads value {index}, which nothing has written yet"
                    refuse("kBadOrder", start + 4 * (place + step), message)
            if record.output in written:
                message = f"value {record.output} is written twice"
                refuse("kValueNotWritten", record.at + 12, message)
            written.add(record.output)
            attributes_at = start + 4 * at
            wiring.append((reads, take(record.attribute_count, indices=False), attributes_at))
        for index in range(counts.values):
            if index not in written:
                message = f"value {index} is neither an input nor written by a node"
                refuse("kValueNotWritten", self.sections[0][0] + 32 * index, message)
        return (inputs, outputs), wiring

    def _metadata(self) -> dict[str, Any]:
        start, end = self.sections[5]
        if start == end:
            return {}
        try:
            metadata = json.loads(self.data[start:end].decode())
        except (ValueError, RecursionError):
            metadata = None
        if not isinstance(metadata, dict):
            raise FormatError(f"byte {start:#x}: the metadata is not a JSON object in UTF-8")
        return metadata


def _check_name_length(length: int, at: int) -> None:
    if not 1 <= length <= MAX_NAME_BYTES:
        refuse("kBadName", at, f"a name has {length} bytes, expected 1 to {MAX_NAME_BYTES}")


def _slots(
    record: _NodeRecord,
    name: str,
    words: Sequence[int],
    words_at: int,
    inputs: Sequence[Value],
    output: Value,
) -> tuple[Slot, ...]:
    """The tensors that the node should have, once its attributes and values are found to fit."""
    expected = record.kind.attribute_count
    if len(words) != expected:
        message = f"node {name!r} has {len(words)} attributes, expected {expected}"
        refuse("kBadAttribute", record.at + 16, message)
    try:
        record.kind.check(words, inputs, output)
    except Defect as defect:
        at = record.at if defect.attribute is None else words_at + 4 * defect.attribute
        refuse(defect.status, at, f"node {name!r}: {defect}")
    return record.kind.slots(words, inputs, output)
