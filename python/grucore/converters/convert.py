# SPDX-License-Identifier: Apache-2.0
"""From a source to a `.gru` file: the frontend that reads it, the proof, the bytes.

A frontend is imported when a source is known to be its own, and no other is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import boundary
from grucore.converters.conversion import Conversion
from grucore.converters.ignored import Ignored
from grucore.converters.source import Given, Kind, read_file, sniff
from grucore.proof.proof import Finished, finish, prove
from grucore.proof.recorded import Recorded
from grucore.version import __version__

__all__ = [
    "convert_keras",
    "convert_onnx",
    "convert_path",
    "convert_torch",
    "describe_path",
    "finished",
]

MOST_LISTED = 8  # tensors in a note
TYPED = (
    "it covers the weights, not the order of the layers, which was typed by hand: "
    "check=(x, y) (--check x.npy y.npy) compares with outputs that you recorded"
)


def convert_path(
    path: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    config: Any = None,
    pytorch_lbr_fix: bool = False,
    verify: bool = True,
    check: Recorded | None = None,
    ignore: str | Iterable[str] = (),
) -> Finished:
    """The `.gru` file of a checkpoint, its graph, and the proof (None without ``verify``).

    Raises `ConversionError` that names the file and what in it cannot be converted, or OSError.
    """
    ignored = Ignored(ignore)
    try:
        with boundary():
            given = sniff(read_file(path), path)
            conversion = _read(given, architecture, config, pytorch_lbr_fix, ignored)
            ignored.check()
        return finished(conversion, verify=verify, check=check)
    except ConversionError as error:
        name = Path(path).name or os.fspath(path)
        raise ConversionError(f"{name}: {error}") from error.__cause__


def _read(
    given: Given,
    architecture: str | None,
    config: Any,
    pytorch_lbr_fix: bool,
    ignored: Ignored,
) -> Conversion:
    if given.kind in (Kind.KERAS, Kind.HDF5):
        from grucore.converters.keras import convert as keras

        return keras.of_file(given, config, ignored)
    if given.kind is Kind.ONNX:
        from grucore.converters.onnx import convert as onnx

        return onnx.of_file(given, pytorch_lbr_fix=pytorch_lbr_fix)
    if given.kind is Kind.JSON:
        from grucore.converters.plugin import convert as plugin

        return plugin.of_file(given)
    from grucore.converters.torch import convert as torch

    return torch.of_file(given, architecture, ignored)


def describe_path(path: str | os.PathLike[str]) -> str:
    """The kind of the file, in a few words; raises `ConversionError` or OSError."""
    with boundary():
        given = sniff(read_file(path), path)
        if given.kind is not Kind.JSON:
            return str(given.kind.value)
        from grucore.converters.plugin import convert as plugin

        return plugin.describe(given)


def convert_torch(
    obj: Any,
    *,
    example_inputs: Any,
    architecture: str | None,
    ignore: str | Iterable[str] = (),
) -> Finished:
    """The same of a state dict or a module of torch; TypeError for objects of no such kind."""
    from grucore.converters.torch import convert as torch

    ignored = Ignored(ignore)
    with boundary():
        conversion = torch.of_object(obj, example_inputs, architecture, ignored)
        ignored.check()
    return finished(conversion)


def convert_keras(model: Any) -> Finished:
    """The same of a keras.Model; TypeError for anything else."""
    from grucore.converters.keras import convert as keras

    with boundary():
        conversion = keras.of_model(model)
    return finished(conversion)


def convert_onnx(model: Any, *, pytorch_lbr_fix: bool, verify: bool) -> Finished:
    """The same of an ``onnx.ModelProto``; TypeError for anything else."""
    from grucore.converters.onnx import convert as onnx

    with boundary():
        conversion = onnx.of_proto(model, pytorch_lbr_fix=pytorch_lbr_fix)
    return finished(conversion, verify=verify)


def finished(
    conversion: Conversion, *, verify: bool = True, check: Recorded | None = None
) -> Finished:
    """The file of a conversion: stamped, and proved unless nobody wants to."""
    entries = {"producer": f"grucore {__version__}", **conversion.graph.metadata}
    graph = replace(conversion.graph, metadata=entries)
    if not verify:
        return finish(graph, check)
    notes = [TYPED] if conversion.is_typed and check is None else []
    if conversion.left:
        listed = ", ".join(conversion.left[:MOST_LISTED])
        more = f" and {len(conversion.left) - MOST_LISTED} more"
        notes.append(
            f"left out on purpose: {listed}{more if len(conversion.left) > MOST_LISTED else ''}"
        )
    with boundary():
        evidence = conversion.evidence()
    return prove(graph, evidence, check, "; ".join(notes))
