# SPDX-License-Identifier: Apache-2.0
"""WAV files of every format, against the standard library and soundfile."""

from __future__ import annotations

import contextlib
import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from grucore.audio import read_wav
from oracle.oracles import oracle


def written(width: int, channels: int, frames: bytes, rate: int = 16000) -> bytes:
    """By the standard library."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return buffer.getvalue()


def integers(width: int) -> list[int]:
    most = 1 << (8 * width - 1)
    return [0, 1, -1, most - 1, -most, most // 2, -most // 3]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_integers(width: int, channels: int, tmp_path: Path) -> None:
    numbers = integers(width) * channels
    stored = [n + 128 if width == 1 else n for n in numbers]
    frames = b"".join(n.to_bytes(width, "little", signed=width > 1) for n in stored)
    path = tmp_path / "a.wav"
    path.write_bytes(written(width, channels, frames, rate=8000))
    samples, rate = read_wav(path)
    assert rate == 8000
    assert samples.dtype == np.float32
    expected = np.array([n / (1 << (8 * width - 1)) for n in numbers], np.float32)
    assert samples.shape == ((len(numbers),) if channels == 1 else (len(numbers) // 2, 2))
    assert np.array_equal(samples.reshape(-1), expected)


@pytest.mark.oracle
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_soundfile_reads_the_same(
    subtype: str, kind: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    soundfile = oracle("soundfile")
    path = tmp_path / "a.wav"
    soundfile.write(path, rng.uniform(-1, 1, (101, 3)), 44100, subtype=subtype, format=kind)
    expected, rate = soundfile.read(path, dtype="float32")
    samples, found = read_wav(path)
    assert found == rate
    assert np.array_equal(samples, expected)


def test_other_chunks_are_passed_over() -> None:
    data = written(2, 1, struct.pack("<3h", 1, 2, 3))
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # padded to an even length
    samples, _ = read_wav(data[:12] + extra + data[12:])
    assert np.array_equal(samples * 32768, [1, 2, 3])


def test_a_file_that_ends_early_has_what_is_there() -> None:
    data = written(2, 2, struct.pack("<8h", *range(8)))
    samples, _ = read_wav(data[:-3])
    assert np.array_equal(samples * 32768, [[0, 1], [2, 3], [4, 5]])


REFUSED = {
    "no sound": (b"OggS" + bytes(40), "starts with b'OggS"),
    "nothing": (b"", "starts with b''"),
    "no samples": (b"RIFF\0\0\0\0WAVE", "12 bytes without samples"),
    "law": (written(2, 1, b"")[:20] + b"\7\0" + written(2, 1, b"")[22:], "format 7 of 16 bits"),
    "bits": (written(2, 1, b"")[:34] + b"\x0c\0" + written(2, 1, b"")[36:], "format 1 of 12 bits"),
    "no channels": (written(2, 1, b"")[:22] + b"\0\0" + written(2, 1, b"")[24:], "0 channels at"),
    "a short format": (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0ab", "a format of 2 bytes, expected 16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        read_wav(data)


def test_no_byte_makes_another_error(rng: np.random.Generator) -> None:
    data = bytearray(written(3, 2, bytes(range(60))))
    for _ in range(2000):
        damaged = bytearray(data[: rng.integers(0, len(data) + 1)])
        for place in rng.integers(0, max(len(damaged), 1), 3):
            if len(damaged):
                damaged[place] = rng.integers(256)
        with contextlib.suppress(ValueError):
            samples, rate = read_wav(bytes(damaged))
            assert rate > 0
            assert samples.ndim in (1, 2)
