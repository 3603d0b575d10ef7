# SPDX-License-Identifier: Apache-2.0
"""The report of a quantization: errors of layers, gates and rows, sizes, speed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from grucore.fileformat import read, save
from grucore.fileformat.layout import stored_bytes
from grucore.graph.graph import Graph
from grucore.graph.node import Node, Rate
from grucore.graph.tensors import Array
from grucore.proof.signals import SEED, noise
from grucore.quantize.report_advice import input_scales, verdict, warnings
from grucore.quantize.report_figures import layer_figures, matrix_figures
from grucore.quantize.report_outputs import decision_figures
from grucore.runtime.loaded import Loaded
from grucore.runtime.sequences import Sequences
from grucore.runtime.timing import in_turn
from grucore.version import __version__

__all__ = ["FEWEST_FRAMES", "Report", "compare"]

FEWEST_FRAMES = 10_000
MOST_FRAMES = 1 << 17
SEGMENT = 256  # frames of generated signals of one size
SIZES = (0.1, 0.5, 1.0, 4.0)


@dataclass(frozen=True)
class Report:
    """The result of `compare`: ``figures`` are numbers, texts, lists and dicts, as in JSON."""

    figures: dict[str, Any]

    def json(self) -> str:
        """The figures."""
        return json.dumps(self.figures, indent=2, allow_nan=False) + "\n"

    def html(self) -> str:
        """A page with plots, which needs no other file."""
        from grucore.quantize.report_html import page

        return page(self.figures)

    def __str__(self) -> str:
        from io import StringIO

        from grucore.quantize.report_text import show
        from grucore.text import Page

        output = StringIO()
        show(self.figures, Page(output))
        return output.getvalue()

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.txt, report.json and report.html into a folder, which is made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        found = {"txt": str(self), "json": self.json(), "html": self.html()}
        for suffix, content in found.items():
            save(folder / f"report.{suffix}", content.encode())
        return [folder / f"report.{suffix}" for suffix in found]


def compare(
    model: Loaded,
    quantized: Loaded,
    signals: Any = None,
    *,
    labels: Any = None,
    name: str = "",
    seconds: float = 1.0,
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """Run a model and its quantized twin on the same frames, and report how they differ.

    Parameters
    ----------
    model, quantized : Model
        A model of the same layers; both are looked at on the instruction set of the second.
    signals : array_like, optional
        What `Model.run` takes: (frames, features) or (batch, frames, features), or several of
        these. Frames of fewer than 10 000 are repeated until there are as many; of more than 131072
        the first are taken. Without signals they are generated: noise of several sizes.
    labels : array_like of int, optional
        The right choice for each output of the signals, (frames,) or (batch, frames), and (batch,)
        for an output per sequence: the accuracy of both models is reported. Below 0: not counted.
    name : str
        The model's name, for the report's heading.
    seconds : float
        For how long the models are timed; 0 leaves it out.
    progress : callable
        Is told each share of the work when it is done; they sum to about 1.

    Raises
    ------
    ValueError
        The models are not of the same layers, the signals do not fit them or have no frame, or
        the labels do not fit the outputs.
    NonFiniteError
        A frame of the signals is NaN or infinite.
    """
    graphs = read(bytes(model)), read(bytes(quantized))
    _check_twins(*graphs)
    if labels is not None and signals is None:
        raise ValueError("labels need the signals that they belong to")
    inputs, once = _signals(model, graphs[0], signals)
    frames = once[0].shape[0] * once[0].shape[1]
    share = 0.5 if seconds > 0 else 1.0
    layers = layer_figures(
        graphs, inputs, isa=quantized.isa, advance=lambda done: progress(done * share)
    )
    pairs = list(zip(graphs[0].nodes, graphs[1].nodes, strict=True))
    figures: dict[str, Any] = {
        "name": name,
        "made": {"grucore": __version__, "date": date.today().isoformat()},
        "isa": quantized.isa,
        "numerics": {"before": model.numerics, "after": quantized.numerics},
        "quantization": graphs[1].metadata.get("quantization"),
        "signals": {
            "source": "generated" if signals is None else "given",
            "frames": frames,
            "sequences": inputs[0].shape[0],
            "compared_frames": inputs[0].shape[0] * inputs[0].shape[1],
        },
        "bytes": {
            "weights": {
                when: sum(_bytes(graph, node) for node in graph.nodes)
                for when, graph in zip(("before", "after"), graphs, strict=True)
            },
            "file": {"before": model.nbytes, "after": quantized.nbytes},
        },
        "layers": [
            {
                "name": before.name,
                "kind": before.layer,
                "bytes": {"before": _bytes(graphs[0], before), "after": _bytes(graphs[1], after)},
                **layers[before.name],
            }
            for before, after in pairs
        ],
        "outputs": _output_figures(graphs[0], layers),
        "output_layers": [
            node.name for node in graphs[0].nodes if node.output in graphs[0].outputs
        ],
        "decisions": decision_figures((model, quantized), once, labels),
        "input_scales": input_scales(graphs[1], once),
        "matrices": [found for pair in pairs for found in matrix_figures(*pair)],
        "speed": None,
    }
    if seconds > 0:
        twin = Loaded(bytes(model), isa=quantized.isa)
        costs = in_turn(
            (twin, quantized),
            seconds=seconds,
            advance=lambda taken: progress(taken / seconds * (1 - share)),
        )
        figures["speed"] = dict(zip(("before", "after"), costs, strict=True))
    figures["verdict"] = verdict(figures)
    figures["warnings"] = warnings(figures)
    return Report(figures)


def _check_twins(before: Graph, after: Graph) -> None:
    def layers(graph: Graph) -> list[tuple[Any, ...]]:
        return [(node.name, node.layer, node.inputs, node.output) for node in graph.nodes]

    if before.values != after.values or layers(before) != layers(after):
        raise ValueError("the models differ in more than their weights: expected a quantized twin")


Inputs = tuple[Array, ...]


def _signals(model: Loaded, graph: Graph, data: Any) -> tuple[Inputs, Inputs]:
    """Inputs (B, frames, features), and the same before any frame is repeated."""
    if data is None:
        return _generated(graph)
    inputs = Sequences(model, data).inputs
    rows, frames = inputs[0].shape[:2]
    if not rows * frames:
        raise ValueError("the signals have no frames")
    rows = min(rows, MOST_FRAMES)
    kept = min(frames, max(1, MOST_FRAMES // rows))
    times = -(-FEWEST_FRAMES // (rows * kept))
    once = tuple(x[:rows, :kept] for x in inputs)
    return tuple(np.tile(x, (1, times, 1)) for x in once), once


def _generated(graph: Graph) -> tuple[Inputs, Inputs]:
    """One long sequence, or where an output is per sequence, many; every tenth of time is alike."""
    count = -(-FEWEST_FRAMES // SEGMENT)
    generator = np.random.default_rng(SEED)
    sizes = SIZES * -(-count // len(SIZES))
    inputs = tuple(
        np.stack([noise(graph, name, SEGMENT, size, generator) for size in sizes[:count]])
        for name in graph.inputs
    )
    if not any(graph.value(name).rate is Rate.SEQUENCE for name in graph.outputs):
        inputs = tuple(x.reshape(1, -1, x.shape[-1]) for x in inputs)
    return inputs, inputs


def _output_figures(graph: Graph, layers: dict[str, Any]) -> dict[str, Any]:
    """Those of the layers that write the outputs, without time."""
    writers = {node.output: layers[node.name]["error"] for node in graph.nodes}
    found = {name: writers[name] for name in graph.outputs if writers.get(name) is not None}
    return {
        name: {key: error[key] for key in ("max", "rms", "scale")} for name, error in found.items()
    }


def _bytes(graph: Graph, node: Node) -> int:
    """Bytes of the tensors of a node as they lie in the file, padding included."""
    return sum(stored_bytes(slot) for slot in graph.slots(node))
