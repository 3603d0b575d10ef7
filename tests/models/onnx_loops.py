# SPDX-License-Identifier: Apache-2.0
"""Loops over frames as ONNX writes them: the graph inside of a Loop or a Scan, and around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.onnx_models import FLOAT, Maker, helper

INT64, BOOL = 7, 9
# (body, x, states) -> new states, values for the scan outputs.
Step = Callable[[Maker, str, Sequence[str]], tuple[list[str], list[str]]]


def info(name: str, kind: int = FLOAT, dims: Sequence[Any] | None = None) -> Any:
    return helper.make_tensor_value_info(name, kind, dims)


def graph(body: Maker, inputs: Sequence[Any], outputs: Sequence[str]) -> Any:
    plain = [helper.make_empty_tensor_value_info(name) for name in outputs]
    return helper.make_graph(body.nodes, "body", list(inputs), plain, body.constants)


def inner(maker: Maker) -> Maker:
    """For the nodes of a body: its names are its own."""
    return Maker(maker.rng, maker.opset, count=1000 * (1 + maker.count))


def zeros(maker: Maker, x: str, size: int, batch: int = 1) -> str:
    """A state of zeros (batch, size), for as many rows as x has."""
    rows = maker.add("Gather", maker.add("Shape", x), maker.axes(batch), axis=0)
    shape = maker.add("Concat", rows, maker.axes(size), axis=0)
    return str(maker.add("ConstantOfShape", shape))


def scan(
    maker: Maker, step: Step, x: str, states: Sequence[str], scans: int = 1, **attributes: Any
) -> list[str]:
    """A Scan over x: the states after the last frame, then the sequences."""
    body = inner(maker)
    names = [body.name("s") for _ in states]
    frame = body.name("frame")
    new, given = step(body, frame, names)
    given = [body.add("Identity", name) for name in given]
    new = [body.add("Identity", name) for name in new]
    found = maker.add(
        "Scan",
        *states,
        x,
        outputs=len(states) + scans,
        body=graph(body, [info(name) for name in (*names, frame)], [*new, *given]),
        num_scan_inputs=1,
        **attributes,
    )
    return [found] if isinstance(found, str) else list(found)


def loop(
    maker: Maker,
    step: Step,
    x: str,
    states: Sequence[str],
    *,
    axis: int = 0,
    scans: int = 1,
    by: str = "Gather",
    trips: str | None = None,
    reverse: bool = False,
    condition: str = "true",
) -> list[str]:
    """A Loop over the frames of x along an axis; ``by``: how it takes one."""
    shape = maker.add("Shape", x)
    count = maker.add("Gather", shape, maker.constant(np.int64(axis)), axis=0)
    one, true = maker.constant(np.int64(1)), maker.constant(np.array(True))
    body = inner(maker)
    names = [body.name("s") for _ in states]
    number, going = "i", "going"  # in every loop: names inside a body are its own
    place = number
    if reverse:
        place = body.add("Sub", body.add("Sub", count, one), number)
    if by == "Gather":
        frame = body.add("Gather", x, place, axis=axis)
    else:
        start = body.add("Unsqueeze", place, body.axes(0))
        end = body.add("Add", start, body.axes(1))
        piece = body.add("Slice", x, start, end, body.axes(axis))
        frame = body.add("Squeeze", piece, body.axes(axis))
    new, given = step(body, frame, names)
    given = [body.add("Identity", name) for name in given]
    new = [body.add("Identity", name) for name in new]
    counted: list[Any] = []
    if condition == "counter":  # as tf2onnx writes a while loop
        counter = body.name("counter")
        counted = [info(counter, INT64, [])]
        next_one = body.add("Add", counter, one)
        goes_on = body.add("Less", next_one, count)
        new.append(next_one)
        states = [*states, maker.constant(np.int64(0))]
        trips, true = "", maker.add("Less", states[-1], count)
    elif condition == "data":
        sums = body.add("ReduceSum", body.add("Abs", new[0]), keepdims=0)
        goes_on = body.add("Less", sums, body.constant(np.float32(1e9)))
    else:
        goes_on = body.add("Identity", going)
    inputs = [info(number, INT64, []), info(going, BOOL, []), *map(info, names), *counted]
    found = maker.add(
        "Loop",
        count if trips is None else trips,
        true,
        *states,
        outputs=len(states) + scans,
        body=graph(body, inputs, [goes_on, *new, *given]),
    )
    return [found] if isinstance(found, str) else list(found)


def rnn_step(inputs: int, hidden: int, *, clipped: bool = False) -> Step:
    """h' = tanh(x W + h R + b)."""

    def step(body: Maker, x: str, states: Sequence[str]) -> tuple[list[str], list[str]]:
        of_x = body.add("MatMul", x, body.weight(inputs, hidden))
        of_h = body.add("MatMul", states[0], body.weight(hidden, hidden))
        total = body.add("Add", body.add("Add", of_x, of_h), body.weight(hidden))
        h = body.add("Tanh", total)
        if clipped:
            limits = [body.constant(np.float32(number)) for number in (-0.5, 0.4)]
            h = body.add("Clip", h, *limits)
        return [h], [h]

    return step


def gru_step(inputs: int, hidden: int, *, before: bool = False, swapped: bool = False) -> Step:
    """The gates of Keras in one product each, in the order z, r; ``before``: r h enters."""

    def step(body: Maker, x: str, states: Sequence[str]) -> tuple[list[str], list[str]]:
        (h,) = states
        of_x = body.add("MatMul", x, body.weight(inputs, 3 * hidden))
        of_x = body.add("Add", of_x, body.weight(3 * hidden))
        x_z, x_r, x_n = body.add("Split", of_x, axis=-1, num_outputs=3, outputs=3)
        width = (2 if before else 3) * hidden
        of_h = body.add("MatMul", h, body.weight(hidden, width))
        if before:
            h_z, h_r = body.add("Split", of_h, axis=-1, num_outputs=2, outputs=2)
        else:
            of_h = body.add("Add", of_h, body.weight(width))
            h_z, h_r, h_n = body.add("Split", of_h, axis=-1, num_outputs=3, outputs=3)
        z = body.add("Sigmoid", body.add("Add", x_z, h_z))
        r = body.add("Sigmoid", body.add("Add", h_r, x_r))
        if before:
            h_n = body.add("MatMul", body.add("Mul", r, h), body.weight(hidden, hidden))
        else:
            h_n = body.add("Mul", r, h_n)
        n = body.add("Tanh", body.add("Add", x_n, h_n))
        rest = body.add("Sub", body.constant(np.float32(1)), z)
        pair = (n, h) if swapped else (h, n)
        new = body.add("Add", body.add("Mul", z, pair[0]), body.add("Mul", rest, pair[1]))
        return [new], [new]

    return step


def lstm_step(inputs: int, hidden: int) -> Step:
    """As Keras writes it: one product of x and h side by side, gates i, f, g, o."""

    def step(body: Maker, x: str, states: Sequence[str]) -> tuple[list[str], list[str]]:
        h, c = states
        both = body.add("Concat", x, h, axis=-1)
        sums = body.add("MatMul", both, body.weight(inputs + hidden, 4 * hidden))
        sums = body.add("Add", sums, body.weight(4 * hidden))
        i, f, g, o = body.add("Split", sums, axis=-1, num_outputs=4, outputs=4)
        i, o = body.add("Sigmoid", i), body.add("Sigmoid", o)
        f = body.add("Sigmoid", body.add("Add", f, body.constant(np.float32(1))))
        kept = body.add("Mul", f, c)
        new_c = body.add("Add", kept, body.add("Mul", i, body.add("Tanh", g)))
        new_h = body.add("Mul", o, body.add("Tanh", new_c))
        return [new_h, new_c], [new_h]

    return step
