# SPDX-License-Identifier: Apache-2.0
"""`grucore demo`: the shipped keyword spotter listens to the shipped sound."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grucore.cli._console import Console

HELP = "listen for words with the model that comes with grucore"
DESCRIPTION = """\
Convert the shipped checkpoint (a GRU trained in PyTorch to spot ten spoken words), stream the
shipped recordings through it 10 ms at a time, as a microphone would, and show the words as they are
recognised; then the accuracy, microseconds per frame and the real-time factor.
"""
EPILOG = """\
examples:
  grucore demo
  grucore demo --realtime
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--realtime", action="store_true", help="play the sound at its own pace, not at once"
    )
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Convert and listen."""
    from grucore.demo.runner import load_model, run_demo

    with console.progress("converting the checkpoint"):
        model = load_model(arguments.isa)
    if not arguments.json:
        console.line(f"{model!r}")
        console.line(f"converted from PyTorch: {getattr(model, 'proof', None)}")
        console.line()
    run_demo(
        model=model,
        json=arguments.json,
        realtime=arguments.realtime,
        stream_output=sys.stdout,
    )
