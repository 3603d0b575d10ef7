# SPDX-License-Identifier: Apache-2.0
"""The workloads as ONNX, written node by node: with the operator, or a step as products."""

from __future__ import annotations

from typing import Any

import numpy as np
from common.workloads import Array, Workload

__all__ = ["operator_graph", "step_graph"]


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: Any) -> bytes:
    from onnx import helper, numpy_helper

    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in constants.items()
    ]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: bytes = model.SerializeToString()
    return found


def _port(name: str, *shape: int) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


# Gates as the operator has them, by their places in PyTorch's order.
_ORDERS = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "rnn": (0,)}


def operator_graph(workload: Workload, weights: dict[str, Array]) -> bytes:
    """GRU, LSTM or RNN nodes: x (T, B, I), states (1, B, H) to y (T, B, H) and the next states."""
    from onnx import helper

    def swap(array: Array) -> Array:
        parts = np.split(array, workload.gates)
        return np.concatenate([parts[place] for place in _ORDERS[workload.cell]])

    size, batch, frames = workload.hidden_size, workload.batch, max(workload.frames, 1)
    nodes, constants = [], {"axis": np.array([1])}
    inputs, outputs = [_port("x", frames, batch, workload.input_size)], []
    options = {"linear_before_reset": 1} if workload.cell == "gru" else {}
    value = "x"
    for layer in range(workload.layers):
        bias = np.concatenate([swap(weights[f"bias_{kind}_l{layer}"]) for kind in ("ih", "hh")])
        tensors = {
            f"w{layer}": swap(weights[f"weight_ih_l{layer}"])[None],
            f"r{layer}": swap(weights[f"weight_hh_l{layer}"])[None],
            f"b{layer}": bias[None],
        }
        constants |= tensors
        states = [state for state in workload.states if state.endswith(str(layer))]
        after = [f"{state}.next" for state in states]
        whole, given = f"y{layer}.directions", f"y{layer}"
        reads, writes = [value, *tensors, "", *states], [whole, *after]
        kind = workload.cell.upper()
        nodes.append(helper.make_node(kind, reads, writes, hidden_size=size, **options))
        value = given if layer < workload.layers - 1 else "y"
        nodes.append(helper.make_node("Squeeze", [whole, "axis"], [value]))
        inputs += [_port(state, 1, batch, size) for state in states]
        outputs += [_port(state, 1, batch, size) for state in after]
    return _model(nodes, inputs, [_port("y", frames, batch, size), *outputs], constants)


def step_graph(workload: Workload, weights: dict[str, Array]) -> bytes:
    """One step as MatMul, Add, Sigmoid and Tanh: x (1, I) and states (1, H) to states.next.

    For those that have no such operator, or none with int8 weights.
    """
    from onnx import helper

    size = workload.hidden_size
    nodes: list[Any] = []
    constants: dict[str, Array] = {}
    inputs, outputs = [_port("x", 1, workload.input_size)], []

    def add(op: str, reads: list[str], *writes: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(op, reads, list(writes), **attributes))

    def split(source: str, parts: list[int], *writes: str) -> None:
        name = "x".join(map(str, parts))
        constants[name] = np.array(parts) * size
        add("Split", [source, name], *writes, axis=1)

    value = "x"
    for layer in range(workload.layers):
        h, c = f"h{layer}", f"c{layer}"

        def v(name: str, prefix: str = f"l{layer}.") -> str:
            return prefix + name

        def sigmoids(source: str, *gates: str) -> None:
            add("Sigmoid", [source], v("g"))
            split(v("g"), [1] * len(gates), *gates)

        for kind, source in (("ih", value), ("hh", h)):
            constants[v(f"w_{kind}")] = weights[f"weight_{kind}_l{layer}"].T
            constants[v(f"b_{kind}")] = weights[f"bias_{kind}_l{layer}"]
            add("MatMul", [source, v(f"w_{kind}")], v(f"p_{kind}"))
            add("Add", [v(f"p_{kind}"), v(f"b_{kind}")], v(kind))
        value = f"{h}.next"
        if workload.cell == "gru":
            split(v("ih"), [2, 1], v("x_rz"), v("x_n"))
            split(v("hh"), [2, 1], v("h_rz"), v("h_n"))
            add("Add", [v("x_rz"), v("h_rz")], v("rz"))
            sigmoids(v("rz"), v("r"), v("z"))
            add("Mul", [v("r"), v("h_n")], v("rn"))
            add("Add", [v("x_n"), v("rn")], v("s"))
            add("Tanh", [v("s")], v("n"))
            add("Sub", [h, v("n")], v("d"))
            add("Mul", [v("z"), v("d")], v("zd"))
            add("Add", [v("n"), v("zd")], value)
        else:
            add("Add", [v("ih"), v("hh")], v("sum"))
        if workload.cell == "rnn":
            add("Tanh", [v("sum")], value)
        if workload.cell == "lstm":
            split(v("sum"), [2, 1, 1], v("s_if"), v("s_g"), v("s_o"))
            sigmoids(v("s_if"), v("i"), v("f"))
            add("Tanh", [v("s_g")], v("n"))
            add("Sigmoid", [v("s_o")], v("o"))
            add("Mul", [v("f"), c], v("kept"))
            add("Mul", [v("i"), v("n")], v("new"))
            add("Add", [v("kept"), v("new")], f"{c}.next")
            add("Tanh", [f"{c}.next"], v("bent"))
            add("Mul", [v("o"), v("bent")], value)
        states = [state for state in workload.states if state.endswith(str(layer))]
        inputs += [_port(state, 1, size) for state in states]
        outputs += [_port(f"{state}.next", 1, size) for state in states]
    return _model(nodes, inputs, outputs, constants)
