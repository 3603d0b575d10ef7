# SPDX-License-Identifier: Apache-2.0
"""Types of the calls of users, for checkers and editors: nothing of this runs.

How many outputs a model has, and whether each comes with every frame, its file says and no checker
knows. So a result is an array to the checker, of which it knows every method, and besides may be
unpacked as a tuple of several, or compared with None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    class SupportsDLPack(Protocol):
        """An array of another library, which lends its memory."""

        def __dlpack__(self, *, stream: None = ...) -> Any: ...

    Out = TypeVar("Out", bound=npt.NDArray[Any] | tuple[npt.NDArray[Any], ...])
    One: TypeAlias = npt.ArrayLike | SupportsDLPack
    # tuple[Any, ...]: several inputs; a list is one array_like.
    Input: TypeAlias = One | tuple[Any, ...] | Mapping[str, One]
    Result: TypeAlias = npt.NDArray[np.float32] | Any
    Rows: TypeAlias = npt.ArrayLike | None
    InitialState: TypeAlias = Mapping[str, One] | None
    InitialMemory: TypeAlias = One | Mapping[str, One] | None
    State: TypeAlias = dict[str, npt.NDArray[np.float32]]

Nonfinite: TypeAlias = Literal["propagate", "hold", "error"]
