# SPDX-License-Identifier: Apache-2.0
"""Arrays from .npy, .npz and .csv files and back; a file that is written is whole or not there."""

from __future__ import annotations

import io
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    from grucore.model import Model

    Array = npt.NDArray[Any]

__all__ = [
    "STANDARD",
    "by_input",
    "read_array",
    "read_arrays",
    "stripped",
    "write_arrays",
    "write_bytes",
]

# Exceptions of numpy and zipfile for an archive that is none of numpy's.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, LookupError, TypeError, AttributeError),
    *(NotImplementedError, RuntimeError, OverflowError),
)
STANDARD = "-"  # standard input or output
NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"


def read_arrays(path: str) -> Array | dict[str, Array]:
    """The array of a .npy or .csv file (or of standard input), or all arrays of a .npz by name.

    Raises ValueError for anything else, and never runs what a file says.
    """
    import numpy as np

    if path.lower().endswith(".csv"):
        return _read_csv(path)
    where = "standard input" if path == STANDARD else path
    data = sys.stdin.buffer.read() if path == STANDARD else _content(path)
    if not data.startswith((NPY_MAGIC, ZIP_MAGIC)):
        found = f"starts with {data[:6]!r}" if data else "is empty"
        raise ValueError(f"{where}: {found}, expected a .npy, .npz or .csv file")
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _checked(loaded, where)
        with loaded:
            return {name: _checked(loaded[name], f"{where}: {name}") for name in loaded.files}
    except (ValueError, EOFError, OSError, *DAMAGED) as error:
        raise ValueError(f"{where}: {error}") from None


def _content(path: str) -> bytes:
    """The bytes of a file or a pipe; a device such as /dev/full would give them without end."""
    mode = Path(path).stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ValueError(f"{path}: a device, expected a file")
    return Path(path).read_bytes()


def read_array(path: str) -> Array:
    """One array: a .npz file is refused."""
    found = read_arrays(path)
    if isinstance(found, dict):
        raise ValueError(f"{path}: holds {len(found)} arrays, expected one (.npy or .csv)")
    return found


def _checked(array: Any, where: str) -> Array:
    if not hasattr(array, "dtype"):  # numpy gives the bytes of what is no .npy
        raise ValueError(f"{where}: no array of numpy's, expected .npy files in the archive")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"dtype {array.dtype} in {where}, expected real numbers")
    checked: Array = array
    return checked


def _read_csv(path: str) -> Array:
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "input contained no data"
        try:
            return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8")
        except (ValueError, UserWarning) as error:
            raise ValueError(f"{path}: {error}") from None


def by_input(model: Model, found: Any, path: str) -> dict[str, Any]:
    """Arrays by the names of the model's inputs."""
    if isinstance(found, dict):
        return found
    if len(model.inputs) != 1:
        names = ", ".join(port.name for port in model.inputs)
        raise ValueError(f"{path}: the model has several inputs ({names}): expected a .npz file")
    return {model.inputs[0].name: found}


def write_arrays(path: str, arrays: Mapping[str, Array]) -> None:
    """Write one array as .npy (also to standard output) or .csv, or any number by name as .npz."""
    import numpy as np

    buffer = io.BytesIO()
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        np.savez(buffer, allow_pickle=False, **dict(arrays))
    elif len(arrays) != 1:
        names = ", ".join(arrays)
        raise ValueError(f"{path}: {len(arrays)} outputs ({names}) need a .npz file")
    else:
        (array,) = arrays.values()
        if suffix != ".csv":
            np.save(buffer, array, allow_pickle=False)
        elif array.ndim > 2:
            raise ValueError(f"{path}: a .csv file has no room for shape {array.shape}, .npy has")
        else:
            # Nine digits bring a float32 back to the bit.
            np.savetxt(buffer, np.atleast_2d(array), fmt="%.9g", delimiter=",")
    if path == STANDARD:
        sys.stdout.buffer.write(buffer.getvalue())
        sys.stdout.buffer.flush()
    else:
        write_bytes(path, buffer.getvalue())


def write_bytes(path: str, data: bytes) -> None:
    """All of the bytes or what was there before; a device or a pipe is written as it is."""
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        try:
            target.write_bytes(data)
        except OSError as error:  # a full device is not named
            raise OSError(error.errno, error.strerror, path) from None
        return
    from grucore.fileformat import save

    save(target, data)


def stripped(data: bytes) -> bytes:
    """A .gru file without its metadata and test vector: what a small flash has no room for."""
    from dataclasses import replace

    from grucore import fileformat

    return fileformat.write(replace(fileformat.read(data), metadata={}, test=None))
