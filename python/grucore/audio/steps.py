# SPDX-License-Identifier: Apache-2.0
"""Steps over the frames of a front end: PCEN, running means and variances, deltas.

They are graphs of layers that any model may have: states are `delay` layers, deltas a convolution.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.audio.front_end import FrontEnd, Timing
from grucore.graph.check import check
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Conv1d,
    Delay,
    Operation,
    Select,
)
from grucore.graph.loops import arranged
from grucore.graph.node import Node, Value
from grucore.graph.tensors import Array

__all__ = ["Steps", "deltas", "pcen", "running_normalization"]


class Steps:
    """Layers after those of a front end, named ``front.<step>.<role>``."""

    def __init__(self, front: FrontEnd, step: str) -> None:
        self.front, self._step = front, step
        self.values = list(front.graph.values)
        self.nodes = list(front.graph.nodes)
        self.start = front.graph.value(front.graph.outputs[0])
        taken = {node.name for node in self.nodes}
        if any(name.startswith(f"front.{step}.") for name in taken):
            raise ValueError(f"the front end has {step} already")

    def add(self, cls: type[Node], role: str, *inputs: Value, **settings: Any) -> Value:
        name = f"front.{self._step}.{role}"
        names = tuple(value.name for value in inputs)
        node = cls(name=name, inputs=names, output=f"{name}.out", **settings)
        self.nodes.append(node)
        self.values.append(node.written(*inputs))
        return self.values[-1]

    def affine(self, role: str, x: Value, scale: float | Array, shift: float = 0.0) -> Value:
        ones = np.ones(x.features, np.float32)
        numbers = {"scale": np.float32(scale) * ones, "shift": np.float32(shift) * ones}
        return self.add(Affine, role, x, **numbers)

    def power(self, role: str, x: Value, exponent: float) -> Value:
        log = Activation.log(0.0, exponent)
        logs = self.add(Activate, f"{role}.log", x, activation=log)
        return self.add(Activate, role, logs, activation=Activation.EXP)

    def mean(self, role: str, x: Value, share: float | Array, initial: Array) -> Value:
        """``share`` of each frame and the rest of the mean of those before it."""
        name = f"front.{self._step}.{role}"
        before = replace(x, name=f"{name}.before.out")
        self.values.append(before)
        part = self.affine(f"{role}.new", x, share)
        rest = self.affine(f"{role}.old", before, 1 - share)
        mean = self.add(Binary, role, part, rest, operation=Operation.ADD)
        delay = Delay(
            name=f"{name}.before",
            inputs=(mean.name,),
            output=before.name,
            initial_state=initial.reshape(1, -1).astype(np.float32),
        )
        self.nodes.append(delay)
        return mean

    def finish(
        self, output: Value, settings: dict[str, Any], timing: Timing | None = None
    ) -> FrontEnd:
        about = {**self.front.settings, self._step: settings}
        graph = replace(
            self.front.graph,
            values=tuple(self.values),
            nodes=arranged(self.nodes),
            outputs=(output.name,),
        ).with_metadata(front_end=about)
        check(graph)
        return FrontEnd(graph, timing or self.front.timing, about)


def pcen(
    front: FrontEnd,
    *,
    time_constant: float = 0.4,
    gain: float = 0.98,
    bias: float = 2.0,
    power: float = 0.5,
    epsilon: float = 1e-6,
) -> FrontEnd:
    """Per-channel energy normalization of energies: ``log_mel(..., log=None)``.

    ``(E / (epsilon + M)^gain + bias)^power - bias^power`` with the running mean ``M``, of Wang et
    al., "Trainable frontend for robust and far-field keyword spotting" (2017). As `librosa.pcen`
    of the same settings, whose mean begins with 1.

    Parameters
    ----------
    front : FrontEnd
        It gives energies, which are not negative.
    time_constant : float
        The mean's, in seconds.
    gain, bias, power, epsilon : float
        As in the formula; bias and epsilon are above 0.

    Raises
    ------
    ValueError
        A number makes no sense, or the front end takes a logarithm.
    """
    if front.settings.get("log") is not None:
        raise ValueError(f"log={front.settings['log']!r}: PCEN reads energies, expected log=None")
    numbers = (time_constant, bias, power, epsilon)
    if not all(math.isfinite(each) and each > 0 for each in numbers):
        raise ValueError(
            f"time_constant={time_constant}, bias={bias}, power={power}, epsilon={epsilon}: "
            "expected numbers above 0"
        )
    frames = time_constant * front.sample_rate / front.hop_length
    share = (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    steps = Steps(front, "pcen")
    energy = steps.start
    mean = steps.mean("mean", energy, share, np.ones(energy.features))
    factor = steps.power("gain", steps.affine("floor", mean, 1.0, epsilon), -gain)
    level = steps.add(Binary, "level", energy, factor, operation=Operation.MULTIPLY)
    root = steps.power("power", steps.affine("bias", level, 1.0, bias), power)
    output = steps.affine("less", root, 1.0, -(bias**power))
    settings = {"time_constant": time_constant, "gain": gain, "bias": bias, "power": power}
    return steps.finish(output, {**settings, "epsilon": epsilon})


def running_normalization(
    front: FrontEnd,
    *,
    time_constant: float,
    mean: npt.ArrayLike = 0.0,
    variance: npt.ArrayLike | None = None,
    epsilon: float = 1e-6,
) -> FrontEnd:
    """Each feature less its running mean, and by its running deviation.

    ``m[t] = a m[t-1] + (1 - a) x[t]`` with ``a = exp(-hop / time_constant)``; then ``x - m``, and
    with a variance ``(x - m) / sqrt(v + epsilon)`` of the same mean ``v`` of ``(x - m)^2``.

    Parameters
    ----------
    time_constant : float
        Seconds after which a frame counts ``1 / e`` of what it did.
    mean, variance : array_like, (features,) or a number
        Those before the first frame, of the data that the network was trained on; without a
        variance the features keep theirs.

    Raises
    ------
    ValueError
        A number makes no sense, or an array has another shape.
    """
    if not (time_constant > 0 and epsilon > 0):
        raise ValueError(f"time_constant={time_constant}, epsilon={epsilon}: expected above 0")
    share = -math.expm1(-front.hop_length / (front.sample_rate * time_constant))
    steps = Steps(front, "running")
    x = steps.start
    start = _broadcast("mean", mean, x.features)
    average = steps.mean("mean", x, share, start)
    output = steps.add(Binary, "centred", x, average, operation=Operation.SUBTRACT)
    settings: dict[str, Any] = {"time_constant": time_constant, "mean": start.tolist()}
    if variance is not None:
        begun = _broadcast("variance", variance, x.features)
        if not (begun >= 0).all():
            raise ValueError(f"variance has {begun.min()}, expected nothing below 0")
        square = steps.add(Binary, "square", output, output, operation=Operation.MULTIPLY)
        spread = steps.mean("variance", square, share, begun)
        inverse = steps.power("inverse", steps.affine("floor", spread, 1.0, epsilon), -0.5)
        output = steps.add(Binary, "scaled", output, inverse, operation=Operation.MULTIPLY)
        settings |= {"variance": begun.tolist(), "epsilon": epsilon}
    return steps.finish(output, settings)


def _broadcast(name: str, given: npt.ArrayLike, features: int) -> Array:
    array = np.asarray(given, np.float64)
    if array.shape not in ((), (features,)) or not np.isfinite(array).all():
        raise ValueError(f"{name} has shape {array.shape}, expected () or ({features},), finite")
    return np.broadcast_to(array, (features,))


def deltas(front: FrontEnd, *, width: int = 2, orders: int = 2) -> FrontEnd:
    """The features, then their slopes, then the slopes of these: `orders` + 1 times as many.

    A slope is that of a line through ``2 width + 1`` frames, ``sum(n x[t + n]) / sum(n^2)`` for n
    from -width to width, as in HTK, Kaldi and `python_speech_features.delta`. A frame comes
    ``width * orders`` hops later, with frames on both sides of it: none at the ends.

    Parameters
    ----------
    width : int
        Frames on each side.
    orders : int
        1 for slopes, 2 for those of slopes as well.

    Raises
    ------
    ValueError
        A number below 1.
    """
    if width < 1 or orders < 1:
        raise ValueError(f"width={width}, orders={orders}: expected at least 1")
    steps = Steps(front, "deltas")
    x, reach = steps.start, width * orders
    places = np.arange(-width, width + 1)
    slope = places / np.sum(places**2)
    kernels: list[Array] = [np.ones(1)]
    for _ in range(orders):
        kernels.append(np.convolve(kernels[-1], slope))
    wide = [np.pad(kernel, reach - len(kernel) // 2) for kernel in kernels]
    rows = np.tile(np.stack(wide), (x.features, 1))[:, :, None].astype(np.float32)
    bias = np.zeros(len(rows), np.float32)
    both = steps.add(Conv1d, "slopes", x, weight=rows, bias=bias, groups=x.features)
    index = np.arange(len(rows)).reshape(x.features, -1).T.reshape(-1).astype(np.int32)
    output = steps.add(Select, "order", both, index=index)
    timing = front.timing
    more = 2 * reach * timing.hop
    later = replace(timing, end=timing.end + more, length=timing.length + more)
    return steps.finish(output, {"width": width, "orders": orders}, later)
