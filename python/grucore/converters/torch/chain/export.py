# SPDX-License-Identifier: Apache-2.0
"""A live module through torch.export: the graph of one call, with its weights."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph, AtenNode, InputSpec, Ref
from grucore.converters.torch.walk.constants import evaluated
from grucore.converters.torch.walk.scans import SCAN, inlined
from grucore.graph.tensors import Array

__all__ = ["WRAPPED", "export", "neutral"]

WRAPPED = "wrapped_by_grucore"  # the attribute in which an adapter has the user's module


def export(module: Any, arguments: Sequence[Any]) -> AtenGraph:
    """The graph of ``module(*arguments)``; raises `ConversionError` if torch cannot export it."""
    torch = sys.modules["torch"]
    exporter = importlib.import_module("torch.export")
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            is_script = isinstance(module, torch.jit.ScriptModule)
            plain = _of_script(module, arguments) if is_script else module
            program = exporter.export(plain, tuple(arguments))
            if is_script:  # whose checks of ranks and sizes nobody reads any more
                program.graph.eliminate_dead_code()
    except ConversionError:
        raise
    except Exception as error:  # whatever the module's own code raises
        raise ConversionError(_why(error, arguments)) from error
    return evaluated(torch, neutral(torch, program))


def _of_script(module: Any, arguments: Sequence[Any]) -> Any:
    """A module that torch.export takes, with the code of a scripted or traced one."""
    try:
        converter = importlib.import_module("torch._export.converter").TS2EPConverter
    except (ImportError, AttributeError):
        raise ConversionError(
            "this torch has no way from a ScriptModule to torch.export: convert the module that it "
            "was made from, or torch.jit.save it and name an architecture"
        ) from None
    # To be traced once more, with which sizes become numbers.
    return converter(module, tuple(arguments), {}).convert().module()


def _why(error: Exception, arguments: Sequence[Any]) -> str:
    shapes = ", ".join(str(tuple(argument.shape)) for argument in arguments)
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    message = f"torch.export fails for inputs of shape {shapes}: {type(error).__name__}: {text}"
    if "FakeTensor" in text or "pack" in text:
        message += (
            " (a packed sequence? Convert the module without pack_padded_sequence, "
            "and give the lengths to Model.run)"
        )
    return message


def neutral(torch: Any, program: Any) -> AtenGraph:
    """An ExportedProgram in our own form."""
    signature = program.graph_signature
    parameters = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    tensors = dict(parameters)
    tensors.update(getattr(signature, "inputs_to_lifted_tensor_constants", {}))
    constants: dict[str, Array] = {}
    inputs: list[InputSpec] = []
    nodes: list[AtenNode] = []
    outputs: list[Any] = []
    graphs: dict[str, Any] = {}
    written = set(signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in tensors:
            constants[node.name] = _array(program, tensors[node.name])
        elif node.op == "placeholder":
            value = node.meta.get("val")
            if node.name not in written or not hasattr(value, "shape"):
                if value is None:
                    continue  # an argument that was not given
                raise ConversionError(f"argument {node.name!r} is no tensor but {value!r}")
            shape = tuple(int(extent) for extent in value.shape)
            inputs.append(InputSpec(node.name, shape, _dtype(value.dtype)))
        elif node.op == "get_attr" and hasattr(
            getattr(program.graph_module, node.name, 0), "graph"
        ):
            graphs[node.name] = getattr(program.graph_module, node.name)
        elif node.op == "call_function" and str(node.target) == SCAN:
            nodes += inlined(
                node,
                graphs,
                lambda each: _call(torch, each),
                lambda found: _argument(torch, found),
            )
        elif node.op == "call_function":
            if isinstance(node.target, torch._ops.HigherOrderOperator):
                raise ConversionError(
                    f"the graph has {str(node.target)!r}, whose own graphs run or end as the model "
                    "decides: not supported. Write a loop over all frames with scan or a for, or "
                    "convert one step, forward(x, h) -> (y, h), which then streams"
                )
            nodes.append(_call(torch, node))
        elif node.op == "output":
            # None stands where a module could have given something else.
            outputs = [_argument(torch, each) for each in node.args[0] if each is not None]
        else:
            raise ConversionError(f"the graph has a {node.op} {node.name!r}")
    mutated = getattr(signature, "buffers_to_mutate", {})
    if mutated:
        names = ", ".join(sorted(mutated.values()))
        raise ConversionError(f"the module changes its buffers in forward: {names}")
    return AtenGraph(tuple(inputs), tuple(outputs), tuple(nodes), constants, parameters)


def _array(program: Any, name: str) -> Array:
    from grucore.converters.torch.read.live_tensors import to_array

    holder = program.state_dict if name in program.state_dict else program.constants
    return np.asarray(to_array(name, holder[name]))


def _dtype(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _call(torch: Any, node: Any) -> AtenNode:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    while path.startswith(WRAPPED):
        path = path.removeprefix(WRAPPED).lstrip(".")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    shapes = tuple(
        tuple(int(extent) for extent in each.shape) if hasattr(each, "shape") else None
        for each in values
    )
    schema = getattr(node.target, "_schema", None)
    is_tuple = isinstance(value, list | tuple)
    if schema is None:
        name = getattr(node.target, "__name__", str(node.target))
        given = {str(place): _argument(torch, each) for place, each in enumerate(node.args)}
        return AtenNode(f"python.{name}", given, (node.name,), shapes, path, kind, is_tuple)
    names = [argument.name for argument in schema.arguments]
    arguments = dict(zip(names, node.args, strict=False)) | node.kwargs
    resolved = {name: _argument(torch, each) for name, each in arguments.items()}
    return AtenNode(str(node.target), resolved, (node.name,), shapes, path, kind, is_tuple)


def _argument(torch: Any, found: Any) -> Any:
    if isinstance(found, torch.fx.Node):
        return Ref(found.name)
    if isinstance(found, list | tuple):
        return [_argument(torch, each) for each in found]
    if isinstance(found, torch.dtype):
        return _dtype(found)
    return found
