# SPDX-License-Identifier: Apache-2.0
"""The names of a pickle, and which of Python's own library a checkpoint may have.

Whatever a file names stays inert. But no training puts a function of the library into a checkpoint:
a file that names `os.system` was made to run it elsewhere, and is refused as a whole, wherever the
name stands and whatever becomes of it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from grucore._core import ConversionError

__all__ = ["Global", "named"]

# Modules of the library whose classes are data, under the names of Python 2 and 3.
DATA_MODULES = {
    *("collections", "_codecs", "copyreg", "copy_reg", "argparse", "pathlib", "datetime"),
    *("decimal", "fractions", "enum", "functools", "types", "uuid", "array", "re", "numbers"),
    *("sre_constants", "typing", "dataclasses", "zoneinfo", "ipaddress", "time", "random"),
    *("string", "math", "cmath", "itertools", "logging", "abc", "weakref", "statistics"),
}
BUILTINS = {"builtins", "__builtin__"}
BUILTIN_NAMES = {
    *("set", "frozenset", "dict", "list", "tuple", "int", "long", "float", "complex", "bool"),
    *("str", "unicode", "bytes", "bytearray", "slice", "range", "xrange", "object", "type"),
    *("NotImplemented", "Ellipsis", "print", "sum", "min", "max", "abs", "round", "len"),
    *("Exception", "ValueError", "RuntimeError", "KeyError", "TypeError", "IndexError"),
    "getattr",  # by which enumerations and methods pickle
}
# Those of other systems than this one too, and what Python 2 had.
LIBRARY = {
    *sys.stdlib_module_names,
    *("nt", "posix", "commands", "popen2", "cPickle", "urllib2", "httplib", "pip", "pipes"),
    *("distutils", "imp", "cgi", "asyncore", "telnetlib", "xmlrpclib", "SocketServer"),
}


@dataclass(frozen=True, slots=True)
class Global:
    """The name of something that the pickle would have imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def named(module: str, name: str) -> Global:
    """The name; raises `ConversionError` for one that no checkpoint has."""
    top = module.partition(".")[0]
    if top in BUILTINS:
        foreign = name not in BUILTIN_NAMES
    else:
        foreign = top in LIBRARY and top not in DATA_MODULES
    if foreign:
        raise ConversionError(
            f"the pickle names {f'{module}.{name}'[:60]!r}, which no checkpoint needs, and nothing "
            "of it was run: take another file, or save the state dict as safetensors"
        )
    return Global(module, name)
