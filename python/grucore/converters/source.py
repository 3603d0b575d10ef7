# SPDX-License-Identifier: Apache-2.0
"""The file that was given: its bytes, read once and within bounds, and what they are."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from grucore._core import ConversionError
from grucore.converters.containers.npz import NPY_START
from grucore.converters.containers.zip import DAMAGED, open_archive
from grucore.fileformat.layout import MAGIC

__all__ = ["Given", "Kind", "read_file", "sniff"]

MAX_BYTES = 1 << 32  # of a checkpoint
SUFFIXES = (
    *(".pt", ".pth", ".ckpt", ".pt2", ".safetensors", ".npz", ".keras", ".h5", ".hdf5", ".onnx"),
    ".json",
)
ZIP_START = b"PK\x03\x04"
HDF5_START = b"\x89HDF\r\n\x1a\n"
# torch.save before 1.6: a pickle of protocol 2 with a magic number as a LONG1 of ten bytes, which
# the protocols 4 and 5 put into a frame.
LEGACY_START = b"\x80\x02\x8a\n" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
LEGACY = re.compile(
    rb"\x80(?:[\x02\x03]|[\x04\x05]\x95.{8})" + re.escape(LEGACY_START[2:]), re.DOTALL
)
READABLE = (
    "PyTorch (.pt, .pth, .ckpt, .pt2), safetensors, numpy (.npz), Keras (.keras, .h5), ONNX or "
    "JSON weights of RTNeural, AIDA-X or GuitarML; a module or a model in memory is for "
    "grucore.from_torch, from_keras and from_onnx"
)


class Kind(Enum):
    """The kinds of file that there is a reader for."""

    KERAS = "a .keras archive"
    HDF5 = "HDF5"
    PT2 = "an archive of torch.export"
    TORCH = "a file of torch.save or TorchScript"
    SAFETENSORS = "safetensors"
    NPZ = "an archive of numpy arrays"
    NPY = "a numpy array"
    ONNX = "ONNX"
    JSON = "weights in JSON"


@dataclass(frozen=True)
class Given:
    """A file: its path, all its bytes, what they are, and the archive if they are a zip."""

    path: Path
    data: bytes
    kind: Kind
    archive: zipfile.ZipFile | None = None

    @property
    def name(self) -> str:
        """Its name in errors and metadata."""
        return self.path.name or os.fspath(self.path)


def sniff(data: bytes, path: str | os.PathLike[str]) -> Given:
    """The kind of these bytes, by their beginning or an archive's directory, and by the name for
    ONNX and safetensors, which begin with nothing of their own.

    Raises `ConversionError` for whatever has no reader.
    """
    path = Path(path)
    if data.startswith(ZIP_START):
        archive = _opened(data)
        return Given(path, data, _kind_of_archive(archive), archive)
    if data.startswith(HDF5_START):
        return Given(path, data, Kind.HDF5)
    if path.name.endswith(".onnx") or _begins_as_onnx(data):
        return Given(path, data, Kind.ONNX)
    if data.startswith(NPY_START):
        return Given(path, data, Kind.NPY)
    if data.startswith(MAGIC):
        raise ConversionError("a .gru file already: open it with grucore.load")
    if LEGACY.match(data):
        return Given(path, data, Kind.TORCH)
    # The eight bytes of a length, with which safetensors begins, have zeros among them.
    if data[:256].lstrip().startswith(b"{") and b"\0" not in data[:8]:
        return Given(path, data, Kind.JSON)
    if path.name.endswith(".safetensors") or data[8:9] == b"{":
        return Given(path, data, Kind.SAFETENSORS)
    raise ConversionError(f"the file starts with {data[:8]!r}: expected {READABLE}")


def _opened(data: bytes) -> zipfile.ZipFile:
    try:
        return open_archive(data)
    except DAMAGED as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(f"the zip archive is damaged: {error}") from None


def _kind_of_archive(archive: zipfile.ZipFile) -> Kind:
    names = archive.namelist()
    if {"config.json", "metadata.json"} <= set(names):
        return Kind.KERAS
    if names and all(name.endswith(".npy") for name in names):
        return Kind.NPZ
    program = ("/archive_format", "serialized_exported_program.json")
    return Kind.PT2 if any(name.endswith(program) for name in names) else Kind.TORCH


def _begins_as_onnx(data: bytes) -> bool:
    """True if a ModelProto may begin like this."""
    begins = data[:1] == b"\x08" and data[1:2] < b"\x20" and data[2:3] in b"\x12\x1a\x22\x3a\x42"
    return len(data) > 3 and begins


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file, opened once; raises OSError or `ConversionError`."""
    # Text, not a Path: where memory ends, Python may say that a Path is no path.
    path = os.fspath(path)
    if os.path.isdir(path):  # noqa: PTH112
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
    """Advice on the file to convert instead of a folder."""
    names = sorted(entry.name for entry in Path(path).iterdir())
    if "saved_model.pb" in names:
        return "a TensorFlow SavedModel: load it in Keras and save it as .keras"
    if "data.pkl" in names or "archive_format" in names:
        return "the folder of an unpacked archive, expected the archive itself"
    files = [name for name in names if name.lower().endswith(SUFFIXES)]
    inside = f"; it holds {', '.join(files[:5])}" if files else ""
    return f"a folder, expected a file{inside}"
