# SPDX-License-Identifier: Apache-2.0
"""Layouts of Keras files that the golden ones do not have, made of these: no framework needed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grucore import ConversionError, convert
from grucore.converters.keras import convert as converter
from grucore.fileformat import write
from grucore.graph.graph import Graph
from models.readers import keras_graph, keras_source

h5py = pytest.importorskip("h5py")

GOLDEN = Path(__file__).parents[2] / "golden" / "keras"
LEGACY = ("keras1_layout.h5", "keras2_layout.h5", "keras2_cudnn_layout.h5", "tf_keras_layout.h5")
ROOT = "_layer_checkpoint_dependencies"


def content(graph: Graph) -> bytes:
    """The file without what says where the model comes from."""
    return write(replace(graph, metadata={}))


def golden(name: str, config: Any = None) -> Graph:
    return keras_graph(GOLDEN / name, config=config)


def legacy_weights(name: str, *, version: bool = True) -> tuple[bytes, dict[str, Any]]:
    """The weights of a legacy file alone, as ``save_weights`` wrote them, and the config."""
    target = io.BytesIO()
    with h5py.File(GOLDEN / name) as whole, h5py.File(target, "w") as file:
        for attribute, found in whole["model_weights"].attrs.items():
            if version or attribute != "keras_version":
                file.attrs[attribute] = found
        for group in whole["model_weights"]:
            whole.copy(f"model_weights/{group}", file)
        config = json.loads(whole.attrs["model_config"])
    return target.getvalue(), config


@pytest.mark.parametrize("name", [*LEGACY, "keras3.h5"])
def test_weights_alone_of_a_legacy_file(name: str) -> None:
    data, config = legacy_weights(name)
    source = keras_source(data, "weights.h5", config=config)
    graph = converter.graph_of_source(source)
    assert graph.metadata["source"]["container"] == "legacy weights .h5"
    assert content(graph) == content(golden(name))
    with pytest.raises(ConversionError, match="has weights but no config"):
        keras_source(data, "weights.h5")


def test_the_version_of_weights_alone_may_be_in_the_config() -> None:
    data, config = legacy_weights("keras2_layout.h5", version=False)
    config["keras_version"] = "2.2.4"
    source = keras_source(data, "weights.h5", config=json.dumps(config))
    assert source.version == (2, 2, 4)
    assert content(converter.graph_of_source(source)) == content(golden("keras2_layout.h5"))


def test_weights_alone_of_other_layers_are_refused() -> None:
    data, _ = legacy_weights("keras2_layout.h5")
    _, config = legacy_weights("tf_keras_layout.h5")
    with pytest.raises(ConversionError, match="the file has no weights of GRU 'gru'"):
        converter.graph_of_source(keras_source(data, "weights.h5", config=config))


def rearranged(name: str, change: Callable[[Any, Any], None]) -> bytes:
    """The archive with its weights moved about by ``change``, from a file to another."""
    target, weights = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(GOLDEN / name) as source, zipfile.ZipFile(target, "w") as archive:
        found = io.BytesIO(source.read("model.weights.h5"))
        with h5py.File(found) as old, h5py.File(weights, "w") as new:
            change(old, new)
        for member in source.namelist():
            is_weights = member == "model.weights.h5"
            archive.writestr(member, weights.getvalue() if is_weights else source.read(member))
    return target.getvalue()


NEW_NAMES = {"gru": "gru", "gru_2": "gru_1", "dense": "dense"}


def as_keras3(old: Any, new: Any) -> None:
    for name, other in NEW_NAMES.items():
        old.copy(f"{ROOT}/{name}", new.require_group("layers"), other)


def as_windows(old: Any, new: Any) -> None:
    for name in ("gru\\cell", "gru_2\\cell", "dense"):
        group = new.create_group(f"{ROOT}\\{name}")
        old.copy(f"{ROOT}/{name.replace(chr(92), '/')}/vars", group)


def numbered_once(old: Any, new: Any) -> None:
    for name, other in NEW_NAMES.items():
        old.copy(f"{ROOT}/{name}", new.require_group(ROOT), other)


def twice(old: Any, new: Any) -> None:
    as_windows(old, new)
    old.copy(f"{ROOT}/gru", new.require_group("layers"))


@pytest.mark.parametrize("change", [as_keras3, as_windows])
def test_tf_keras_2_13(change: Callable[[Any, Any], None]) -> None:
    name = "tf_keras213_layout.keras"
    moved = converter.graph_of_source(keras_source(rearranged(name, change), name))
    assert content(moved) == content(golden(name))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            numbered_once,
            r"GRU 'gru_1' needs 3 weights .* but the file has 0 at 'layers/gru_2/cell'",
        ),
        (twice, r"the file has both '.*' and '.*'"),
    ],
)
def test_what_tf_keras_2_13_does_not_write(change: Callable[[Any, Any], None], reason: str) -> None:
    data = rearranged("tf_keras213_layout.keras", change)
    with pytest.raises(ConversionError, match=reason):
        keras_source(data, "x.keras")


def nested(config: dict[str, Any], layers: list[Any]) -> dict[str, Any]:
    inner = {**config, "config": {"name": "inner", "layers": layers}}
    outer = {"name": "outer", "layers": [config["config"]["layers"][0], inner]}
    return {**config, "config": outer}


def test_a_model_inside_a_model_of_tf_keras_2_13() -> None:
    name = "tf_keras213_layout.keras"

    def deeper(old: Any, new: Any) -> None:
        old.copy(ROOT, new.create_group(f"{ROOT}/sequential"), ROOT)

    target = io.BytesIO()
    moved = io.BytesIO(rearranged(name, deeper))
    with zipfile.ZipFile(moved) as source, zipfile.ZipFile(target, "w") as archive:
        config = json.loads(source.read("config.json"))
        config = nested(config, config["config"]["layers"])
        for member in source.namelist():
            found = json.dumps(config).encode() if member == "config.json" else source.read(member)
            archive.writestr(member, found)
    graph = converter.graph_of_source(keras_source(target.getvalue(), name))
    shapes = [node.layer for node in graph.nodes]
    assert shapes == [node.layer for node in golden(name).nodes]


@pytest.mark.parametrize("name", [LEGACY[2], "keras3.weights.h5"])
def test_weights_that_no_layer_reads(name: str, tmp_path: Path) -> None:
    if name in LEGACY:
        data, config = legacy_weights(name)
    else:
        data, config = (
            (GOLDEN / name).read_bytes(),
            json.loads((GOLDEN / "keras3.json").read_text()),
        )
    path = tmp_path / "more.weights.h5"
    path.write_bytes(data)
    convert(path, config=config, verify=False)
    with h5py.File(path, "r+") as file:
        if name in LEGACY:
            old = file.attrs["layer_names"]
            names = [name.encode() if isinstance(name, str) else name for name in old]
            del file.attrs["layer_names"]
            file.attrs["layer_names"] = [*names, b"aux"]
            file["aux/w"] = [1.0, 2.0]
            file["aux"].attrs["weight_names"] = [b"w"]
        else:
            file["layers/aux/vars/0"] = [1.0, 2.0]
    with pytest.raises(ConversionError, match=r"aux.*--ignore (layers/)?aux"):
        convert(path, config=config, verify=False)
    model = convert(path, config=config, verify=False, ignore="aux")
    assert model.metadata["source"]["ignored"][0].endswith("aux")
    with pytest.raises(ConversionError, match="ignore='more' matches nothing; the file has"):
        convert(path, config=config, verify=False, ignore=["aux", "more"])
