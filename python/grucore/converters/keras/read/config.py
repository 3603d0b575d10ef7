# SPDX-License-Identifier: Apache-2.0
"""The content of a Keras config: layers by class name, and their calls. Nothing is made of it.

Configs of Keras 1, 2, tf.keras and Keras 3 become the same `Layer`; what a layer does is not known
here. A custom or registered class is refused by its name, wherever it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from grucore._core import ConversionError
from grucore.converters.boundary import at

__all__ = ["MODELS", "Call", "Layer", "Ref", "parse_json", "parse_model", "references"]

MODELS = ("Sequential", "Functional", "Model")
INSIDE = ("layer", "forward_layer", "backward_layer", "cell")  # settings that are layers
# The products of a MultiHeadAttention, and how it calls them.
HEADS = {"query": "query", "key": "key", "value": "value", "output": "attention_output"}
OPERATIONS = ("keras.src.ops.", "keras.ops.", "keras_core.src.ops.")
MAX_CONFIG = 1 << 24
MAX_LAYERS = 4096
MAX_DEPTH = 32


class Ref(NamedTuple):
    """Output number ``tensor`` of call number ``node`` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One use of a layer: arguments with `Ref` and `slice` in them."""

    arguments: list[Any]
    keywords: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer or model of the config.

    ``kind`` is its class, "ops.Add" for an operation; ``path`` says where it stands. A model has
    ``layers`` with their ``calls``, and ``inputs`` and ``outputs``: of a Sequential, all empty but
    ``layers``. ``inside``: layers that a wrapper has; ``derived``: those that it makes of them.
    """

    kind: str
    name: str
    path: str
    settings: Mapping[str, Any]
    inside: Mapping[str, Layer] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    calls: Mapping[str, tuple[Call, ...]] = field(default_factory=dict)
    inputs: tuple[Ref, ...] = ()
    outputs: Mapping[str, Ref] = field(default_factory=dict)
    derived: dict[str, Layer] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.path!r}"


def parse_json(text: str | bytes) -> dict[str, Any]:
    """The object of a JSON text; raises `ConversionError`."""
    if len(text) > MAX_CONFIG:
        raise ConversionError(f"the config has {len(text)} bytes, expected at most {MAX_CONFIG}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"the config is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConversionError("the config is not a JSON object")
    return found


def parse_model(config: Mapping[str, Any]) -> Layer:
    """The model of a config such as config.json of a `.keras` file has it."""
    with at("the config is not one that Keras writes"):
        model = _layer(config, "", 0)
    if model.kind not in MODELS:
        raise ConversionError(f"the config is of a {model.kind}, expected {', '.join(MODELS)}")
    return model


def _layer(config: Mapping[str, Any], where: str, depth: int) -> Layer:
    if depth > MAX_DEPTH:
        raise ConversionError(f"the config nests layers more than {MAX_DEPTH} deep")
    settings = config["config"]
    kind = _kind(config, settings, where)
    if kind in MODELS:
        return _model(kind, config, settings, where, depth)
    name = str(settings.get("name") or config.get("name") or kind.lower())
    path = f"{where}{name}"
    inside = {
        role: _layer(settings[role], f"{path}/", depth + 1)
        for role in INSIDE
        if isinstance(settings.get(role), dict)
    }
    layers: list[Layer] = []
    if kind == "StackedRNNCells":
        layers = [_layer(cell, f"{path}/", depth + 1) for cell in settings["cells"]]
    if kind == "MultiHeadAttention":  # products of its own, which no config has
        bias = {"bias_axes": "h" if settings.get("use_bias", True) else None}
        inside = {
            f"{role}_dense": Layer("EinsumDense", name, f"{path}/{name}", bias)
            for role, name in HEADS.items()
        }
    return Layer(kind, name, path, settings, inside, tuple(layers))


def _kind(config: Mapping[str, Any], settings: Any, where: str) -> str:
    kind, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    if not isinstance(kind, str):
        raise ConversionError(f"a layer in {where or 'the model'} has class {kind!r:.60}")
    name = settings.get("name", "") if isinstance(settings, Mapping) else ""
    shown = f"{where}{name}"
    if kind == "Lambda":
        raise ConversionError(
            f"Lambda {shown!r} is Python code, which is never run: use layers that say what they do"
        )
    is_keras = module is None or str(module).split(".")[0] in ("keras", "keras_core", "builtins")
    is_keras = is_keras or str(module).startswith("tensorflow.python.keras")
    if not is_keras or ">" in kind or (isinstance(registered, str) and ">" in registered):
        known = registered if isinstance(registered, str) and registered else kind
        raise ConversionError(
            f"{shown!r} is of the custom class {module or ''}{':' if module else ''}{known}, "
            "whose code is not in the file"
        )
    # Legacy files name no modules; what every layer has, and no operation, is "trainable".
    unnamed = module is None and _is_keras3_call(config) and "trainable" not in settings
    unnamed = unnamed and "Dropout" not in kind  # SpatialDropout1D does not say it
    if str(module).startswith(OPERATIONS) or (unnamed and kind not in ("InputLayer", *MODELS)):
        return f"ops.{kind}"
    return kind


def _is_keras3_call(config: Mapping[str, Any]) -> bool:
    nodes = config.get("inbound_nodes")
    return bool(nodes) and isinstance(nodes, list) and isinstance(nodes[0], dict)


def _model(kind: str, config: Mapping[str, Any], settings: Any, where: str, depth: int) -> Layer:
    if isinstance(settings, list):  # a Sequential of Keras 1 and early 2 has no name
        settings = {"name": config.get("name", "sequential"), "layers": settings}
    name = str(settings.get("name", kind.lower()))
    inner = f"{where}{name}/" if depth else ""
    found = settings.get("layers")
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_LAYERS:
        known = config.get("class_name")
        raise ConversionError(
            f"the config of {name!r} ({known}) lists no layers: a subclassed model is Python code"
        )
    layers = tuple(_at(inner, number, layer, depth) for number, layer in enumerate(found))
    path = f"{where}{name}"
    if kind == "Sequential":
        return Layer(kind, name, path, settings, layers=layers)
    names = [str(entry.get("name", layer.name)) for entry, layer in zip(found, layers, strict=True)]
    for twice in {name for name in names if names.count(name) > 1}:
        raise ConversionError(f"two layers of {path!r} are called {twice!r}")
    calls = {
        name: tuple(_call(node) for node in entry.get("inbound_nodes", ()))
        for name, entry in zip(names, found, strict=True)
    }
    return Layer(
        kind,
        name,
        path,
        settings,
        layers=layers,
        calls=calls,
        inputs=tuple(_ends(settings["input_layers"]).values()),
        outputs=_outputs(settings["output_layers"], found),
    )


def _at(where: str, number: int, config: Any, depth: int) -> Layer:
    with at(f"layer {number} of {where or 'the model'}"):
        return _layer(config, where, depth + 1)


def _ends(found: Any) -> dict[str, Ref]:
    """Inputs or outputs of a model by name; numbers where they have none."""
    if isinstance(found, dict):
        return {str(name): _ref(entry) for name, entry in found.items()}
    if found and isinstance(found[0], str):
        found = [found]
    return {str(number): _ref(entry) for number, entry in enumerate(found)}


def _outputs(ends: Any, found: list[Any]) -> dict[str, Ref]:
    """The outputs of a model, with calls counted from 0.

    Keras counts a Functional model's own making as its call 0. Keras 2 does so everywhere, Keras 3
    only in the list of outputs.
    """
    outputs = _ends(ends)
    if not any(_is_keras3_call(entry) for entry in found):
        return outputs
    models = {entry.get("name") for entry in found if entry["class_name"] in MODELS[1:]}
    return {
        name: ref._replace(node=ref.node - 1) if ref.layer in models else ref
        for name, ref in outputs.items()
    }


def _ref(entry: Any) -> Ref:
    layer, node, tensor = entry[:3]
    if not isinstance(layer, str) or not isinstance(node, int) or not isinstance(tensor, int):
        raise ConversionError(f"{str(entry)[:80]} is not the output of a layer")
    return Ref(layer, node, tensor)


def _call(node: Any) -> Call:
    if isinstance(node, dict):  # Keras 3
        return Call(
            [_argument(entry) for entry in node["args"]],
            {name: _argument(entry) for name, entry in node["kwargs"].items()},
        )
    entries = [node] if node and isinstance(node[0], str) else list(node)
    given = entries[0][3] if len(entries[0]) > 3 else {}
    keywords = {name: _keyword(each) for name, each in given.items()}
    references = [_ref(entry) for entry in entries]
    return Call([references[0] if len(references) == 1 else references], keywords)


def _keyword(entry: Any) -> Any:
    """A keyword of Keras 2, in which a tensor is a list of a name and two numbers."""
    if not isinstance(entry, list):
        return entry
    is_ref = [type(item) for item in entry[:3]] == [str, int, int]
    return _ref(entry) if is_ref else [_keyword(item) for item in entry]


def _argument(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_argument(item) for item in entry]
    if isinstance(entry, dict) and entry.get("class_name") == "__keras_tensor__":
        return _ref(entry["config"]["keras_history"])
    if isinstance(entry, dict) and entry.get("class_name") == "__slice__":
        bounds = entry["config"]
        return slice(bounds["start"], bounds["stop"], bounds["step"])
    if isinstance(entry, dict) and entry.get("class_name") in ("__numpy__", "__tensor__"):
        return np.asarray(entry["config"]["value"], np.float64)
    if isinstance(entry, dict) and entry.get("class_name") == "__ellipsis__":
        return Ellipsis
    return entry


def references(content: Any) -> Iterator[Ref]:
    """All `Ref` in the arguments of a call."""
    if isinstance(content, Ref):
        yield content
    elif isinstance(content, list):
        for item in content:
            yield from references(item)
    elif isinstance(content, dict):
        for item in content.values():
            yield from references(item)


def node_shifts(model: Layer) -> dict[str, int]:
    """How far call numbers are from 0: in Keras 2 a model's own making is its call 0."""
    used: dict[str, set[int]] = {}
    calls = [call for found in model.calls.values() for call in found]
    every = [ref for call in calls for ref in references([call.arguments, call.keywords])]
    for ref in [*every, *model.outputs.values()]:
        used.setdefault(ref.layer, set()).add(ref.node)
    return {
        layer.name: int(
            layer.kind in MODELS and max(used.get(layer.name, {0})) == len(model.calls[layer.name])
        )
        for layer in model.layers
    }
