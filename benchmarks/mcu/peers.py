# SPDX-License-Identifier: Apache-2.0
"""The keyword spotter for other generators of code: as ONNX, its state an input and an output."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.layers import Dense, Gru

__all__ = ["EMX", "emx_source", "emx_wrapper"]

EMX = "emx-onnx-cgen"


def _gates(array: np.ndarray) -> np.ndarray:
    """Gate order r, z, n to that of ONNX: z, r, h."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])


def _onnx(graph: Graph) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    gru, dense = graph.nodes
    assert isinstance(gru, Gru)
    assert isinstance(dense, Dense)
    hidden, inputs, outputs = gru.hidden_size, gru.input_size, len(dense.weight)
    recurrent = np.concatenate([np.zeros(2 * hidden, np.float32), gru.bias[3 * hidden :]])
    bias = np.concatenate([_gates(gru.bias[: 3 * hidden]), recurrent])
    tensors = {
        "W": _gates(gru.weight_ih)[None],
        "R": _gates(gru.weight_hh)[None],
        "B": bias[None],
        "size": np.array([1, hidden], np.int64),
        "D": dense.weight,
        "d": dense.bias,
    }
    nodes = [
        helper.make_node(
            "GRU",
            ["x", "W", "R", "B", "", "h"],
            ["", "next"],
            hidden_size=hidden,
            linear_before_reset=1,
        ),
        helper.make_node("Reshape", ["next", "size"], ["flat"]),
        helper.make_node("Gemm", ["flat", "D", "d"], ["y"], transB=1),
    ]

    def value(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    made = helper.make_graph(
        nodes,
        "spotter",
        [value("x", 1, 1, inputs), value("h", 1, 1, hidden)],
        [value("y", 1, outputs), value("next", 1, 1, hidden)],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8)


def emx_source(graph: Graph, folder: Path) -> Path | None:
    """C by emx-onnx-cgen (`pip install emx-onnx-cgen`), nothing on the heap; None without it."""
    program = shutil.which(EMX)
    if program is None:
        return None
    import onnx

    onnx.save(_onnx(graph), folder / "peer.onnx")
    command = [program, "compile", "peer.onnx", "peer.c", "--large-temp-threshold", "0"]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    return folder / "peer.c"


def emx_wrapper(graph: Graph) -> str:
    """Its function as the loops of plain.c are called."""
    gru, dense = graph.nodes
    assert isinstance(gru, Gru)
    assert isinstance(dense, Dense)
    inputs, hidden, outputs = gru.input_size, gru.hidden_size, len(dense.weight)
    return f"""
static float states[2][1][1][{hidden}];
static uint32_t newest;
void plain_reset(void) {{
  int i;
  for (i = 0; i < {hidden}; ++i) states[newest][0][0][i] = 0;
}}
void plain_step(const float *x, float *y) {{
  float in[1][1][{inputs}], out[1][{outputs}];
  __builtin_memcpy(in, x, sizeof in);
  model((const float (*)[1][{inputs}])in, (const float (*)[1][{hidden}])states[newest], out,
        states[1 - newest]);
  newest = 1 - newest;
  __builtin_memcpy(y, out, sizeof out);
}}
uint32_t plain_test(const float *x, const float *expected, uint32_t frames) {{
  float y[{outputs}];
  uint32_t t, i, different = 0;
  plain_reset();
  for (t = 0; t < frames; ++t) {{
    plain_step(x + {inputs} * t, y);
    for (i = 0; i < {outputs}; ++i) {{
      different += !(fabsf(y[i] - expected[{outputs} * t + i]) < 1e-4f);
    }}
  }}
  return different;
}}
"""
