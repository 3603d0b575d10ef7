# SPDX-License-Identifier: Apache-2.0
"""Functions of single numbers and norms in ONNX, written as text, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_models import answer
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")
onnx = oracle("onnx")

BODIES = {
    "sign": "y = Sign(h)",
    "error function": "y = Erf(h)",
    "gelu": """root = Constant<value_float = 1.4142135>() one = Constant<value_float = 1.0>()
        half = Constant<value_float = 0.5>() d = Div(h, root) e = Erf(d) a = Add(e, one)
        p = Mul(h, a) y = Mul(p, half)""",
    "the greater of two": "c = Greater(h, x) y = Where(c, h, x)",
    "one hot": """depth = Constant<value_ints = [4]>() ends = Constant<value_floats = [-1.0, 2.0]>()
        i = ArgMax<axis = 2, keepdims = 0>(x)
        o = OneHot<axis = -1>(i, depth, ends) y = Mul(o, h)""",
    "RMS norm": "y = RMSNormalization<axis = -1, epsilon = 0.01>(h, scale)",
    "instance norm": """t = Transpose<perm = [1, 2, 0]>(h)
        n = InstanceNormalization<epsilon = 0.01>(t, scale, shift)
        y = Transpose<perm = [2, 0, 1]>(n)""",
    "group norm": """t = Transpose<perm = [1, 2, 0]>(h)
        n = GroupNormalization<num_groups = 2>(t, scale, shift)
        y = Transpose<perm = [2, 0, 1]>(n)""",
}


def model(body: str) -> Any:
    """A GRU of 4 units over x (time, batch, 4), then the body from h to y."""
    text = f"""<ir_version: 10, opset_import: ["" : 23]>
    g (float[time, batch, 4] x) => (float[time, batch, 4] y)
      <int64[1] axes = {{1}}> {{
        s, last = GRU<hidden_size = 4, linear_before_reset = 1>(x, w, r) h = Squeeze(s, axes)
        {body}
    }}"""
    made = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    shapes = {"w": (1, 12, 4), "r": (1, 12, 4), "scale": (4,), "shift": (4,)}
    for name, shape in shapes.items():
        array = rng.normal(size=shape).astype(np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return made


@pytest.mark.parametrize("name", BODIES)
def test_as_in_onnxruntime(name: str) -> None:
    source = model(BODIES[name])
    x = np.random.default_rng(1).normal(size=(2, 30, 4)).astype(np.float32)
    found = grucore.from_onnx(source).run(x)
    (theirs,) = answer(source, {"x": np.ascontiguousarray(x.swapaxes(0, 1))})
    assert np.abs(found - theirs.swapaxes(0, 1)).max() < 1e-5
