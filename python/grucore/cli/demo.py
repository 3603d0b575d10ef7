# SPDX-License-Identifier: Apache-2.0
"""`grucore demo`: the shipped keyword spotter listens to the shipped sound."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grucore.cli.console import Console

HELP = "listen for words with the model that comes with grucore"
DESCRIPTION = """\
Convert the shipped checkpoint (a GRU trained in PyTorch to spot ten spoken words), stream the
shipped recordings through it 10 ms at a time, as a microphone would, and show the words as they are
recognised; then the accuracy, microseconds per frame and the real-time factor. With --quantize the
model listens beside a smaller one made of it: what each hears, where they agree, what each costs.

With --wav or --mic it listens to your own words instead, as `grucore listen` does: yes, no, up,
down, left, right, on, off, stop, go; with --json an object in each line.
"""
EPILOG = """\
examples:
  grucore demo
  grucore demo --realtime
  grucore demo --wav speech.wav
  grucore demo --mic
  grucore demo --quantize int4
  grucore demo --save words.gru
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--realtime", action="store_true", help="play the sound at its own pace, not at once"
    )
    heard = parser.add_mutually_exclusive_group()
    heard.add_argument("--wav", metavar="FILE", help="listen to a sound file of yours instead")
    heard.add_argument("--mic", action="store_true", help="listen to a microphone, until Ctrl-C")
    parser.add_argument(
        "--quantize",
        choices=("int8", "float16", "int4"),
        nargs="?",
        const="int8",
        help="show the model beside one with smaller weights (int8 if nothing is named)",
    )
    parser.add_argument(
        "--save",
        metavar="OUT.gru",
        help="write the model, from samples to scores with labels, and listen to nothing",
    )
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Convert and listen."""
    from grucore.demo.runner import load_model, run_demo
    from grucore.model import Model

    with console.progress("converting the checkpoint"):
        model = load_model(arguments.isa)
    if arguments.save is not None:
        from grucore.cli._files import write_bytes

        assert isinstance(model, Model)
        write_bytes(arguments.save, bytes(model))
        console.sentence(f"{arguments.save}: {model!r}")
        return
    if not arguments.json:
        console.sentence(f"{model!r}")
        console.sentence(f"converted from PyTorch: {getattr(model, 'proof', None)}")
        console.line()
    if arguments.wav is not None or arguments.mic:
        from grucore.cli._files import is_sound
        from grucore.cli.sound.listen import hear

        if arguments.wav is not None and not is_sound(arguments.wav):
            raise ValueError(f"{arguments.wav} is no sound file by its suffix, expected .wav")
        assert isinstance(model, Model)
        if arguments.quantize is not None:
            model = model.quantize(arguments.quantize)
        hear(model, _as_listen(arguments), console)
        return
    if arguments.quantize is not None:
        from grucore.demo.comparison import run_comparison

        assert isinstance(model, Model)
        quantized = model.quantize(arguments.quantize)
        run_comparison(
            {"float32": model, arguments.quantize: quantized},
            json=arguments.json,
            realtime=arguments.realtime,
            stream_output=sys.stdout,
        )
        return
    run_demo(
        model=model,
        json=arguments.json,
        realtime=arguments.realtime,
        stream_output=sys.stdout,
    )


def _as_listen(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments as `grucore listen` has them."""
    from grucore.cli.sound.listen import configure as listen

    parser = argparse.ArgumentParser()
    listen(parser)
    found = parser.parse_args(["the demo's own model"])
    found.device, found.json = arguments.wav, arguments.json
    found.realtime = arguments.realtime
    return found
