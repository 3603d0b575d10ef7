# SPDX-License-Identifier: Apache-2.0
"""Which numbers of a file belong to which layer: the naming rules of each Keras format.

`.keras` and `.weights.h5` files name a layer by its class and a counter, never by its name: the
rule is replayed over the config. Legacy files list the weights of each layer of the model by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

from grucore._core import ConversionError
from grucore.converters.containers.hdf5.file import Hdf5
from grucore.converters.ignored import Ignored
from grucore.converters.keras.read.config import MODELS, Layer
from grucore.converters.keras.read.variables import RENORM, variables
from grucore.graph.tensors import Array

__all__ = ["Tree", "Weights", "backward_of", "from_layer_groups", "from_tree", "snake_case"]

Weights: TypeAlias = dict[Layer, dict[str, Array]]

COUNTED = re.compile(r"(_\d+)?(:\d+)?$")
LEAVE_OUT = "if they play no part in the model, --ignore"
IGNORED = ("optimizer", "seed_generator", "metrics", "_metrics", "compile_metrics")


class Tree(Protocol):
    """The variables of a file by the path of what has them."""

    @property
    def counts_twice(self) -> bool:
        """True if a layer that has weights counts as two of its class.

        tf.keras 2.12 and 2.13 list each of a model's layers by its number, and those with weights
        by a second number too: the classes are counted over both lists.
        """

    def variables(self, path: str) -> list[Array]:
        """Those at the path, in their order."""

    def owner(self, path: str) -> str | None:
        """The name of the layer that wrote them, where the file says it."""

    def paths(self) -> Iterator[str]:
        """Every path that has variables."""


def from_tree(model: Layer, tree: Tree, *, names_must_match: bool, ignored: Ignored) -> Weights:
    """The weights of every layer by class-and-counter paths, each path read once."""
    found: Weights = {}
    read: set[str] = set()

    def visit(layer: Layer, path: str) -> None:
        if layer.kind in MODELS or layer.layers:
            inner = f"{path}/" if path else ""
            folder = "cells" if layer.kind == "StackedRNNCells" else "layers"
            used: dict[str, int] = {}
            for child in layer.layers:
                if child.kind.startswith("ops."):
                    continue
                snake = snake_case(child.kind)
                count = used.get(snake, 0)
                twice = tree.counts_twice and folder == "layers" and _has_weights(child)
                used[snake] = count + 1 + twice
                visit(child, f"{inner}{folder}/{snake}{f'_{count}' if count else ''}")
            return
        for role, child in layer.inside.items():
            attribute = "forward_layer" if layer.kind == "Bidirectional" else role
            visit(child, f"{path}/{attribute if role == 'layer' else role}")
        if layer.kind == "Bidirectional" and "backward_layer" not in layer.inside:
            visit(backward_of(layer), f"{path}/backward_layer")
        if layer.kind == "SpectralNormalization":  # its vector, and the layer's kernel once more
            read.add(path)
            return
        expected = variables(layer)
        if not expected:
            return
        at = f"{path}/cell" if layer.kind in ("GRU", "LSTM", "SimpleRNN") else path
        owner = tree.owner(path)
        if names_must_match and owner is not None and owner != layer.name:
            raise ConversionError(
                f"{path!r} holds the weights of {owner!r}, but by the config those of {layer}"
            )
        read.add(at)
        found[layer] = _named(layer, expected, tree.variables(at), at)

    visit(model, "")
    for path in tree.paths():
        if path in read or any(part.startswith(IGNORED) for part in path.split("/")):
            continue
        if not ignored.takes(path, path.rpartition("/")[2]):
            raise ConversionError(
                f"the file has weights at {path!r}, which no layer reads: {LEAVE_OUT} {path}"
            )
    return found


def _has_weights(layer: Layer) -> bool:
    return any(variables(leaf) for leaf in _leaves(layer))


def _named(
    layer: Layer, expected: Sequence[str], arrays: Sequence[Array], where: str
) -> dict[str, Array]:
    if len(arrays) != len(expected):
        raise ConversionError(
            f"{layer} needs {len(expected)} weights ({', '.join(expected)}), "
            f"but the file has {len(arrays)} at {where!r}"
        )
    return dict(zip(expected, arrays, strict=True))


def snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def backward_of(layer: Layer) -> Layer:
    """The backward layer of a Bidirectional: its own, or the forward one turned around."""
    own = layer.inside.get("backward_layer")
    if own is not None:
        return own
    forward = layer.inside.get("forward_layer") or layer.inside["layer"]
    derived = layer.derived.get("backward_layer")
    if derived is None:
        turned = {**forward.settings, "go_backwards": not forward.settings.get("go_backwards")}
        name = f"backward_{forward.name.removeprefix('forward_')}"
        path = f"{layer.path}/{name}"
        derived = Layer(forward.kind, name, path, {**turned, "name": name}, forward.inside)
        layer.derived["backward_layer"] = derived
    return derived


def from_layer_groups(model: Layer, file: Hdf5, root: str, ignored: Ignored) -> Weights:
    """The weights of a legacy file: a group for each layer of the model, in its order."""
    groups = {
        name: file.texts(f"{root}/{name}", "weight_names")
        for name in file.texts(root, "layer_names")
    }
    found: Weights = {}
    for layer in model.layers:
        if not _has_weights(layer):
            continue
        if layer.name not in groups:
            raise ConversionError(f"the file has no weights of {layer}")
        names = groups.pop(layer.name)
        arrays = [file.array(f"{root}/{layer.name}/{name}") for name in names]
        found |= _distributed(layer, names, arrays)
    left = [name for name, names in groups.items() if names and not ignored.takes(name)]
    if left:
        raise ConversionError(
            f"the file has weights of {left[0]!r}, which the config has not: {LEAVE_OUT} {left[0]}"
        )
    return found


def _leaves(layer: Layer) -> Iterator[Layer]:
    """The layer and all layers inside, in the order in which Keras lists their weights."""
    if layer.kind == "Bidirectional":
        yield from _leaves(layer.inside.get("forward_layer") or layer.inside["layer"])
        yield from _leaves(backward_of(layer))
        return
    for child in (*layer.layers, *layer.inside.values()):
        yield from _leaves(child)
    yield layer


def _distributed(layer: Layer, names: Sequence[str], arrays: Sequence[Array]) -> Weights:
    """The weights of a layer of the model to the layers in it.

    Keras lists what is trained before what is not, over all layers inside; early versions went
    layer by layer. The names of the weights say which of these it was.
    """
    slots = [(leaf, name) for leaf in _leaves(layer) for name in variables(leaf)]
    frozen = [(leaf, name) for leaf, name in slots if not _is_trained(leaf, name)]
    trained = [slot for slot in slots if slot not in frozen]
    by_statistics = [(leaf, name) for leaf, name in slots if name in STATISTICS]
    orders = [
        [*trained, *frozen],
        [*(slot for slot in slots if slot not in by_statistics), *by_statistics],
        slots,
    ]
    if len(names) != len(slots):
        expected = ", ".join(f"{leaf.name}/{name}" for leaf, name in slots)
        raise ConversionError(
            f"{layer} needs {len(slots)} weights ({expected}), but the file has {len(names)}: "
            f"{', '.join(names)}"
        )
    fitting = [order for order in orders if _fits(order, names)]
    if not fitting:
        expected = ", ".join(f"{leaf.name}/{name}" for leaf, name in orders[0])
        raise ConversionError(f"{layer} has weights {', '.join(names)}, expected {expected}")
    if any(order != fitting[0] for order in fitting) and not _names_agree(fitting, names):
        raise ConversionError(f"the weights of {layer} ({', '.join(names)}) have two readings")
    found: Weights = {}
    for (leaf, name), array in zip(fitting[0], arrays, strict=True):
        found.setdefault(leaf, {})[name] = array
    return found


STATISTICS = ("moving_mean", "moving_variance", "mean", "variance", "count", "vector_u", *RENORM)


def _is_trained(leaf: Layer, name: str) -> bool:
    return bool(leaf.settings.get("trainable", True)) and name not in STATISTICS


def _fits(order: Sequence[tuple[Layer, str]], names: Sequence[str]) -> bool:
    return all(_spelled(text, name) for (_, name), text in zip(order, names, strict=True))


def _spelled(text: str, name: str) -> bool:
    """True if a weight's name in a file means that variable: "gru_1/kernel_2:0", "gru_1_W_z"."""
    plain = COUNTED.sub("", text.rpartition("/")[2].partition(":")[0])
    spellings = (name, *ALIASES.get(name, ()))
    return plain in spellings or any(plain.endswith(f"_{spelling}") for spelling in spellings)


ALIASES: Mapping[str, tuple[str, ...]] = {
    "moving_mean": ("running_mean",),
    "moving_variance": ("running_std",),
    "embeddings": ("W",),
    "kernel": ("W", "depthwise_kernel"),
    "recurrent_kernel": ("U",),
    "bias": ("b",),
    "alpha": ("alphas",),
}


def _names_agree(orders: Sequence[Sequence[tuple[Layer, str]]], names: Sequence[str]) -> bool:
    """True if the first order, unlike the others, has each weight under its layer's name."""

    def named(order: Sequence[tuple[Layer, str]]) -> bool:
        return all(leaf.name in text for (leaf, _), text in zip(order, names, strict=True))

    return named(orders[0])
