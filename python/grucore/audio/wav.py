# SPDX-License-Identifier: Apache-2.0
"""WAV files: PCM of 8 to 32 bits and floats of 32 and 64, any number of channels."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["read_sound", "read_wav", "write_wav"]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FLOATS = {32: "<f4", 64: "<f8"}
_FORMAT = struct.Struct("<HHIIHH")
# The end of the identifier that an extensible format has for a code.
_GUID_END = bytes.fromhex("000000001000800000aa00389b71")

Samples = npt.NDArray[np.float32]


def read_wav(source: str | os.PathLike[str] | bytes) -> tuple[Samples, int]:
    """The samples of a file or of its bytes, (N,) or (N, channels) float32, and the sample rate.

    Integers become numbers within ±1: divided by 128 (unsigned 8-bit numbers, less 128), 32768,
    2**23 or 2**31. A file that ends within its samples, as a recorder leaves it that was switched
    off, has those that are there. Raises ValueError that says what was found, and OSError.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    where = "the WAV data" if isinstance(source, bytes) else os.fspath(source)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{where}: starts with {data[:12]!r}, expected a WAV file (RIFF, WAVE)")
    code = channels = rate = bits = 0
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            if len(body) < _FORMAT.size:
                raise ValueError(f"{where}: a format of {len(body)} bytes, expected 16")
            code, channels, rate, _, _, bits = _FORMAT.unpack_from(body)
            if code == _EXTENSIBLE and body[26:40] == _GUID_END:
                code = int.from_bytes(body[24:26], "little")
        if name == b"data":
            if not channels or not rate:
                raise ValueError(
                    f"{where}: {channels} channels at {rate} Hz, expected at least 1 of each, "
                    "before the samples"
                )
            samples = _numbers(body, code, bits, where)
            whole = samples[: len(samples) // channels * channels]
            return (whole if channels == 1 else whole.reshape(-1, channels)), rate
        at += 8 + size + size % 2
    raise ValueError(f"{where}: {len(data)} bytes without samples (no data chunk)")


def read_sound(source: str | os.PathLike[str]) -> tuple[Samples, int]:
    """The samples of a sound file, as `read_wav` gives them.

    WAV files are read here; FLAC, Ogg, MP3 and others by soundfile, which the extra
    ``grucore[audio]`` brings. Raises ValueError that says what was found, and OSError.
    """
    with Path(source).open("rb") as file:
        start = file.read(12)
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return read_wav(source)
    try:
        import soundfile
    except ImportError:
        raise ValueError(
            f"{os.fspath(source)}: starts with {start[:4]!r}, expected a WAV file (RIFF); other "
            'sound files need soundfile: pip install "grucore[audio]"'
        ) from None
    try:
        samples, rate = soundfile.read(os.fspath(source), dtype="float32")
    except soundfile.SoundFileError as error:
        raise ValueError(f"{os.fspath(source)}: {error}") from None
    return samples, int(rate)


def write_wav(
    target: str | os.PathLike[str],
    samples: npt.ArrayLike,
    sample_rate: int,
    *,
    bits: Literal[16, 32] = 16,
) -> None:
    """Write samples within ±1, (N,) or (N, channels): PCM of 16 bits, or floats of 32.

    Numbers beyond full scale are cut off at 16 bits. Raises ValueError for other shapes and bits.
    """
    array = np.asarray(samples, np.float32)
    if array.ndim not in (1, 2) or bits not in (16, 32):
        raise ValueError(
            f"samples of shape {array.shape} at {bits} bits, expected (N,) or (N, channels) at 16 "
            "or 32"
        )
    channels = 1 if array.ndim == 1 else array.shape[1]
    if bits == 16:
        body = np.round(np.clip(array, -1, 1 - 2.0**-15) * 32768).astype("<i2").tobytes()
    else:
        body = array.astype("<f4").tobytes()
    size = channels * bits // 8
    code = _PCM if bits == 16 else _FLOAT
    form = _FORMAT.pack(code, channels, sample_rate, sample_rate * size, size, bits)
    parts = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(body))
    whole = b"WAVE" + parts + body + b"\0" * (len(body) % 2)
    Path(target).write_bytes(b"RIFF" + struct.pack("<I", len(whole)) + whole)


def _numbers(body: bytes, code: int, bits: int, where: str) -> Samples:
    """The samples of all channels in turn."""
    if code == _FLOAT and bits in _FLOATS:
        return np.frombuffer(_cut(body, bits // 8), _FLOATS[bits]).astype(np.float32)
    if code != _PCM or bits not in (8, 16, 24, 32):
        raise ValueError(
            f"{where}: format {code} of {bits} bits, expected PCM (1) of 8, 16, 24 or 32 bits or "
            "floats (3) of 32 or 64"
        )
    if bits == 8:
        return np.asarray((np.frombuffer(body, np.uint8) - 128.0) / 128, np.float32)
    if bits == 24:
        thirds = np.frombuffer(_cut(body, 3), np.uint8).reshape(-1, 3)
        words = np.zeros((len(thirds), 4), np.uint8)
        words[:, 1:] = thirds
        found = words.view("<i4")[:, 0]
        return np.asarray(found / 2.0**31, np.float32)
    whole = np.frombuffer(_cut(body, bits // 8), f"<i{bits // 8}")
    return np.asarray(whole / 2.0 ** (bits - 1), np.float32)


def _cut(body: bytes, size: int) -> bytes:
    return body[: len(body) // size * size]
