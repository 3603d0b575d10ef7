# SPDX-License-Identifier: Apache-2.0
"""The file that was given: its bytes, read once and within bounds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from grucore._core import ConversionError

MAX_BYTES = 1 << 32  # of a checkpoint


SUFFIXES = (".pt", ".pth", ".ckpt", ".pt2", ".safetensors", ".keras", ".h5", ".hdf5", ".onnx")


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file, opened once; raises OSError or `ConversionError`."""
    if Path(path).is_dir():
        raise ConversionError(_folder_text(path))
    # O_NONBLOCK: a pipe must be refused, not waited for.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ConversionError("not a regular file")
        if found.st_size > MAX_BYTES:
            raise ConversionError(f"{found.st_size} bytes, expected at most {MAX_BYTES}")
        return file.read(found.st_size)


def _folder_text(path: str | os.PathLike[str]) -> str:
    """What to convert instead of a folder."""
    names = sorted(entry.name for entry in Path(path).iterdir())
    if "saved_model.pb" in names:
        return "a TensorFlow SavedModel: load it in Keras and save it as .keras"
    if "data.pkl" in names or "archive_format" in names:
        return "the folder of an unpacked archive, expected the archive itself"
    files = [name for name in names if name.lower().endswith(SUFFIXES)]
    inside = f"; it holds {', '.join(files[:5])}" if files else ""
    return f"a folder, expected a file{inside}"
