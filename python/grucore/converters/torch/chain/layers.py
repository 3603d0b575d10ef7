# SPDX-License-Identifier: Apache-2.0
"""A PyTorch state dict: which layers its names and shapes describe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.torch.chain.architecture import NAMED
from grucore.converters.torch.chain.kinds import (
    Layer,
    LinearLayer,
    Part,
    PlainLayer,
    RecurrentLayer,
)
from grucore.converters.torch.chain.names import Tensors, effective_tensors

__all__ = ["OF_A_MODULE", "RECURRENT", "Layers", "read_layers"]

RECURRENT = re.compile(
    r"(?:(?P<prefix>.*)\.)?(?P<what>(?:weight|bias)_(?:ih|hh|hr))(?:_l(?P<k>\d+)(?P<rev>_reverse)?)?"
)
# Rows over hidden size tell the recurrent layers of PyTorch apart.
CELLS = {3: "gru", 4: "lstm", 1: "rnn"}
OF_A_MODULE = ", of a "  # what is said of a tensor of a class that is not known
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True)
class Layers:
    """The content of a state dict: layers in its order, and tensors of no known layer.

    ``strangers``: what these are, by name; ``loose``: those that are arrays, and what else lies in
    the file beside the state dict; ``aliases``: other names of layers, by those names.
    """

    found: tuple[Layer, ...]
    strangers: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = True
    tensors: Tensors = field(default_factory=dict)
    loose: Tensors = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def recurrent(self) -> list[RecurrentLayer]:
        """The recurrent ones."""
        return [layer for layer in self.found if isinstance(layer, RecurrentLayer)]

    def of_kind(self, kind: str) -> list[Layer]:
        """Those that a step of this kind can mean; a table of an embedding looks like a linear."""
        if kind == "linear":
            return [layer for layer in self.found if isinstance(layer, LinearLayer)]
        if kind == "embedding":
            return [
                PlainLayer(kind=kind, prefix=layer.prefix, tensors={"weight": layer.weight})
                for layer in self.found
                if isinstance(layer, LinearLayer) and layer.bias is None
            ]
        if kind == "prelu":
            return self._slopes()
        return [layer for layer in self.found if getattr(layer, "kind", None) == kind]

    def _slopes(self) -> list[Layer]:
        names = [name for name in self.strangers if name.rpartition(".")[2] == "weight"]
        return [
            PlainLayer(
                kind="prelu",
                prefix=name.rpartition(".")[0],
                tensors={"weight": self.tensors[name]},
            )
            for name in names
            if name in self.tensors and self.tensors[name].ndim == 1
        ]


def read_layers(
    state: Mapping[str, object],
    *,
    ordered: bool = True,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    foreign: Mapping[str, str] | None = None,
) -> Layers:
    """The layers of a state dict of arrays; what is no array counts as a stranger.

    ``ordered``: whether the dict's order is the model's. ``options``: what is known of layers
    besides their tensors, by prefix; ``foreign`` the class of those that are no layer known here,
    whatever their tensors look like. Raises `ConversionError` for recurrent layers with
    projections, incomplete ones, and parametrizations that cannot be resolved.
    """
    tensors, strangers = effective_tensors(state)
    unknown, loose = foreign or {}, {}
    for name in [name for name in tensors if name.rpartition(".")[0] in unknown]:
        owner = unknown[name.rpartition(".")[0]]
        loose[name] = tensors.pop(name)
        strangers[name] = f"{loose[name].shape}{OF_A_MODULE}{owner}"
    prefixes: dict[str, str] = {}
    for name in tensors:
        match = RECURRENT.fullmatch(name)
        prefix = (match["prefix"] or "") if match else name.rpartition(".")[0]
        kind = "recurrent" if match else _kind(prefix, tensors)
        if kind is not None:
            prefixes.setdefault(prefix, kind)
    found: list[Layer] = []
    used: set[str] = set()
    for prefix, kind in prefixes.items():
        own = (options or {}).get(prefix, {})
        with at(f"layer {prefix!r}"):
            if kind == "recurrent":
                found.append(_recurrent(prefix, tensors, used, own))
            elif kind == "linear":
                found.append(_linear(prefix, tensors, used))
            else:
                found.append(_plain(kind, prefix, tensors, used, own))
    for name, array in tensors.items():
        if name not in used:
            strangers[name], loose[name] = str(array.shape), array
    return Layers(tuple(found), strangers, ordered, tensors, loose)


PLAIN = {
    "conv1d": ("weight", "bias"),
    "layer_norm": ("weight", "bias"),
    "batch_norm": ("running_mean", "running_var", "weight", "bias"),
}


def _kind(prefix: str, tensors: Tensors) -> str | None:
    """The kind of layer that the tensors of a prefix make, or None."""
    if _join(prefix, "running_mean") in tensors and _join(prefix, "running_var") in tensors:
        return "batch_norm"
    weight, bias = tensors.get(_join(prefix, "weight")), tensors.get(_join(prefix, "bias"))
    if weight is None:
        return None
    if weight.ndim == 1 and bias is not None and bias.shape == weight.shape:
        return "layer_norm"
    return {2: "linear", 3: "conv1d"}.get(weight.ndim)


def _plain(
    kind: str, prefix: str, tensors: Tensors, used: set[str], options: Mapping[str, Any]
) -> PlainLayer:
    own = {
        part: tensors[_join(prefix, part)] for part in PLAIN[kind] if _join(prefix, part) in tensors
    }
    rows = len(next(iter(own.values())))
    for part, array in own.items():
        name = _join(prefix, part)
        if array.shape != (rows,) and not (kind == "conv1d" and part == "weight"):
            raise ConversionError(f"{name} has shape {array.shape}, expected {(rows,)}")
        used.add(name)
    used.add(_join(prefix, "num_batches_tracked"))
    wanted = (*NAMED[kind], "groups")
    known = {name: value for name, value in options.items() if name in wanted}
    return PlainLayer(kind=kind, prefix=prefix, tensors=own, options=known)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _linear(prefix: str, tensors: Tensors, used: set[str]) -> LinearLayer:
    weight, bias = tensors[_join(prefix, "weight")], tensors.get(_join(prefix, "bias"))
    if bias is not None and bias.shape != weight.shape[:1]:
        name = _join(prefix, "bias")
        raise ConversionError(f"{name} has shape {bias.shape}, expected {weight.shape[:1]}")
    used.add(_join(prefix, "weight"))
    used.add(_join(prefix, "bias"))
    return LinearLayer(prefix=prefix, weight=weight, bias=bias)


def _recurrent(
    prefix: str, tensors: Tensors, used: set[str], options: Mapping[str, Any]
) -> RecurrentLayer:
    parts: dict[tuple[int, bool], dict[str, str]] = {}
    is_cell = False
    for name in tensors:
        match = RECURRENT.fullmatch(name)
        if match and (match["prefix"] or "") == prefix:
            key = (int(match["k"] or 0), match["rev"] is not None)
            if match["what"] in parts.setdefault(key, {}):
                raise ConversionError(f"{name} and {parts[key][match['what']]} are the same part")
            parts[key][match["what"]] = name
            is_cell = is_cell or match["k"] is None
    _check_complete(prefix, parts)
    used.update(name for names in parts.values() for name in names.values())
    for part in PARTS[:2]:
        name = parts[0, False][part]
        if tensors[name].ndim != 2:
            raise ConversionError(f"{name} has shape {tensors[name].shape}, expected two axes")
    size = tensors[parts[0, False]["weight_ih"]].shape[1]
    hidden = tensors[parts[0, False]["weight_hh"]].shape[1]
    directions = 2 if (0, True) in parts else 1
    gates = _gates(parts[0, False], tensors)
    checked: dict[tuple[int, bool], Part] = {}
    for key, names in sorted(parts.items()):
        inputs = size if key[0] == 0 else directions * hidden
        rows = gates * hidden
        shapes = ((rows, inputs), (rows, hidden), (rows,), (rows,))
        for part, shape in zip(PARTS, shapes, strict=True):
            if part in names and tensors[names[part]].shape != shape:
                raise ConversionError(
                    f"{names[part]} has shape {tensors[names[part]].shape}, expected {shape}"
                )
        weight_ih, weight_hh = tensors[names["weight_ih"]], tensors[names["weight_hh"]]
        bias_ih, bias_hh = (
            tensors[names[part]] if part in names else None for part in ("bias_ih", "bias_hh")
        )
        checked[key] = (weight_ih, weight_hh, bias_ih, bias_hh)
    kind = CELLS[gates]
    known = {name: value for name, value in options.items() if name in NAMED[kind]}
    return RecurrentLayer(kind=kind, prefix=prefix, parts=checked, is_cell=is_cell, options=known)


def _gates(names: Mapping[str, str], tensors: Tensors) -> int:
    """The gates of a recurrent layer, by the shape of its weights."""
    name = names["weight_hh"]
    shape = tensors[name].shape
    if "weight_hr" in names:
        raise ConversionError(
            f"{names['weight_hr']}: an LSTM with projections, expected proj_size 0: "
            "convert a module that calls it, or a .pt2 of that"
        )
    gates = shape[0] // shape[1] if shape[1] and shape[0] % shape[1] == 0 else 0
    if gates not in CELLS:
        message = f"{name} has shape {shape}: no recurrent layer that grucore knows"
        raise ConversionError(f"{message}, expected 3 (GRU), 4 (LSTM) or 1 (RNN) rows a feature")
    return gates


def _check_complete(prefix: str, parts: Mapping[tuple[int, bool], Mapping[str, str]]) -> None:
    where = f"the recurrent layer {prefix!r}" if prefix else "the recurrent layer"
    layers = 1 + max(k for k, _ in parts)
    bidirectional = any(reverse for _, reverse in parts)
    biased = any("bias_ih" in names or "bias_hh" in names for names in parts.values())
    for k in range(layers):
        for reverse in (False, True) if bidirectional else (False,):
            names = parts.get((k, reverse), {})
            for part in PARTS:
                if part not in names and (biased or part.startswith("weight")):
                    missing = f"{part}_l{k}{'_reverse' if reverse else ''}"
                    raise ConversionError(f"{where} has no tensor {_join(prefix, missing)}")
