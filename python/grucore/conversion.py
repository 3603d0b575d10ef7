# SPDX-License-Identifier: Apache-2.0
"""From checkpoints and live modules to models."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from grucore.converters.convert import (
    convert_keras,
    convert_onnx,
    convert_path,
    convert_torch,
    describe_path,
)
from grucore.model import Model, load

__all__ = ["convert", "convert_path", "describe_path", "from_keras", "from_onnx", "from_torch"]


def convert(
    path: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    config: Any = None,
    pytorch_lbr_fix: bool = False,
    verify: bool = True,
    check: tuple[Any, Any] | None = None,
    ignore: str | Iterable[str] = (),
) -> Model:
    """Convert a checkpoint; its kind is told by content and extension.

    Nothing of the file is executed, and its framework need not be installed.

    Parameters
    ----------
    path : str or os.PathLike
    architecture : str, optional
        How the layers of a state dict follow each other, such as "gru > last > linear". Needed
        where the file leaves more than one reading.
    config : str, os.PathLike or dict, optional
        The text of a Keras `model.to_json()`, or the path of such a file: needed by `.weights.h5`,
        which has weights alone.
    pytorch_lbr_fix : bool
        Read linear_before_reset=1 in ONNX files of PyTorch that say 0, as some of its exporters
        wrote by mistake.
    verify : bool
        Compare the result with the framework's own layers, or with the reference in float64 where
        the framework is not installed: `Model.proof` says how, and how far they differ.
    check : tuple (x, y), optional
        Inputs as `Model.run` takes them, and the outputs that the trained model gave for them: the
        result must agree within 1e-5 of the output's scale. Where `architecture` says how layers
        follow each other, nothing else proves that they do.
    ignore : str or iterable of str, optional
        Tensors of the file that play no part in the model, as patterns ("aux.*"); the name of a
        layer or of a state dict means all that is in it. A state dict or weights of Keras with
        tensors that nothing reads and nobody ignores are refused.

    Raises
    ------
    ConversionError
        The file holds something that cannot be expressed, or has more than one reading; or
        `ignore` has a pattern that matches nothing.
    TypeError
        `path` is an object in memory, or `architecture` no text.
    """
    _check_types(path, architecture)
    found = convert_path(
        path,
        architecture=architecture,
        config=config,
        pytorch_lbr_fix=pytorch_lbr_fix,
        verify=verify,
        check=check,
        ignore=ignore,
    )
    return load(found.data)


def _check_types(path: Any, architecture: Any) -> None:
    """Objects in memory have functions of their own: say which."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path is a {type(path).__name__}, expected that of a file: modules, programs and "
            "state dicts in memory are for from_torch, from_keras and from_onnx"
        )
    if not isinstance(architecture, str | None):
        message = f"architecture={architecture!r}: expected a line such as 'gru > last > linear'"
        raise TypeError(message)


def from_torch(
    module_or_state_dict: Any,
    *,
    example_inputs: Any = None,
    architecture: str | None = None,
    ignore: str | Iterable[str] = (),
) -> Model:
    """Convert a live torch module, or a state dict with its `architecture`.

    `example_inputs` are the arguments of one call of the module: a tensor, or a tuple of them. A
    bare nn.GRU or nn.GRUCell does without; any other module is exported with them, at two lengths,
    so that its graph says which axes are batch and time. `ignore`: tensors of a state dict that
    play no part in the model, as `convert` has them.

    Raises ConversionError for anything that cannot be expressed or has more than one reading.
    """
    found = convert_torch(
        module_or_state_dict,
        example_inputs=example_inputs,
        architecture=architecture,
        ignore=ignore,
    )
    return load(found.data)


def from_keras(model: Any) -> Model:
    """Convert a live keras.Model: Sequential or Functional, built, of any back end.

    Raises ConversionError, which names the layer and the attribute, for anything that cannot be
    expressed; TypeError for objects of another kind.
    """
    return load(convert_keras(model).data)


def from_onnx(path_or_proto: Any, *, pytorch_lbr_fix: bool = False, verify: bool = True) -> Model:
    """Convert an ONNX file, or an ``onnx.ModelProto`` that has its numbers in it.

    Inputs that are an initial state or the lengths become `state=` and `lengths=` of `run`: the
    metadata's source says which. `pytorch_lbr_fix`, `verify`: as `convert` has them.
    """
    if isinstance(path_or_proto, str | os.PathLike):
        found = convert_path(path_or_proto, pytorch_lbr_fix=pytorch_lbr_fix, verify=verify)
    else:
        found = convert_onnx(path_or_proto, pytorch_lbr_fix=pytorch_lbr_fix, verify=verify)
    return load(found.data)
