# SPDX-License-Identifier: Apache-2.0
"""`grucore convert`: from a checkpoint to a .gru file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grucore.cli.console import Console

HELP = "turn a checkpoint into a .gru file, and prove that nothing changed"
DESCRIPTION = """\
Convert a checkpoint of another framework, which need not be installed. Nothing in the file is
executed. The result is compared with the framework's own layers, or with a float64 reference; the
largest difference is printed, and one above the bound is an error. OUT.gru appears whole or not
at all; one that is there is replaced.

Kinds of FILE, told by its content (safetensors and ONNX also by the name):
  .pt .pth      torch.save of a state dict or of a module, torch.jit.save
  .ckpt         a checkpoint of Lightning
  .safetensors  tensors by name, read as a state dict
  .npz          numpy arrays by name, read as a state dict
  .pt2          torch.export.save
  .keras .h5    a whole model of Keras
  .weights.h5   weights of Keras alone (so is many an old .h5): needs --config
  .onnx         ONNX
  .json         weights of RTNeural, AIDA-X or GuitarML
safetensors and onnx files need the packages of these names: pip install "grucore[convert]".
"""
EPILOG = """\
examples:
  grucore convert kws.pt -o kws.gru --architecture "gru > last > linear"
  grucore convert model.pt2 model.gru --quantize int8
  grucore convert kws.pt -o kws.gru --front-end librosa.melspectrogram:n_mels=40
  grucore convert model.weights.h5 --config model.json -o model.gru

Without --architecture, a checkpoint whose layers can follow each other in several ways is refused
with the list of architectures that fit.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the checkpoint: see above")
    parser.add_argument("target", nargs="?", metavar="OUT.gru", help="where the model goes")
    parser.add_argument("-o", "--output", metavar="OUT.gru", help="the same as an option")
    parser.add_argument(
        "--architecture",
        metavar="TEXT",
        help='how the layers follow each other, such as "gru > last > linear"',
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="NAME",
        help="tensors or layers of the file that play no part in the model, such as 'aux.*'; may "
        "stand several times",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="model.to_json() of Keras, for a .weights.h5"
    )
    parser.add_argument(
        "--pytorch-lbr-fix",
        action="store_true",
        help="ONNX of PyTorch: read linear_before_reset=1 where an exporter wrote 0 by mistake",
    )
    parser.add_argument(
        "--front-end",
        metavar="TEXT",
        help="put features before the model, which then reads samples: name and settings, such as "
        "log_mel:sample_rate=16000,n_fft=400,hop_length=160,n_mels=40",
    )
    parser.add_argument(
        "--labels",
        metavar="TEXT",
        help="names of the scores, a,b,c or a file of lines, which `grucore run` then reports",
    )
    parser.add_argument(
        "--quantize",
        choices=("int8", "float16", "int4"),
        help="write smaller weights; `grucore quantize` has more choices, calibration among them",
    )
    parser.add_argument(
        "--strip",
        action="store_true",
        help="leave metadata and test vector out of the file: nothing can replay it then",
    )
    parser.add_argument(
        "--check",
        nargs=2,
        metavar=("X", "Y"),
        help="inputs and the outputs of the trained model for them (.npy, .npz, .csv): the result "
        "must agree with them",
    )
    parser.add_argument("--no-verify", action="store_true", help="do not compare the result")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Convert, save, and say what was read and how it was proved."""
    source, output = arguments.file, arguments.output or arguments.target
    if output is None or (arguments.output and arguments.target):
        arguments.parser.error("expected one OUT.gru: grucore convert FILE OUT.gru")
    if Path(source).exists() and Path(output).exists() and Path(source).samefile(output):
        arguments.parser.error(f"-o {output} is the checkpoint itself")

    if not Path(source).exists() or Path(source).is_file():
        Path(source).open("rb").close()  # what cannot be opened is refused before any import
    from grucore.cli._files import read_arrays, stripped, write_bytes
    from grucore.conversion import convert_path
    from grucore.summary import describe

    labels = None
    if arguments.labels is not None:
        from grucore.demo.words import check_labels, parse_labels

        labels = parse_labels(arguments.labels)
    front = None
    if arguments.front_end is not None:
        from grucore.audio import parse

        front = parse(arguments.front_end)
    check = None
    if arguments.check is not None:
        x, y = (read_arrays(path) for path in arguments.check)
        check = x, y
    started = time.perf_counter()
    with console.progress(f"converting {source}"):
        found = convert_path(
            source,
            architecture=arguments.architecture,
            config=arguments.config,
            pytorch_lbr_fix=arguments.pytorch_lbr_fix,
            verify=not arguments.no_verify,
            check=check,
            ignore=arguments.ignore,
        )
        if arguments.quantize is not None:
            from grucore.quantize.quantize import quantize

            found = quantize(found.graph, arguments.quantize)
        if front is not None or labels is not None:
            from grucore.graph.join import join
            from grucore.proof.proof import finish

            joined = found.graph if front is None else join(front.graph, found.graph)
            if labels is not None:
                check_labels(labels, joined.value(joined.outputs[0]).features)
                joined = joined.with_metadata(labels=labels)
            found = finish(joined)
    data, graph, _ = found
    seconds = time.perf_counter() - started
    if arguments.strip:
        data = stripped(data)
    write_bytes(output, data)
    report: dict[str, Any] = {
        "input": str(source),
        "input_bytes": Path(source).stat().st_size,
        "output": str(output),
        "output_bytes": len(data),
        "seconds": round(seconds, 6),
        "source": graph.metadata.get("source"),
        "proof": graph.metadata.get("proof"),
        "quantization": graph.metadata.get("quantization"),
        **describe.describe(graph),
    }
    if arguments.json:
        console.emit(report)
    else:
        _show(report, console)


def _show(report: dict[str, Any], console: Console) -> None:
    from grucore.cli._metadata import entries, proof_text, quantization_entries
    from grucore.summary import tables

    rows = [("read", f"{report['input']}, {tables.number(report['input_bytes'])} bytes")]
    rows += entries("source", report["source"])
    rows += [("input", tables.value_text(value)) for value in report["inputs"]]
    rows += [("output", tables.value_text(value)) for value in report["outputs"]]
    rows.append(("proof", proof_text(report["proof"])))
    rows += quantization_entries(report["quantization"])
    rows.append(
        (
            "wrote",
            f"{report['output']}, {tables.number(report['output_bytes'])} bytes, "
            f"in {report['seconds']:.2f} s",
        )
    )
    tables.show(report, console)
    console.line()
    console.fields(rows)
