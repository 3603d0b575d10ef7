# Python's errors, with `grucore` as the module by which users know and unpickle them.
# SPDX-License-Identifier: Apache-2.0

class GrucoreError(Exception):
    """The base of every error that is grucore's own.

    Where the engine refused a file, `status` is the name of its reason ("kBadChecksum") and
    `offset` the byte at which it stood; otherwise both are None.
    """

    status = None
    offset = None


class FormatError(GrucoreError, ValueError):
    """A .gru file is damaged, or not one at all."""


class ConversionError(GrucoreError, ValueError):
    """A checkpoint or a module cannot be converted without guessing."""


class UnsupportedError(GrucoreError):
    """The file, the model or the machine asks for something that is not there."""


class StreamBusyError(GrucoreError, RuntimeError):
    """Two threads entered one stream at the same time."""


class NonFiniteError(GrucoreError, ArithmeticError):
    """An input row was NaN or infinite, and nonfinite="error" was asked for.

    `rows` and `frames` say where, pairwise; the rows concerned skipped these frames.
    """

    rows = ()
    frames = ()


for _error in (GrucoreError, *GrucoreError.__subclasses__()):
    _error.__module__ = "grucore"
del _error
