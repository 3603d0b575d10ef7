# SPDX-License-Identifier: Apache-2.0
"""The stream: a model's state, stepped frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from grucore import _core
from grucore._core import NonFiniteError, UnsupportedError
from grucore.runtime.arrays import (
    Array,
    apart,
    as_input,
    check_out,
    check_shape,
    find_nonfinite,
    gather,
    outputs_of,
    plain,
    row_numbers,
    single,
)
from grucore.runtime.loaded import Loaded
from grucore.runtime.memory import check_memory
from grucore.runtime.sequences import Sequences, choose_block, plain_sequence, raise_nonfinite
from grucore.runtime.states import from_dict, memory_states, new_states, to_dict

if TYPE_CHECKING:
    from grucore.runtime.types import Input, One, Result, Rows, State

NONFINITE_INPUT = 1  # grucore::kFlagNonfiniteInput


class Stream(_core.Stream):
    """A model's state and the memory to step it: made by `Model.stream`, for one thread at a time.

    Attributes
    ----------
    model : Model
    batch : int or None
        Rows that run side by side; None: arrays have no batch axis.
    nonfinite : {"propagate", "hold", "error"}
    """

    __slots__ = ("__weakref__",)

    def run(self, block: Input) -> Result:
        """Run a block of frames, continuing the state.

        Parameters
        ----------
        block : array_like, (frames, features), or (n, frames, features) on a stream of batch n
            Any real dtype. Several inputs: a tuple or a dict.

        Returns
        -------
        ndarray or tuple of ndarray
            float32, (frames, features) or (n, frames, features); (features,) or (n, features) for
            an output per sequence; fewer frames of one that does not come with every frame. The
            same bits as `step` frame by frame.

        Raises
        ------
        ValueError
            A wrong shape.
        TypeError
            A dtype that is not a real number.
        NonFiniteError
            A frame is NaN or infinite, on a stream with nonfinite="error". The frames after it have
            run nevertheless.
        StreamBusyError
            Another thread is inside this stream.
        """
        if self.nonfinite != "error":
            pair = plain_sequence(self.model, block, None, self.batch)
            if pair is not None:
                x, y = pair if self.batch is not None else (pair[0][None], pair[1][None])
                self._run_arrays(x.shape[1], (x,), (y,), None)
                return pair[1]
        work = Sequences(self.model, block, batched=self.batch is not None)
        if self.batch is not None and work.rows != self.batch:
            raise ValueError(f"the block has {work.rows} rows, the stream has batch={self.batch}")
        work.make_outputs(None, self._output_counts(work.frames))
        flags = self._run_arrays(work.frames, tuple(work.inputs), tuple(work.targets), None)
        if self.nonfinite == "error" and flags & NONFINITE_INPUT:
            raise_nonfinite(work.inputs, None)
        return work.result()

    def reset(self, rows: Rows = None) -> None:
        """Go back to the initial state: every row, or `rows` (bool (n,), or indices).

        Raises IndexError for a row out of range and ValueError for `rows` without a batch.
        """
        self._reset_rows(None if rows is None else self._row_numbers(rows, "rows"))

    @property
    def state(self) -> State:
        """A snapshot of the state: "<layer>.h" -> float32 (size,), or (n, size) with a batch.

        The history of a convolution is "<layer>.history": (frames, channels), with a batch
        (n, frames, channels). At which frames a strided output comes is no part of it.

        Assign such a dict to restore it; ValueError for unknown or missing names or wrong shapes.
        """
        states = new_states(self.model, self.batch or 1)
        self._move_state(states, False)
        return to_dict(self.model, states, batched=self.batch is not None)

    @state.setter
    def state(self, values: Mapping[str, One]) -> None:
        self._move_state(from_dict(self.model, values, self.batch), True)

    def set_memory(self, memory: One | Mapping[str, One], lengths: Rows = None) -> None:
        """Set what the layers attend to, such as the outputs of an encoder, until the next `reset`.

        Parameters
        ----------
        memory : array_like, (n, features), or (batch, n, features) on a stream of a batch
            Up to as many frames as the layer holds. Of several memories a dict by the names of the
            layers; one array is for all of them.
        lengths : array_like of int, (batch,), optional
            Frames of each row's memory that count; None for all.

        Raises
        ------
        ValueError
            No layer of the model attends to a memory, or a shape or a length that does not fit.
        """
        self._move_state(memory_states(self.model, memory, lengths, self.batch), True)

    def copy(self) -> Self:
        """Another stream of the same model in the same state; the two then go their own ways."""
        twin = type(self)(self.model, self.batch, self.nonfinite, self._block)
        self._copy_to(twin)
        return twin

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __repr__(self) -> str:
        return f"<grucore.Stream of {self.model!r}, batch={self.batch}>"

    def _row_numbers(self, rows: Any, what: str) -> Any:
        if self.batch is None:
            raise ValueError(f"{what}= needs a stream with batch=n")
        return row_numbers(rows, self.batch, what)

    def _inputs(self, x: Any) -> list[Array]:
        """The arguments of `step` as plain arrays."""
        model, lead = self.model, () if self.batch is None else (self.batch,)
        inputs = []
        for value, port, ids in zip(
            gather(x, model.inputs), model.inputs, model._id_counts, strict=True
        ):
            array = as_input(value, port, ids, len(lead) + 1)
            check_shape(array.shape, (*lead, port.features), f"input {port.name!r}")
            inputs.append(plain(array))
        return inputs

    def _step_any(self, x: Any, out: Any, active: Any) -> Any:
        """`step` for arguments that `_core` does not take as they are."""
        model, batch = self.model, self.batch
        lead = () if batch is None else (batch,)
        inputs = self._inputs(x)
        rows = None if active is None else self._row_numbers(active, "active")
        shapes = [(*lead, port.features) for port in model.outputs]
        if out is None:
            results: tuple[Any, ...] = tuple(
                [
                    np.zeros(shape, port.dtype)
                    for shape, port in zip(shapes, model.outputs, strict=True)
                ]
            )
            views: list[Array] = list(results)
        else:
            results = outputs_of(out, model.outputs)
            views = [
                check_out(array, shape, port)
                for array, shape, port in zip(results, shapes, model.outputs, strict=True)
            ]
            if self.nonfinite == "error":  # the input must still be there to say what was wrong
                inputs = apart(inputs, views)
        targets = [plain(view) for view in views]
        written, flags = self._step_arrays(single(inputs), single(targets), rows)
        for view, target in zip(views, targets, strict=True):
            if target is not view:  # was not contiguous
                view[...] = target
        if self.nonfinite == "error" and flags & NONFINITE_INPUT:
            self._raise_nonfinite(inputs, rows)
        answers = [result if written >> index & 1 else None for index, result in enumerate(results)]
        return single(answers)

    def _nonfinite(self, x: Any, active: Any) -> NoReturn:
        """Raise `NonFiniteError` for a frame that was held, from the arguments of `step`."""
        rows = None if active is None else self._row_numbers(active, "active")
        self._raise_nonfinite(self._inputs(x), rows)

    def _raise_nonfinite(self, inputs: Sequence[Array], rows: Any) -> NoReturn:
        frames = [array.reshape(-1, 1, array.shape[-1]) for array in inputs]
        found, _ = find_nonfinite(frames, None)
        if rows is not None:
            found = tuple(row for row in found if row in rows)
        where = "" if self.batch is None else f" in row {', '.join(map(str, found))}"
        error = NonFiniteError(f"the input is not finite{where}: the frame was skipped")
        error.rows = found
        error.frames = (0,) * len(found)
        raise error


def check_streamable(model: Loaded) -> None:
    """UnsupportedError, which names the layer, for a model that reads the future."""
    layer = model._unstreamable()
    if layer is not None:
        raise UnsupportedError(
            f"layer {layer!r} reads the future, so the model cannot run frame by frame: use run"
        )


def make_stream(model: Loaded, batch: int | None, nonfinite: str) -> Stream:
    """Make the stream that `Model.stream` returns."""
    check_streamable(model)
    block = choose_block(model, batch or 1, 64)
    check_memory(model, batch or 1, block)
    return Stream(model, batch, nonfinite, block)
