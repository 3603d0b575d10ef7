# SPDX-License-Identifier: Apache-2.0
"""Pickled modules: tensors, settings and children as the file has them, without their code.

PyTorch's own layers say what they are. An nn.Sequential of them says everything; of a module of
somebody else's class only the parts are known, and its architecture has to be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.pickle import Inert, brief
from grucore.graph.tensors import Array

__all__ = ["Tree", "flattened", "foreign_of", "options_of", "tree_of"]

MAX_MODULES = 4096
HOOKS = ("_forward_hooks", "_forward_pre_hooks")
KNOWN_HOOKS = ("torch.nn.utils.weight_norm.", "torch.nn.utils.prune.")
MODES = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}


@dataclass(frozen=True, eq=False)
class Tree:
    """A module: its class, settings (plain numbers and strings), tensors and children by name."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Array] = field(default_factory=dict)
    children: Mapping[str, Tree] = field(default_factory=dict)

    def setting(self, name: str) -> Any:
        """A setting that must be there."""
        if name not in self.settings:
            raise ConversionError(f"{self.kind} has no {name} in the file")
        return self.settings[name]


def tree_of(found: Inert) -> Tree:
    """The module that an object of a pickle stands for.

    Raises `ConversionError` for objects that are no modules, and for hooks that may do anything.
    """
    return _tree(found, "", [], [0])


def _tree(found: Inert, path: str, seen: list[int], count: list[int]) -> Tree:
    count[0] += 1  # one that stands in two places of each of its parents stands in 2^n
    if count[0] > MAX_MODULES:
        raise ConversionError(f"more than {MAX_MODULES} modules")
    where = f"module {path!r}" if path else "the pickled object"
    state = found.state
    if not isinstance(state, dict) or not isinstance(state.get("_modules"), dict):
        raise ConversionError(f"{where} is a {found.made_by}, expected a torch module")
    if "quantized" in found.made_by.module:
        message = f"{where} is a {found.made_by}: quantized weights"
        raise ConversionError(f"{message}, expected the float module")
    # The same module may stand in several places, but not within itself.
    if id(found) in seen:
        raise ConversionError(f"{where} contains itself")
    if len(seen) > 64:
        raise ConversionError(f"{where} is nested more than 64 deep")
    for hooks in HOOKS:
        for hook in _named(state, hooks, where).values():
            name = f"{hook.made_by}." if isinstance(hook, Inert) else f"{brief(hook)}."
            if not name.startswith(KNOWN_HOOKS):
                raise ConversionError(f"{where} has a hook in {hooks}: {name.rstrip('.')}")
    tensors: dict[str, Array] = {}
    for holder in ("_parameters", "_buffers"):
        for name, tensor in _named(state, holder, where).items():
            if isinstance(tensor, np.ndarray):
                tensors[name] = tensor
            elif tensor is not None:
                raise ConversionError(f"{name} of {where} is {brief(tensor)}, expected a tensor")
    children = {
        str(name): _tree(child, f"{path}.{name}" if path else name, [*seen, id(found)], count)
        for name, child in _named(state, "_modules", where).items()
        if isinstance(child, Inert)
    }
    settings = {
        name: value
        for name, value in state.items()
        if isinstance(name, str) and not name.startswith("_") and _is_setting(value)
    }
    return Tree(str(found.made_by), settings, tensors, children)


def _named(state: Mapping[Any, Any], what: str, where: str) -> Mapping[str, Any]:
    """Tensors, children or hooks of a module, by name (hooks by number)."""
    found = state.get(what) or {}
    if not isinstance(found, dict) or not all(isinstance(name, str | int) for name in found):
        raise ConversionError(f"{what} of {where} is {brief(found)}, expected a dict by name")
    return {str(name): value for name, value in found.items()}


def _is_setting(value: Any) -> bool:
    """True if it is a number, a string or a short row of these: what layers are set by."""
    if isinstance(value, tuple | list):
        return (
            len(value) <= 8
            and not any(isinstance(v, tuple | list) for v in value)
            and all(map(_is_setting, value))
        )
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    return isinstance(value, float | str)


def walk_modules(tree: Tree, path: str = "") -> Iterator[tuple[str, Tree]]:
    """Every module and its name, as `named_modules` of torch; raises for too many."""
    pending = [(path, tree)]
    count = 0
    while pending:
        name, module = pending.pop(0)
        count += 1
        if count > MAX_MODULES:
            raise ConversionError(f"more than {MAX_MODULES} modules")
        yield name, module
        below = [(f"{name}.{key}" if name else key, each) for key, each in module.children.items()]
        pending = below + pending


def flattened(tree: Tree) -> dict[str, Array]:
    """The state dict of a module."""
    return {
        f"{path}.{name}" if path else name: tensor
        for path, module in walk_modules(tree)
        for name, tensor in module.tensors.items()
    }


def options_of(tree: Tree) -> dict[str, dict[str, Any]]:
    """The settings of layers in the file besides their tensors, by prefix."""
    known: dict[str, dict[str, Any]] = {}
    for path, module in walk_modules(tree):
        name = module.kind.removeprefix("torch.nn.modules.")
        if (
            name in ("normalization.LayerNorm", "batchnorm.BatchNorm1d")
            and "eps" in module.settings
        ):
            known[path] = {"eps": float(module.settings["eps"])}
        elif name == "rnn.RNN" and module.settings.get("mode") in MODES:
            known[path] = {"nonlinearity": MODES[module.settings["mode"]]}
        elif name == "rnn.RNNCell" and module.settings.get("nonlinearity") in MODES.values():
            known[path] = {"nonlinearity": module.settings["nonlinearity"]}
        elif (
            name == "conv.Conv1d"
            and "padding" in module.settings
            and module.settings.get("padding_mode", "zeros") == "zeros"
        ):
            known[path] = convolution(module)
    return known


# Layers whose tensors mean what their names and shapes say; weight_norm and pruning keep the class.
KNOWN = (
    *("linear.Linear", "sparse.Embedding", "conv.Conv1d", "activation.PReLU"),
    *("rnn.GRU", "rnn.GRUCell", "rnn.LSTM", "rnn.LSTMCell", "rnn.RNN", "rnn.RNNCell"),
    *("normalization.LayerNorm", "batchnorm.BatchNorm1d"),
)


def foreign_of(tree: Tree) -> dict[str, str]:
    """Modules with tensors whose class is not exactly one that is known: prefix and class.

    A GroupNorm has the tensors of a LayerNorm, and so has a subclass with a forward of its own.
    """
    found: dict[str, str] = {}
    for path, module in walk_modules(tree):
        name = module.kind.removeprefix("torch.nn.modules.")
        is_ours = name in KNOWN or module.kind.startswith("torch.nn.utils.parametriz")
        is_blind = name == "batchnorm.BatchNorm1d" and "running_mean" not in module.tensors
        is_odd = name == "conv.Conv1d" and module.settings.get("padding_mode", "zeros") != "zeros"
        if module.tensors and (not is_ours or is_blind or is_odd):
            kind = module.kind.rpartition(".")[2]
            kind += " without running statistics" if is_blind else ""
            kind += f" that pads with {module.settings['padding_mode']}" if is_odd else ""
            found[path] = kind
    return found


def convolution(module: Tree) -> dict[str, Any]:
    """Padding, stride, dilation and groups of an nn.Conv1d."""
    if module.settings.get("padding_mode", "zeros") != "zeros":
        raise ConversionError(f"Conv1d pads with {module.setting('padding_mode')}, expected zeros")
    given: dict[str, Any] = {}
    for name in ("padding", "stride", "dilation"):
        value = module.setting(name)
        given[name] = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
        if not isinstance(given[name], int | str):
            raise ConversionError(f"Conv1d has {name} {value}, expected a number")
    given["groups"] = int(module.setting("groups"))
    return given
