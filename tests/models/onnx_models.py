# SPDX-License-Identifier: Apache-2.0
"""Whole ONNX models, random ones and small ones, and onnxruntime's answer to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oracle.oracles import oracle

onnx = oracle("onnx")
helper = oracle("onnx.helper")
numpy_helper = oracle("onnx.numpy_helper")
FLOAT = onnx.TensorProto.FLOAT

GATE_COUNTS = {"GRU": 3, "LSTM": 4, "RNN": 1}
SIZES = [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20, 33]
# Gates below 0 make a state that grows, and with it every rounding error.
GATES = ["Sigmoid", "Sigmoid", "Sigmoid", "HardSigmoid"]
CANDIDATES = ["Tanh", "Tanh", "Tanh", "Relu", "Softsign", "Elu", "LeakyRelu", "Sigmoid"]
BOUNDED = ["Tanh", "Softsign", "Sigmoid", "HardSigmoid"]
BOUNDED_GATES = ["Tanh", "Softsign"]
PARAMETERS = {"HardSigmoid": (0.25, 0.4), "Elu": (0.7,), "LeakyRelu": (0.1,)}


@dataclass
class Maker:
    """Collects nodes and constants of a graph; `rng` makes the weights."""

    rng: np.random.Generator
    opset: int = 18
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    count: int = 0

    def name(self, base: str) -> str:
        self.count += 1
        return f"{base}_{self.count}"

    def constant(self, array: Any, base: str = "c") -> str:
        name = self.name(base)
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape: int, scale: float | None = None) -> str:
        scale = 1 / np.sqrt(shape[-1]) if scale is None else scale
        return self.constant((self.rng.uniform(-1, 1, shape) * scale).astype(np.float32), "w")

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.name(op.lower()) for _ in range(outputs)]
        node = helper.make_node(op, list(inputs), names, self.name(f"node.{op}"), **attributes)
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def input(self, name: str, dims: list[Any], kind: int = FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, dims))
        return name

    def axes(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64), "axes")

    def model(self, *outputs: str, producer: str = "test") -> Any:
        graph = helper.make_graph(
            self.nodes,
            "graph",
            self.inputs,
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.constants,
        )
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name=producer)


@dataclass
class Case:
    """A model and how to call it: what each input holds, by what the generator made it for."""

    model: Any
    kind: str
    features: int
    time_first: bool
    states: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lengths: str | None = None
    outputs: list[str] = field(default_factory=list)
    ids: int = 0


def answer(model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """onnxruntime's outputs, with one thread."""
    onnxruntime = oracle("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    data = model if isinstance(model, bytes | str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def gru(
    maker: Maker,
    x: str,
    inputs: int,
    hidden: int,
    *,
    h0: str = "",
    lengths: str = "",
    bias: bool = True,
    outputs: int = 2,
    op: str = "GRU",
    c0: str = "",
    peepholes: str = "",
    **attributes: Any,
) -> Any:
    """A GRU, LSTM or RNN node with random weights."""
    count = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = GATE_COUNTS[op] * hidden
    weights = [
        maker.weight(count, rows, inputs),
        maker.weight(count, rows, hidden, scale=0.7 / np.sqrt(hidden)),
        maker.weight(count, 2 * rows, scale=0.5) if bias else "",
    ]
    reads = [x, *weights, lengths, h0, *([c0, peepholes] if op == "LSTM" else [])]
    return maker.add(op, *reads, outputs=outputs, hidden_size=hidden, **attributes)


def random_gru(maker: Maker, x: str, inputs: int, case: Case, lengths: str) -> tuple[str, str, int]:
    """A recurrent layer with random attributes: Y as (T, B, features), Y_h, their features."""
    rng = maker.rng
    op = str(rng.choice(["GRU", "GRU", "LSTM", "LSTM", "RNN"]))
    hidden = int(rng.choice(SIZES))
    directions = ["forward", "forward", "bidirectional", "reverse"]
    direction = str(rng.choice(directions))
    count = 2 if direction == "bidirectional" else 1
    attributes: dict[str, Any] = {"direction": direction}
    if op == "GRU" and rng.random() < 0.7:
        attributes["linear_before_reset"] = int(rng.random() < 0.6)
    if rng.random() < 0.35:
        kinds = {
            "GRU": (GATES, CANDIDATES),
            "LSTM": (GATES, BOUNDED, CANDIDATES),
            "RNN": (BOUNDED,),
        }
        names = [str(rng.choice(kind)) for _ in range(count) for kind in kinds[op]]
        if op == "GRU" and rng.random() < 0.2:
            names = [str(rng.choice(BOUNDED_GATES)), "Tanh"] * count
        attributes["activations"] = names
        found = [PARAMETERS.get(name, ()) for name in names]
        attributes["activation_alpha"] = [numbers[0] for numbers in found if numbers]
        attributes["activation_beta"] = [numbers[1] for numbers in found if len(numbers) > 1]
        attributes = {key: value for key, value in attributes.items() if value != []}
    h0 = c0 = ""
    how = rng.random()
    if how < 0.2:
        # A learned state, for each row of the batch.
        state = maker.weight(count, 1, hidden, scale=0.8)
        sizes = maker.add("Shape", x)
        batch = maker.add("Gather", sizes, maker.constant(np.array([1])), axis=0)
        shape = maker.add("Concat", maker.axes(count), batch, maker.axes(hidden), axis=0)
        h0 = maker.add("Expand", state, shape)
    elif how < 0.35:
        sizes = maker.add("Shape", x)
        batch = maker.add("Slice", sizes, maker.axes(1), maker.axes(2), maker.axes(0))
        shape = maker.add("Concat", maker.axes(count), batch, maker.axes(hidden), axis=0)
        zero = numpy_helper.from_array(np.zeros(1, np.float32))
        h0 = maker.add("ConstantOfShape", shape, value=zero)
    elif how < 0.55:
        h0 = maker.input(maker.name("h"), [count, "batch", hidden])
        case.states[h0] = (count, hidden)
        if op == "LSTM":
            c0 = maker.input(maker.name("c"), [count, "batch", hidden])
            case.states[c0] = (count, hidden)
    bias = bool(rng.random() < 0.8)
    start = {"h0": h0, "c0": c0}
    y, last = gru(
        maker, x, inputs, hidden, lengths=lengths, bias=bias, op=op, **start, **attributes
    )
    if count == 1 and rng.random() < 0.5:
        y = maker.add("Squeeze", y, maker.axes(1))
    else:
        turned = maker.add("Transpose", y, perm=[0, 2, 1, 3])
        y = maker.add("Reshape", turned, maker.constant(np.array([0, 0, -1])))
    last = maker.add("Transpose", last, perm=[1, 0, 2])
    last = maker.add("Reshape", last, maker.constant(np.array([0, -1])))
    return y, last, count * hidden


def random_layer(maker: Maker, x: str, size: int, axis: int) -> tuple[str, int]:
    """One layer over the last axis; ``axis`` is that axis' number."""
    rng = maker.rng
    kind = int(rng.integers(12))
    if kind < 3:
        width = int(rng.choice(SIZES))
        product = maker.add("MatMul", x, maker.weight(size, width))
        pair = [product, maker.weight(width)]
        return maker.add("Add", *(pair if rng.random() < 0.5 else pair[::-1])), width
    if kind == 3:
        scale, shift = maker.weight(size), maker.weight(size)
        return maker.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-3), size
    if kind == 4:
        op = str(rng.choice(["Relu", "Sigmoid", "Tanh", "Softsign", "Softplus", "HardSwish"]))
        return maker.add(op, x), size
    if kind == 5:
        op, alpha = [("LeakyRelu", 0.2), ("Elu", 0.8), ("HardSigmoid", 0.3)][rng.integers(3)]
        return maker.add(op, x, alpha=alpha), size
    if kind == 6:
        # A gate: half of the features times the sigmoid of the others.
        product = maker.add("MatMul", x, maker.weight(size, 2 * size))
        if maker.opset >= 18:
            a, b = maker.add("Split", product, axis=-1, num_outputs=2, outputs=2)
        else:
            a, b = maker.add("Split", product, maker.axes(size, size), axis=axis, outputs=2)
        return maker.add("Mul", a, maker.add("Sigmoid", b)), size
    if kind == 7:
        halved = maker.add("Mul", x, maker.constant(np.float32(0.5)))
        inner = maker.add("Div", x, maker.constant(np.float32(np.sqrt(2))))
        erf = maker.add("Add", maker.add("Erf", inner), maker.constant(np.float32(1)))
        return maker.add("Mul", halved, erf), size
    if kind == 8:
        other = maker.add("Tanh", maker.add("MatMul", x, maker.weight(size, size)))
        return maker.add(str(rng.choice(["Add", "Sub", "Mul"])), x, other), size
    if kind == 9:
        other = maker.add("Sub", maker.weight(size), x)
        return maker.add("Concat", x, other, axis=-1), 2 * size
    if kind == 10:
        clipped = maker.add(
            "Clip", x, maker.constant(np.float32(-0.4)), maker.constant(np.float32(0.6))
        )
        cut = maker.add(
            "Slice", clipped, maker.axes(0), maker.axes(max(1, size - 1)), maker.axes(-1)
        )
        return cut, max(1, size - 1)
    sloped = maker.add("PRelu", x, maker.weight(size))
    return maker.add("Div", sloped, maker.constant(np.float32(1.7))), size


def random_convolution(maker: Maker, x: str, size: int) -> tuple[str, int]:
    """(T, B, features) through a convolution over time, causal or as long as its input."""
    rng = maker.rng
    width = int(rng.choice([2, 4, 6, 8]))
    groups = 2 if size % 2 == 0 and rng.random() < 0.4 else 1
    taps, dilation = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    reach = dilation * (taps - 1)
    turned = maker.add("Transpose", x, perm=[1, 2, 0])
    how = int(rng.integers(3))
    pads = [0, 0]
    if how == 0:
        amounts = maker.constant(np.array([0, 0, reach, 0, 0, 0]))
        turned = maker.add("Pad", turned, amounts)
    else:
        before = reach if how == 1 else reach // 2
        pads = [before, reach - before]
    weights = [maker.weight(width, size // groups, taps, scale=0.5), maker.weight(width)]
    y = maker.add("Conv", turned, *weights, pads=pads, dilations=[dilation], group=groups)
    if rng.random() < 0.5:
        numbers = [maker.weight(width) for _ in range(3)]
        variance = maker.constant(rng.uniform(0.5, 2, width).astype(np.float32))
        y = maker.add("BatchNormalization", y, *numbers, variance, epsilon=1e-3)
    if rng.random() < 0.5:
        y = maker.add("Relu", y)
    return maker.add("Transpose", y, perm=[2, 0, 1]), width


def random_case(seed: int) -> Case:
    """A model: ids or frames, layers, one to three GRUs among them, and a head."""
    rng = np.random.default_rng(seed)
    maker = Maker(rng, opset=int(rng.choice([17, 18, 20])))
    features = int(rng.choice(SIZES))
    case = Case(None, "", features, bool(rng.random() < 0.5))
    lead = ["time", "batch"] if case.time_first else ["batch", "time"]
    if rng.random() < 0.2:
        case.ids = int(rng.integers(2, 30))
        ids = maker.input("x", lead, onnx.TensorProto.INT64)
        x = maker.add("Gather", maker.weight(case.ids, features, scale=1.0), ids)
    else:
        x = maker.input("x", [*lead, features])
    if not case.time_first:
        x = maker.add("Transpose", x, perm=[1, 0, 2])
    size = features
    lengths = ""
    has_lengths = rng.random() < 0.15
    if has_lengths:
        lengths = case.lengths = maker.input("lengths", ["batch"], onnx.TensorProto.INT32)
    elif rng.random() < 0.3:
        x, size = random_convolution(maker, x, size)
    for _ in range(int(rng.integers(0, 2))):
        x, size = random_layer(maker, x, size, 2)
    last = ""
    for _ in range(int(rng.integers(1, 4))):
        x, last, size = random_gru(maker, x, size, case, lengths)
        last_size = size
    for _ in range(int(rng.integers(0, 3))):
        x, size = random_layer(maker, x, size, 2)
    case.kind = str(rng.choice(["frames", "frames", "h_n", "last", "slice", "mean", "max", "both"]))
    if has_lengths and case.kind in ("last", "slice", "mean", "max"):
        case.kind = "frames"
    y = maker.add("Identity", x)
    if case.kind == "last":
        y = maker.add("Gather", x, maker.constant(np.array(-1)), axis=0)
    elif case.kind == "slice":
        end = maker.constant(np.array([2**63 - 1]))
        y = maker.add("Slice", x, maker.axes(-1), end, maker.axes(0))
        y = maker.add("Squeeze", y, maker.axes(0))
    elif case.kind in ("mean", "max"):
        op = "ReduceMean" if case.kind == "mean" else "ReduceMax"
        if maker.opset >= 18:
            y = maker.add(op, x, maker.axes(0), keepdims=0)
        else:
            y = maker.add(op, x, axes=[0], keepdims=0)
    elif case.kind == "h_n":
        y, size = last, last_size
    if case.kind in ("last", "slice", "mean", "max", "h_n"):
        width = int(rng.choice(SIZES))
        y = maker.add(
            "Gemm", y, maker.weight(width, size), maker.weight(width), transB=1, alpha=1.5, beta=0.5
        )
        if rng.random() < 0.5:
            y = maker.add(str(rng.choice(["Softmax", "LogSoftmax"])), y, axis=-1)
    case.outputs = [y, last] if case.kind == "both" else [y]
    case.model = maker.model(*case.outputs)
    return case


def feeds_of(
    case: Case, rng: np.random.Generator, batch: int, frames: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The inputs of onnxruntime; and x, lengths and states, batch first."""
    if case.ids:
        x = rng.integers(0, case.ids, (batch, frames))
    else:
        x = rng.uniform(-2, 2, (batch, frames, case.features)).astype(np.float32)
    feeds = {"x": np.ascontiguousarray(x.swapaxes(0, 1)) if case.time_first else x}
    ours: dict[str, Any] = {"x": x, "states": {}}
    for name, (count, hidden) in case.states.items():
        feeds[name] = rng.uniform(-1, 1, (count, batch, hidden)).astype(np.float32)
        ours["states"][name] = feeds[name].swapaxes(0, 1)
    if case.lengths:
        ours["lengths"] = rng.integers(1, frames + 1, batch)
        feeds[case.lengths] = ours["lengths"].astype(np.int32)
    return feeds, ours
