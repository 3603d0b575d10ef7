# SPDX-License-Identifier: Apache-2.0
"""Live PyTorch objects: modules and state dicts. Torch itself is not imported here."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.boundary import WrongExample, WrongKind
from grucore.converters.conversion import Conversion
from grucore.converters.source import sniff
from grucore.converters.torch.chain.choose import choose
from grucore.converters.torch.chain.layers import read_layers
from grucore.converters.torch.read.checkpoint import load_checkpoint
from grucore.converters.torch.read.live_tensors import _qualified, at_inference, to_array
from grucore.converters.torch.sources.exported import of_exported
from grucore.converters.torch.sources.module_file import of_tree
from grucore.converters.torch.sources.state_dict import (
    Wanted,
    is_wide,
    of_state,
    reading_of,
    source_of,
)
from grucore.converters.torch.witness.witness import program_evidence
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence, Witness

__all__ = ["of_live"]

LAYERS = tuple(f"torch.nn.modules.rnn.{kind}" for kind in ("GRU", "LSTM", "RNN"))
CELLS = tuple(f"{kind}Cell" for kind in LAYERS)
MODES = {"GRU": "GRU", "LSTM": "LSTM", "RNN_TANH": "RNN", "RNN_RELU": "RNN"}
EXPORTED = "torch.export.exported_program.ExportedProgram"
FLOATS = ("torch.float32", "torch.float64")
# Hooks that only put an effective weight in place; any other may change what a module computes.
KNOWN_HOOKS = ("torch.nn.utils.weight_norm.", "torch.nn.utils.prune.")


def of_live(obj: Any, *, example_inputs: Any = None, wanted: Wanted | None = None) -> Conversion:
    """The conversion of a module or a state dict.

    ``example_inputs``: sequences to prove it on as well, in the layout of the module itself, or
    (T, features) or (B, T, features) for a state dict. A module other than a bare
    nn.GRU, LSTM, RNN or cell of theirs is exported with them: the argument of its forward, or a
    tuple of all of them.

    Raises `ConversionError` for whatever cannot be expressed, by name; TypeError for objects of no
    such kind.
    """
    wanted = wanted or Wanted()
    architecture = wanted.architecture
    if isinstance(obj, Mapping):
        state = {str(name): to_array(str(name), content) for name, content in obj.items()}
        source = {"framework": "torch", "container": "state dict"}
        examples = _sequences(example_inputs, batch_first=True)
        return of_state(state, wanted, source, examples=examples)
    if _qualified(type(obj)) == EXPORTED:
        if architecture is not None:
            raise ConversionError(
                "architecture= is for state dicts, a program has only one reading"
            )
        return of_exported(obj)
    if isinstance(obj, _script_module()) and example_inputs is None:
        return _of_script(obj, wanted)
    kind = _kind(obj, with_examples=example_inputs is not None)
    if kind is None:
        if architecture is not None:
            message = "architecture= is for state dicts, a module with example_inputs"
            raise ConversionError(f"{message} has only one reading")
        # Imported here: exporting is for whole modules only.
        from grucore.converters.torch.sources.live_module import of_module

        return of_module(obj, example_inputs)
    if architecture is not None:
        raise ConversionError(f"architecture= is for state dicts, {kind} has only one reading")
    is_cell = kind in CELLS
    if not is_cell:
        _check_layer(obj, kind)
    known = {"nonlinearity": getattr(obj, "nonlinearity", "tanh")}
    layers = read_layers(_effective_state(obj), options={"": known})
    chosen = choose(layers, None)
    stages = chosen.stages
    reading = reading_of(stages)
    source = source_of(chosen, layers, Wanted(), _source(obj, kind))
    batch_first = bool(getattr(obj, "batch_first", False))
    if is_cell:
        # A cell's example is one frame for each row.
        examples = tuple((frame[None],) for frame in _frames(example_inputs))
    else:
        examples = _sequences(example_inputs, batch_first=batch_first)

    def evidence() -> Evidence:
        found = program_evidence(reading, wide=is_wide(stages), examples=examples)
        weight = next(iter(obj.parameters()))
        against = f"{kind.rpartition('.')[2]} of torch {sys.modules['torch'].__version__}"
        if str(weight.device) == "cpu" and str(weight.dtype) in FLOATS:
            live = _cell_witness(obj) if is_cell else _layer_witness(obj, batch_first)
            return replace(found, witness=live, against=against)
        # Half precision rounds each step, and other devices may use fewer bits than they say.
        against += f" rebuilt in float32 on the CPU from {weight.dtype} on {weight.device}"
        return replace(found, against=against)

    return Conversion(reading.graph.with_metadata(source=source), evidence)


def _script_module() -> Any:
    """The class of modules that torch.jit made, or nothing's class where torch is not loaded."""
    torch = sys.modules.get("torch")
    return () if torch is None else torch.jit.ScriptModule


def _of_script(module: Any, wanted: Wanted) -> Conversion:
    """A scripted or traced module, by way of the archive that torch.jit.save makes of it."""
    archive = io.BytesIO()
    sys.modules["torch"].jit.save(module, archive)
    tree = load_checkpoint(sniff(archive.getvalue(), "ScriptModule"))
    source = {"framework": "torch", "container": "ScriptModule"}
    source["version"] = sys.modules["torch"].__version__
    try:
        return of_tree(tree, wanted, source)
    except ConversionError as error:
        if wanted.architecture is not None:
            raise
        raise ConversionError(
            f"{error}\nOr give example_inputs, the arguments of its forward: its code is then read"
        ) from None


def _kind(obj: Any, *, with_examples: bool) -> str | None:
    """The qualified class of a bare layer, a parametrized one counting as its base; None of a
    module that is to be exported, for which there must be examples."""
    cls = type(obj)
    base = cls.__mro__[1] if len(cls.__mro__) > 1 else cls
    if hasattr(obj, "parametrizations") and cls.__name__ == f"Parametrized{base.__name__}":
        cls = base
    name = _qualified(cls)
    if name in (*LAYERS, *CELLS):
        if "forward" in vars(obj):
            raise ConversionError("the module's forward has been replaced")
        _check_hooks(obj)
        return name
    bases = [_qualified(base) for base in cls.__mro__]
    if "quantized" in name:
        raise ConversionError(f"{name} is quantized, expected the float module")
    for base_name in bases:
        if base_name in (*LAYERS, *CELLS) and not with_examples:
            what = f"a subclass of nn.{base_name.rpartition('.')[2]}"
            raise ConversionError(f"{name} is {what}, which may compute something else")
    if "torch.nn.modules.module.Module" in bases:
        if with_examples:
            return None
        inner = [
            f"{path}: {type(child).__name__}"
            for path, child in obj.named_modules()
            if path and not list(child.children())
        ]
        raise ConversionError(
            f"{name} is not nn.GRU, nn.LSTM, nn.RNN or a cell of theirs: pass example_inputs, "
            "the arguments of its forward, or its state_dict() and an architecture. "
            f"It holds {', '.join(inner[:12]) or 'no modules'}"
        )
    raise WrongKind(f"a {name} is not a torch module or a state dict")


def _check_hooks(obj: Any) -> None:
    everywhere = sys.modules["torch.nn.modules.module"]
    for kind in ("_global_forward_pre_hooks", "_global_forward_hooks"):
        if getattr(everywhere, kind, None):
            raise ConversionError(f"torch has hooks of all modules in {kind}: remove them first")
    for kind in ("_forward_pre_hooks", "_forward_hooks"):
        for hook in getattr(obj, kind, {}).values():
            name = f"{_qualified(type(hook))}."
            if not name.startswith(KNOWN_HOOKS):
                raise ConversionError(f"the module has a hook in {kind}: {name.rstrip('.')}")


def _check_layer(obj: Any, kind: str) -> None:
    if getattr(obj, "proj_size", 0):
        raise ConversionError(
            f"proj_size is {obj.proj_size}, expected 0 in a layer alone: convert a module that "
            "calls it, with example_inputs"
        )
    expected = [mode for mode, name in MODES.items() if name == kind.rpartition(".")[2]]
    if obj.mode not in expected:
        raise ConversionError(f"mode is {obj.mode!r}, expected {' or '.join(map(repr, expected))}")


def _effective_state(obj: Any) -> dict[str, Array]:
    """The tensors as the module uses them now."""
    state = {name: to_array(name, tensor) for name, tensor in obj.state_dict().items()}
    parametrized = getattr(obj, "parametrizations", None)
    if parametrized is None:
        return state
    plain = {name: array for name, array in state.items() if "parametrizations." not in name}
    return plain | {name: to_array(name, getattr(obj, name)) for name in parametrized}


def _source(obj: Any, kind: str) -> dict[str, Any]:
    source: dict[str, Any] = {
        "framework": "torch",
        "version": sys.modules["torch"].__version__,
        "container": kind.rpartition(".")[2],
        "dtype": str(next(iter(obj.parameters())).dtype).removeprefix("torch."),
    }
    if kind in CELLS:
        source["axes"] = "(batch, features)"
    else:
        source["axes"] = "(batch, time, features)" if obj.batch_first else "(time, batch, features)"
        if obj.dropout:
            source["dropout"] = f"{obj.dropout} between layers in training, none at inference"
    return source


def _frames(example: Any) -> Sequence[Array]:
    if example is None:
        return ()
    array = np.asarray(to_array("example_inputs", example), np.float32)
    if array.ndim not in (1, 2):
        raise WrongExample(f"example_inputs has shape {array.shape}, expected (B, features)")
    return tuple(np.atleast_2d(array))


def _sequences(example: Any, *, batch_first: bool) -> tuple[tuple[Array], ...]:
    if example is None:
        return ()
    if isinstance(example, tuple | list) and len(example) == 1:
        example = example[0]
    if isinstance(example, tuple | list):
        raise WrongExample(
            f"example_inputs has {len(example)} arrays, expected one: no initial state"
        )
    array = np.asarray(to_array("example_inputs", example), np.float32)
    if array.ndim == 2:
        return ((array,),)
    if array.ndim != 3:
        raise WrongExample(f"example_inputs has shape {array.shape}, expected two or three axes")
    rows = array if batch_first else array.swapaxes(0, 1)
    return tuple((np.ascontiguousarray(row),) for row in rows)


def _layer_witness(obj: Any, batch_first: bool) -> Witness:
    def run(x: Array) -> tuple[Array, ...]:
        with at_inference(obj) as torch:
            batch = torch.from_numpy(x).to(next(iter(obj.parameters())).dtype)
            y, _ = obj(batch[None] if batch_first else batch[:, None])
            return ((y[0] if batch_first else y[:, 0]).numpy(),)

    return run


def _cell_witness(obj: Any) -> Witness:
    def run(x: Array) -> tuple[Array, ...]:
        with at_inference(obj) as torch:
            frames = torch.from_numpy(x).to(next(iter(obj.parameters())).dtype)
            state, rows = None, []
            for frame in frames:
                state = obj(frame[None], state)
                h = state[0] if isinstance(state, tuple) else state
                rows.append(h[0])
            return (torch.stack(rows).numpy(),)

    return run
