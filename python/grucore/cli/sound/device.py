# SPDX-License-Identifier: Apache-2.0
"""Where `grucore listen` hears: a microphone by sounddevice, or a sound file in its place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.model import Model

__all__ = ["device_list", "file_blocks", "microphone_blocks"]


def file_blocks(frames: Any, rate: float, *, realtime: bool) -> Iterator[Any]:
    """Hops of a recording, (frames, hop); with ``realtime`` no sooner than a microphone's."""
    started = time.monotonic()
    for at, block in enumerate(frames, 1):
        if realtime:
            due = started + at * len(block) / rate
            time.sleep(max(0.0, due - time.monotonic()))
        yield block


@contextmanager
def _opened(sounddevice: Any, device: int | str | None, rate: int, hop: int) -> Iterator[Any]:
    try:
        with sounddevice.InputStream(
            device=device, samplerate=rate, channels=1, dtype="float32", blocksize=hop
        ) as stream:
            yield stream
    except sounddevice.PortAudioError as error:
        raise OSError(
            f"no microphone at {rate} Hz: {error} (--devices lists what there is, --device FILE "
            "listens to a recording)"
        ) from None


def _library() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # an OSError: PortAudio is missing
        raise ValueError(
            f'a microphone needs sounddevice: pip install "grucore[audio]" ({error}); '
            "--device FILE listens to a recording"
        ) from None
    return sounddevice


def device_list() -> str:
    """The devices that sounddevice finds, a line each."""
    return str(_library().query_devices())


def microphone_blocks(model: Model, device: str | None, rate: int) -> Iterator[Any]:
    """Hops of a microphone, until it is closed; samples that came too fast are counted."""
    sounddevice = _library()
    chosen = int(device) if device is not None and device.isdigit() else device
    hop, lost = model.inputs[0].features, 0
    try:
        with _opened(sounddevice, chosen, rate, hop) as stream:
            while True:
                block, overflowed = stream.read(hop)
                lost += bool(overflowed)
                yield block[:, 0]
    finally:
        if lost:
            print(f"sound was lost {lost} times: the machine was too busy", file=sys.stderr)
