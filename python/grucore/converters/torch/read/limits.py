# SPDX-License-Identifier: Apache-2.0
"""Numbers that a live module's code might compare its frames with: a proof goes beyond them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["MOST", "telling_length"]

LEAST = 1031  # frames of the longest trial, where no number asks for more
MOST = 20000  # a number above it is no number of frames that a trial could reach
DEPTH = 3  # functions called by functions
OWN = ("torch.", "grucore.")


def telling_length(module: Any, numbers: Iterable[int]) -> int:
    """A number of frames beyond every limit that the module could have.

    ``numbers``: those of its graph. Those of its attributes and its code are added: a branch on
    the length, or a slice to a frame far away, does nothing on a short example.
    """
    found = [abs(number) for number in (*numbers, *_numbers(module))]
    return max([LEAST, *(number + 8 for number in found if LEAST - 8 < number <= MOST)])


def _numbers(module: Any) -> Iterator[int]:
    seen: set[int] = set()
    graph = getattr(module, "inlined_graph", None)
    if graph is not None:  # of torch.jit, whose code is no Python
        for node in graph.findAllNodes("prim::Constant", recurse=True):
            if "value" in node.attributeNames() and node.kindOf("value") == "i":
                yield node.i("value")
    for each in module.modules():
        yield from (value for value in vars(each).values() if _is_number(value))
        for kind in type(each).__mro__:
            if kind is not object and not f"{kind.__module__}.".startswith(OWN):
                for function in vars(kind).values():
                    yield from _of_function(function, seen, DEPTH)
        for held in vars(each).values():
            yield from _of_function(held, seen, DEPTH)


def _of_function(function: Any, seen: set[int], depth: int) -> Iterator[int]:
    function = getattr(function, "__wrapped__", function)
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType) or id(function) in seen or depth < 0:
        return
    if f"{function.__module__}.".startswith(OWN):
        return
    seen.add(id(function))
    held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # a name that was never set
            continue
    for code in _codes(function.__code__):
        held += [constant for constant in code.co_consts if _is_number(constant)]
        held += [
            function.__globals__[name] for name in code.co_names if name in function.__globals__
        ]
    for each in held:
        if _is_number(each):
            yield each
        else:
            yield from _of_function(each, seen, depth - 1)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
