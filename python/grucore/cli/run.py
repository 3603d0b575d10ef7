# SPDX-License-Identifier: Apache-2.0
"""`grucore run`: a model over sequences in files."""

from __future__ import annotations

import argparse
import sys
import time
from json import dumps
from typing import TYPE_CHECKING, Any

from grucore.cli._files import FORMATS, is_sound

if TYPE_CHECKING:
    from grucore.cli.console import Console
    from grucore.model import Model
    from grucore.runtime.types import Nonfinite

HELP = "run a model over the sequences in a file"
DESCRIPTION = """\
Run a model over whole sequences: an array (frames, features), or (batch, frames, features), from a
.npy, .csv or .raw file or from standard input (-). The result is float32 in the same layout, in
such a file or on standard output (-, as .npy). A model of several inputs takes a .npz file with an
array for each, by name; several outputs give one. A .csv file may begin with a line of names; a
.raw file has little-endian float32 numbers and nothing else.

A .wav file (PCM of 8 to 32 bits, or floats) goes into a model that reads samples, a hop of them in
each frame; .flac, .ogg and .mp3 do with grucore[audio]. Without -o it is labels that come out: when
each was heard, and how certainly.
"""
EPILOG = """\
examples:
  grucore run kws.gru -i frames.npy -o scores.npy
  grucore run kws.gru -i batch.npy --lengths lengths.npy -o scores.npy --threads 2
  grucore run kws.gru -i - -o - <frames.npy >scores.npy
  grucore run words.gru -i speech.wav --json
  sensor | grucore run net.gru -i - --input-format raw -o - --output-format csv

--stream and its absence give the same bits.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file")
    parser.add_argument("-i", "--input", metavar="IN", required=True, help="a file, or -")
    parser.add_argument("-o", "--output", metavar="OUT", help="a file, or -")
    parser.add_argument(
        "--input-format", choices=FORMATS, help="of IN (default: by its suffix or first bytes)"
    )
    parser.add_argument(
        "--output-format", choices=FORMATS, help="of OUT (default: by its suffix; npy for -)"
    )
    parser.add_argument(
        "--lengths", metavar="FILE", help="valid frames of each row of a batch: (batch,) integers"
    )
    parser.add_argument(
        "--labels",
        metavar="TEXT",
        help="of the scores, a,b,c or a file of lines, instead of those in the model",
    )
    parser.add_argument(
        "--background", metavar="TEXT", help="labels not to report (default: silence,unknown)"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="probability from which a label is reported"
    )
    parser.add_argument(
        "--smoothing", type=int, metavar="N", help="frames over which probabilities are averaged"
    )
    parser.add_argument("--channel", type=int, metavar="N", help="of a .wav file with several")
    parser.add_argument("--stream", action="store_true", help="frame by frame, by Stream.step")
    parser.add_argument(
        "--nonfinite",
        choices=("propagate", "hold", "error"),
        default="propagate",
        help="what a NaN or infinite frame does (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="divide the rows of a batch"
    )
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument("--json", action="store_true", help="print one JSON object about the run")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Read, run, write."""
    from grucore.cli._files import (
        STANDARD,
        by_input,
        load_model,
        output_form,
        read_array,
        read_arrays,
        write_arrays,
    )

    sound = arguments.input_format is None and is_sound(arguments.input)
    if arguments.output is None and not sound:
        arguments.parser.error("expected -o OUT: labels without it are of sound files alone")
    if arguments.json and arguments.output == STANDARD:
        arguments.parser.error("--json and -o - would both write to standard output")
    if arguments.output == STANDARD and sys.stdout.isatty() and arguments.output_format != "csv":
        arguments.parser.error("-o - would write a .npy file to the terminal: --output-format csv")
    if arguments.input == STANDARD and arguments.lengths == STANDARD:
        arguments.parser.error("-i - and --lengths - would both read standard input")
    if arguments.threads < 1:
        arguments.parser.error(f"--threads {arguments.threads}: expected at least 1")
    if arguments.stream and arguments.threads > 1:
        arguments.parser.error("--stream steps in one thread: leave out --threads")

    from grucore.runtime.arrays import as_tuple

    model = load_model(arguments.model, isa=arguments.isa)
    words = None
    if arguments.output is None:
        from grucore.demo.words import as_line, as_object, heard, labels_of

        words = labels_of(model, arguments.labels)
    if arguments.output is not None:
        output_form(arguments.output, arguments.output_format, len(model.outputs))
    features = model.inputs[0].features if len(model.inputs) == 1 else None
    rate, found = 0, None
    if sound:
        from grucore.demo.words import read_sound

        found, rate = read_sound(arguments.input, model, arguments.channel)
    else:
        found = read_arrays(arguments.input, arguments.input_format, features)
    inputs = by_input(model, found, arguments.input)
    lengths = read_array(arguments.lengths) if arguments.lengths else None
    if lengths is not None and lengths.dtype.kind not in "iu":
        raise ValueError(f"{arguments.lengths}: dtype {lengths.dtype}, expected integers")
    options: dict[str, Any] = {"lengths": lengths, "nonfinite": arguments.nonfinite}
    started = time.perf_counter()
    if arguments.stream:
        outputs = _stream(model, inputs, console, **options)
    else:
        with console.progress(f"running {arguments.model}"):
            outputs = as_tuple(model.run(inputs, threads=arguments.threads, **options))
    seconds = time.perf_counter() - started
    if words is not None:
        names = ("background", "threshold", "smoothing")
        given = {name: getattr(arguments, name) for name in names}
        for one in heard(model, outputs[0], words, rate, **given):
            console.line(dumps(as_object(one)) if arguments.json else as_line(one))
        return
    named = dict(zip((port.name for port in model.outputs), outputs, strict=True))
    write_arrays(arguments.output, named, arguments.output_format)
    port = model.inputs[0]
    report = {
        "output": arguments.output,
        "shapes": {name: list(array.shape) for name, array in named.items()},
        "frames": int(inputs[port.name].size // port.features),
        "seconds": round(seconds, 6),
        "isa": model.isa,
    }
    if arguments.json:
        console.emit(report)
    elif arguments.output != STANDARD:
        _show(report, console)


def _show(report: dict[str, Any], console: Console) -> None:
    shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in report["shapes"].items())
    console.sentence(
        f"{report['output']}: {shapes}, {report['frames']:,} frames in "
        f"{report['seconds']:.3f} s on {report['isa']}"
    )


def _stream(
    model: Model, inputs: dict[str, Any], console: Console, *, lengths: Any, nonfinite: Nonfinite
) -> tuple[Any, ...]:
    """The result of `Model.run`, by stepping frame after frame."""
    import numpy as np

    from grucore.runtime.arrays import as_tuple, lengths_of, single
    from grucore.runtime.sequences import Sequences

    work = Sequences(model, inputs)
    rows, frames = work.rows, work.frames
    valid = np.full(rows, frames) if lengths is None else lengths_of(lengths, rows, frames)
    if rows == 0 or frames == 0:
        return as_tuple(model.run(inputs, lengths=lengths, nonfinite=nonfinite))

    stream = model.stream(batch=rows, nonfinite=nonfinite)
    results = [
        np.zeros((rows, count, port.features), port.dtype)
        for port, count in zip(model.outputs, work.counts(), strict=True)
    ]
    targets = tuple(np.zeros((rows, port.features), port.dtype) for port in model.outputs)
    out = single(targets)
    with console.progress("streaming", total=frames) as task:
        for at in range(frames):
            active = valid > at
            chosen = None if active.all() else active
            step = tuple(array[:, at] for array in work.inputs)
            stream.step(step if len(step) > 1 else step[0], out=out, active=chosen)
            clocks = zip(results, targets, model._output_clocks, strict=True)
            for result, target, (period, skip) in clocks:
                value, rest = divmod(at - skip, period)
                if value >= 0 and rest == 0:
                    result[active, value] = target[active]
            task.advance(1)
    return tuple(
        _in_layout(target if port.rate == "sequence" else result, work.batched)
        for result, target, port in zip(results, targets, model.outputs, strict=True)
    )


def _in_layout(array: Any, batched: bool) -> Any:
    return array if batched else array[0]
