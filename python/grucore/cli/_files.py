# SPDX-License-Identifier: Apache-2.0
"""Arrays from .npy, .npz, .csv and .raw files and back; what is written is whole or not there."""

from __future__ import annotations

import io
import re
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
    "FORMATS",
    "STANDARD",
    "by_input",
    "is_sound",
    "load_model",
    "output_form",
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
FORMATS = ("npy", "npz", "csv", "raw")  # raw: float32 in the byte order of little-endian machines
NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
ARRAY = "a numpy array"  # what `describe_path` says of a .npy file
NUMBER = re.compile(rb"\s*[+-]?(\d|\.\d|nan|inf)[\d.eE+,\s-]", re.IGNORECASE)


def is_sound(path: str) -> bool:
    """True of the suffix of a sound file."""
    return Path(path).suffix.lower() in SOUNDS


def load_model(path: str, isa: str | None = None) -> Model:
    """`grucore.load`; of a file of another kind the error says what it is and how to convert it."""
    import grucore

    try:
        return grucore.load(path, isa=isa)
    except grucore.FormatError as error:
        if error.status != "kBadMagic":
            raise
        found = _foreign(path)
        if found is None:
            other = "nor anything that `grucore convert` reads, by its first bytes"
            raise grucore.FormatError(f"{path} is no .gru file, {other}") from None
        advice = f"`grucore convert {path} -o OUT.gru` makes one"
        if found == ARRAY:
            advice = f"frames for a model, `grucore run MODEL.gru -i {path}`"
        raise grucore.FormatError(f"{path} is no .gru file but {found}: {advice}") from None


def _foreign(path: str) -> str | None:
    """The name of another program's kind of model, None if it is none."""
    from grucore import ConversionError
    from grucore.conversion import describe_path

    try:
        return describe_path(path)
    except (ConversionError, OSError):
        return None


def read_arrays(
    path: str, form: str | None = None, features: int | None = None
) -> Array | dict[str, Array]:
    """The array of a file (or of standard input), or all arrays of a .npz by name.

    `form` is one of `FORMATS`; None: by the suffix, or else by the first bytes. A raw file has
    float32 numbers, `features` of them in each frame.

    Raises ValueError for anything else, and never runs what a file says.
    """
    where = "standard input" if path == STANDARD else path
    data = sys.stdin.buffer.read() if path == STANDARD else _content(path)
    form = form or _form_of(path, data, where)
    if form == "csv":
        return _read_csv(data, where)
    if form == "raw":
        return _read_raw(data, where, features)
    import numpy as np

    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _checked(loaded, where)
        with loaded:
            return {name: _checked(loaded[name], f"{where}: {name}") for name in loaded.files}
    except (ValueError, EOFError, OSError, *DAMAGED) as error:
        raise ValueError(f"{where}: {error}") from None


def _form_of(path: str, data: bytes, where: str) -> str:
    """The format of the bytes, where nobody said it."""
    if data.startswith((NPY_MAGIC, ZIP_MAGIC)):
        return "npy"
    suffix = Path(path).suffix.lower()
    if suffix in (".csv", ".raw"):
        return suffix[1:]
    names, _, rest = data.partition(b"\n")
    if path == STANDARD and (NUMBER.match(data) or (names.isascii() and NUMBER.match(rest))):
        return "csv"
    found = f"starts with {data[:6]!r}" if data else "is empty"
    raise ValueError(
        f"{where}: {found}, expected a .npy, .npz, .csv or .raw file (--input-format says which)"
    )


def _read_raw(data: bytes, where: str, features: int | None) -> Array:
    import numpy as np

    if features is None:
        raise ValueError(f"{where}: raw numbers have no shape, expected a .npy or .csv file")
    if len(data) % (4 * features):
        raise ValueError(
            f"{where}: {len(data)} bytes, expected whole frames of {features} float32 numbers "
            f"({4 * features} bytes)"
        )
    return np.frombuffer(data, "<f4").reshape(-1, features)


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


def _read_csv(data: bytes, where: str) -> Array:
    """Numbers with commas between them; a first line of names is passed over."""
    import numpy as np

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: {error}, expected text") from None
    first = text.partition("\n")[0]
    header = bool(first.strip()) and not first.lstrip().startswith("#") and not _numbers(first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "input contained no data"
        try:
            return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2, skiprows=int(header))
        except (ValueError, UserWarning) as error:
            raise ValueError(f"{where}: {error}") from None


def _numbers(line: str) -> bool:
    """True if any cell of the line is a number: then the line is not one of names."""
    for cell in line.split(","):
        try:
            float(cell)
        except ValueError:
            continue
        return True
    return False


def by_input(model: Model, found: Any, path: str) -> dict[str, Any]:
    """Arrays by the names of the model's inputs."""
    if isinstance(found, dict):
        return found
    if len(model.inputs) != 1:
        names = ", ".join(port.name for port in model.inputs)
        raise ValueError(f"{path}: the model has several inputs ({names}): expected a .npz file")
    return {model.inputs[0].name: found}


def output_form(path: str, form: str | None, count: int) -> str:
    """The format to write `count` outputs in; ValueError where the suffix names none."""
    if form is None:
        suffix = Path(path).suffix.lower()[1:]
        form = "npy" if path == STANDARD or not Path(path).suffix else suffix
        if _is_device(path):
            form = "npy"
    if form not in FORMATS:
        raise ValueError(
            f"{path}: expected a file that ends in .npy, .npz, .csv or .raw, or --output-format"
        )
    if count != 1 and form != "npz":
        raise ValueError(f"{path}: {count} outputs need a .npz file")
    return form


def _is_device(path: str) -> bool:
    return Path(path).exists() and not Path(path).is_file()


def write_arrays(path: str, arrays: Mapping[str, Array], form: str | None = None) -> None:
    """Write arrays to a file or to standard output, in the format of `output_form`."""
    import numpy as np

    form = output_form(path, form, len(arrays))
    buffer = io.BytesIO()
    array = next(iter(arrays.values()))
    if form == "npz":
        np.savez(buffer, allow_pickle=False, **dict(arrays))
    elif form == "npy":
        np.save(buffer, array, allow_pickle=False)
    elif form == "raw":
        buffer.write(array.astype(array.dtype.newbyteorder("<")).tobytes())
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
