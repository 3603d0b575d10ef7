# SPDX-License-Identifier: Apache-2.0
"""Modules that pack their sequences, or mask frames by their place, read as if all were whole.
They are proved with shorter sequences beside.

`pack_padded_sequence` puts frames in an order that depends on the lengths, which no export keeps.
Its meaning is simple: each row ends at its own length. That is what `lengths=` of `Model.run`
means, so that the lengths are no input of the model. A module that reads the padding all the same
(the mean of padded frames, `y[:, -1]`) gives other numbers, and its proof fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from grucore._core import ConversionError
from grucore.converters.torch.chain.export import WRAPPED
from grucore.converters.torch.read.live_tensors import at_inference
from grucore.converters.torch.sources.packing import comparisons, recording, unmasked, whole

__all__ = ["without_packing"]

PADS = (3, 4, 5)  # frames behind the end of a row


def without_packing(torch: Any, module: Any, tensors: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """A module without lengths, and its arguments; both as they are where it packs nothing.

    Raises `ConversionError` where the example does not tell which argument has the lengths.
    """
    candidates = [
        place
        for place, each in enumerate(tensors)
        if each.ndim == 1 and not each.is_floating_point() and not each.is_complex()
    ]
    if not candidates or len(tensors) == len(candidates):
        return module, tensors
    with at_inference(module), recording(torch) as packs, comparisons(torch) as compared:
        try:
            module(*(each.clone() for each in tensors))
        except Exception:  # somebody's code: the export says what is wrong with it
            return module, tensors
    masked = None if packs else _masked(tensors, candidates, compared)
    if masked is not None:
        packs.append(masked)
    if not packs:
        return module, tensors
    rows, frames, _ = packs[0]
    if any((n, t) != (rows, frames) for n, t, _ in packs):
        raise ConversionError("the module packs sequences of several shapes: convert it in parts")
    meant = [
        place
        for place in candidates
        if sorted(tensors[place].tolist()) == sorted(packs[0][2].tolist())
    ]
    if len(meant) != 1:
        raise ConversionError(
            f"{len(meant)} arguments are the lengths of the packed sequences, expected one: give "
            "an example with other lengths, or convert the module without pack_padded_sequence"
        )
    if rows == frames:
        raise ConversionError(
            f"the example has {rows} rows of {frames} frames, which cannot be told apart: give one "
            "with other sizes of batch and time"
        )
    others = [each for place, each in enumerate(tensors) if place != meant[0]]
    axes = [_axes(each, rows, frames) for each in others]
    if not any(time is not None for _, time in axes):
        raise ConversionError("no argument has the frames of the packed sequences")

    def forward(self: Any, *given: Any) -> Any:
        return _run(torch, self, given, meant[0], axes, masks=masked is not None)

    names = _names(module, len(tensors))
    kept = ["self", *(name for place, name in enumerate(names) if place != meant[0])]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in kept]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    adapter = type("WithoutPacking", (torch.nn.Module,), {"forward": forward})()
    setattr(adapter, WRAPPED, module)
    adapter.training = module.training
    adapter.lengths = f"argument {meant[0]} of forward: lengths= of run gives them"
    return adapter, others


def _masked(
    tensors: Sequence[Any], candidates: Sequence[int], compared: Sequence[list[Any]]
) -> tuple[int, int, Any] | None:
    """Rows, frames and lengths of a module that compares an argument with the places of frames."""
    for place in candidates:
        rows = len(tensors[place])
        if sorted(tensors[place].tolist()) not in compared:
            continue
        for each in tensors:
            if each.ndim == 3 and each.is_floating_point() and rows in each.shape[:2]:
                frames = each.shape[1] if each.shape[0] == rows else each.shape[0]
                return rows, int(frames), tensors[place]
    return None


def _names(module: Any, count: int) -> list[str]:
    """The names of the arguments, as the export will call them."""
    names = list(inspect.signature(module.forward).parameters)
    return names[:count] if len(names) >= count else [f"x{place}" for place in range(count)]


def _axes(tensor: Any, rows: int, frames: int) -> tuple[int | None, int | None]:
    """The axes of batch and time of an argument, by their sizes."""
    shape = list(tensor.shape)
    return (
        shape.index(rows) if rows in shape else None,
        shape.index(frames) if frames in shape and not _is_state(tensor) else None,
    )


def _is_state(tensor: Any) -> bool:
    return bool(tensor.is_floating_point()) and tensor.ndim < 2


def _run(
    torch: Any, adapter: Any, given: Sequence[Any], place: int, axes: Sequence[Any], *, masks: bool
) -> Any:
    module = getattr(adapter, WRAPPED)
    rows = next(
        g.shape[batch] for g, (batch, _) in zip(given, axes, strict=True) if batch is not None
    )
    frames = next(
        g.shape[time] for g, (_, time) in zip(given, axes, strict=True) if time is not None
    )
    is_traced = torch.compiler.is_exporting()

    def call(tensors: Sequence[Any], lengths: Sequence[int]) -> Any:
        more = list(tensors)
        more.insert(place, torch.tensor(lengths, dtype=torch.int64))
        if not is_traced:
            return module(*more)
        with unmasked(torch, more[place], _ones(tensors, axes)) if masks else whole(torch):
            return module(*more)

    result = call(given, [frames] * rows)
    if is_traced:
        return result
    # The same rows once more, behind longer ones, with frames that are no part of them.
    pad = next(pad for pad in PADS if frames + pad != 2 * rows)
    longer = [
        _lengthened(torch, each, batch, time, pad)
        for each, (batch, time) in zip(given, axes, strict=True)
    ]
    padded = call(longer, [frames + pad] * rows + [frames] * rows)
    return _cut(padded, result, rows)


def _ones(tensors: Sequence[Any], axes: Sequence[Any]) -> Any:
    """1 for each row and frame, (rows, frames), made of the frames themselves."""
    x, (batch, time) = next(
        (each, pair)
        for each, pair in zip(tensors, axes, strict=True)
        if None not in pair and each.ndim == 3
    )
    ones = x.select(-1, 0) * 0 + 1
    return ones if batch < time else ones.transpose(0, 1)


def _lengthened(torch: Any, tensor: Any, batch: int | None, time: int | None, pad: int) -> Any:
    if time is not None:
        again = tensor.index_select(time, torch.arange(pad) % tensor.shape[time])
        tensor = torch.cat([tensor, again], time)
    return tensor if batch is None else torch.cat([tensor, tensor], batch)


def _cut(padded: Any, result: Any, rows: int) -> Any:
    """The rows and frames of ``padded`` that ``result`` has."""
    if isinstance(result, tuple | list):
        return [_cut(more, less, rows) for more, less in zip(padded, result, strict=True)]
    if isinstance(result, dict):
        return {name: _cut(padded[name], less, rows) for name, less in result.items()}
    if not hasattr(result, "shape"):
        return result
    for axis, (more, less) in enumerate(zip(padded.shape, result.shape, strict=True)):
        if more != less:
            padded = padded.narrow(axis, more - less if more == 2 * rows else 0, less)
    return padded
