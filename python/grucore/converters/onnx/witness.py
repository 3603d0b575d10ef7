# SPDX-License-Identifier: Apache-2.0
"""The evidence for a conversion from ONNX: onnxruntime and a float64 evaluator on a rebuilt model.

The rebuilt model has the nodes and constants of the file as our reader understood them, before any
folding or relabelling of ours. The file itself is not given to either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.onnx.evaluate import made_node
from grucore.converters.onnx.float64 import evaluator
from grucore.converters.onnx.read.source import RECURRENT, Body, OnnxNode, Port, Source
from grucore.converters.onnx.reading import Reading
from grucore.converters.trace.arrangement import inward, outward
from grucore.converters.trace.axes import BATCH, FEATURES, TIME, Axes, Data
from grucore.converters.trace.memory import MEMORY
from grucore.graph.node import Rate
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence, Witness, reference_evidence
from grucore.proof.signals import drawn_memory, memory_states

__all__ = ["drops_any_axis", "evidence_of", "rebuilt_model"]

# As wide in float64 as in float32: graphs of exporters add more roundings than a module does.
BOUND = 1e-5
# Operators that make floating point of sizes.
MADE = ("HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix")
# Frames in the calls of a caller who hands states back, the last one again and again.
CHUNKS = (1, 2, 9, 40)


def evidence_of(reading: Reading, lengths: Sequence[int]) -> Evidence:
    """onnxruntime if it is installed and takes the model, and onnx's evaluator in float64; without
    either the float64 reference, which runs our own graph."""
    exact = _in_float64(reading)
    session, why = _session(reading)
    if session is not None:
        import onnxruntime

        what = f"onnxruntime {onnxruntime.__version__} on the model rebuilt from the file"
        witness = _caller(session, reading, "float32")
        return Evidence(witness, what, exact, lengths, bound=BOUND, given=_given(reading))
    if exact is not None:
        what = f"the file's own operators in float64 ({why})"
        return Evidence(exact, what, lengths=lengths, bound=BOUND, given=_given(reading))
    return reference_evidence(reading.graph, why, lengths=lengths)


def _given(reading: Reading) -> Callable[[int], Mapping[str, Array]] | None:
    """The memories that a caller sets, as long as the file has them."""
    attends = "memories" in reading.graph.metadata["source"]
    return partial(memory_states, reading.graph, whole=True) if attends else None


def drops_any_axis(source: Source) -> bool:
    """True if a Squeeze takes away whatever has the size 1, which a batch or a time may have."""
    return any(
        node.op == "Squeeze" and len(node.inputs) < 2 and not node.get("axes", ())
        for node in source.nodes
    )


def _session(reading: Reading) -> tuple[Any, str]:
    """A session of onnxruntime, or None and why there is none."""
    try:
        import onnxruntime
    except (ImportError, OSError):
        return None, "onnxruntime is not installed"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        data = rebuilt_model(reading.source, "float32").SerializeToString()
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        # Some it takes, and then cannot run, such as dilations with auto_pad.
        _run(session, reading, _silence(reading), "float32")
    except Exception as error:  # its errors share no class of their own
        return None, f"onnxruntime refuses the model: {str(error).splitlines()[0][:120]}"
    return session, ""


def _in_float64(reading: Reading) -> Witness | None:
    """The evaluator as a witness; None where it does not know an operator."""
    try:
        session = evaluator(rebuilt_model(reading.source, "float64"))
        _run(session, reading, _silence(reading), "float64")
    except Exception:  # its errors neither
        return None
    return _caller(session, reading, "float64")


def _caller(session: Any, reading: Reading, dtype: str) -> Witness:
    def call(*xs: Array) -> tuple[Array, ...]:
        given = dict(zip(reading.graph.inputs, xs, strict=True))
        return _run(session, reading, given, dtype)

    return call


def _silence(reading: Reading) -> dict[str, Array]:
    """Inputs of zeros, of a length that the graph takes."""
    frames = reading.frames or 2 + max(value.skip for value in reading.graph.values)
    ports = [reading.graph.value(name) for name in reading.graph.inputs]
    return {port.name: np.zeros((frames, port.features), port.dtype.numpy) for port in ports}


def rebuilt_model(source: Source, dtype: str) -> Any:
    """A ModelProto of these nodes; all floating point is ``dtype``, the layout of layers 0."""
    from onnx import helper, numpy_helper

    nodes = [made_node(node) for node in _in_dtype(source.nodes, dtype)]
    graph = helper.make_graph(
        nodes,
        "rebuilt",
        [_value_info(helper, port, dtype) for port in source.inputs],
        [helper.make_empty_tensor_value_info(name) for name in source.outputs],
        [
            numpy_helper.from_array(_as(array, dtype), name)
            for name, array in source.constants.items()
        ],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", source.opset)], ir_version=10
    )


def _in_dtype(nodes: Iterable[OnnxNode], dtype: str) -> Iterator[OnnxNode]:
    """The nodes, and those inside them, with all floating point in this dtype."""
    from onnx import helper

    number = int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    for node in nodes:
        for plain in _batch_second(node) if node.op in RECURRENT else [node]:
            attributes = {key: _as(value, dtype) for key, value in plain.attributes.items()}
            if plain.op == "Cast" and attributes["to"] in (1, 10, 11, 16):
                attributes["to"] = number
            if plain.op in MADE and attributes.get("output_datatype", 1) in (1, 10, 11, 16):
                attributes["output_datatype"] = number
            if plain.op == "ConstantOfShape" and "value" not in attributes:
                attributes["value"] = np.zeros(1, dtype)
            if plain.op == "SequenceEmpty" and attributes.get("dtype", 1) in (1, 10, 11, 16):
                attributes["dtype"] = number
            yield replace(plain, attributes=attributes)


def _value_info(helper: Any, port: Port, dtype: str) -> Any:
    kind = dtype if port.dtype.startswith(("float", "bfloat")) else port.dtype
    elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    return helper.make_tensor_value_info(port.name, elem_type, list(port.dims))


def _as(value: Any, dtype: str) -> Any:
    if isinstance(value, Body):
        return replace(value, nodes=tuple(_in_dtype(value.nodes, dtype)))
    if not isinstance(value, np.ndarray):
        return value
    kind = dtype if value.dtype.kind == "f" else value.dtype
    return np.ascontiguousarray(value, kind).reshape(value.shape)


def _batch_second(node: OnnxNode) -> list[OnnxNode]:
    """onnxruntime knows recurrent layers of layout 0 only: others get transposes around them."""
    if not node.get("layout", 0):
        return [node]
    plain = {key: value for key, value in node.attributes.items() if key != "layout"}
    inputs, outputs = list(node.inputs), list(node.outputs)
    before: list[OnnxNode] = []
    after: list[OnnxNode] = []
    for place in (0, 5, 6):
        if len(inputs) > place and inputs[place]:
            turned = f"{outputs[0] or outputs[1]}.{node.name}.turned.{place}"
            order = {"perm": (1, 0, 2)}
            before.append(OnnxNode("Transpose", "", (inputs[place],), (turned,), order))
            inputs[place] = turned
    perms: tuple[tuple[int, ...], ...] = ((2, 0, 1, 3), (1, 0, 2), (1, 0, 2))
    for place, perm in enumerate(perms):
        if len(outputs) > place and outputs[place]:
            turned = f"{outputs[place]}.turned"
            turn = {"perm": perm}
            after.append(OnnxNode("Transpose", "", (turned,), (outputs[place],), turn))
            outputs[place] = turned
    middle = replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=plain)
    return [*before, middle, *after]


def _run(
    session: Any, reading: Reading, given: Mapping[str, Array], dtype: str
) -> tuple[Array, ...]:
    """One sequence through the source, as its user runs it: in calls of a frame or a chunk, with
    the states that came back, where it takes them; else in one call."""
    frames = len(next(iter(given.values())))
    states: dict[str, Array] = {}
    rows: list[tuple[Array, ...]] = []
    for start, end in _calls(reading, frames):
        some = {name: x[start:end] for name, x in given.items()}
        rows.append(_answer(session, reading, some, states, dtype))
    # Per frame all of them, per sequence the last.
    return tuple(
        column[-1].reshape(-1)
        if reading.graph.value(name).rate is Rate.SEQUENCE
        else np.concatenate([row.reshape(-1, column[0].shape[-1]) for row in column])
        for name, column in zip(reading.graph.outputs, zip(*rows, strict=True), strict=True)
    )


def _calls(reading: Reading, frames: int) -> list[tuple[int, int]]:
    """The first and last frame of each call."""
    sizes: tuple[int, ...] = (frames,)
    if reading.steps:
        sizes = (1,)
    elif reading.in_chunks:
        sizes = CHUNKS if reading.frames is None else (reading.frames,)
    calls: list[tuple[int, int]] = []
    while not calls or calls[-1][1] < frames:
        start = calls[-1][1] if calls else 0
        calls.append((start, min(frames, start + sizes[min(len(calls), len(sizes) - 1)])))
    return calls


def _memory(axes: Axes, port: Port, batch: int) -> Array:
    """The frames that are attended to, which `_given` sets in the model."""
    pairs = [(axis, size) for axis, size in zip(axes, port.dims, strict=True) if axis != BATCH]
    features = int(np.prod([size for axis, size in pairs if axis == FEATURES]))  # type: ignore[arg-type]
    (most,) = (size for axis, size in pairs if axis == MEMORY)
    assert isinstance(most, int)  # or it was no memory
    as_time = tuple(TIME if axis == MEMORY else axis for axis in axes)
    return inward(drawn_memory(most, features, 0), as_time, port.dims, batch)


def _answer(
    session: Any,
    reading: Reading,
    given: Mapping[str, Array],
    states: dict[str, Array],
    dtype: str,
) -> tuple[Array, ...]:
    """The outputs of row 0; ``states`` is what goes into the state inputs, and then what came."""
    # A Squeeze that names no axes would take away a batch of one as well.
    batch = reading.batch or (2 if drops_any_axis(reading.source) else 1)
    frames = len(next(iter(given.values())))
    feeds: dict[str, Array] = {}
    for port in reading.source.inputs:
        axes = reading.layouts.get(port.name)
        if axes is None:
            array = np.zeros([size if isinstance(size, int) else 1 for size in port.dims])
        elif port.name in given:
            array = inward(given[port.name], axes, port.dims, batch)
        elif MEMORY in axes:
            array = _memory(axes, port, batch)
        elif axes == (BATCH,) and port.is_integer and port.name not in reading.feedback:
            array = np.full(batch, frames)
        else:
            sizes = [
                size if axis == FEATURES and isinstance(size, int) else 1
                for axis, size in zip(axes, port.dims, strict=True)
            ]
            array = states.get(port.name, np.zeros(sizes)).reshape(sizes)
            array = np.repeat(array, batch, axes.index(BATCH)) if BATCH in axes else array
        kind = port.dtype if port.is_integer or port.dtype == "bool" else dtype
        feeds[port.name] = np.ascontiguousarray(array, kind)
    outputs = reading.source.outputs
    try:
        found = session.run(list(outputs), feeds)
    except Exception as error:  # its errors share no class of their own
        said = f"{type(error).__name__}: {str(error).splitlines()[0]:.200}"
        raise ConversionError(f"the file's own operators fail on {frames} frames: {said}") from None
    results = {}
    for name, raw in zip(outputs, found, strict=True):
        x = reading.outputs[name]
        count = x.value.count(frames) if isinstance(x, Data) else frames
        results[name] = outward(raw, x.axes, x.index.shape, count, batch)
    for name, output in reading.feedback.items():
        states[name] = results[output].reshape(-1)
    return tuple(results[name] for name in outputs if name not in reading.gone)
