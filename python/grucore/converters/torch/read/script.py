# SPDX-License-Identifier: Apache-2.0
"""TorchScript archives: modules and weights of their pickle, constants of their source text.

The text is read for ``name : Final[type] = literal`` in class bodies, and for nothing else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.pickle import Inert
from grucore.converters.torch.read.modules import MAX_MODULES, Tree

__all__ = ["script_tree"]

MANGLE = re.compile(r"\.___torch_mangle_\d+")
FINAL = re.compile(r"  (?P<name>[A-Za-z_]\w*) : Final\[[^\]]*\]*\] = (?P<value>.{1,200})")
NUMBER = r"[-+.\de]+"
LAYER_NORM = re.compile(rf"(?:layer_norm|batch_norm)\([^()]*?, ({NUMBER})(?:, \w+)?\)")
CONVOLUTION = re.compile(
    r"_convolution\([^()\[\]]*, \[(\d+)\], \[(\d+)\], \[(\d+)\], False, \[0\], (\d+),"
)
MAX_DEPTH = 64

Source = Callable[[str], str | None]
"""Gives the text of an entry of ``code/``, or None."""


def script_tree(found: Any, source: Source) -> Tree:
    """The module in the pickle of a TorchScript archive."""
    if not isinstance(found, Inert) or not isinstance(found.state, dict):
        raise ConversionError("a TorchScript archive without a module")
    return _tree(found, source, "", 0, [0])


def _tree(found: Inert, source: Source, path: str, depth: int, count: list[int]) -> Tree:
    count[0] += 1  # one that stands in two places of each of its parents stands in 2^n
    if count[0] > MAX_MODULES:
        raise ConversionError(f"more than {MAX_MODULES} modules")
    if depth > MAX_DEPTH:
        raise ConversionError(f"module {path!r} is nested more than {MAX_DEPTH} deep")
    qualified = f"{found.made_by.module}.{found.made_by.name}"
    settings = _constants(qualified, source)
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    children: dict[str, Tree] = {}
    for name, value in (found.state if isinstance(found.state, dict) else {}).items():
        if not isinstance(name, str):
            raise ConversionError(f"module {path!r} has an attribute that has no name")
        if isinstance(value, np.ndarray):
            tensors[name] = value
        elif isinstance(value, Inert) and str(value.made_by).startswith("__torch__.torch.classes."):
            message = f"{name} of module {path!r} is a {value.made_by}: quantized weights"
            raise ConversionError(f"{message}, expected the float module")
        elif isinstance(value, Inert) and str(value.made_by).startswith("__torch__."):
            below = f"{path}.{name}" if path else name
            children[name] = _tree(value, source, below, depth + 1, count)
        elif isinstance(value, bool | int | float | str):
            settings.setdefault(name, value)
    kind = MANGLE.sub("", qualified).removeprefix("__torch__.")
    tree = Tree(kind, settings, tensors, children)
    # A buffer of PyTorch's own that is a number.
    without = {name: each for name, each in tensors.items() if name != "num_batches_tracked"}
    return replace(tree, tensors=without)


def _of_calls(text: str, name: str) -> dict[str, Any]:
    """The settings of a traced layer: the numbers of the one call in its forward."""
    body = text.partition(f"class {name}(")[2].partition("\nclass ")[0]
    norms, convolutions = LAYER_NORM.findall(body), CONVOLUTION.findall(body)
    found: dict[str, Any] = {}
    if len(norms) == 1 and not convolutions:
        found["eps"] = float(norms[0])
    if convolutions and "pad" in body:
        found["padding_mode"] = "something that its code says"
    elif len(convolutions) == 1:
        stride, padding, dilation, groups = map(int, convolutions[0])
        found.update(stride=stride, padding=padding, dilation=dilation, groups=groups)
        found["padding_mode"] = "zeros"
    return found


def _constants(qualified: str, source: Source) -> dict[str, Any]:
    """The constants in the body of a class."""
    module, _, name = qualified.rpartition(".")
    text = source(f"{module.replace('.', '/')}.py")
    if text is None:
        return {}
    found: dict[str, Any] = {}
    found.update(_of_calls(text, name))
    inside = False
    for line in text.splitlines():
        if line.startswith("class "):
            inside = line.startswith(f"class {name}(")
        match = FINAL.fullmatch(line) if inside else None
        if match:
            try:
                found[match["name"]] = ast.literal_eval(match["value"])
            except (ValueError, SyntaxError, RecursionError):
                continue  # no literal, no constant
            except MemoryError as error:
                if "stack" not in str(error):  # of the parser, which has no error of its own
                    raise
    return found
