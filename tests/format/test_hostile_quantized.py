# SPDX-License-Identifier: Apache-2.0
"""Every field of quantized weights that is wrong is refused, by reader and engine alike."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import grucore
from format.test_hostile_files import UNSUPPORTED, resealed
from grucore import fileformat
from grucore.fileformat import writer
from grucore.fileformat.layout import aligned
from grucore.graph.graph import Graph
from grucore.graph.layers import Cell, Conv1d, Dense, Embedding, Gru
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype, Role, Slot
from grucore.graph.weights import Quantized
from models.chain import Chain, uniform
from models.quantized_models import weights_of_kind

INT8, INT4 = (Dtype.INT8, 16), (Dtype.INT4, 8)
RNG = np.random.default_rng(8)


def whole(rng: np.random.Generator, *shape: int) -> Quantized:
    """int8 weights without a zero among the scales."""
    weight = weights_of_kind(rng, uniform(rng, *shape), INT8)
    assert isinstance(weight, Quantized)
    return replace(weight, scale=np.ones(shape[0], np.float32))


def graph() -> Graph:
    """A reset-before gru (0), a dense layer in int4 (1), a convolution (2), an embedding (3)."""
    chain = Chain(Value("x", 5), Value("ids", 1, Dtype.INT32))
    x, ids = chain.values.values()
    gru = chain.add(
        Gru,
        x,
        weight_ih=whole(RNG, 9, 5),
        weight_hh=whole(RNG, 9, 3),
        bias=np.ones(9, np.float32),
        cell=Cell.RESET_BEFORE,
        input_range=2.0,
    )
    weight = weights_of_kind(RNG, uniform(RNG, 16, 3), INT4)
    dense = chain.add(Dense, gru, weight=weight, bias=np.ones(16, np.float32))
    conv = chain.add(
        Conv1d, dense, weight=whole(RNG, 8, 2, 4), bias=np.ones(8, np.float32), groups=4
    )
    table = replace(whole(RNG, 16, 20), activations=0)
    return chain.graph(conv, chain.add(Embedding, ids, table=table))


class Place(NamedTuple):
    """Where a tensor's record stands, where its bytes start, and its slot."""

    record: int
    data: int
    slot: Slot


GRAPH = graph()
FILE = fileformat.write(GRAPH)


def places(whole_graph: Graph, data: bytes) -> dict[str, Place]:
    """By layer and tensor."""
    values, nodes = struct.unpack_from("<2I", data, 24)
    at = aligned(aligned(64 + 32 * values) + 64 * nodes)
    found = {}
    for node in whole_graph.nodes:
        for slot in whole_graph.slots(node):
            (offset,) = struct.unpack_from("<Q", data, at + 48)
            found[f"{node.layer}.{slot.name}"] = Place(at, offset, slot)
            at += 64
    return found


PLACES = places(GRAPH, FILE)
Change = Callable[[bytearray], int]


def words(name: str, offset: int, *numbers: int, at: int | None = None) -> Change:
    """Words of a record; gives the offset that the refusal names."""

    def change(file: bytearray) -> int:
        place = PLACES[name].record + offset
        struct.pack_into(f"<{len(numbers)}I", file, place, *numbers)
        return place if at is None else PLACES[name].record + at

    return change


def number(name: str, index: int, content: bytes) -> Change:
    """Bytes of a tensor, from the element of that index on, all elements being of their size."""

    def change(file: bytearray) -> int:
        place = PLACES[name].data + index * len(content)
        file[place : place + len(content)] = content
        return place

    return change


def f32(value: float) -> bytes:
    return struct.pack("<f", value)


def f16(value: float) -> bytes:
    return struct.pack("<e", value)


RECORDS: dict[str, tuple[Change, str]] = {
    "int8 that says int4": (words("gru.weight_ih", 4, 4, at=36), "kBadShape"),
    "int8 that says float16": (words("gru.weight_ih", 4, 2, at=36), "kBadShape"),
    "int8 that says float32": (words("gru.weight_ih", 4, 0, at=36), "kBadShape"),
    "int4 that says int8": (words("dense.weight", 4, 3, at=36), "kBadShape"),
    "a dtype that there is not": (words("dense.weight", 4, 5), "kUnknownDtype"),
    "int32 weights": (words("dense.weight", 4, 1, at=36), "kBadShape"),
    "int8 one by one": (words("gru.weight_ih", 36, 1), "kBadShape"),
    "int8 by eights": (words("gru.weight_hh", 36, 8), "kBadShape"),
    "int4 by fours": (words("dense.weight", 36, 4), "kBadShape"),
    "no activations": (words("gru.weight_ih", 44, 0), "kBadShape"),
    "activations of 12 bits": (words("dense.weight", 44, 12), "kBadShape"),
    "activations of a bias": (words("dense.bias", 44, 8), "kReservedNotZero"),
    "activations of a scale": (words("dense.weight_scale", 44, 8), "kReservedNotZero"),
    "activations of a table": (words("embedding.table", 44, 8, at=32), "kReservedNotZero"),
    "int8 in rows": (words("gru.weight_ih", 8, 3, at=32), "kReservedNotZero"),
    "int4 in rows": (words("dense.weight", 8, 3), "kUnknownLayout"),
    "int4 as it is": (words("dense.weight", 8, 1), "kUnknownLayout"),
    "weights of one axis": (words("dense.weight", 12, 1, 48, 0, at=12), "kBadShape"),
    "taps of a dense layer": (words("dense.weight", 12, 3, 16, 1, 3, at=12), "kBadShape"),
    "taps of a float32 bias": (words("dense.bias", 12, 3, 4, 2, 2, at=12), "kBadShape"),
    "no taps of a convolution": (words("conv1d.weight", 12, 2, 8, 8, 0, at=12), "kBadShape"),
    "other taps": (words("conv1d.weight", 20, 1, 8, at=20), "kBadShape"),
    "four axes": (words("conv1d.weight", 12, 4, 8, 2, 2, 2, at=12), "kBadShape"),
    "groups": (words("conv1d.weight", 40, 2, at=56), "kBadShape"),
    "gates": (words("gru.weight_ih", 32, 1), "kBadShape"),
    "other activations of the candidate": (words("gru.weight_hn", 44, 8), "kBadShape"),
    "int32 scales": (words("gru.weight_ih_scale", 4, 1), "kUnknownDtype"),
    "float16 scales of int8": (words("gru.weight_ih_scale", 4, 2, at=56), "kBadShape"),
    "float32 scales of int4": (words("dense.weight_scale", 4, 0, at=56), "kBadShape"),
    "scales in row order": (
        words("conv1d.weight_scale", 8, 1, at=32),
        "kReservedNotZero",
    ),
    "gates of the scales": (words("gru.weight_ih_scale", 32, 1), "kBadShape"),
    "groups of the scales": (words("conv1d.weight_scale", 40, 2, at=56), "kBadShape"),
    "scales by fours": (words("gru.weight_hh_scale", 36, 4), "kBadShape"),
    "a column of scales": (words("gru.weight_ih_scale", 12, 2, 9, 1, at=12), "kBadShape"),
    "a list of int4 scales": (words("dense.weight_scale", 12, 1, 16, 0, at=12), "kBadShape"),
    "too few rows of scales": (words("dense.weight_scale", 16, 15), "kBadShape"),
    "scales of another weight": (words("gru.weight_ih_scale", 0, 15), "kMissingTensor"),
    "too few scales of a table": (words("embedding.table_scale", 16, 15, at=56), "kBadShape"),
    "two input ranges": (words("gru.input_range", 16, 2, at=56), "kBadShape"),
    "a role that there is not": (words("gru.input_range", 0, 19), "kUnknownRole"),
    "a scale as the first tensor": (words("dense.bias", 0, 15), "kMissingTensor"),
}

NUMBERS: dict[str, Change] = {
    "-128": number("gru.weight_ih", 2, b"\x80"),
    "-128 in padding": number("gru.weight_hn", 3, b"\x80"),
    "-128 in a table": number("embedding.table", 40, b"\x80"),
    "a scale that is none": number("gru.weight_hh_scale", 1, f32(np.nan)),
    "an infinite scale": number("gru.weight_hn_scale", 2, f32(np.inf)),
    "a denormal scale": number("gru.weight_ih_scale", 0, f32(1e-40)),
    "a negative scale": number("conv1d.weight_scale", 1, f32(-1)),
    "a negative scale of a table": number("embedding.table_scale", 5, f32(-0.5)),
    "a half that is infinite": number("dense.weight_scale", 3, f16(np.inf)),
    "a half that is none": number("dense.weight_scale", 2, f16(np.nan)),
    "an input range of 0": number("gru.input_range", 0, f32(0)),
    "a negative input range": number("gru.input_range", 0, f32(-2)),
    "a denormal input range": number("gru.input_range", 0, f32(1e-39)),
    "an infinite input range": number("gru.input_range", 0, f32(np.inf)),
}

# Fields that the reader checks and the engine need not: it computes nothing from them.
PADDING: dict[str, Change] = {
    "after k, int8": number("gru.weight_ih", 9 * 4 + 4 * 3 + 1, b"\1"),
    "after the rows, int8": number("gru.weight_ih", 12, b"\1"),
    "after k, the low half": number("dense.weight", 3, b"\1"),
    "after k, the high half": number("dense.weight", 1, b"\x10"),
    "after a row of a table": number("embedding.table", 20, b"\1"),
    "after the scales": number("gru.weight_ih_scale", 3, f32(1)),
    "after the half scales": number("conv1d.weight_scale", 2, f32(-0.0)),
}


def refused(data: bytes, status: str, readers: tuple[Callable[[bytes], object], ...]) -> str:
    """The reader's message; each of these refuses."""
    error = grucore.UnsupportedError if status in UNSUPPORTED else grucore.FormatError
    said = []
    for reader in readers:
        with pytest.raises(error, match=status) as refusal:
            reader(data)
        said.append(str(refusal.value))
    return said[0]


BOTH = (fileformat.read, grucore.load)


@pytest.mark.parametrize("name", RECORDS)
def test_records(name: str) -> None:
    change, status = RECORDS[name]
    file = bytearray(FILE)
    place = change(file)
    assert refused(resealed(file), status, BOTH).startswith(f"byte {place:#x}: ")


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str) -> None:
    file = bytearray(FILE)
    place = NUMBERS[name](file)
    said = refused(resealed(file), "kNonfiniteWeight", BOTH)
    assert said.startswith(f"byte {place:#x}: ")
    assert "has a number that is" in said


@pytest.mark.parametrize("name", PADDING)
def test_padding(name: str) -> None:
    file = bytearray(FILE)
    place = PADDING[name](file)
    assert bytes(file) != FILE
    said = refused(resealed(file), "kReservedNotZero", BOTH[:1])
    assert said.startswith(f"byte {place:#x}: ")


def test_every_word_of_the_records() -> None:
    """Both refuse, or none."""
    first, last = PLACES["gru.weight_ih"].record, PLACES["embedding.table_scale"].record
    for offset in range(first, last + 64, 4):
        (old,) = struct.unpack_from("<I", FILE, offset)
        for value in {0, 1, 2, 3, 4, 8, 16, old - 1, old + 1, 2**31} - {old, -1}:
            file = bytearray(FILE)
            struct.pack_into("<I", file, offset, value % 2**32)
            data, is_refused = resealed(file), []
            for reader in BOTH:
                try:
                    reader(data)
                    is_refused.append(False)
                except grucore.GrucoreError:
                    is_refused.append(True)
            assert is_refused[0] == is_refused[1], (hex(offset), hex(value))


def assembled(base: Graph, change: Callable[[list[tuple[Slot, np.ndarray]]], None]) -> bytes:
    """The file of a graph of one layer with other tensors than it should have."""
    stored = writer._stored(base)
    change(stored)
    packed = [writer._packed(slot, array) for slot, array in stored]
    file = bytearray(writer._assemble(base, writer._words(base), packed, b""))
    (values,) = struct.unpack_from("<I", file, 24)
    struct.pack_into("<I", file, aligned(64 + 32 * values) + 20, len(stored))
    return resealed(file)


def layer(weight: object, cls: type = Dense) -> Graph:
    chain = Chain(Value("x", 4) if cls is Dense else Value("x", 1, Dtype.INT32))
    if cls is Dense:
        chain.add(Dense, weight=weight, bias=np.zeros(4, np.float32))
    else:
        chain.add(Embedding, table=weight)
    return chain.graph()


ONES = np.ones((4, 4), np.float32)
RANGE = (Slot(Role.INPUT_RANGE, (1,)), np.ones(1, np.float32))
SCALE = (Slot.panels(Role.WEIGHT_SCALE, (4,)), np.ones(4, np.float32))
TABLE_SCALE = (Slot(Role.TABLE_SCALE, (4,)), np.ones(4, np.float32))


@pytest.mark.parametrize("kind", [INT8, INT4])
def test_a_scale_that_is_missing(kind: tuple[Dtype, int]) -> None:
    base = layer(weights_of_kind(RNG, ONES, kind))
    refused(assembled(base, lambda stored: stored.__delitem__(2)), "kMissingTensor", BOTH)


@pytest.mark.parametrize("extra", [RANGE, SCALE, TABLE_SCALE], ids=lambda extra: extra[0].name)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_float_weights_do_not_have(dtype: type, extra: tuple[Slot, np.ndarray]) -> None:
    base = layer(ONES.astype(dtype))
    refused(assembled(base, lambda stored: stored.append(extra)), "kMissingTensor", BOTH)


def test_what_tables_do_not_have() -> None:
    short = replace(whole(RNG, 4, 4), activations=0)
    for table, extra in ((ONES, TABLE_SCALE), (ONES, RANGE), (short, RANGE)):
        base = layer(table, Embedding)
        data = assembled(base, lambda stored, extra=extra: stored.append(extra))  # type: ignore[misc]
        refused(data, "kMissingTensor", BOTH)
    base = layer(short, Embedding)
    refused(assembled(base, lambda stored: stored.__delitem__(1)), "kMissingTensor", BOTH)


def test_two_kinds_of_recurrent_weights() -> None:
    """The file has them in two tensors for the reset-before cell, but they are one weight."""
    chain = Chain(Value("x", 4))
    weights = {"weight_ih": uniform(RNG, 12, 4), "weight_hh": whole(RNG, 12, 4)}
    chain.add(Gru, bias=np.zeros(12, np.float32), cell=Cell.RESET_BEFORE, **weights)
    base = chain.graph()

    def change(stored: list[tuple[Slot, np.ndarray]]) -> None:
        place = [slot.role for slot, _ in stored].index(Role.WEIGHT_HN)
        stored[place] = (Slot.panels(Role.WEIGHT_HN, (4, 4)), ONES)
        del stored[-1]

    data = assembled(base, change)
    for reader in BOTH:
        with pytest.raises(grucore.GrucoreError):
            reader(data)
