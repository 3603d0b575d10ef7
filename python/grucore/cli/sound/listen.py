# SPDX-License-Identifier: Apache-2.0
"""`grucore listen`: labels of what a microphone hears, as it hears it."""

from __future__ import annotations

import argparse
import itertools
from json import dumps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grucore.cli.console import Console
    from grucore.model import Model

HELP = "say what a microphone hears, with a model from samples to scores"
DESCRIPTION = """\
Listen to a microphone with a model that reads samples, and print a line for each label that it
hears, at once; a meter below shows how loud it is and what is likeliest. With --json the lines are
objects, each written when its label has ended. A sound file in the place of the device is heard to
its end, as fast as the model is, or with --realtime at its own pace. Ctrl-C ends it.

A microphone needs sounddevice: pip install "grucore[audio]".
"""
EPILOG = """\
examples:
  grucore demo --save words.gru
  grucore listen words.gru
  grucore listen words.gru --threshold 0.8 --json | your_program
  grucore listen words.gru --device speech.wav --realtime
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file that reads samples")
    parser.add_argument(
        "--device", metavar="NAME", help="number or name of a microphone, or a sound file"
    )
    parser.add_argument("--devices", action="store_true", help="list the microphones and end")
    parser.add_argument(
        "--rate", type=int, metavar="HZ", help="sample rate, where the model does not say it"
    )
    parser.add_argument("--labels", metavar="TEXT", help="of the scores, a,b,c or a file of lines")
    parser.add_argument(
        "--background", metavar="TEXT", help="labels not to report (default: silence,unknown)"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="probability from which a label is reported"
    )
    parser.add_argument(
        "--smoothing", type=int, metavar="N", help="frames over which probabilities are averaged"
    )
    parser.add_argument("--channel", type=int, metavar="N", help="of a sound file with several")
    parser.add_argument("--seconds", type=float, metavar="S", help="of sound after which it ends")
    parser.add_argument("--realtime", action="store_true", help="hear a sound file at its own pace")
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument("--json", action="store_true", help="print a JSON object in each line")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Hear, and say what was heard."""
    from grucore.cli._files import load_model
    from grucore.cli.sound.device import device_list

    if arguments.devices:
        console.line(device_list())
        return
    hear(load_model(arguments.model, isa=arguments.isa), arguments, console)


def hear(model: Model, arguments: argparse.Namespace, console: Console) -> None:
    """Say what a model hears, until the sound ends."""
    from grucore.cli.sound.meter import Meter
    from grucore.demo.words import as_line, as_object, labels_from, labels_of, log_scores

    _check(model)
    labels = labels_of(model, arguments.labels)
    rate, blocks = _source(arguments, model)
    names = ("background", "threshold", "smoothing")
    listener = labels_from(
        model, labels, rate, **{name: getattr(arguments, name) for name in names}
    )
    if arguments.seconds is not None:
        hops = int(arguments.seconds * rate / model.inputs[0].features)
        blocks = itertools.islice(blocks, hops)
    stream, meter = model.stream(), Meter(console.errors)

    def say(text: str) -> None:
        meter.clear()
        console.line(text)
        console.output.flush()

    try:
        for block in blocks:
            scores = stream.step(block)
            if scores is not None:
                began, ended = listener.push(log_scores(model, scores))
                if arguments.json and ended is not None:
                    say(dumps(as_object(ended)))
                if not arguments.json and began is not None:
                    say(as_line(began))
            meter.show(block, *listener.likeliest)
    except KeyboardInterrupt:
        pass
    finally:
        meter.clear()
    last = listener.close()
    if arguments.json and last is not None:
        say(dumps(as_object(last)))


def _check(model: Model) -> None:
    """Raise ValueError unless it gives scores in time."""
    ports = f"{len(model.inputs)} inputs"
    if len(model.inputs) != 1:
        raise ValueError(f"the model has {ports}, expected one that reads samples")
    if not model.streamable:
        raise ValueError(
            "the model needs the whole sequence (`grucore inspect` says why): "
            "`grucore run MODEL -i speech.wav` gives that to it"
        )
    if model.outputs[0].rate == "sequence":
        raise ValueError(
            "the model gives one answer for a whole sequence, expected scores for each frame: "
            "`grucore run MODEL -i speech.wav` asks it about a recording"
        )


def _source(arguments: argparse.Namespace, model: Model) -> tuple[int, Iterator[Any]]:
    """Samples per second, and hops of them."""
    from grucore.cli._files import is_sound
    from grucore.cli.sound.device import file_blocks, microphone_blocks
    from grucore.demo.words import rate_of, read_sound

    if arguments.device is not None and is_sound(arguments.device):
        frames, rate = read_sound(arguments.device, model, arguments.channel)
        return rate, file_blocks(frames, rate, realtime=arguments.realtime)
    rate = rate_of(model) or arguments.rate
    if rate is None:
        raise ValueError("the model does not say its sample rate: --rate HZ does")
    return rate, microphone_blocks(model, arguments.device, rate)
