# SPDX-License-Identifier: Apache-2.0
"""Mask models: samples in, samples out, and a network in between that turns bands up and down."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from grucore.audio.filters import erb_filters
from grucore.audio.windows import window as window_of
from grucore.fileformat import read
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.join import join
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Filterbank,
    Irfft,
    Operation,
    OverlapAdd,
    Rfft,
    Spectrum,
    Window,
)
from grucore.graph.node import Node, Value
from grucore.graph.tensors import Float
from grucore.model import Model, load
from grucore.proof.proof import finish

__all__ = ["masked"]


class _Layers:
    """Layers that read any values; each one's value has its name and `.out`."""

    def __init__(self, *values: Value) -> None:
        self.values = {value.name: value for value in values}
        self.nodes: list[Node] = []

    def add(self, layer: Node) -> str:
        """Append a layer, which says which values it reads; the name of its own."""
        node = replace(layer, output=f"{layer.name}.out")
        self.nodes.append(node)
        self.values[node.output] = node.written(*(self.values[name] for name in node.inputs))
        return node.output


def masked(
    model: Model,
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    window: str | npt.ArrayLike = "hann",
    filters: npt.ArrayLike | None = None,
    floor: float = 1e-6,
    mean: float = 0.0,
    std: float = 1.0,
) -> Model:
    """Make a model from samples to samples of one from bands to gains.

    The model reads, for each hop, ``(ln(energy + floor) - mean) / std`` of each band of the newest
    ``n_fft`` samples, and gives a factor for each band. Each bin of the spectrum is multiplied by
    the factors of its bands, and the samples of the result are added up where frames overlap.

    Parameters
    ----------
    model : Model
        As many outputs as inputs, per frame: the bands.
    sample_rate : int
        Samples per second.
    n_fft, hop_length : int
        Samples of a frame, a product of 2, 3 and 5, and from frame to frame.
    window : str or array_like, (n_fft,)
        As `grucore.audio.window` takes it; its square root is the window on both sides.
    filters : array_like, (bands, n_fft // 2 + 1), optional
        Not negative; `erb_filters` unless given. A bin of several bands is multiplied by the mean
        of their factors with these weights.
    floor, mean, std : float
        The floor of the logarithms, and what normalizes them.

    Returns
    -------
    Model
        A hop of samples in, a hop out, ``n_fft - hop_length`` samples later, which
        ``metadata["front_end"]["latency"]`` says. With the names and the proof of the model.

    Raises
    ------
    ValueError
        The model has other inputs or outputs, or the windows leave a sample out.
    ConversionError
        A length has other factors than 2, 3 and 5.
    """
    bands = model.inputs[0].features
    ports = [*model.inputs, *model.outputs]
    if len(ports) != 2 or ports[1].features != bands or ports[1].rate != "frame":
        text = ", ".join(f"{port.name} ({port.features}, per {port.rate})" for port in ports)
        raise ValueError(f"the model has {text}: expected bands in and as many factors per frame")
    if filters is None:
        filters = erb_filters(sample_rate=sample_rate, n_fft=n_fft, bands=bands)
    matrix = np.asarray(filters, np.float64)
    if matrix.shape != (bands, n_fft // 2 + 1) or not (matrix >= 0).all():
        raise ValueError(
            f"filters of shape {matrix.shape}, expected ({bands}, {n_fft // 2 + 1}), not negative"
        )
    root = np.sqrt(np.maximum(window_of(window, n_fft), 0.0))
    start = _features(matrix, root, hop_length, floor, mean, std)
    settings = {
        "kind": "masked",
        "sample_rate": sample_rate,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "latency": n_fft - hop_length,
    }
    graph = join(replace(start, metadata={"front_end": settings}), read(bytes(model)))
    return load(finish(_with_samples(graph, matrix, root, hop_length)).data, isa=model.isa)


def _features(matrix: Float, root: Float, hop: int, floor: float, mean: float, std: float) -> Graph:
    """From samples to the logarithms of energies."""
    bands = len(matrix)
    layers = _Layers(Value("samples", hop))
    none = np.zeros_like(matrix)

    def bank(name: str, halves: tuple[Float, Float], squares: str) -> str:
        wide = np.concatenate(halves, axis=1)
        return layers.add(Filterbank.of_matrix(wide, name=name, inputs=(squares,), output=""))

    weight = root.astype(np.float32)
    last = layers.add(Window(name="front.window", inputs=("samples",), output="", weight=weight))
    spectrum = Rfft(
        name="front.spectrum",
        inputs=(last,),
        output="",
        length=len(root),
        spectrum=Spectrum.COMPLEX,
    )
    parts = layers.add(spectrum)
    product = Binary(
        name="front.squares", inputs=(parts, parts), output="", operation=Operation.MULTIPLY
    )
    squares = layers.add(product)
    both = (
        bank("front.real", (matrix, none), squares),
        bank("front.imaginary", (none, matrix), squares),
    )
    energy = Binary(name="front.energy", inputs=both, output="", operation=Operation.ADD)
    last = layers.add(energy)
    ones = np.ones(bands, np.float32)
    for name, scale, shift in (("floor", 1.0, floor), ("scale", 1 / std, -mean / std)):
        if name == "scale":
            log = Activation.log(0.0, 1.0)
            last = layers.add(Activate(name="front.log", inputs=(last,), output="", activation=log))
        numbers = {"scale": np.float32(scale) * ones, "shift": np.float32(shift) * ones}
        last = layers.add(Affine(name=f"front.{name}", inputs=(last,), output="", **numbers))
    return Graph(
        values=tuple(layers.values.values()),
        inputs=("samples",),
        outputs=(last,),
        nodes=tuple(layers.nodes),
    )


def _with_samples(graph: Graph, matrix: Float, root: Float, hop: int) -> Graph:
    """The same with the way back, from factors to samples."""
    share = matrix / np.maximum(matrix.sum(axis=0), 1e-12)
    layers = _Layers(*graph.values)
    both = np.concatenate([share.T, share.T])  # real and imaginary parts
    last = layers.add(
        Filterbank.of_matrix(both, name="back.gains", inputs=graph.outputs, output="")
    )
    inputs = ("front.spectrum.out", last)
    last = layers.add(
        Binary(name="back.masked", inputs=inputs, output="", operation=Operation.MULTIPLY)
    )
    last = layers.add(Irfft(name="back.samples", inputs=(last,), output="", length=len(root)))
    padded = np.zeros(math.ceil(len(root) / hop) * hop)
    padded[: len(root)] = root**2
    covered = padded.reshape(-1, hop).sum(axis=0)  # of each sample, by all frames over it
    if len(root) < hop or covered.min() < 1e-3 * covered.max():
        raise ValueError(
            f"windows of {len(root)} samples each {hop}: some samples are in none, expected a "
            "shorter hop or another window"
        )
    weight = (root / covered[np.arange(len(root)) % hop]).astype(np.float32)
    last = layers.add(
        OverlapAdd(name="back.overlap", inputs=(last,), output="", weight=weight, hop=hop)
    )
    whole = replace(
        graph,
        values=tuple(layers.values.values()),
        nodes=(*graph.nodes, *layers.nodes),
        outputs=(last,),
        test=None,
    )
    check(whole)
    return whole
