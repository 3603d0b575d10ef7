# SPDX-License-Identifier: Apache-2.0
"""The workloads as ONNX, written node by node: with the operator GRU, or a step as products."""

from __future__ import annotations

from typing import Any

import numpy as np
from common.workloads import Array, Workload

__all__ = ["gru_graph", "step_graph"]


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: Any) -> bytes:
    from onnx import helper, numpy_helper

    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in constants.items()
    ]
    graph = helper.make_graph(nodes, "gru", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: bytes = model.SerializeToString()
    return found


def _port(name: str, *shape: int) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def gru_graph(workload: Workload, weights: dict[str, Array]) -> bytes:
    """GRU nodes, gate order z, r, n: x (T, B, I), h<l> (1, B, H) to y (T, B, H), h<l>.next."""
    from onnx import helper

    def swap(array: Array) -> Array:
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])

    size, batch, frames = workload.hidden_size, workload.batch, max(workload.frames, 1)
    nodes, constants = [], {"axis": np.array([1])}
    inputs, outputs = [_port("x", frames, batch, workload.input_size)], []
    value = "x"
    for layer in range(workload.layers):
        bias = np.concatenate([swap(weights[f"bias_{kind}_l{layer}"]) for kind in ("ih", "hh")])
        tensors = {
            f"w{layer}": swap(weights[f"weight_ih_l{layer}"])[None],
            f"r{layer}": swap(weights[f"weight_hh_l{layer}"])[None],
            f"b{layer}": bias[None],
        }
        constants |= tensors
        state, whole, given = f"h{layer}", f"y{layer}.directions", f"y{layer}"
        nodes.append(
            helper.make_node(
                "GRU",
                [value, *tensors, "", state],
                [whole, f"{state}.next"],
                hidden_size=size,
                linear_before_reset=1,
            )
        )
        value = given if layer < workload.layers - 1 else "y"
        nodes.append(helper.make_node("Squeeze", [whole, "axis"], [value]))
        inputs.append(_port(state, 1, batch, size))
        outputs.append(_port(f"{state}.next", 1, batch, size))
    return _model(nodes, inputs, [_port("y", frames, batch, size), *outputs], constants)


def step_graph(workload: Workload, weights: dict[str, Array]) -> bytes:
    """One step as MatMul, Add, Sigmoid and Tanh: x (1, I) and h<l> (1, H) to h<l>.next.

    For those that have no GRU, or none with int8 weights.
    """
    from onnx import helper

    size = workload.hidden_size
    nodes: list[Any] = []
    constants = {"parts": np.array([2 * size, size]), "halves": np.array([size, size])}
    inputs, outputs = [_port("x", 1, workload.input_size)], []

    def add(op: str, reads: list[str], *writes: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(op, reads, list(writes), **attributes))

    value = "x"
    for layer in range(workload.layers):
        h = f"h{layer}"

        def v(name: str, prefix: str = f"l{layer}.") -> str:
            return prefix + name

        for kind in ("ih", "hh"):
            constants[v(f"w_{kind}")] = weights[f"weight_{kind}_l{layer}"].T
            constants[v(f"b_{kind}")] = weights[f"bias_{kind}_l{layer}"]
        add("MatMul", [value, v("w_ih")], v("px"))
        add("Add", [v("px"), v("b_ih")], v("gx"))
        add("MatMul", [h, v("w_hh")], v("ph"))
        add("Add", [v("ph"), v("b_hh")], v("gh"))
        add("Split", [v("gx"), "parts"], v("x_rz"), v("x_n"), axis=1)
        add("Split", [v("gh"), "parts"], v("h_rz"), v("h_n"), axis=1)
        add("Add", [v("x_rz"), v("h_rz")], v("rz"))
        add("Sigmoid", [v("rz")], v("g"))
        add("Split", [v("g"), "halves"], v("r"), v("z"), axis=1)
        add("Mul", [v("r"), v("h_n")], v("rn"))
        add("Add", [v("x_n"), v("rn")], v("s"))
        add("Tanh", [v("s")], v("n"))
        add("Sub", [h, v("n")], v("d"))
        add("Mul", [v("z"), v("d")], v("zd"))
        value = f"{h}.next"
        add("Add", [v("n"), v("zd")], value)
        inputs.append(_port(h, 1, size))
        outputs.append(_port(value, 1, size))
    return _model(nodes, inputs, outputs, constants)
