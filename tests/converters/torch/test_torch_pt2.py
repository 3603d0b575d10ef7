# SPDX-License-Identifier: Apache-2.0
"""Whole torch models in files, read without torch: golden ones, and hostile archives."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.convert import convert_path

GOLDEN = Path(__file__).parents[2] / "golden" / "torch_models"
CLOSE = 2e-6
WORDS = GOLDEN / "words.pt2"
ROOT = "words/"
CONFIG = "data/weights/model_weights_config.json"
MODEL = "models/model.json"


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import torch` fails, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


def expected() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "expected.npz") as arrays:
        return dict(arrays)


FILES = sorted(path.name for path in GOLDEN.glob("*.pt*"))


def test_there_are_golden_files() -> None:
    assert len(FILES) == 5


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("name", FILES)
def test_golden(name: str) -> None:
    stem = name.partition(".")[0]
    data, _, proof = convert_path(GOLDEN / name)
    assert proof is not None
    assert "float64 reference" in proof.against
    arrays = expected()
    x = arrays[f"{stem}.x"]
    model = grucore.load(data)
    y = model.run(x.astype(np.int32) if x.dtype.kind == "i" else x)
    for number, ours in enumerate(y if isinstance(y, tuple) else (y,)):
        assert np.abs(ours - arrays[f"{stem}.y{number}"]).max() < CLOSE
    assert model.metadata["source"]["file"] == name
    assert model.selftest().exact


def test_axes_are_in_the_metadata() -> None:
    def source(name: str) -> Any:
        return grucore.convert(GOLDEN / name, verify=False).metadata["source"]

    assert source("words.pt2")["axes"] == "(batch, time)"
    assert source("frames.pt2")["axes"] == "(time, batch, features)"
    assert source("steps.pt2")["states"] == {"cell.l0.h": "h[0]"}
    assert source("sequential_script.pt")["container"] == "TorchScript"


@pytest.mark.usefixtures("without_torch")
def test_reading_imports_no_torch() -> None:
    before = set(sys.modules)
    grucore.convert(WORDS)
    assert not {name for name in set(sys.modules) - before if name.startswith("torch")}


Change = Callable[[dict[str, bytes]], object]


def changed(change: Change, *, compressed: bool = False) -> bytes:
    """The archive of a model with other entries."""
    with zipfile.ZipFile(WORDS) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def edit(name: str, do: Callable[[Any], object]) -> Change:
    """A change of the JSON in an entry."""

    def change(entries: dict[str, bytes]) -> None:
        content = json.loads(entries[ROOT + name])
        do(content)
        entries[ROOT + name] = json.dumps(content).encode()

    return change


def meta(**fields: Any) -> Change:
    """A change of what is said of the embedding's table."""

    def do(content: Any) -> None:
        content["config"]["embedding.weight"]["tensor_meta"].update(fields)

    return edit(CONFIG, do)


def weight(**fields: Any) -> Change:
    return edit(CONFIG, lambda c: c["config"]["embedding.weight"].update(fields))


def node(number: int, **fields: Any) -> Change:
    return edit(
        MODEL, lambda content: content["graph_module"]["graph"]["nodes"][number].update(fields)
    )


def removed(name: str) -> Change:
    return lambda entries: entries.pop(ROOT + name)


def size(number: int) -> dict[str, int]:
    return {"as_int": number}


HUGE = 1 << 62
ZEROS = {
    "target": "torch.ops.aten.zeros.default",
    "inputs": [{"name": "size", "arg": {"as_ints": [1 << 20, 1 << 20]}, "kind": 1}],
}
HOSTILE: dict[str, tuple[Change, str]] = {
    "weight missing": (removed("data/weights/weight_0"), "no entry words/data/weights/weight_0"),
    "config missing": (removed(CONFIG), "no entry"),
    "model missing": (removed(MODEL), "with 0 models, expected one"),
    "two models": (
        lambda e: e.update({ROOT + "models/b.json": e[ROOT + MODEL]}),
        "with 2 models, expected one",
    ),
    "weight too short": (
        lambda e: e.update({ROOT + "data/weights/weight_0": bytes(8)}),
        "embedding.weight: a tensor (9, 5) with strides (5, 1) and offset 0 leaves",
    ),
    "half an element": (
        lambda e: e.update({ROOT + "data/weights/weight_0": bytes(181)}),
        "has 181 bytes of 4 each",
    ),
    "offset": (meta(storage_offset=size(HUGE)), "negative or impossible"),
    "offset outside": (meta(storage_offset=size(1)), "offset 1 leaves"),
    "negative stride": (meta(strides=[size(-5), size(1)]), "negative or impossible"),
    "huge extent": (meta(sizes=[size(HUGE), size(5)]), "negative or impossible"),
    "repeated elements": (
        meta(sizes=[size(1 << 30), size(1 << 30)], strides=[size(0), size(0)]),
        "repeats the elements",
    ),
    "strides missing": (meta(strides=[]), "2 axes"),
    "symbolic size": (
        meta(sizes=[{"as_expr": {"expr_str": "s0", "hint": None}}, size(5)]),
        "size s0 is not known",
    ),
    "element type": (meta(dtype=10), "elements of type 10"),
    "sparse": (meta(layout=1), "layout 1, expected strided"),
    "pickled weight": (weight(use_pickle=True), "embedding.weight is pickled"),
    "weight elsewhere": (weight(path_name="../../weight_1"), "in an entry called '../../weight_1'"),
    "weight is a list": (weight(path_name=["a"]), "in an entry called ['a']"),
    "unknown operation": (
        node(2, target="torch.ops.aten.median.default"),
        "aten.median.default in",
    ),
    "operation of a library": (
        node(2, target="torch.ops.mylib.secret.default"),
        "mylib.secret.default in",
    ),
    "python's own": (node(2, target="os.system"), "python.system in the module"),
    "no arguments": (node(0, inputs=[]), "aten.embedding.default"),
    "foreign name": (
        node(1, inputs=[{"name": "self", "arg": {"as_tensor": {"name": "nowhere"}}, "kind": 1}]),
        "reads 'nowhere', which nothing writes",
    ),
    "argument of a kind": (
        node(1, inputs=[{"name": "self", "arg": {"as_graph": {"name": "g"}}, "kind": 1}]),
        "an operation with a graph of its own",
    ),
    "huge zeros": (node(5, **ZEROS), "expected at most"),
    "schema": (
        edit(MODEL, lambda c: c.update(schema_version={"major": 99, "minor": 0})),
        "schema version 99.0",
    ),
    "no graph": (edit(MODEL, lambda c: c.update(graph_module=[])), "it cannot be read"),
    "not json": (lambda e: e.update({ROOT + MODEL: b"\xff{"}), "is damaged"),
    "deep json": (
        lambda e: e.update({ROOT + MODEL: b"[" * 200_000}),
        "is damaged: maximum recursion depth",
    ),
    "before 2.8": (
        lambda e: (e.clear(), e.update({"serialized_exported_program.json": b"{}"})),
        "before 2.8",
    ),
    "mutated buffer": (
        edit(
            MODEL,
            lambda c: c["graph_module"]["signature"]["output_specs"].append(
                {"buffer_mutation": {"arg": {"name": "x"}, "buffer_name": "b"}}
            ),
        ),
        "an output of kind 'buffer_mutation'",
    ),
    "outside name": (lambda e: e.update({"../evil": b""}), "outside of itself"),
}


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_archives_are_refused_by_name(name: str, tmp_path: Path) -> None:
    change, reason = HOSTILE[name]
    path = tmp_path / "hostile.pt2"
    path.write_bytes(changed(change))
    tracemalloc.start()
    try:
        with pytest.raises(grucore.ConversionError) as refusal:
            grucore.convert(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(refusal.value).startswith("hostile.pt2: ")
    assert reason in str(refusal.value)
    assert peak < 64 << 20


@pytest.mark.usefixtures("without_torch")
def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt2"
    big = ROOT + "data/weights/weight_0"
    path.write_bytes(changed(lambda e: e.update({big: bytes(1 << 25)}), compressed=True))
    with pytest.raises(grucore.ConversionError, match="has 33554432 bytes, expected at most 90014"):
        grucore.convert(path)


@pytest.mark.usefixtures("without_torch")
def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = WORDS.read_bytes()
    path = tmp_path / "cut.pt2"
    for length in range(0, len(data), 4999):
        path.write_bytes(data[:length])
        with pytest.raises(grucore.ConversionError):
            grucore.convert(path)
