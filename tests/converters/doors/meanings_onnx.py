# SPDX-License-Identifier: Apache-2.0
"""Graphs of ONNX in its own text form, whose mutants onnxruntime runs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import grucore
from converters.doors.meanings import NoProgram, rules
from converters.doors.meanings_judge import Argument, Source, check, onnx_run

__all__ = ["PROGRAMS", "ROUTES", "RULES", "prepared"]

ROUTES = ("file",)
_X = (Argument("x", 5),)
# Constants are written as names and shapes in a comment: the numbers are drawn.
_TEXTS: dict[str, tuple[str, tuple[Argument, ...], tuple[int, ...]]] = {
    "gru": (
        """
        # w 1x18x5, r 1x18x6, b 1x36, a 6x3, c 3
        in (float[B, T, 5] x) => (float[P, Q, 3] y)
        t = Transpose <perm = [1, 0, 2]> (x)
        g, h = GRU <hidden_size = 6, linear_before_reset = 1> (t, w, r, b)
        s = Squeeze (g, one)
        u = Transpose <perm = [1, 0, 2]> (s)
        v = Tanh (u)
        m = MatMul (v, a)
        y = Add (m, c)
        """,
        _X,
        (),
    ),
    "both ways": (
        """
        # w 2x24x5, r 2x24x6, b 2x48, a 12x3
        in (float[T, B, 5] x) => (float[P, Q, 3] y)
        g, h, k = LSTM <hidden_size = 6, direction = "bidirectional"> (x, w, r, b)
        p = Transpose <perm = [0, 2, 1, 3]> (g)
        s = Reshape (p, shape_0_0_12)
        m = MatMul (s, a)
        y = Softmax <axis = -1> (m)
        """,
        _X,
        (),
    ),
    "ends": (
        """
        # w 2x18x5, r 2x18x6, b 2x36, a 12x3, c 3
        in (float[T, B, 5] x) => (float[B, 3] y)
        g, h = GRU <hidden_size = 6, direction = "bidirectional"> (x, w, r, b)
        p = Transpose <perm = [1, 0, 2]> (h)
        s = Flatten <axis = 1> (p)
        z = Relu (s)
        y = Gemm <transB = 0> (z, a, c)
        """,
        _X,
        (),
    ),
    "front": (
        """
        # k 8x5x3, d 8, w 1x18x8, r 1x18x6, b 1x36, a 6x3
        in (float[B, 5, T] x) => (float[P, Q, 3] y)
        e = Conv <kernel_shape = [3], pads = [2, 0]> (x, k, d)
        f = LeakyRelu <alpha = 0.1> (e)
        q = MaxPool <kernel_shape = [2], strides = [2]> (f)
        t = Transpose <perm = [2, 0, 1]> (q)
        g, h = GRU <hidden_size = 6, linear_before_reset = 1> (t, w, r, b)
        s = Squeeze (g, one)
        y = MatMul (s, a)
        """,
        _X,
        (),
    ),
    "pooled": (
        """
        # w 1x6x5, r 1x6x6, b 1x12, i 6, j 6, a 6x3
        in (float[B, T, 5] x) => (float[B, 3] y)
        t = Transpose <perm = [1, 0, 2]> (x)
        g, h = RNN <hidden_size = 6> (t, w, r, b)
        s = Squeeze (g, one)
        n = LayerNormalization <axis = -1, epsilon = 0.00001> (s, i, j)
        v = ReduceMean <keepdims = 0> (n, zero)
        m = MatMul (v, a)
        y = Sigmoid (m)
        """,
        _X,
        (),
    ),
    "carried": (
        """
        # w 1x18x5, r 1x18x6, b 1x36, a 6x3
        in (float[T, B, 5] x, float[1, B, 6] h0) => (float[P, Q, 3] y, float[1, B, 6] h)
        g, h = GRU <hidden_size = 6, linear_before_reset = 1> (x, w, r, b, , h0)
        s = Squeeze (g, one)
        y = MatMul (s, a)
        """,
        (*_X, Argument("h0", state=(1, "B", 6))),
        (1,),
    ),
    "gates": (
        """
        # w 1x18x5, r 1x18x6, b 1x36, a 6x6, c 6, e 6x6, half 1
        in (float[B, T, 5] x) => (float[P, Q, 6] y)
        t = Transpose <perm = [1, 0, 2]> (x)
        g, h = GRU <hidden_size = 6, linear_before_reset = 1> (t, w, r, b)
        s = Squeeze (g, one)
        u = Transpose <perm = [1, 0, 2]> (s)
        m = MatMul (u, a)
        n = Add (m, c)
        z = Sigmoid (n)
        l = MatMul (u, e)
        o = Mul (z, l)
        q = Sub (u, o)
        y = Mul (q, half)
        """,
        _X,
        (),
    ),
}
PROGRAMS = {name: textwrap.dedent(text).strip() + "\n" for name, (text, *_) in _TEXTS.items()}
RULES = rules(r"""
\b(Tanh|Sigmoid|Relu|LeakyRelu <.*?>|Softmax <.*?>) \(
    Tanh ( | Sigmoid ( | Relu ( | Softplus ( | Softsign ( | Elu <alpha = 0.3> ( | Exp (
    HardSigmoid <alpha = 0.3, beta = 0.4> ( | Selu ( | Abs ( | Neg ( | Gelu ( | Erf (
    LeakyRelu <alpha = 0.3> ( | ThresholdedRelu <alpha = 0.2> ( | HardSwish ( | Mish (
    Celu <alpha = 0.5> ( | Sqrt ( | Log ( | Sin ( | Floor ( | Sign ( | Reciprocal ( | Shrink (
    Identity ( | Softmax <axis = 1> ( | Softmax <axis = 0> ( | LogSoftmax <axis = -1> ( | Round (
    Gelu <approximate = "tanh"> ( | Hardmax ( | Clip ( | LpNormalization <axis = -1> ( | Dropout (
    LpNormalization <axis = 1> ( | CumSum0 (
perm = \[\d, \d, \d\]
    perm = [0, 1, 2] | perm = [1, 0, 2] | perm = [2, 0, 1] | perm = [0, 2, 1] | perm = [1, 2, 0]
    perm = [2, 1, 0]
perm = \[0, 2, 1, 3\]
    perm = [0, 2, 3, 1] | perm = [0, 1, 2, 3] | perm = [2, 0, 1, 3] | perm = [1, 2, 0, 3]
linear_before_reset = 1
    linear_before_reset = 0
(?<=linear_before_reset = 1)
    , direction = "reverse" | , clip = 0.5 | , layout = 1 | , activations = ["Sigmoid", "Relu"]
    , activations = ["HardSigmoid", "Tanh"]
    , activations = ["HardSigmoid", "Tanh"], activation_alpha = [0.3]
    , activations = ["Sigmoid", "LeakyRelu"], activation_alpha = [0.3]
    , activations = ["Tanh", "Tanh"] | , activations = ["Sigmoid", "Elu"]
    , activations = ["Sigmoid", "Softsign"]
    , activations = ["Sigmoid", "ScaledTanh"], activation_alpha = [1.5], activation_beta = [0.6]
RNN <hidden_size = 6>
    RNN <hidden_size = 6, direction = "reverse"> | RNN <hidden_size = 6, clip = 0.3>
    RNN <hidden_size = 6, activations = ["Relu"]>
    RNN <hidden_size = 6, activations = ["Sigmoid"]>
    RNN <hidden_size = 6, activations = ["Affine"]> | RNN <hidden_size = 6, activations = ["Elu"]>
    RNN <hidden_size = 6, activations = ["LeakyRelu"]>
    RNN <hidden_size = 6, activations = ["ThresholdedRelu"]>
    RNN <hidden_size = 6, activations = ["Softsign"]>
    RNN <hidden_size = 6, activations = ["HardSigmoid"]>
    RNN <hidden_size = 6, activations = ["ScaledTanh"]>
(?<=direction = "bidirectional")
    , clip = 0.4 | , input_forget = 1 | , linear_before_reset = 1
    , activations = ["Sigmoid", "Tanh", "Sigmoid", "Relu"]
    , activations = ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Relu", "Tanh"]
    , activations = ["Tanh", "Tanh", "Sigmoid", "Tanh"]
Squeeze \(g, one\)
    Squeeze (g) | ReduceSum <keepdims = 0> (g, one) | ReduceMax <keepdims = 0> (g, one)
    Squeeze (h, zero)
Reshape \(p, shape_0_0_12\)
    Reshape (p, shape_0_0_m1) | Reshape (p, shape_m1_12) | ReduceSum <keepdims = 0> (p, two)
    Flatten <axis = 2> (p)
Flatten <axis = 1> \(p\)
    Flatten <axis = 2> (p) | Reshape (p, shape_m1_12) | Flatten <axis = 1> (h)
    Reshape (h, shape_m1_12) | ReduceMean <keepdims = 0> (h, zero) | Flatten <axis = 0> (p)
(?<=transB = 0)
    , alpha = 0.5 | , beta = 0.5 | , transA = 1
axis = -1>
    axis = 1> | axis = 0> | axis = 2>
pads = \[2, 0\]
    pads = [0, 2] | pads = [1, 1] | pads = [2, 0], strides = [2] | pads = [4, 0], dilations = [2]
    auto_pad = "SAME_UPPER" | auto_pad = "SAME_LOWER" | dilations = [2] | pads = [3, 1]
    auto_pad = "SAME_UPPER", strides = [2] | auto_pad = "VALID" | strides = [3]
MaxPool <kernel_shape = \[2\], strides = \[2\]>
    AveragePool <kernel_shape = [2], strides = [2]>
    MaxPool <kernel_shape = [3], strides = [2], pads = [1, 1]>
    MaxPool <kernel_shape = [2], strides = [2], ceil_mode = 1>
    MaxPool <kernel_shape = [2], strides = [1]>
    AveragePool <kernel_shape = [3], strides = [1], pads = [1, 1]> | GlobalMaxPool
    GlobalAveragePool
    AveragePool <kernel_shape = [3], strides = [1], pads = [1, 1], count_include_pad = 1>
    MaxPool <kernel_shape = [3], strides = [2], pads = [2, 0]>
    MaxPool <kernel_shape = [2], strides = [1], dilations = [2]>
    LpPool <kernel_shape = [2], strides = [2]> | AveragePool <kernel_shape = [4], strides = [3]>
    AveragePool <kernel_shape = [3], strides = [2], auto_pad = "SAME_UPPER">
ReduceMean <keepdims = 0> \(n, zero\)
    ReduceSum <keepdims = 0> (n, zero) | ReduceMax <keepdims = 0> (n, zero)
    ReduceMin <keepdims = 0> (n, zero) | ReduceL2 <keepdims = 0> (n, zero)
    ReduceL1 <keepdims = 0> (n, zero) | ReduceProd <keepdims = 0> (n, zero)
    ReduceLogSumExp <keepdims = 0> (n, zero) | ReduceSumSquare <keepdims = 0> (n, zero)
    ReduceMean <keepdims = 1> (n, zero) | ReduceMean <keepdims = 0> (n, one)
    Gather <axis = 0> (n, zero_scalar) | Gather <axis = 0> (n, last_scalar)
    Gather <axis = 0> (n, five_scalar) | ReduceMean <keepdims = 0> (n)
    Slice (n, last, end, zero) | Slice (n, last, end, one) | Squeeze (h, zero) | Identity (n)
LayerNormalization <axis = -1, epsilon = 0\.00001>
    LayerNormalization <axis = -1, epsilon = 0.1> | LayerNormalization <axis = 1>
    LayerNormalization <axis = 2> | RMSNormalization <axis = -1>
\((t|x), w, r, b\)
    (\1, w, r) | (\1, w, r, b, lengths) | (\1, w, r, b, , )
GRU <(.*)> \(x, w, r, b, , h0\)\n
    tn = Tanh (h0)\ng, h = GRU <\1> (x, w, r, b, , tn)\n
    tn = Add (h0, h0)\ng, h = GRU <\1> (x, w, r, b, , tn)\n
g, h = (GRU <.*> \(x, w, r, b, , h0\))\n
    g, hh = \1\nh = Tanh (hh)\n | g, hh = \1\nh = Add (hh, h0)\n
    g, hh = \1\nh = Mul (hh, half)\n | g, hh = \1\nh = Neg (hh)\n
    g, hh = \1\nh = Identity (hh)\n | g, hh = \1\nh = Add (hh, hh)\n
    g, hh = \1\nh = Clip (hh, low, high)\n | g, hh = \1\nh = Slice (g, zero, one, zero)\n
    g, hh = \1\ngl = Slice (g, last, end, zero)\nh = Squeeze (gl, zero)\n
    g, hh = \1\ngl = Slice (g, zero, one, zero)\nh = Squeeze (gl, zero)\n
(Mul|Sub|Add) \((\w), (\w+)\)
    Mul (\2, \3) | Sub (\2, \3) | Add (\2, \3) | Div (\2, \3) | Pow (\2, \3) | Max (\2, \3)
    Min (\2, \3) | Mean (\2, \3) | Sum (\2, \3) | PRelu (\2, \3) | Mod (\2, \3) | \1 (\3, \2)
    \1 (\2, \2)
MatMul \((\w), (\w)\)
    MatMul (\2, \1) | MatMul (\1, \1) | Gemm (\1, \2) | Einsum <equation = "btg,gh->bth"> (\1, \2)
    Einsum <equation = "btg,gh->tbh"> (\1, \2)
(in \(.*\) => \(.*\))\n(.*)\(x
    \1\nxx = Slice (x, zero, k200, one)\n\2(xx | \1\nxx = Slice (x, zero, k200, zero)\n\2(xx
    \1\nxx = Slice (x, m512, end, one)\n\2(xx | \1\nxx = Slice (x, one, end, one)\n\2(xx
    \1\nxx = Slice (x, one, end, zero)\n\2(xx | \1\nxx = Slice (x, one, end, two)\n\2(xx
    \1\nxx = Mul (x, half)\n\2(xx | \1\nxx = Neg (x)\n\2(xx
    \1\nxx = CumSum (x, one_scalar)\n\2(xx | \1\nxx = ReduceMean (x, one)\n\2(xx
    \1\nxx = ReduceMean (x, two)\n\2(xx | \1\nxx = ReduceMean (x, zero)\n\2(xx
    \1\nxx = Softmax <axis = 1> (x)\n\2(xx | \1\nxx = Softmax <axis = 0> (x)\n\2(xx
    \1\nxx = Slice (x, last, m1000, one, last)\n\2(xx
    \1\nxx = Slice (x, last, m1000, zero, last)\n\2(xx
    \1\nxx = Slice (x, last, m1000, two, last)\n\2(xx | \1\nxx = Pad (x, pads_before)\n\2(xx
    \1\nxx = Pad (x, pads_after)\n\2(xx | \1\nxx = Pad (x, pads_first)\n\2(xx
    \1\nxx = Concat <axis = 1> (x, x)\n\2(xx | \1\nxx = Concat <axis = 0> (x, x)\n\2(xx
    \1\nxx = Pow (x, square)\n\2(xx | \1\nxx = Sqrt (x)\n\2(xx | \1\nxx = Cast <to = 6> (x)\n\2(xx
    \1\nxx = Expand (x, shape_1_1_1)\n\2(xx
    \1\nxx = InstanceNormalization (x, ones5, ones5)\n\2(xx
""")
FIXED = {
    "zero": [0],
    "one": [1],
    "two": [2],
    "last": [-1],
    "end": [1 << 40],
    "k200": [200],
    "m512": [-512],
    "m1000": [-1000000],
    "shape_0_0_12": [0, 0, 12],
    "shape_0_0_m1": [0, 0, -1],
    "shape_m1_12": [-1, 12],
    "shape_1_1_1": [1, 1, 1],
    "pads_before": [0, 1, 0, 0, 0, 0],
    "pads_after": [0, 0, 0, 0, 1, 0],
    "pads_first": [1, 0, 0, 0, 0, 0],
}
SCALARS = {"zero_scalar": 0, "last_scalar": -1, "five_scalar": 5, "one_scalar": 1}
FLOATS = {"low": -0.1, "high": 0.1, "square": 2.0, "half": 0.5}


def prepared(name: str, text: str) -> Callable[[str], None]:
    import onnx

    _, arguments, back = _TEXTS[name]
    generator = np.random.default_rng(1)
    try:
        model = _model(onnx, text)
        run = onnx_run(model.SerializeToString(), [each.name for each in arguments])
    except Exception as error:  # of the parser, or of onnxruntime
        raise NoProgram(f"{type(error).__name__}: {error}") from None
    # onnxruntime may abort on a GRU of no frames, and a Squeeze may take the time away.
    least = 9 if "Pool" in text or "Conv" in text else 2 if "Squeeze (g)" in text else 1
    source = Source(arguments, run, back, least=least)
    if not any(run(arrays) is not None for arrays in _shaped(model, arguments, generator)):
        raise NoProgram("onnxruntime does not run it")

    def convert(route: str) -> None:
        check(grucore.from_onnx(model), source)

    return convert


def _shaped(model: Any, arguments: Sequence[Argument], generator: np.random.Generator) -> Any:
    """Arguments in the axes that the file names."""
    given = [each.array(generator, 7, 9) for each in arguments]
    sizes = {"B": 7, "T": 9}
    for argument, port in zip(arguments, model.graph.input, strict=True):
        names = [each.dim_param or str(each.dim_value) for each in port.type.tensor_type.shape.dim]
        if not argument.state:
            order = [("B", "T", "5").index(each) for each in names]
            given[0] = np.ascontiguousarray(given[0].transpose(order))
    assert sizes
    yield given


def _model(onnx: Any, text: str) -> Any:
    header, ports, *body = text.strip().split("\n")
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        each: np.array(numbers, np.int64) for each, numbers in {**FIXED, **SCALARS}.items()
    }
    arrays |= {each: np.float32(number) for each, number in FLOATS.items()}
    arrays["ones5"] = np.ones(5, np.float32)
    for each in header.strip("# ").split(", "):
        name, shape = each.split(" ")
        extents = [int(extent) for extent in shape.split("x")]
        arrays[name] = generator.uniform(-0.7, 0.7, extents).astype(np.float32)
    graph = ports.replace("in (", "net (", 1) + " {\n" + "\n".join(body) + "\n}"
    opset = '<ir_version: 10, opset_import: ["" : 22]>'
    model = onnx.parser.parse_model(opset + "\n" + graph)
    used = {name for node in model.graph.node for name in node.input}
    for name, array in arrays.items():
        if name in used:
            tensor = onnx.numpy_helper.from_array(np.asarray(array), name)
            model.graph.initializer.append(tensor)
    for port in model.graph.output:  # mutants have others
        port.type.tensor_type.ClearField("shape")
    return model
