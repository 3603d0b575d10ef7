# SPDX-License-Identifier: Apache-2.0
"""Torch's packed sequences, seen by their calls: recorded, or replaced by whole sequences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["comparisons", "recording", "unmasked", "whole"]

LAYERS = ("gru", "lstm", "rnn_tanh", "rnn_relu")


@contextmanager
def recording(torch: Any) -> Iterator[list[tuple[int, int, Any]]]:
    """Within it, each packing appends (rows, frames, lengths) to the list."""
    packs: list[tuple[int, int, Any]] = []

    class Recording(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, _: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if _name(function) == "_pack_padded_sequence":
                x, lengths, batch_first = args
                rows, frames = x.shape[:2] if batch_first else x.shape[1::-1]
                packs.append((int(rows), int(frames), lengths.clone()))
            return function(*args, **(kwargs or {}))

    with Recording():
        yield packs


# A comparison of the place of a frame with the length: what it is for all frames of the row.
INSIDE = {"lt": True, "le": True, "gt": False, "ge": False}
SAME = (
    "unsqueeze",
    "view",
    "reshape",
    "to",
    "long",
    "int",
    "float",
    "getitem",
    "expand",
    "type_as",
)


@contextmanager
def comparisons(torch: Any) -> Iterator[list[list[Any]]]:
    """Within it, each comparison appends the numbers of each side, sorted, to the list."""
    sides: list[list[Any]] = []

    class Comparing(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, _: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if _name(function).strip("_") in INSIDE:
                sides.extend(
                    sorted(each.reshape(-1).tolist())
                    for each in args
                    if isinstance(each, torch.Tensor)
                )
            return function(*args, **(kwargs or {}))

    with Comparing():
        yield sides


def unmasked(torch: Any, lengths: Any, ones: Any) -> Any:
    """A mode in which comparisons with the lengths are true of every frame that there is, and what
    is divided by them is divided by the number of frames; ``ones``: (rows, frames)."""
    known = [lengths]

    class Unmasked(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, _: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name, result = _name(function).strip("_"), function(*args, **(kwargs or {}))
            sides = [_place(known, each) is not None for each in args[:2]]
            if name in SAME and sides[:1] == [True]:
                known.append(result)
            if name in INSIDE and True in sides:
                inside = INSIDE[name] is (sides == [False, True])
                mask = ones > 0.5 if inside else ones < 0.5
                turned = [size for size in result.shape if size != 1] == [*ones.shape[::-1]]
                return (mask.transpose(0, 1) if turned else mask).reshape(result.shape)
            if name in ("div", "truediv", "true_divide") and sides == [False, True]:
                return function(args[0], ones.sum(1).reshape(args[1].shape))
            return result

    return Unmasked()


def whole(torch: Any) -> Any:
    """A mode in which packed sequences are plain ones (rows, frames, features), all of full length.

    The packed data then has a row for each frame of each sequence, in the order of the sequences;
    permutations by length are the identity, and vanish.
    """

    class Whole(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[Any] = []  # those of batches, of each packed sequence
            self.shapes: list[tuple[int, int]] = []
            self.orders: list[Any] = []  # permutations

        def __torch_function__(
            self, function: Any, _: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            handler = getattr(self, f"_on{_name(function)}", None)
            found = None if handler is None else handler(args, kwargs or {})
            if found is not None:
                return found
            return function(*args, **(kwargs or {}))

        def _on_pack_padded_sequence(self, args: Any, _: Any) -> Any:
            x, _, batch_first = args
            x = x if batch_first else x.transpose(0, 1)
            rows, frames = x.shape[:2]
            self.sizes.append(torch.full((frames,), rows, dtype=torch.int64))
            self.shapes.append((rows, frames))
            return x.reshape(rows * frames, *x.shape[2:]), self.sizes[-1]

        def _on_pad_packed_sequence(self, args: Any, _: Any) -> Any:
            data, sizes, batch_first, _, longest = args
            place = _place(self.sizes, sizes)
            assert place is not None  # only what was packed is unpacked
            rows, frames = self.shapes[place]
            y = data.reshape(rows, frames, *data.shape[1:])
            lengths = torch.full((rows,), frames, dtype=torch.int64)
            assert longest == frames
            return (y if batch_first else y.transpose(0, 1)), lengths

        def _recurrent(self, function: Any, args: Any) -> Any:
            place = _place(self.sizes, args[1]) if len(args) > 1 else None
            if place is None:
                return None
            data, _, hx, *settings = args
            x = data.reshape(*self.shapes[place], data.shape[-1])
            y, *states = function(x, hx, *settings, True)
            return (y.reshape(-1, y.shape[-1]), *states)

        def _is_order(self, found: Any) -> bool:
            return _place(self.orders, found) is not None

        def _onsort(self, args: Any, _: Any) -> Any:
            """For lengths that are all the same."""
            if args[0].ndim != 1 or args[0].is_floating_point():
                return None
            self.orders.append(torch.arange(args[0].shape[0]))
            return args[0], self.orders[-1]

        def _onto(self, args: Any, _: Any) -> Any:
            return args[0] if self._is_order(args[0]) else None

        _oncpu = _onto

        def _onscatter_(self, args: Any, _: Any) -> Any:
            if self._is_order(args[2]):  # the inverse of a permutation
                self.orders.append(args[0])
            return None

        def _onindex_select(self, args: Any, _: Any) -> Any:
            return args[0] if self._is_order(args[2]) else None

        def _on__getitem__(self, args: Any, _: Any) -> Any:
            place = _place(self.sizes, args[0])
            if place is not None and args[1] == 0:
                return self.shapes[place][0]
            return args[0] if self._is_order(args[1]) else None

    for name in LAYERS:
        function = getattr(torch._VF, name)
        setattr(
            Whole,
            f"_on{name}",
            lambda self, args, _, function=function: self._recurrent(function, args),
        )
    return Whole()


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", ""))


def _place(known: list[Any], found: Any) -> int | None:
    """The place of an object in a list, by identity: tensors compare element by element."""
    return next((place for place, each in enumerate(known) if each is found), None)
