# SPDX-License-Identifier: Apache-2.0
"""The command line: a subcommand for each file here, and in `sound`, that has HELP."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from grucore import GrucoreError, __version__
from grucore.cli import bench, completion, convert, demo, doctor, export, inspect, quantize, run
from grucore.cli.console import Console
from grucore.cli.sound import denoise, listen

__all__ = ["build_parser", "main"]

COMMANDS = (
    *(convert, inspect, run, listen, denoise, quantize),
    *(bench, export, demo, doctor, completion),
)

DESCRIPTION = "Trained recurrent networks: convert a checkpoint, look at a model, run and time it."
TRACEBACK = "GRUCORE_TRACEBACK"  # the variable that asks for tracebacks
LONGEST = 500  # characters of an unknown error
REPORT = (
    "Please report it, with the command, the output of `grucore doctor`, and what the same command "
    f"prints with {TRACEBACK}=1."
)
EPILOG = """\
examples:
  grucore demo
  grucore convert kws.pt -o kws.gru --architecture "gru > last > linear"
  grucore inspect kws.gru --selftest
  grucore run kws.gru -i frames.npy -o scores.npy
  grucore listen words.gru
  grucore quantize kws.gru -o kws-int8.gru --kind int8 --calibration frames.npy
  grucore export kws-int8.gru -o firmware --cpu cortex-m4

exit codes: 0 done, 1 the operation failed (standard error says why), 2 wrong usage
`grucore --traceback COMMAND ...` shows where in the code it failed, for a report of a mistake.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; imports nothing but argparse."""
    parser = argparse.ArgumentParser(
        prog="grucore",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="show where in the code a command failed; so does the variable GRUCORE_TRACEBACK=1",
    )
    parser.add_argument("-V", "--version", action="version", version=f"grucore {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=command.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(subparser)
        subparser.set_defaults(command=command, name=name, parser=subparser, all=parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage."""
    name, is_traced = "grucore", bool(os.environ.get(TRACEBACK))
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = build_parser().parse_args(["--version"] if given == ["version"] else given)
        name, is_traced = f"grucore {arguments.name}", is_traced or arguments.traceback
        arguments.command.run(arguments, Console())
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has said what it had to say
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has left, as `head` does; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GrucoreError, OSError, ValueError, MemoryError) as error:
        _tell(f"{name}: {_reason(error)}", error if is_traced else None)
        return 1
    except Exception as error:  # what no command should raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        text = f"{name}: a mistake of grucore's own: {what[:LONGEST]}\n{REPORT}"
        _tell(text, error if is_traced else None)
        return 1
    return 0


def _tell(text: str, traced: Exception | None) -> None:
    """The text on standard error, below where it comes from if somebody asked for that."""
    if traced is not None:
        import traceback

        traceback.print_exception(traced)
    print(text, file=sys.stderr)


def _reason(error: Exception) -> str:
    """One sentence, or what a conversion error lists."""
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}"
    return str(error) or ("not enough memory" if isinstance(error, MemoryError) else repr(error))
