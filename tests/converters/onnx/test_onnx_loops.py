# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers that a file writes as a Loop or a Scan with a graph inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_loops import (
    Step,
    graph,
    gru_step,
    info,
    inner,
    loop,
    lstm_step,
    rnn_step,
    scan,
    zeros,
)
from models.onnx_models import Maker, answer
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")

BOUND = 1e-5
ERROR = grucore.ConversionError
Build = Callable[[Maker, str], list[str]]
CLIPPED = rnn_step(3, 4, clipped=True)


def made(build: Build, dims: Any = ("time", "batch", 3)) -> Any:
    maker = Maker(np.random.default_rng(1))
    x = maker.input("x", list(dims))
    return maker.model(*build(maker, x))


def compared(proto: Any, *, batch_first: bool = False) -> grucore.Model:
    """The model; its outputs are those of onnxruntime, and those of single steps."""
    model = grucore.from_onnx(proto)
    assert "onnxruntime" in str(model.proof)
    x = np.random.default_rng(2).uniform(-2, 2, (2, 9, 3)).astype(np.float32)
    found = model.run(x)
    given = x if batch_first else x.swapaxes(0, 1)
    for have, want in zip(
        found if isinstance(found, tuple) else (found,), answer(proto, {"x": given}), strict=True
    ):
        order = want if want.shape == have.shape else want.swapaxes(0, 1)
        assert np.abs(have - order).max() < BOUND
    if model.streamable and not isinstance(found, tuple) and found.ndim == 3:
        stream = model.stream(batch=2)
        steps = np.stack([stream.step(np.ascontiguousarray(x[:, t])) for t in range(9)], 1)
        assert np.array_equal(steps, found)
    return model


@pytest.mark.parametrize("turned", [(0, 0), (1, 1), (1, 0), (0, 1)])
def test_scan_along_another_axis_and_backwards(turned: tuple[int, int]) -> None:
    def build(maker: Maker, x: str) -> list[str]:
        directions = dict(
            zip(
                ("scan_input_directions", "scan_output_directions"),
                ([k] for k in turned),
                strict=True,
            )
        )
        axes = {"scan_input_axes": [1], "scan_output_axes": [-2]}
        return scan(maker, CLIPPED, x, [zeros(maker, x, 4, 0)], **axes, **directions)[1:]

    model = compared(made(build, ("batch", "time", 3)), batch_first=True)
    assert bool(model.streamable) == (turned == (0, 0))


def kinds(model: grucore.Model) -> list[str]:
    return [layer.kind for layer in model.layers]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (rnn_step(3, 4), "rnn"),
        (gru_step(3, 4), "gru"),
        (gru_step(3, 4, swapped=True), "gru"),
        (gru_step(3, 4, before=True), "gru"),
    ],
)
def test_a_loop_that_is_a_cell_becomes_it(step: Step, kind: str) -> None:
    model = compared(made(lambda maker, x: loop(maker, step, x, [zeros(maker, x, 4)])[::-1]))
    assert kinds(model) == [kind, "take"]
    (state,) = model.states
    assert state.endswith(f".{kind}.h")


def test_a_cell_that_runs_backwards() -> None:
    def build(maker: Maker, x: str) -> list[str]:
        turned = {"scan_input_directions": [1], "scan_output_directions": [1]}
        return scan(maker, gru_step(3, 4), x, [zeros(maker, x, 4)], **turned)[1:]

    assert kinds(compared(made(build))) == ["gru"]


def peepholes(body: Maker, x: str, states: Any) -> Any:
    """An RNN whose gate reads another state as well."""
    h, c = states
    sums = [body.add("MatMul", h, body.weight(4, 4)), body.add("Mul", c, body.weight(4))]
    gate = body.add("Sigmoid", body.add("Add", sums[0], sums[1]))
    new = body.add("Tanh", body.add("MatMul", x, body.weight(3, 4)))
    c = body.add("Add", body.add("Mul", gate, c), new)
    return [body.add("Tanh", c), c], [c]


def leaky(body: Maker, x: str, states: Any) -> Any:
    """Half of the state before, and half of an RNN's."""
    (new, *_), _ = rnn_step(3, 4)(body, x, states)
    half = body.constant(np.float32(0.5))
    mixed = body.add("Add", body.add("Mul", half, new), body.add("Mul", half, states[0]))
    return [mixed], [mixed]


@pytest.mark.parametrize(("step", "states"), [(peepholes, 2), (leaky, 1)])
def test_a_loop_that_is_almost_a_cell_stays_one(step: Step, states: int) -> None:
    def build(maker: Maker, x: str) -> list[str]:
        found = scan(maker, step, x, [zeros(maker, x, 4) for _ in range(states)])
        return found[states:]

    found = kinds(compared(made(build)))
    assert found.count("delay") == states
    assert not {"gru", "lstm", "rnn"}.intersection(found)


def test_the_cell_state_as_an_output_keeps_the_loop() -> None:
    def build(maker: Maker, x: str) -> list[str]:
        return scan(maker, lstm_step(3, 4), x, [zeros(maker, x, 4) for _ in range(2)])

    assert kinds(compared(made(build))).count("delay") == 2


@pytest.mark.parametrize(
    "options", [{"by": "Slice"}, {"reverse": True}, {"condition": "counter"}], ids=str
)
def test_loop_over_all_frames(options: dict[str, Any]) -> None:
    def build(maker: Maker, x: str) -> list[str]:
        found = loop(maker, CLIPPED, x, [zeros(maker, x, 4)], **options)
        return found[2:] if "condition" in options else found[1:]

    compared(made(build))


def test_the_state_after_the_last_frame() -> None:
    compared(made(lambda maker, x: loop(maker, CLIPPED, x, [zeros(maker, x, 4)])[::-1]))


@pytest.mark.parametrize("learned", [False, True])
def test_several_states(learned: bool) -> None:
    def build(maker: Maker, x: str) -> list[str]:
        states = [maker.weight(1, 4) if learned else zeros(maker, x, 4) for _ in range(2)]
        return scan(maker, lstm_step(3, 4), x, states)[2:]

    if not learned:
        compared(made(build))
        return
    proto = made(build, ("time", 1, 3))
    x = np.random.default_rng(2).uniform(-2, 2, (9, 1, 3)).astype(np.float32)
    assert (
        np.abs(grucore.from_onnx(proto).run(x[:, 0]) - answer(proto, {"x": x})[0][:, 0]).max()
        < BOUND
    )


def test_states_as_inputs_and_outputs(rng: np.random.Generator) -> None:
    """A caller who hands the state back streams; the model's own state is that input."""
    maker = Maker(np.random.default_rng(1))
    x, h = maker.input("x", ["time", "batch", 3]), maker.input("h_in", ["batch", 4])
    last, y = loop(maker, CLIPPED, x, [h])
    whole = maker.model(y, maker.add("Identity", last))
    model = grucore.from_onnx(whole)
    (note,) = model.metadata["source"]["states"].values()
    (state,) = model.states
    assert state in note
    frames = rng.uniform(-2, 2, (9, 3)).astype(np.float32)
    start = rng.uniform(-0.4, 0.4, 4).astype(np.float32)
    want = answer(whole, {"x": frames[:, None], "h_in": start[None]})
    found, states = model.run(frames, state={state: start}, return_state=True)
    found = found[0] if isinstance(found, tuple) else found
    assert np.abs(found - want[0][:, 0]).max() < BOUND
    assert np.abs(states[state] - want[1][0]).max() < BOUND


def test_lists_of_frames_and_of_results() -> None:
    """As a scripted module of PyTorch writes them."""

    def build(maker: Maker, x: str) -> list[str]:
        frames = maker.add("SplitToSequence", x, axis=0, keepdims=0)
        count, empty = maker.add("SequenceLength", frames), maker.add("SequenceEmpty")
        body = inner(maker)
        number, going, state, rows = (body.name(name) for name in ("i", "going", "s", "rows"))
        (h,), _ = CLIPPED(body, body.add("SequenceAt", frames, number), [state])
        more = body.add("SequenceInsert", rows, h)
        tensor = maker.rng and oracle("onnx.helper").make_tensor_sequence_value_info(rows, 1, None)
        inputs = [info(number, 7, []), info(going, 9, []), info(state), tensor]
        outputs = [body.add("Identity", going), h, more]
        _, found = maker.add(
            "Loop",
            count,
            maker.constant(np.array(True)),
            zeros(maker, x, 4),
            empty,
            outputs=2,
            body=graph(body, inputs, outputs),
        )
        return [maker.add("ConcatFromSequence", found, axis=0, new_axis=1)]

    compared(made(build))


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_loop_of_a_scripted_module(tmp_path: Path) -> None:
    torch = oracle("torch")
    from models.scripted import ScriptedLoop

    path = tmp_path / "loop.onnx"
    torch.onnx.export(
        torch.jit.script(ScriptedLoop().eval()),
        (torch.zeros(1, 5, 3),),
        path,
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch", 1: "time"}},
    )
    compared(oracle("onnx").load(path), batch_first=True)


def test_an_attribute_that_nobody_looks_at_is_refused() -> None:
    proto = made(lambda maker, x: scan(maker, CLIPPED, x, [zeros(maker, x, 4)])[1:])
    (node,) = (node for node in proto.graph.node if node.op_type == "Scan")
    node.attribute.add(name="spin", type=2, i=1)
    with pytest.raises(ERROR, match=r"Scan .*: attribute spin is 1"):
        grucore.from_onnx(proto)


def test_two_loops_in_both_directions() -> None:
    """Their bodies may use the same names."""

    def build(maker: Maker, x: str) -> list[str]:
        start = zeros(maker, x, 4)
        there = loop(maker, CLIPPED, x, [start])[1]
        count = maker.count
        back = scan(
            maker, CLIPPED, x, [start], scan_input_directions=[1], scan_output_directions=[1]
        )
        assert maker.count > count
        return [maker.add("Concat", there, back[1], axis=-1)]

    compared(made(build))


def nested(maker: Maker, x: str) -> list[str]:
    def step(body: Maker, frame: str, states: Any) -> Any:
        rows = body.add("Unsqueeze", frame, body.axes(0))
        return [states[0]], [scan(body, CLIPPED, rows, states)[0]]

    return scan(maker, step, x, [zeros(maker, x, 4)])[1:]


def numbered(maker: Maker, x: str) -> list[str]:
    def step(body: Maker, frame: str, states: Any) -> Any:
        number = body.add("Cast", "i", to=1)
        return [states[0]], [body.add("Mul", frame, number)]

    return loop(maker, step, x, [zeros(maker, x, 4)])[1:]


def halved(maker: Maker, x: str) -> list[str]:
    count = maker.add("Gather", maker.add("Shape", x), maker.constant(np.int64(0)), axis=0)
    less = maker.add("Sub", count, maker.constant(np.int64(1)))
    return loop(maker, CLIPPED, x, [zeros(maker, x, 4)], trips=less)[1:]


def encoded(maker: Maker, x: str) -> list[str]:
    last = loop(maker, CLIPPED, x, [zeros(maker, x, 4)])[0]
    return loop(maker, CLIPPED, x, [last])[1:]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda maker, x: loop(maker, CLIPPED, x, [zeros(maker, x, 4)], condition="data")[1:],
            "when it ends depends on what it computes: expected one iteration for each frame",
        ),
        (
            lambda maker, x: loop(maker, CLIPPED, x, [zeros(maker, x, 4)], trips="")[1:],
            "has neither a trip count nor a condition that ends it",
        ),
        (numbered, "Mul .* in its body computes with the number of the iteration, expected it as"),
        (nested, "is a loop in a loop, which is not read. Convert the module"),
        (halved, r"a loop has time-1 iterations over time frames, expected one for each"),
        (encoded, "the first state of a loop is computed by the model, expected an input or a "),
    ],
)
def test_refused_with_the_way_out(build: Build, message: str) -> None:
    with pytest.raises(ERROR, match=message):
        grucore.from_onnx(made(build))
