# SPDX-License-Identifier: Apache-2.0
"""Arguments of numpy users, turned into arrays of the engine; the rest is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from grucore.runtime.ports import Port

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.uint32]
Array = npt.NDArray[Any]


def as_tuple(found: Any) -> tuple[Any, ...]:
    """One object for each port, from the object of an only port, or the tuple of several."""
    return found if isinstance(found, tuple) else (found,)


def single(values: Sequence[Any]) -> Any:
    """The object of an only port, or the tuple of several: as users give and get them."""
    return values[0] if len(values) == 1 else tuple(values)


def gather(x: Any, ports: Sequence[Port]) -> tuple[Any, ...]:
    """One object for each input: from a tuple, a dict by name, or the only input itself."""
    if isinstance(x, Mapping):
        check_names(x, [port.name for port in ports], "input")
        return tuple(x[port.name] for port in ports)
    if len(ports) == 1:
        return (x,)
    names = ", ".join(port.name for port in ports)
    if not isinstance(x, tuple):
        kind = type(x).__name__
        raise TypeError(f"{len(ports)} inputs ({names}) need a tuple or a dict, not {kind}")
    if len(x) != len(ports):
        raise ValueError(f"found {len(x)} inputs, expected {len(ports)} ({names})")
    return x


def check_names(found: Mapping[str, Any], expected: Sequence[str], what: str) -> None:
    """ValueError for a name too many or too few."""
    for name in found:
        if name not in expected:
            raise ValueError(f"unknown {what} {name!r}, expected {', '.join(expected) or 'none'}")
    for name in expected:
        if name not in found:
            raise ValueError(f"missing {what} {name!r}, expected {', '.join(expected)}")


def as_array(value: Any) -> Array:
    """An array of any array_like; of one that speaks DLPack alone without a copy."""
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return np.from_dlpack(value)
    return np.asarray(value)


def as_float32(value: Any, what: str) -> Floats:
    """A float32 array of any real array_like; a copy only where the dtype differs."""
    array = as_array(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} has dtype {array.dtype}, expected real numbers")
    return array if array.dtype == np.float32 else array.astype(np.float32)


def is_ids(port: Port) -> bool:
    """True if arrays of this input may come without the axis of features."""
    return port.dtype == "int32" and port.features == 1


def as_input(value: Any, port: Port, ids: int | None, rank: int | None) -> Array:
    """An array of the port's dtype: float32 of real numbers, or int32 of integers within `ids`.

    One number for each frame may come without its axis of features: it is added, up to `rank` axes,
    or to a sequence or a batch of them where that is None.
    """
    what = f"input {port.name!r}"
    if port.dtype == "float32":
        return as_float32(value, what)
    array = as_array(value)
    if array.dtype.kind not in "biu":
        raise TypeError(f"{what} has dtype {array.dtype}, expected integers")
    least, most = (-(1 << 31), (1 << 31) - 1) if ids is None else (0, ids - 1)
    if array.size and (array.min() < least or array.max() > most):
        place = tuple(int(i) for i in np.argwhere((array < least) | (array > most))[0])
        raise ValueError(f"{what} has {array[place]} at {place}, expected {least} to {most}")
    if is_ids(port) and array.ndim < (3 if rank is None else rank):
        array = array[..., None]
    return array if array.dtype == np.int32 else array.astype(np.int32)


def check_shape(
    found: tuple[int, ...], expected: tuple[int | str, ...], what: str, also: str = ""
) -> None:
    """ValueError where shapes differ; a string in `expected` stands for any size.

    `also`: another shape that would do, for the message.
    """
    if found == expected:
        return
    if len(found) != len(expected) or any(
        isinstance(size, int) and size != have for have, size in zip(found, expected, strict=True)
    ):
        wanted = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        raise ValueError(f"{what} has shape {found}, expected ({wanted}){also}")


def plain(array: Array) -> Array:
    """The array itself if it is aligned and C-contiguous, or a copy that is."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy(order="C")


def outputs_of(out: Any, ports: Sequence[Port]) -> tuple[Any, ...]:
    """One `out` for each output."""
    if len(ports) == 1:
        return (out,)
    if not isinstance(out, tuple) or len(out) != len(ports):
        names = ", ".join(port.name for port in ports)
        raise ValueError(f"out must be a tuple of {len(ports)} arrays ({names})")
    return out


def check_out(out: Any, shape: tuple[int, ...], port: Port) -> Array:
    """`out` as a plain view of its memory; refused where a result could not land in it exactly."""
    what = f"out of {port.name!r}"
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{what} is {type(out).__name__}, expected a {port.dtype} ndarray")
    if out.dtype != port.dtype:
        raise TypeError(f"{what} has dtype {out.dtype}, expected {port.dtype}")
    check_shape(out.shape, shape, what)
    if not out.flags.writeable:
        raise ValueError(f"{what} is read-only")
    return out if type(out) is np.ndarray else out.view(np.ndarray)


def row_numbers(rows: Any, count: int, what: str) -> Numbers:
    """Ascending row numbers from bool (count,) or from indices, each once."""
    array = np.asarray(rows)
    if array.dtype == np.bool_:
        check_shape(array.shape, (count,), what)
        return np.flatnonzero(array).astype(np.uint32)
    if array.size == 0:
        return np.empty(0, np.uint32)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise TypeError(f"{what} must be bool ({count},) or one dimension of integers")
    indices = np.sort(np.where(array < 0, array + count, array).reshape(-1))
    if indices[0] < 0 or indices[-1] >= count:
        raise IndexError(f"{what} has a row out of range for a batch of {count}")
    if np.any(indices[1:] == indices[:-1]):
        raise ValueError(f"{what} names a row twice")
    return indices.astype(np.uint32)


def lengths_of(lengths: Any, rows: int, frames: int) -> Numbers:
    """Frames of each row, as the engine takes them."""
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths has dtype {array.dtype}, expected integers")
    if array.ndim == 0 and rows == 1:
        array = array.reshape(1)
    check_shape(array.shape, (rows,), "lengths")
    if rows and (array.min() < 0 or array.max() > frames):
        raise ValueError(f"lengths must lie between 0 and the number of frames, {frames}")
    return np.ascontiguousarray(array, np.uint32)


def apart(inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
    """The inputs, copied where they share memory with an output."""
    return [
        array.copy() if any(np.may_share_memory(array, out) for out in outputs) else array
        for array in inputs
    ]


def find_nonfinite(
    inputs: Sequence[Array], lengths: Numbers | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows and frames, pairwise, at which an input (rows, frames, features) is not finite."""
    bad = np.logical_or.reduce([~np.isfinite(array).all(axis=2) for array in inputs])
    if lengths is not None:
        bad &= np.arange(bad.shape[1]) < lengths[:, None]
    rows, frames = np.nonzero(bad)
    return tuple(rows.tolist()), tuple(frames.tolist())
