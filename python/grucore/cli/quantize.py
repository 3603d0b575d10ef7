# SPDX-License-Identifier: Apache-2.0
"""`grucore quantize`: from a float32 model to one with smaller weights."""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.cli.console import Console
    from grucore.model import Model

HELP = "make a model smaller: int8, float16 or int4 weights"
DESCRIPTION = """\
Make a smaller model of a float32 one: the same layers with smaller weights. Both models then run on
the same frames, at least 10 000, and what differs is printed: sizes by layer, the difference of
each layer's output, and which weights stayed wider than asked for and why. OUT.gru appears whole or
not at all; one that is there is replaced.

kinds:
  int8      a quarter of the size, integer products: the same bits on every machine
  float16   half of the size, float32 arithmetic
  int4      a sixth, in groups of 32 weights: for flash, and models larger than the caches
"""
EPILOG = """\
examples:
  grucore quantize kws.gru -o kws-int8.gru --kind int8 --calibration frames.npy
  grucore quantize kws.gru -o kws-int8.gru --kind int8 --activations 8 --report report
  grucore quantize kws.gru -o kws-int8.gru --kind int8 --calibration frames.npy --labels y.npy
  grucore quantize kws.gru -o kws-int4.gru --kind int4 --calibration frames.npy --max-error 0.05
"""
KINDS = ("int8", "float16", "int4")
GLANCE = 0.1  # seconds that tell faster from slower


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a .gru file with float32 weights")
    parser.add_argument("-o", "--output", metavar="OUT.gru", required=True)
    parser.add_argument("--kind", choices=KINDS, required=True, help="what weights are made of")
    parser.add_argument(
        "--activations",
        type=int,
        choices=(8, 16),
        help="bits of what int8 and int4 weights multiply: 16 is accurate (the default), 8 is "
        "fastest",
    )
    parser.add_argument(
        "--sparse",
        action="store_true",
        help="of int8 weights, keep only the blocks of 8 rows and 4 inputs that are not all 0: for "
        "a model that was pruned in such blocks",
    )
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="frames that the model is used on, as `grucore run` reads them (.npy, .npz, .csv): "
        "rounding errors are made to cancel on these",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="the right choice for each output of the calibration frames, integers in a .npy file: "
        "the accuracy of both models is reported; below 0: not counted",
    )
    parser.add_argument(
        "--max-error",
        type=float,
        metavar="E",
        help="keep the worst weights wider until no number of any output differs by more, on the "
        "calibration frames or else on generated signals",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write report.txt, report.json and report.html (with plots) there",
    )
    parser.add_argument(
        "--strip",
        action="store_true",
        help="leave metadata and test vector out of the file: nothing can replay it then",
    )
    parser.add_argument("--isa", metavar="NAME", help="the instruction set, instead of the best")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Quantize, compare, save, and say what changed."""
    _check(arguments)
    Path(arguments.model).open("rb").close()
    import grucore
    from grucore import fileformat
    from grucore.cli._files import load_model, stripped, write_bytes
    from grucore.quantize.quantize import quantize
    from grucore.quantize.report import compare

    model = load_model(arguments.model, isa=arguments.isa)
    frames = None if arguments.calibration is None else _calibration(model, arguments.calibration)
    labels = None if arguments.labels is None else _labels(arguments.labels)
    started = time.perf_counter()
    # How long weights take to become wider, nobody knows before.
    total = 1.0 if arguments.max_error is None else None
    with console.progress(f"quantizing {arguments.model}", total) as task:
        data = quantize(
            fileformat.read(bytes(model)),
            arguments.kind,
            calibration=frames,
            activations=arguments.activations or 16,
            max_error=arguments.max_error,
            sparse=arguments.sparse,
            progress=task.advance,
        ).data
    seconds = time.perf_counter() - started
    quantized = grucore.load(data, isa=arguments.isa)
    with console.progress("comparing", 1.0) as task:
        report = compare(
            model,
            quantized,
            frames,
            labels=labels,
            name=Path(arguments.model).name,
            seconds=GLANCE if arguments.report is None else 1.0,
            progress=task.advance,
        )
    written = [] if arguments.report is None else report.save(arguments.report)
    if arguments.strip:
        data = stripped(data)
    write_bytes(arguments.output, data)
    if arguments.json:
        files = {"input": arguments.model, "output": arguments.output}
        console.emit({**files, "seconds": round(seconds, 6), **report.figures})
        return
    from grucore.quantize.report_text import show

    show(report.figures, console)
    console.line()
    rows = [("wrote", f"{arguments.output}, {len(data):,} bytes, in {seconds:.2f} s")]
    rows += [("report", str(path)) for path in written]
    console.fields(rows)


def _check(arguments: argparse.Namespace) -> None:
    """Whatever is known to fail before any work is done."""
    usage, source, output = arguments.parser.error, Path(arguments.model), Path(arguments.output)
    if arguments.max_error is not None and not 0 <= arguments.max_error < math.inf:
        usage(f"--max-error {arguments.max_error:g}: expected a number of at least 0")
    if arguments.activations is not None and arguments.kind == "float16":
        usage("--activations goes with int8 and int4: float16 weights multiply float32")
    if arguments.sparse and arguments.kind != "int8":
        usage("--sparse goes with --kind int8")
    if source.exists() and output.exists() and source.samefile(output):
        usage(f"-o {output} is the model itself")
    if arguments.labels is not None and arguments.calibration is None:
        usage("--labels belong to frames: give these with --calibration")
    _check_folder(output.parent, exists=True)
    if arguments.report is not None:
        _check_folder(Path(arguments.report))


def _check_folder(folder: Path, *, exists: bool = False) -> None:
    """OSError where nothing can be written into it, or it cannot be made; nothing is made yet."""
    while not exists and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.exists():
        raise FileNotFoundError(2, os.strerror(2), str(folder))
    if not folder.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(folder))
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, os.strerror(13), str(folder))


def _labels(path: str) -> Any:
    """The only array of a file."""
    from grucore.cli._files import read_arrays

    found = read_arrays(path)
    arrays = list(found.values()) if isinstance(found, dict) else [found]
    if len(arrays) != 1:
        raise ValueError(f"{path}: holds {len(arrays)} arrays, expected one of labels")
    return arrays[0]


def _calibration(model: Model, path: str) -> Any:
    """The frames in a file; ValueError that names the file where the model cannot run on them."""
    from grucore.cli._files import by_input, read_arrays
    from grucore.runtime.arrays import find_nonfinite
    from grucore.runtime.sequences import Sequences

    found = by_input(model, read_arrays(path), path)
    try:
        inputs = Sequences(model, found).inputs
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    if not inputs[0].size:
        raise ValueError(f"{path}: holds no frames")
    rows, frames = find_nonfinite(inputs, None)
    if len(rows):
        others = f", nor are {len(rows) - 1} others" if len(rows) > 1 else ""
        raise ValueError(f"{path}: frame {frames[0]} of row {rows[0]} is not finite{others}")
    return found
