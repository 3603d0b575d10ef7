# SPDX-License-Identifier: Apache-2.0
"""`grucore denoise`: a recording through a model from samples to samples."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.cli.console import Console
    from grucore.model import Model

HELP = "put a recording through a model from samples to samples"
DESCRIPTION = """\
Read a recording (.wav; .flac, .ogg and .mp3 with grucore[audio]), run it through a model that reads
a hop of samples in each frame and writes as many, and write what comes out as a .wav file: as long
as the recording, and in time with it, since the samples by which the model is late are left out.
Each channel goes through the model by itself. A recording at a multiple of the model's rate is
brought down to it and up again, and has nothing above half that rate then; one at a part of it, up
and down.
"""
EPILOG = """\
examples:
  grucore denoise suppressor.gru -i noisy.wav -o clean.wav
  grucore denoise suppressor.gru -i noisy.flac -o clean.wav --bits 32 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file from samples to samples")
    parser.add_argument("-i", "--input", metavar="IN", required=True, help="a sound file")
    parser.add_argument("-o", "--output", metavar="OUT.wav", required=True, help="a .wav file")
    parser.add_argument(
        "--bits", type=int, choices=(16, 32), default=16, help="PCM of 16 bits, or floats of 32"
    )
    parser.add_argument(
        "--latency",
        type=int,
        metavar="N",
        help="samples by which the output is late (default: what the model says, else 0)",
    )
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument("--json", action="store_true", help="print one JSON object about the run")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Read, run, write."""
    import numpy as np

    from grucore.audio import read_sound, resample, write_wav
    from grucore.cli._files import load_model
    from grucore.demo.words import rate_of

    model = load_model(arguments.model, isa=arguments.isa)
    hop = _hop(model)
    samples, rate = read_sound(arguments.input)
    inner = rate_of(model) or rate
    latency = _latency(model) if arguments.latency is None else arguments.latency
    if latency < 0:
        arguments.parser.error(f"--latency {latency}: expected at least 0")
    channels = samples[:, None] if samples.ndim == 1 else samples
    length = len(channels)
    channels = resample(channels, rate, inner)
    count = len(channels)
    frames = -(-(count + latency) // hop)
    whole = np.zeros((channels.shape[1], frames * hop), np.float32)
    whole[:, :count] = channels.T
    started = time.perf_counter()
    with console.progress(f"running {arguments.model}"):
        result = model.run(whole.reshape(len(whole), frames, hop))
    seconds = time.perf_counter() - started
    clean = result.reshape(len(whole), -1)[:, latency : latency + count].T
    clean = resample(clean, inner, rate)[:length]
    write_wav(
        arguments.output, clean[:, 0] if samples.ndim == 1 else clean, rate, bits=arguments.bits
    )
    report: dict[str, Any] = {
        "output": arguments.output,
        "sample_rate": rate,
        "model_rate": inner,
        "channels": len(whole),
        "samples": length,
        "latency": latency,
        "seconds": round(seconds, 6),
        "real_time_factor": round(seconds * rate / max(1, length * len(whole)), 6),
        "isa": model.isa,
    }
    if arguments.json:
        console.emit(report)
    else:
        console.sentence(
            f"{arguments.output}: {length / rate:.2f} s of sound in {seconds:.3f} s "
            f"on {model.isa}, {latency / inner * 1000:.0f} ms of delay left out"
        )


def _hop(model: Model) -> int:
    """Samples of a frame; ValueError for a model that is not from samples to samples."""
    ports = [*model.inputs, *model.outputs]
    if len(ports) != 2 or ports[0].features != ports[1].features or ports[1].rate != "frame":
        text = ", ".join(f"{port.name} ({port.features}, per {port.rate})" for port in ports)
        raise ValueError(
            f"the model has {text}: expected one input of samples and one output of as many per "
            "frame, as `grucore.audio.masked` makes it"
        )
    return model.inputs[0].features


def _latency(model: Model) -> int:
    front = model.metadata.get("front_end")
    found = front.get("latency") if isinstance(front, dict) else None
    return found if isinstance(found, int) and found >= 0 else 0
