# SPDX-License-Identifier: Apache-2.0
"""Hostile and damaged ONNX files: refused by name, nothing outside is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_models import Maker, gru
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
onnx = oracle("onnx")
helper = oracle("onnx.helper")

ERROR = grucore.ConversionError


def small() -> Any:
    maker = Maker(np.random.default_rng(3))
    y, _ = gru(maker, maker.input("x", ["time", "batch", 3]), 3, 4)
    return maker.model(maker.add("Squeeze", y, maker.axes(1)))


def weight(model: Any) -> Any:
    return model.graph.initializer[0]


def external(model: Any, **entries: str) -> None:
    tensor = weight(model)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def set_dims(model: Any, *dims: int) -> None:
    weight(model).ClearField("dims")
    weight(model).dims.extend(dims)


def add_node(model: Any, node: Any) -> None:
    model.graph.node.insert(0, node)


def both_raw_and_typed(model: Any) -> None:
    weight(model).float_data.extend([1.0] * 36)


def typed_in_the_wrong_field(model: Any) -> None:
    weight(model).ClearField("raw_data")
    weight(model).int32_data.extend([1] * 36)


def too_few_typed(model: Any) -> None:
    weight(model).ClearField("raw_data")
    weight(model).float_data.extend([1.0] * 35)


def subgraph(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    add_node(model, helper.make_node("If", ["x"], ["q"], then_branch=body, else_branch=body))
    model.graph.output[0].name = "q"


def cycle(model: Any) -> None:
    model.graph.node[0].input[0] = model.graph.node[1].output[0]


def written_twice(model: Any) -> None:
    model.graph.node[1].output[0] = "x"


def initializer_twice(model: Any) -> None:
    model.graph.initializer.add().CopyFrom(weight(model))


def other_domain(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def unknown_attribute(model: Any) -> None:
    model.graph.node[0].attribute.add(name="spin", type=onnx.AttributeProto.INT, i=1)


def attribute_twice(model: Any) -> None:
    model.graph.node[0].attribute.add().CopyFrom(model.graph.node[0].attribute[0])


def infinite_weight(model: Any) -> None:
    weight(model).raw_data = np.full(36, np.inf, np.float32).tobytes()


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "negative_dims": (lambda m: set_dims(m, 1, -12, -3), r"tensor .* has shape \(1, -12, -3\)"),
    "absurd_dims": (lambda m: set_dims(m, 1 << 40, 1 << 40), r"expected at most \d+ elements"),
    "wrapping_dims": (lambda m: set_dims(m, 1 << 32, 1 << 32, 36), r"expected at most"),
    "many_dims": (lambda m: set_dims(m, *[1] * 40), r"expected up to 8 sizes"),
    "other_dims": (lambda m: set_dims(m, 1, 12, 4), r"has 144 bytes, expected 192"),
    "raw_and_typed": (both_raw_and_typed, r"has its numbers twice"),
    "wrong_field": (typed_in_the_wrong_field, r"has int32_data, expected float_data"),
    "too_few": (too_few_typed, r"has 35 numbers, expected 36"),
    "strings": (lambda m: setattr(weight(m), "data_type", 8), r"ONNX data type 8"),
    "external_above": (lambda m: external(m, location="../secret"), r"not a path inside"),
    "external_absolute": (lambda m: external(m, location="/etc/hostname"), r"not a path inside"),
    "external_windows": (lambda m: external(m, location="C:\\secret"), r"not a path inside"),
    "external_empty": (lambda m: external(m, location=""), r"not a path inside"),
    "external_missing": (lambda m: external(m, location="nothing"), r"'nothing': No such file"),
    "external_device": (lambda m: external(m, location="pipe"), r"not a plain file"),
    "external_symlink": (lambda m: external(m, location="link"), r"'link': "),
    "external_hard_link": (lambda m: external(m, location="hard"), r"not a plain file"),
    "external_linked_folder": (lambda m: external(m, location="folder/w"), r"'folder/w': "),
    "external_key": (
        lambda m: external(m, location="data", basepath="/etc"),
        r"unknown key 'basepath'",
    ),
    "external_length": (
        lambda m: external(m, location="data", length="999999999999999"),
        r"length 999999999999999, expected 144",
    ),
    "external_offset": (
        lambda m: external(m, location="data", offset="100000"),
        r"has 200 bytes, expected 144 from 100000 on",
    ),
    "external_negative": (
        lambda m: external(m, location="data", offset="-4"),
        r"with offset '-4'",
    ),
    "subgraph": (subgraph, r"If .*: it chooses between two graphs by what depends on"),
    "loop": (
        lambda m: add_node(m, helper.make_node("Loop", ["x"], ["q"])),
        r"Loop .*: attribute body is missing, expected a graph",
    ),
    "scan": (
        lambda m: add_node(m, helper.make_node("Scan", ["x"], ["q"])),
        r"Scan .*: attribute body is missing, expected a graph",
    ),
    "cycle": (cycle, r"which nothing before it writes"),
    "written_twice": (written_twice, r"writes 'x', which is written already"),
    "initializer_twice": (initializer_twice, r"two initializers are called"),
    "domain": (other_domain, r"domain is 'com.microsoft'"),
    "unknown_attribute": (unknown_attribute, r"attribute spin is 1"),
    "attribute_twice": (attribute_twice, r"attribute \w+ stands twice"),
    "functions": (lambda m: m.functions.add(name="f", domain="d"), r"functions of its own"),
    "old_opset": (lambda m: setattr(m.opset_import[0], "version", 3), r"opset 3, expected 7"),
    "new_opset": (lambda m: setattr(m.opset_import[0], "version", 99), r"opset 99, expected"),
    "no_opset": (lambda m: m.ClearField("opset_import"), r"opset none"),
    "no_outputs": (lambda m: m.graph.ClearField("output"), r"0 outputs"),
    "missing_output": (lambda m: setattr(m.graph.output[0], "name", "q"), r"written by no node"),
    "no_rank": (
        lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"),
        r"input 'x' has no shape",
    ),
    "infinite_weight": (infinite_weight, r"infinite or not-a-number"),
    "unknown_operator": (
        lambda m: setattr(m.graph.node[1], "op_type", "NonZero"),
        r"NonZero .*: this operator is not supported",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with traps in it, beside a secret."""
    (tmp_path / "secret").write_bytes(bytes(200))
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "data").write_bytes(bytes(200))
    (tmp_path / "w").write_bytes(bytes(200))
    if hasattr(os, "mkfifo"):
        os.mkfifo(inside / "pipe")
        (inside / "link").symlink_to("../secret")
        (inside / "folder").symlink_to("..")
        (inside / "hard").hardlink_to(tmp_path / "secret")
    return inside


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_are_refused_by_name(name: str, folder: Path) -> None:
    change, message = HOSTILE[name]
    if not (folder / "pipe").exists() and name.startswith("external_"):
        pytest.skip("no links here")
    model = small()
    change(model)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ERROR, match=message) as caught:
        grucore.convert(path)
    assert str(caught.value).startswith("model.onnx: ")


def test_external_data_inside_the_folder(folder: Path) -> None:
    model = small()
    (folder / "below").mkdir()
    (folder / "below" / "numbers").write_bytes(bytes(8) + weight(model).raw_data)
    expected = grucore.from_onnx(model)
    external(model, location="below/numbers", offset="8", length="144", checksum="ignored")
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    x = np.ones((4, 3), np.float32)
    assert (grucore.convert(path).run(x) == expected.run(x)).all()


def test_truncated_and_damaged_files(tmp_path: Path) -> None:
    data = small().SerializeToString()
    path = tmp_path / "model.onnx"
    rng = np.random.default_rng(0)
    for cut in [*range(0, 60), *rng.integers(60, len(data), 60)]:
        path.write_bytes(data[:cut])
        with pytest.raises(ERROR):
            grucore.from_onnx(path, verify=False)
    for _ in range(400):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            grucore.from_onnx(path, verify=False)
        except ERROR:
            continue


def test_not_onnx_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"hello")
    with pytest.raises(ERROR, match=r"model.onnx: not an ONNX file, or a damaged one|opset none"):
        grucore.convert(path)
