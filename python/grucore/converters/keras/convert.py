# SPDX-License-Identifier: Apache-2.0
"""Keras models: `.keras`, `.weights.h5` with a config, legacy `.h5`, and live models.

Neither Keras nor TensorFlow is needed to read a file, and nothing of a file is run.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import WrongKind, at
from grucore.converters.containers.budget import Budget
from grucore.converters.containers.hdf5.file import open_hdf5
from grucore.converters.containers.zip import DAMAGED, checked_entries, read_entry
from grucore.converters.conversion import Conversion
from grucore.converters.ignored import Ignored
from grucore.converters.keras.graph import check_kinds
from grucore.converters.keras.read.config import Layer, parse_json, parse_model
from grucore.converters.keras.read.names import from_layer_groups, from_tree
from grucore.converters.keras.read.source import Source
from grucore.converters.keras.read.weights import Hdf5Tree
from grucore.converters.keras.readings import graph_of
from grucore.converters.keras.witness.witness import live_evidence, rebuilt_evidence
from grucore.converters.source import Given, Kind, read_file
from grucore.graph.graph import Graph

__all__ = ["graph_of_source", "of_file", "of_model", "read_model", "read_source"]

MAX_TEXT = 1 << 24
WEIGHTS = "model.weights.h5"


def graph_of_source(source: Source) -> Graph:
    """The graph, whose metadata says where it comes from."""
    metadata = {"source": {"axes": "(batch, time, features)", **source.entries}}
    # Each part is possible, but they may speak of layers and tensors that are not there.
    with at("the config does not fit together"):
        return graph_of(source.model, source.weights, source.version, metadata)


def of_file(given: Given, config: Any = None, ignored: Ignored | None = None) -> Conversion:
    """The conversion of a `.keras` or an HDF5 file; ``config`` goes with weights alone.

    ``ignored``: weights of the file that no layer of the config reads, and that may be there.
    """
    ignored = ignored or Ignored()
    source = read_source(given, config, ignored)
    graph = graph_of_source(source)
    left = tuple(ignored.names)
    return Conversion(graph, lambda: rebuilt_evidence(source, graph), left=left)


def of_model(model: Any) -> Conversion:
    """The conversion of a live keras.Model, which is its own witness, if it is not of halves."""
    source = read_model(model)
    graph = graph_of_source(source)
    if "dtype_policies" in graph.metadata["source"]:  # which would round every step
        return Conversion(graph, lambda: rebuilt_evidence(source, graph))
    return Conversion(graph, lambda: live_evidence(model, source, graph))


def read_source(given: Given, config: Any = None, ignored: Ignored | None = None) -> Source:
    """The layers and weights in a file; raises `ConversionError` for whatever cannot be read."""
    source = {"framework": "keras", "file": given.name}
    ignored = ignored or Ignored()
    if given.kind is Kind.HDF5:
        found = _read_hdf5(given.data, config, source, ignored)
    elif config is not None:
        raise ConversionError("the file has a config of its own: config= is for .weights.h5")
    else:
        found = _read_archive(given, source, ignored)
    if not ignored.names:
        return found
    return replace(found, entries={**found.entries, "ignored": ignored.names})


def _read_archive(given: Given, source: dict[str, Any], ignored: Ignored) -> Source:
    archive = given.archive
    assert archive is not None  # which is how its kind was told
    budget = Budget(len(given.data))
    try:
        entries = checked_entries(archive, len(given.data))
        config = parse_json(read_entry(archive, entries["config.json"], budget, MAX_TEXT))
        about = parse_json(read_entry(archive, entries["metadata.json"], budget, MAX_TEXT))
        if "model.weights.npz" in entries:
            raise ConversionError(
                "model.weights.npz holds pickled Python objects, which are never loaded: save "
                "the model with weights in HDF5, as Keras does by itself"
            )
        if WEIGHTS not in entries:
            known = ", ".join(entries)[:200]
            raise ConversionError(f"the archive has no {WEIGHTS}, but {known}")
        content = read_entry(archive, entries[WEIGHTS], budget)
    except ConversionError:
        raise
    except DAMAGED as error:
        raise ConversionError(f"the zip archive is damaged: {error}") from None
    version, text = _version(about.get("keras_version"))
    model = _parsed(config)
    entries_of = {**source, "container": ".keras"} | ({"version": text} if text else {})
    tree = Hdf5Tree(open_hdf5(content, budget))
    weights = from_tree(model, tree, names_must_match=True, ignored=ignored)
    return Source(config, model, weights, version, entries_of)


def _read_hdf5(data: bytes, given: Any, source: dict[str, Any], ignored: Ignored) -> Source:
    file = open_hdf5(data)
    text = file.text("", "model_config")
    root = "model_weights" if file.has("model_weights") else ""
    legacy = bool(file.texts(root, "layer_names"))
    if text is not None and given is not None:
        raise ConversionError("the file has a config of its own: config= is for .weights.h5")
    if text is None and given is None:
        raise ConversionError(
            "the file has weights but no config, which says how the layers follow each other: "
            "give config=, what model.to_json() returns, or save the whole model"
        )
    config = parse_json(text) if text is not None else _config(given)
    model = _parsed(config)
    said = config.get("keras_version")
    for place in ("", root):
        said = said or file.text(place, "keras_version")
    version, shown = _version(said)
    if legacy and version is None:
        version = (1, 0)  # the first versions wrote none
    if legacy:
        container = "legacy .h5" if text is not None else "legacy weights .h5"
        weights = from_layer_groups(model, file, root, ignored)
    else:
        container = ".weights.h5"
        weights = from_tree(model, Hdf5Tree(file), names_must_match=False, ignored=ignored)
    entries = {**source, "container": container} | ({"version": shown} if shown else {})
    return Source(config, model, weights, version, entries)


def _parsed(config: Mapping[str, Any]) -> Layer:
    model = parse_model(config)
    check_kinds(model)
    return model


def _config(given: Any) -> dict[str, Any]:
    """The config that a user gives: a dict, a JSON text, or the path of one or of a `.keras`."""
    if isinstance(given, Mapping):
        return parse_json(json.dumps(dict(given)))
    if isinstance(given, str) and given.lstrip().startswith("{"):
        return parse_json(given)
    return parse_json(read_file(given))


def _version(text: Any) -> tuple[tuple[int, ...] | None, str | None]:
    """ "2.2.4-tf" -> (2, 2, 4)."""
    found = re.match(r"\d+(\.\d+)*", text) if isinstance(text, str) else None
    if found is None:
        return None, None
    return tuple(int(part) for part in found.group().split(".")), str(text)


def read_model(model: Any) -> Source:
    """A live model through its own `.keras` file, made in memory."""
    keras = sys.modules.get("keras")
    kinds = {f"{base.__module__}.{base.__qualname__}" for base in type(model).__mro__}
    if keras is None or "keras.src.models.model.Model" not in kinds:
        raise WrongKind(
            f"a {type(model).__module__}.{type(model).__qualname__} is not a keras.Model"
        )
    if type(model).__module__.split(".")[0] != "keras":
        raise ConversionError(
            f"{type(model).__qualname__} is a subclass of keras.Model, which is Python code: "
            "make it a Functional model or a Sequential"
        )
    if not model.built:
        raise ConversionError("the model is not built: call it once, or give it an Input")
    config = json.loads(model.to_json())
    source: dict[str, Any] = {"framework": "keras", "version": keras.__version__}
    source["container"] = type(model).__name__
    parsed = _parsed(config)
    with _saved(model) as content:
        tree = Hdf5Tree(open_hdf5(content))
        weights = from_tree(parsed, tree, names_must_match=True, ignored=Ignored())
    version, _ = _version(keras.__version__)
    return Source(config, parsed, weights, version, source)


class _saved:
    """The bytes of a live model's `model.weights.h5`."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __enter__(self) -> bytes:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.weights.h5"
            self._model.save_weights(path)
            return path.read_bytes()

    def __exit__(self, *_: object) -> None:
        pass
