# SPDX-License-Identifier: Apache-2.0
"""Example inputs of any structure, as the tensors in them and a module that takes just these."""

from __future__ import annotations

import dataclasses
import inspect
import keyword
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.chain.export import WRAPPED

__all__ = ["adapted", "inner"]

PLAIN = (bool, int, float, str, type(None))


def adapted(torch: Any, module: Any, example: Any, *, unpack: bool = False) -> tuple[Any, Any]:
    """A module of tensors alone, and the tensors, in their order.

    ``example``: a tensor, a tuple or list of arguments, or a dict of them by name; each argument
    may hold tensors in lists, tuples and dicts, and None, numbers, flags and strings, which stay
    as they are. ``unpack``: give the fields of a dataclass one by one, which torch.export cannot.
    """
    tensors: list[Any] = []
    args, kwargs = _call(module, example)
    given = _packed(torch, list(args), tensors), _packed(torch, dict(kwargs), tensors)
    if not tensors:
        raise ConversionError("example_inputs holds no tensor, expected the arguments of forward")
    is_plain = not kwargs and all(isinstance(each, _Place) for each in given[0])
    if is_plain and not unpack:
        return module, tensors

    def forward(self: Any, *found: Any) -> Any:
        result = getattr(self, WRAPPED)(*_rebuilt(given[0], found), **_rebuilt(given[1], found))
        return _unpacked(result)

    _name_arguments(forward, _names(module, given))
    adapter = type("Adapter", (torch.nn.Module,), {"forward": forward})()
    setattr(adapter, WRAPPED, module)
    adapter.training = module.training
    return adapter, tensors


def inner(module: Any) -> Any:
    """The user's own module."""
    while hasattr(module, WRAPPED):
        module = getattr(module, WRAPPED)
    return module


def _call(module: Any, example: Any) -> tuple[Any, Mapping[str, Any]]:
    """Arguments by position and by name."""
    if isinstance(example, Mapping):
        try:
            inspect.signature(module.forward).bind(**example)
        except (TypeError, ValueError):  # one argument that is a dict
            return (example,), {}
        return (), example
    is_row = isinstance(example, tuple | list) and not _is_numbers(example)
    return (example, {}) if is_row else ((example,), {})


def _names(module: Any, given: tuple[Any, Any]) -> list[str]:
    """The names of the tensors: the argument, and the way to the tensor in it."""
    try:
        own = [
            each.name
            for each in inspect.signature(module.forward).parameters.values()
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        own = []
    own += [f"found_{number}" for number in range(len(own), len(given[0]))]
    named = [*zip(own, given[0], strict=False), *given[1].items()]
    found: dict[int, str] = {}
    while named:
        name, each = named.pop()
        if isinstance(each, _Place):
            found[each.number] = re.sub(r"\W", "_", name)
        elif isinstance(each, dict | list):
            inside = each.items() if isinstance(each, dict) else enumerate(each)
            named += [(f"{name}_{key}", value) for key, value in inside]
    names = [found[number] for number in sorted(found)]
    usable = all(name.isidentifier() and not keyword.iskeyword(name) for name in names)
    is_usable = usable and len({*names, "self"}) == len(names) + 1
    return names if is_usable else [f"found_{number}" for number in range(len(names))]


def _name_arguments(forward: Any, names: list[str]) -> None:
    """Let the export call them so."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", *names)]
    forward.__signature__ = inspect.Signature(parameters)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor stands in the arguments."""

    number: int


def _packed(torch: Any, given: Any, tensors: list[Any]) -> Any:
    """The same structure with places for tensors, which are appended."""
    if hasattr(given, "detach") or isinstance(given, np.ndarray | np.generic):
        tensor = given if hasattr(given, "detach") else torch.as_tensor(given)
        # One tensor given twice would be one argument to torch.export.
        tensors.append(tensor.clone() if any(tensor is each for each in tensors) else tensor)
        return _Place(len(tensors) - 1)
    if isinstance(given, PLAIN):
        return given
    if isinstance(given, Mapping):
        return {name: _packed(torch, each, tensors) for name, each in given.items()}
    if isinstance(given, tuple | list):
        if _is_numbers(given):
            tensors.append(torch.as_tensor(given))
            return _Place(len(tensors) - 1)
        return [_packed(torch, each, tensors) for each in given]
    kind = type(given).__name__
    raise ConversionError(f"example_inputs holds a {kind}, expected tensors, numbers or None")


def _is_numbers(given: Any) -> bool:
    """True if it is a row of numbers, as a tensor may be written."""
    if isinstance(given, tuple | list):
        return bool(given) and all(_is_numbers(each) for each in given)
    return isinstance(given, int | float) and not isinstance(given, bool)


def _rebuilt(packed: Any, tensors: Any) -> Any:
    if isinstance(packed, _Place):
        return tensors[packed.number]
    if isinstance(packed, dict):
        return {name: _rebuilt(each, tensors) for name, each in packed.items()}
    return [_rebuilt(each, tensors) for each in packed] if isinstance(packed, list) else packed


def _unpacked(result: Any) -> Any:
    """Dataclasses as dicts of their fields."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type | Mapping):
        return {
            field.name: _unpacked(getattr(result, field.name))
            for field in dataclasses.fields(result)
        }
    return result
