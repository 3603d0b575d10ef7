# SPDX-License-Identifier: Apache-2.0
"""The calls that compute: whole sequences, and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from grucore.runtime.loaded import Loaded

if TYPE_CHECKING:
    from grucore.runtime.stream import Stream
    from grucore.runtime.types import (
        InitialMemory,
        InitialState,
        Input,
        Nonfinite,
        Out,
        Result,
        Rows,
        State,
    )

__all__ = ["Runner"]

MOST_ROWS = (1 << 32) - 1  # of a batch, which the engine counts in 32 bits


class Runner(Loaded):
    """A loaded file that runs sequences and makes streams: `grucore.Model` adds the rest."""

    __slots__ = ()

    @overload
    def run(
        self,
        x: Input,
        *,
        lengths: Rows = None,
        state: InitialState = None,
        memory: InitialMemory = None,
        memory_lengths: Rows = None,
        out: None = None,
        return_state: Literal[False] = False,
        threads: int = 1,
        time_first: bool = False,
        nonfinite: Nonfinite = "propagate",
    ) -> Result: ...

    @overload
    def run(
        self,
        x: Input,
        *,
        lengths: Rows = None,
        state: InitialState = None,
        memory: InitialMemory = None,
        memory_lengths: Rows = None,
        out: None = None,
        return_state: Literal[True],
        threads: int = 1,
        time_first: bool = False,
        nonfinite: Nonfinite = "propagate",
    ) -> tuple[Result, State]: ...

    @overload
    def run(
        self,
        x: Input,
        *,
        lengths: Rows = None,
        state: InitialState = None,
        memory: InitialMemory = None,
        memory_lengths: Rows = None,
        out: Out,
        return_state: Literal[False] = False,
        threads: int = 1,
        time_first: bool = False,
        nonfinite: Nonfinite = "propagate",
    ) -> Out: ...

    @overload
    def run(
        self,
        x: Input,
        *,
        lengths: Rows = None,
        state: InitialState = None,
        memory: InitialMemory = None,
        memory_lengths: Rows = None,
        out: Out,
        return_state: Literal[True],
        threads: int = 1,
        time_first: bool = False,
        nonfinite: Nonfinite = "propagate",
    ) -> tuple[Out, State]: ...

    @overload
    def run(
        self,
        x: Input,
        *,
        lengths: Rows = None,
        state: InitialState = None,
        memory: InitialMemory = None,
        memory_lengths: Rows = None,
        out: Any = None,
        return_state: bool,
        threads: int = 1,
        time_first: bool = False,
        nonfinite: Nonfinite = "propagate",
    ) -> Any: ...

    def run(
        self,
        x: Input,
        *,
        lengths: Rows = None,
        state: InitialState = None,
        memory: InitialMemory = None,
        memory_lengths: Rows = None,
        out: Any = None,
        return_state: bool = False,
        threads: int = 1,
        time_first: bool = False,
        nonfinite: Nonfinite = "propagate",
    ) -> Any:
        """Run whole sequences, each from its initial state.

        Parameters
        ----------
        x : array_like, (frames, features) or (batch, frames, features)
            Any real dtype. Several inputs: a tuple in the order of `inputs`, or a dict by name; all
            but one may come once for each sequence, without the axis of frames. An input of ids
            (int32, one feature): any integer dtype, (frames,) or (batch, frames).
        lengths : array_like of int, (batch,), optional
            Valid frames of each row: past them outputs are 0, and the state stays.
        state : dict, optional
            The initial state as `return_state` gives it: "<layer>.h" -> (size,) or (batch, size),
            "<layer>.history" -> (frames, channels) or (batch, frames, channels).
        memory : array_like, (n, features) or (batch, n, features), optional
            The frames that a decoder attends to, such as the outputs of its encoder: up to as many
            as the layer holds. Of several memories a dict by the names of the layers.
        memory_lengths : array_like of int, (batch,), optional
            Frames of each row's memory that count.
        out : ndarray, optional
            Where to write: float32 of exactly the result's shape. Several outputs: a tuple.
        return_state : bool
            Return `(y, state)`.
        threads : int
            Threads among which the rows of a batch are divided: the same bits for any number.
        time_first : bool
            A batch is (frames, batch, features) in `x`, `out` and the result, as torch's default.
        nonfinite : {"propagate", "hold", "error"}
            The effect of a NaN or infinite frame. It reaches only its own row: "hold" skips the
            frame for that row, whose state stays and whose outputs are NaN; "error" does so, then
            raises.

        Returns
        -------
        ndarray or tuple of ndarray
            float32, (frames, features) or (batch, frames, features); an output per sequence gives
            (features,) or (batch, features), and one that does not come with every frame has fewer
            frames. A tuple, in the order of `outputs`, where there are several. `(y, state)` with
            `return_state`.

        Raises
        ------
        ValueError
            A wrong shape or length, an unknown or missing name, a read-only `out`, or an id that an
            embedding does not have.
        TypeError
            A dtype that is not a real number, or an `out` that is not float32.
        NonFiniteError
            A valid frame is NaN or infinite, with nonfinite="error": `rows` and `frames` say where.
        """
        from grucore.runtime.sequences import run_whole

        return run_whole(
            self,
            x,
            lengths=lengths,
            state=state,
            memory=memory,
            memory_lengths=memory_lengths,
            out=out,
            return_state=return_state,
            threads=threads,
            time_first=time_first,
            nonfinite=nonfinite,
        )

    def stream(self, batch: int | None = None, *, nonfinite: Nonfinite = "propagate") -> Stream:
        """Make a stream: the state of one sequence, or of `batch` sequences side by side.

        Raises ValueError for a batch below 1 or of 2**32 and more, and UnsupportedError, which
        names the layer, if the model reads the future (a reverse direction) and cannot run frame by
        frame.
        """
        from grucore.runtime.stream import make_stream

        if batch is not None and (not isinstance(batch, int) or not 1 <= batch <= MOST_ROWS):
            raise ValueError(f"batch={batch!r}: expected None or an integer from 1 to {MOST_ROWS}")
        return make_stream(self, batch, nonfinite)
