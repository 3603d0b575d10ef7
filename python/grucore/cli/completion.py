# SPDX-License-Identifier: Apache-2.0
"""`grucore completion`: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grucore.cli.console import Console

HELP = "print a script that completes grucore's commands in a shell"
DESCRIPTION = """\
Print a script with which a shell completes commands and options of grucore. It comes from the same
parser as --help. Needs shtab, which the extra grucore[cli] brings.
"""
EPILOG = """\
examples:
  grucore completion bash >~/.local/share/bash-completion/completions/grucore
  grucore completion zsh >"${fpath[1]}/_grucore"
  grucore completion fish >~/.config/fish/completions/grucore.fish
"""
SHELLS = ("bash", "zsh", "fish", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise ValueError('completion needs shtab: pip install "grucore[cli]"') from None
    console.output.write(shtab.complete(arguments.all, shell=arguments.shell) + "\n")
