# SPDX-License-Identifier: Apache-2.0
"""A pickle machine that builds inert things: it imports and calls nothing that a file names.

Python's own unpickler calls what `find_class` returns, and takes memory on a file's word.
This one walks the opcodes itself; an object that a pickle would have made becomes an `Inert`.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from grucore._core import ConversionError
from grucore.converters.containers.pickle_names import Global, named

__all__ = ["Global", "Inert", "brief", "load_pickle"]

MAX_OPCODES = 1 << 22  # each may make an object of a hundred bytes

HASHABLE = (str, int, float, bytes, bool, type(None))

# Opcodes whose argument is what they push.
PUSHED = {
    *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Inert(SET, ()),
}
PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
GETS = {"GET", "BINGET", "LONG_BINGET"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(eq=False, slots=True)
class Inert:
    """A stand-in for an object of an unknown class: the arguments that would have made it."""

    made_by: Global
    arguments: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.made_by}>"  # not the arguments: they may nest without end


SET: Global = Global("builtins", "set")


def brief(found: Any) -> str:
    """A value of a file in an error message: tuples may nest without end, numbers be endless."""
    if isinstance(found, str):
        return repr(found[:60])
    if isinstance(found, Global):
        return str(found)
    if found is None or isinstance(found, float | bool | Inert):
        return repr(found)
    if isinstance(found, int) and -(1 << 63) <= found < 1 << 63:
        return repr(found)
    return f"a {type(found).__name__}"


Reduce = Callable[[Global, tuple[Any, ...]], Any]
Persistent = Callable[[Any], Any]


def load_pickle(stream: BinaryIO, reduce: Reduce, persistent: Persistent) -> Any:
    """The object of one pickle; the stream then stands after it.

    ``reduce`` makes a value of a name and arguments (plain data), ``persistent`` one of an id.
    Raises `ConversionError` for a damaged pickle and for opcodes that need an import.
    """
    machine = _Machine(reduce, persistent)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MAX_OPCODES:
                raise ConversionError(f"the pickle has more than {MAX_OPCODES} operations")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.execute(opcode.name, argument)
    except (
        *(ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError),
        *(EOFError, struct.error, RecursionError, Warning),
    ) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(f"the pickle is damaged: {error}") from None
    raise ConversionError("the pickle is damaged: it has no end")


class _Machine:
    def __init__(self, reduce: Reduce, persistent: Persistent) -> None:
        self.stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._reduce = reduce
        self._persistent = persistent

    def execute(self, name: str, argument: Any) -> None:
        if name in PUSHED:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name]())
        elif name in PUTS:
            self._memo[int(argument)] = self.stack[-1]
        elif name in GETS:
            self.stack.append(self._memo[int(argument)])
        elif name in TUPLES:
            count = TUPLES[name]
            items = tuple(self.stack[-count:])
            if len(items) != count:
                raise ValueError("the stack is empty")
            del self.stack[-count:]
            self.stack.append(items)
        elif name not in ("PROTO", "FRAME"):
            method = getattr(self, f"_op_{name.lower()}", None)
            if method is None:
                raise ConversionError(f"the pickle uses {name}, which no checkpoint needs")
            method(argument)

    def _to_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self._marks.pop()
        return items

    def _op_mark(self, _: Any) -> None:
        self._marks.append(self.stack)
        self.stack = []

    def _op_pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._to_mark()

    def _op_pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _op_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _op_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def _op_tuple(self, _: Any) -> None:
        items = tuple(self._to_mark())
        self.stack.append(items)

    def _op_list(self, _: Any) -> None:
        items = self._to_mark()
        self.stack.append(items)

    def _op_dict(self, _: Any) -> None:
        items = self._to_mark()
        self.stack.append({})
        self._set(items)

    def _op_frozenset(self, _: Any) -> None:
        items = self._to_mark()
        self.stack.append(Inert(Global("builtins", "frozenset"), (items,)))

    def _op_append(self, _: Any) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _op_appends(self, _: Any) -> None:
        self._extend(self._to_mark())

    def _op_additems(self, _: Any) -> None:
        self._extend(self._to_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, Inert):
            target.items.extend(items)
        else:
            raise TypeError(f"items for a {type(target).__name__}")

    def _op_setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _op_setitems(self, _: Any) -> None:
        self._set(self._to_mark())

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.items.extend(items)
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError(f"keys for a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing anything deeper would recurse as deep as the file likes.
            target[key if isinstance(key, HASHABLE) else Inert(Global("", "key"), key)] = value

    def _op_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(named(module, name))

    def _op_stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a global without a name")
        self.stack.append(named(module, name))

    def _op_reduce(self, _: Any) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        self._make(callee, arguments)

    def _op_newobj(self, _: Any) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        self._make(callee, arguments)

    def _op_newobj_ex(self, _: Any) -> None:
        keywords, arguments, callee = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.stack.append(Inert(_as_global(callee), (arguments, keywords)))

    def _op_inst(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._make(named(module, name), tuple(self._to_mark()))

    def _op_obj(self, _: Any) -> None:
        callee, *arguments = self._to_mark()
        self._make(callee, tuple(arguments))

    def _make(self, callee: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise TypeError("a call without a tuple of arguments")
        if isinstance(callee, Global):
            self.stack.append(self._reduce(callee, arguments))
        else:
            self.stack.append(Inert(_as_global(callee), arguments))

    def _op_build(self, _: Any) -> None:
        state = self.stack.pop()
        # Attributes of a dict (torch's `_metadata`) say nothing about its tensors.
        if isinstance(self.stack[-1], Inert):
            self.stack[-1].state = state

    def _op_persid(self, argument: str) -> None:
        self.stack.append(self._persistent(argument))

    def _op_binpersid(self, _: Any) -> None:
        self.stack.append(self._persistent(self.stack.pop()))


def _as_global(callee: Any) -> Global:
    if isinstance(callee, Global):
        return callee
    if isinstance(callee, Inert):
        return callee.made_by
    raise TypeError(f"a call of a {type(callee).__name__}")
