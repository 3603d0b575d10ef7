# SPDX-License-Identifier: Apache-2.0
"""Calls every command with random arguments and files: an exit code and a message, or a bug.

    python tests/cli/call_fuzz.py [--count N] [--seed S] [--out benchmarks/results/cli_calls.json]

Prints the counts, and each call that ended in an exception; exits with 1 if there was any.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from grucore.cli import build_parser, main
from models.small_models import GRAPHS, with_test_vector

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = ("", "-", "--", "-1", "0", "1", "2.5", "1e9", "nan", "int8", "gru > linear", "\x00", "*")
SLOW = ("demo", "doctor")  # take seconds whatever they are given: called seldom
MESSAGES = {0: "", 1: "grucore ", 2: "usage: grucore"}


def make_files(folder: Path, generator: random.Random) -> list[str]:
    """Models, arrays and checkpoints, whole and damaged, and paths that are no files."""
    rng = np.random.default_rng(generator.randrange(1 << 32))
    for name, make in GRAPHS.items():
        (folder / f"{name}.gru").write_bytes(with_test_vector(make()))
    for shape in ((6, 5), (2, 6, 5), (6, 4), (0, 5), (5,), ()):
        text = "x".join(map(str, shape)) or "one"
        np.save(folder / f"{text}.npy", rng.standard_normal(shape).astype(np.float32))
    np.savez(folder / "both.npz", x=rng.standard_normal((6, 5)), y=rng.standard_normal((6, 3)))
    np.savetxt(folder / "x.csv", rng.standard_normal((6, 5)), delimiter=",")
    for source in ("torch/gru.pt", "torch/legacy.pt", "torch_models/sequential.pt"):
        (folder / Path(source).name).write_bytes((GOLDEN / source).read_bytes())
    whole = sorted(path for path in folder.iterdir())
    for path in whole:
        data = bytearray(path.read_bytes())
        for _ in range(3):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.with_stem(f"{path.stem}-bad").write_bytes(data[: generator.randint(0, 2 * len(data))])
    (folder / "empty").write_bytes(b"")
    (folder / "folder.gru").mkdir()
    return [*(path.name for path in sorted(folder.iterdir())), "missing.gru", "no/such/file"]


def calls(files: list[str], generator: random.Random) -> Iterator[list[str]]:
    """Arguments: mostly what a command wants, with some of it left out, doubled or wrong."""
    (subparsers,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
    commands = dict(subparsers.choices)  # type: ignore[arg-type]
    names = [name for name in commands for _ in range(1 if name in SLOW else 40)]
    while True:
        name = generator.choice(names)
        found = [name]
        for action in commands[name]._actions:
            needed = action.required or not action.option_strings
            if action.dest == "help" or generator.random() > (0.95 if needed else 0.2):
                continue
            found += action.option_strings[-1:]
            if action.nargs != 0:
                for _ in range(action.nargs if isinstance(action.nargs, int) else 1):
                    found.append(value_of(action, files, generator))
        if generator.random() < 0.05:
            found.insert(generator.randrange(len(found) + 1), generator.choice(WORDS))
        if name not in SLOW or "--json" in found or generator.random() < 0.05:
            yield found


def value_of(action: argparse.Action, files: list[str], generator: random.Random) -> str:
    """A value for an option: one of its choices, a number, a file, or anything."""
    dice = generator.random()
    if dice < 0.05:
        return generator.choice(WORDS)
    if action.choices:
        return str(generator.choice(list(action.choices)))
    if action.type in (int, float):
        return str(generator.choice((1, 2, 0, -1, 0.1, 3)))
    if action.dest in ("model", "file") and dice < 0.7:
        return generator.choice([name for name in files if name.endswith((".gru", ".pt"))])
    if action.dest in ("output", "target", "plot", "report"):
        return generator.choice(("out.gru", "out.npy", "out.csv", "out", "out.svg", "-", "empty"))
    return generator.choice(files)


def run(call: list[str], data: bytes) -> tuple[int | None, str]:
    """The exit code and standard error, or None and the traceback of an exception."""
    output, errors = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data))
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            code = main(call)
    except BaseException:
        return None, traceback.format_exc()
    finally:
        sys.stdin = before
    return code, errors.getvalue()


def fuzz(count: int, seed: int) -> tuple[collections.Counter[int | None], list[str]]:
    """Calls by exit code, and a report of each that is a bug."""
    generator = random.Random(seed)
    codes: collections.Counter[int | None] = collections.Counter()
    bugs = []
    with tempfile.TemporaryDirectory() as name, chdir(name):
        files = make_files(Path(name), generator)
        x = Path("6x5.npy").read_bytes()
        for call, _ in zip(calls(files, generator), range(count), strict=False):
            code, errors = run(call, generator.choice((x, b"", b"1,2,3,4,5\n")))
            codes[code] += 1
            said = errors.startswith(MESSAGES.get(code, "?")) if code is not None else False
            if not said or "Traceback" in errors or (code and not errors.strip()):
                bugs.append(f"grucore {call}: {code}\n{errors}")
    return codes, bugs


def main_() -> int:
    """Fuzz and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="calls (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the counts")
    arguments = parser.parse_args()
    codes, bugs = fuzz(arguments.count, arguments.seed)
    print("\n".join(bugs))
    print(", ".join(f"exit code {code}: {count:,}" for code, count in codes.most_common()))
    if arguments.out:
        (subparsers,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
        report = {
            "calls": arguments.count,
            "seed": arguments.seed,
            "commands": len(subparsers.choices),
            "exit_codes": {str(code): codes[code] for code in (0, 1, 2)},
            "exceptions": len(bugs),
        }
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 1 if bugs else 0


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "80")
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main_())
