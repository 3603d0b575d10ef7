# SPDX-License-Identifier: Apache-2.0
"""Runs a module of wasm.c in wasmtime: python wasm.py FILE."""

import sys

from wasmtime import Func, FuncType, Instance, Memory, Module, Store, ValType

store = Store()
module = Module.from_file(store.engine, sys.argv[1])
instance: Instance
status = 0


def say(at: int, length: int) -> None:
    memory = instance.exports(store)["memory"]
    assert isinstance(memory, Memory)
    sys.stdout.write(memory.read(store, at, at + length).decode())


def finish(code: int) -> None:
    global status
    status = code


i32 = ValType.i32()
by_name = {
    "print": Func(store, FuncType([i32, i32], []), say),
    "finish": Func(store, FuncType([i32], []), finish),
}
instance = Instance(store, module, [by_name[each.name] for each in module.imports])
begin = instance.exports(store)["begin"]
assert isinstance(begin, Func)
begin(store)
sys.exit(status)
