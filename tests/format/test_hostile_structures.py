# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that nest, share or repeat without end, or hold other types than torch writes.

Each would hang, take all memory or leave with another error than a refusal.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.containers import pickle as pickle_machine
from grucore.converters.containers import zip as archives
from grucore.converters.source import LEGACY_START

DEPTH = 40
HUGE = b"\x8b" + struct.pack("<i", 2_000_000) + b"\x7f" * 2_000_000
BOMB = b")" + b"2\x86" * DEPTH  # a tuple of twice the tuple before it
DEEP = b")" + b"\x85" * 200_000
EMPTY = b"}"


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/data.pkl", b"\x80\x04" + content + b".")
        file.writestr("a/byteorder", b"little")
    return buffer.getvalue()


def legacy(*pickles: bytes) -> bytes:
    return LEGACY_START + b"." + b"".join(b"\x80\x02" + each + b"." for each in pickles)


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def mapping(**entries: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def module(name: str = "Net", **state: bytes) -> bytes:
    state = {"_modules": EMPTY, "_parameters": EMPTY, **state}
    return b"cmodels\n" + name.encode() + b"\n)\x81" + mapping(**state) + b"b"


def shared() -> bytes:
    """A module whose children are twice the module before it."""
    content = module()
    for _ in range(DEPTH):
        content += b"q\x010" + module(_modules=mapping(a=b"h\x01", b=b"h\x01"))
    return content


def tensor_file(header: Any, body: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + body


def float32(shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


MANY_OPERATIONS = pickle_machine.MAX_OPCODES + 10
PICKLES = {
    "a persistent id that nests": (zipped(BOMB + b"Q"), "a persistent id that torch.save does not"),
    "a protocol that nests": (legacy(BOMB, EMPTY), "protocol a tuple, expected 1001"),
    "a protocol without end": (legacy(HUGE, EMPTY), "protocol a int, expected 1001"),
    "a list of storages that nests": (
        legacy(b"M\xe9\x03", EMPTY, EMPTY, b"]" + BOMB + b"a"),
        "the list of storages is not that of the tensors",
    ),
    "modules in modules": (zipped(shared()), "more than 4096 modules"),
    "hooks that are a list": (
        zipped(module(_forward_hooks=b"]K\x01a")),
        "_forward_hooks of the pickled object is a list, expected a dict by name",
    ),
    "a hook that nests": (
        zipped(module(_forward_hooks=mapping(a=BOMB))),
        "has a hook in _forward_hooks: a tuple",
    ),
    "parameters that are a number": (zipped(module(_parameters=b"K\x05")), "_parameters of the "),
    "a parameter that nests": (
        zipped(module(_parameters=mapping(w=BOMB))),
        "w of the pickled object is a tuple, expected a tensor",
    ),
    "a parameter that is deep": (zipped(module(_parameters=mapping(w=DEEP))), "is a tuple"),
    "settings that nest": (zipped(module(padding=BOMB, size=DEEP, n=HUGE)), "there is no GRU"),
    "children by number": (
        zipped(module(_modules=b"}(K\x05" + module() + b"u")),
        "there is no GRU, LSTM or RNN in it",
    ),
    "sets": (zipped(b"(" + b"\x8f" * MANY_OPERATIONS + b"l"), "the pickle has more than"),
    "marks": (zipped(b"(" * MANY_OPERATIONS), "the pickle has more than"),
}


@pytest.mark.parametrize("name", sorted(PICKLES))
def test_pickles(name: str, tmp_path: Path) -> None:
    content, message = PICKLES[name]
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(grucore.ConversionError, match=message) as refusal:
        grucore.convert(path)
    assert len(str(refusal.value)) < 500


def test_a_directory_of_a_million_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 100)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(101):
            file.writestr(f"a/{number}", b"")
    path = tmp_path / "model.pt"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(grucore.ConversionError, match="has 101 entries, expected at most 100"):
        grucore.convert(path)


def test_a_directory_that_lies(tmp_path: Path) -> None:
    """Two entries at one place, and one that says it is larger than the file."""
    content = bytearray(zipped(b"N"))
    second = content.index(archives.ENTRY_START, content.index(archives.ENTRY_START) + 4)
    path = tmp_path / "model.pt"
    for place, value in ((42, 0), (24, 1 << 30), (20, 1 << 30)):
        lying = bytearray(content)
        struct.pack_into("<I", lying, second + place, value)
        path.write_bytes(lying)
        with pytest.raises(grucore.ConversionError):
            grucore.convert(path)


SAFETENSORS = {
    "overlapping": (
        tensor_file({"a": float32([2], 0, 8), "b": float32([2], 4, 12)}, bytes(12)),
        "invalid offset for tensor `b`",
    ),
    "empty and endless": (tensor_file({"a": float32([0, 1 << 62], 0, 0)}), "which no tensor has"),
    "many axes": (tensor_file({"a": float32([1] * 100, 0, 4)}, bytes(4)), "which no tensor has"),
    "deep": (tensor_file(b'{"__metadata__":' + b"[" * 100_000 + b"}"), "is damaged"),
    "header too large": (tensor_file(b" " * (1 << 25)), "the header has 33554432 bytes"),
    "header past the end": (struct.pack("<Q", 1 << 20) + b"{}", "is damaged"),
    "past the end": (tensor_file({"a": float32([2], 0, 8)}, bytes(4)), "is damaged"),
    "backwards": (tensor_file({"a": float32([2], 8, 0)}, bytes(8)), "is damaged"),
}


@pytest.mark.parametrize("name", sorted(SAFETENSORS))
def test_safetensors(name: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    content, message = SAFETENSORS[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.convert(path)


def test_settings_of_lightning_that_json_lacks(tmp_path: Path) -> None:
    """A clipping of infinity is a setting like any other."""
    from grucore.converters.torch.sources.module_file import lightning

    settings = {"clip": float("inf"), "rate": 0.1, "size": 1 << 80, 3: 4, "deep": ((),)}
    checkpoint = {
        "pytorch-lightning_version": "2",
        "state_dict": {"w": np.ones(2)},
        "hyper_parameters": settings,
    }
    assert lightning(checkpoint) == {"clip": "inf", "rate": 0.1}


onnx = pytest.mark.oracle


@onnx
def test_external_data_that_is_read_a_thousand_times(tmp_path: Path) -> None:
    from models.onnx_models import Maker

    made = Maker(np.random.default_rng(0))
    x = made.input("x", ["batch", "time", 4])
    for _ in range(8):
        x = made.add("Add", x, made.weight(4))
    model = made.model(x)
    (tmp_path / "data").write_bytes(bytes(16))
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value="data")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(grucore.ConversionError, match=r"'data' has 16 bytes, of which 80 are aske"):
        grucore.convert(path)


@onnx
def test_constants_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from grucore.converters.onnx import evaluate
    from models.onnx_models import Maker

    monkeypatch.setattr(evaluate, "LEAST_BYTES", 1 << 20)
    monkeypatch.setattr(evaluate, "BYTES_PER_BYTE", 1)
    made = Maker(np.random.default_rng(0))
    x = made.input("x", ["batch", "time", 4])
    grown = made.constant(np.ones((1, 100), "f4"))
    for _ in range(20):
        grown = made.add("Add", grown, made.constant(np.ones((200, 1), "f4")))
    y = made.add("Add", x, made.add("ReduceMax", grown, made.axes(0, 1)))
    with pytest.raises(grucore.ConversionError, match=r"at most .* for a file of this size"):
        grucore.from_onnx(made.model(y))


@onnx
@pytest.mark.parametrize("claim", [b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01"])
def test_lengths_beyond_the_file(claim: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08\x3a" + claim + b"\x0a\x00" * 10)
    with pytest.raises(grucore.ConversionError, match="not an ONNX file, or a damaged one"):
        grucore.convert(path)
