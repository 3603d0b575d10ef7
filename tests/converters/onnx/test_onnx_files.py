# SPDX-License-Identifier: Apache-2.0
"""Golden ONNX files of every exporter family, without the exporters; and refusals by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

onnx = oracle("onnx")

ERROR = grucore.ConversionError
FOLDER = Path(__file__).parents[2] / "golden" / "onnx"
FILES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
BOUND = 1e-6


def maker(seed: int = 0, opset: int = 18) -> Any:
    from models.onnx_models import Maker

    return Maker(np.random.default_rng(seed), opset)


def gru_of(made: Any, **options: Any) -> Any:
    """x (time, batch, 3) -> Y, Y_h of 4 features."""
    from models.onnx_models import gru

    return gru(made, made.input("x", ["time", "batch", 3]), 3, 4, **options)


@pytest.mark.parametrize("name", FILES)
def test_golden_files(name: str) -> None:
    with np.load(FOLDER / "expected.npz") as expected:
        x, y = expected[f"{name}.x"], expected[f"{name}.y"]
    model = grucore.convert(FOLDER / f"{name}.onnx")
    assert np.abs(model.run(x) - y).max() < BOUND
    assert model.selftest().max_error == 0 or model.numerics != "fused"


def test_there_are_golden_files() -> None:
    assert len(FILES) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": 2.0}, r"GRU .*: attribute clip is 2.0"),
        ({"direction": "sideways"}, r"attribute direction is 'sideways'"),
        ({"activations": ["Affine", "Tanh"]}, r"attribute activations has Affine: not supported"),
        ({"activations": ["Sigmoid", "Softplus"]}, r"activations has Softplus: not supported"),
        ({"activations": ["Sigmoid", "Swish"]}, r"Swish, which ONNX does not know"),
        ({"activations": ["Sigmoid"]}, r"activations has 1 names, expected 2"),
        (
            {"activations": ["Sigmoid", "Tanh"], "activation_alpha": [1.0]},
            r"activation_alpha \[1.0\] and activation_beta \[\] are left over",
        ),
        ({"layout": 2}, r"attribute layout is 2"),
        ({"linear_before_reset": 2}, r"linear_before_reset is 2"),
        ({"output_sequence": 1}, r"attribute output_sequence is 1"),
    ],
)
def test_attributes_of_gru_that_are_refused(options: dict[str, Any], message: str) -> None:
    made = maker()
    y, _ = gru_of(made, **options)
    with pytest.raises(ERROR, match=message):
        grucore.from_onnx(made.model(made.add("Squeeze", y, made.axes(1))))


def attention(made: Any, y: str) -> str:
    return made.add("MatMul", y, made.add("Transpose", y, perm=[1, 0]))


REFUSED: dict[str, tuple[Callable[[Any, str], str], str]] = {
    "time_slice": (
        lambda m, y: m.add("Slice", y, m.axes(1), m.axes(3), m.axes(0)),
        r"Slice .*: slices axis 0 from 1 to 3",
    ),
    "second_frame": (
        lambda m, y: m.add("Gather", y, m.constant(np.array(1)), axis=0),
        r"Gather .*: takes 1 along axis 0 of \(time, batch, 4 features\)",
    ),
    "first_row": (
        lambda m, y: m.add("Gather", y, m.constant(np.array(0)), axis=1),
        r"takes 0 along axis 1",
    ),
    "mean_of_rows": (
        lambda m, y: m.add("ReduceMean", y, m.axes(1)),
        r"goes over axes \[1\] of \(time, batch, 4 features\), expected time or features",
    ),
    "softmax_of_rows": (
        lambda m, y: m.add("Softmax", y, axis=1),
        r"Softmax .*: goes over axes \[1\] .*, expected features",
    ),
    "mixing_reshape": (
        lambda m, y: m.add("Reshape", y, m.constant(np.array([0, -1]))),
        r"output .* is .* x .* features\): expected features on an axis of their own",
    ),
    "concat_of_time": (
        lambda m, y: m.add("Concat", y, y, axis=0),
        r"Concat .*: joins along axis 0",
    ),
    "power": (
        lambda m, y: m.add("Pow", y, m.constant(np.float32(2.5))),
        r"output .* is not finite",
    ),
    "cast": (lambda m, y: m.add("Cast", y, to=7), r"Cast .*: turns FLOAT32 into int64"),
    "pad": (
        lambda m, y: m.add("Relu", m.add("Pad", y, m.constant(np.array([2, 0, 0, 0, 0, 0])))),
        r"reads a sequence padded by 2 and 0 frames, which only a window may",
    ),
    "computed_state": (
        lambda m, y: m.add(
            "GRU", y, m.weight(1, 6, 4), m.weight(1, 6, 2), "", "", y, hidden_size=2
        ),
        r"initial_h is computed by the model",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_means_something_else_is_refused(name: str) -> None:
    change, message = REFUSED[name]
    made = maker()
    y = made.add("Squeeze", gru_of(made)[0], made.axes(1))
    with pytest.raises(ERROR, match=message):
        grucore.from_onnx(made.model(change(made, y)))


def test_rows_of_an_initial_state_that_differ() -> None:
    made = maker()
    y, _ = gru_of(made, h0=made.weight(1, 2, 4))
    with pytest.raises(ERROR, match=r"initial_h differs between the rows"):
        grucore.from_onnx(made.model(made.add("Squeeze", y, made.axes(1))))


def test_axes_that_nothing_tells_apart() -> None:
    made = maker()
    x = made.input("x", ["a", "b", 3])
    y = made.add("MatMul", x, made.weight(3, 2))
    # Row by row: the same model whatever the axes are.
    assert grucore.from_onnx(made.model(y)).run(np.ones((5, 3))).shape == (5, 2)
    made = maker()
    x = made.input("x", [4, 4, 4])
    with pytest.raises(ERROR, match=r"can mean several things: input 'x' read as"):
        grucore.from_onnx(made.model(made.add("Relu", x)))


def test_state_of_a_frame_by_frame_model_with_a_time_axis_of_one() -> None:
    made = maker()
    from models.onnx_models import answer, gru

    x = made.input("x", [1, 1, 3])
    h = made.input("h", [1, 1, 4])
    y, last = gru(made, x, 3, 4, h0=h, linear_before_reset=1)
    flat = made.add("Reshape", y, made.constant(np.array([1, 4])))
    proto = made.model(made.add("Gemm", flat, made.weight(4, 2)), last)
    model = grucore.from_onnx(proto)
    stream = model.stream()
    state = np.zeros((1, 1, 4), np.float32)
    for frame in np.random.default_rng(0).uniform(-1, 1, (9, 3)).astype(np.float32):
        expected, state = answer(proto, {"x": frame[None, None], "h": state})
        ours = stream.step(frame)
        assert np.abs(ours - expected[0]).max() < BOUND
    (held,) = stream.state.values()
    assert np.abs(held - state.reshape(-1)).max() < BOUND
    assert model.proof is not None
    assert model.proof.frames > 100


def turned(made: Any, name: str, *perm: int) -> str:
    return made.add("Transpose", name, perm=list(perm))


def grouped_linear(made: Any, x: str) -> str:
    parts = made.add("Reshape", x, made.constant(np.array([0, 0, 2, 3])))
    product = made.add("MatMul", turned(made, parts, 0, 2, 1, 3), made.weight(2, 3, 4))
    return made.add("Reshape", turned(made, product, 0, 2, 1, 3), made.constant([0, 0, 8]))


def shared_linear(made: Any, x: str) -> str:
    parts = made.add("Reshape", x, made.constant(np.array([0, 0, 2, 3])))
    return made.add(
        "Reshape", made.add("MatMul", parts, made.weight(3, 4)), made.constant([0, 0, 8])
    )


def flat_convolution(made: Any, x: str) -> str:
    image = made.add("Unsqueeze", turned(made, x, 0, 2, 1), made.axes(2))
    weights = made.weight(5, 6, 1, 3), made.weight(5)
    y = made.add("Conv", image, *weights, pads=[0, 2, 0, 0], kernel_shape=[1, 3])
    return turned(made, made.add("Squeeze", y, made.axes(2)), 0, 2, 1)


def cropped_convolution(made: Any, x: str) -> str:
    weights = made.weight(5, 6, 3), made.weight(5)
    y = made.add("Conv", turned(made, x, 0, 2, 1), *weights, pads=[4, 4], dilations=[2])
    cut = made.add("Slice", y, made.axes(0), made.axes(-4), made.axes(2))
    return turned(made, cut, 0, 2, 1)


def short_convolution(made: Any, x: str) -> str:
    y = made.add("Conv", turned(made, x, 0, 2, 1), made.weight(5, 6, 4), made.weight(5))
    return made.add("GlobalAveragePool", made.add("Relu", y))


def layer_norm_in_pieces(made: Any, x: str) -> str:
    centred = made.add("Sub", x, made.add("ReduceMean", x, made.axes(-1)))
    square = made.add("Pow", centred, made.constant(np.float32(2)))
    variance = made.add("ReduceMean", square, made.axes(-1))
    root = made.add("Sqrt", made.add("Add", variance, made.constant(np.float32(1e-5))))
    scaled = made.add("Mul", made.add("Div", centred, root), made.weight(6))
    return made.add("Add", scaled, made.weight(6))


def backwards(made: Any, x: str) -> str:
    end = made.constant(np.array([-(2**63)]))
    return made.add("Slice", x, made.axes(-1), end, made.axes(1), made.axes(-1))


PATTERNS = (
    grouped_linear,
    shared_linear,
    flat_convolution,
    cropped_convolution,
    short_convolution,
    layer_norm_in_pieces,
    backwards,
)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.__name__)
def test_patterns(pattern: Callable[[Any, str], str]) -> None:
    from models.onnx_models import answer

    made = maker(1)
    y = pattern(made, made.input("x", ["batch", "time", 6]))
    proto = made.model(y)
    x = np.random.default_rng(2).uniform(-2, 2, (2, 9, 6)).astype(np.float32)
    (expected,) = answer(proto, {"x": x})
    model = grucore.from_onnx(proto)
    assert np.abs(model.run(x).reshape(expected.shape) - expected).max() < 2 * BOUND
    assert model.proof is not None
    assert model.proof.against.startswith("onnxruntime")


def test_several_inputs() -> None:
    from models.onnx_models import answer, gru

    made = maker()
    x, z = made.input("x", ["b", "t", 3]), made.input("z", ["b", "t", 2])
    joined = turned(made, made.add("Concat", z, x, axis=2), 1, 0, 2)
    proto = made.model(gru(made, joined, 5, 4)[1])
    model = grucore.from_onnx(proto)
    assert [port.name for port in model.inputs] == ["x", "z"]
    rng = np.random.default_rng(3)
    given = {"x": rng.random((2, 7, 3), np.float32), "z": rng.random((2, 7, 2), np.float32)}
    expected = answer(proto, given)[0][0]
    assert np.abs(model.run(given) - expected).max() < BOUND


@pytest.mark.parametrize("dims", [["T", "B", "F"], ["T", 1, "F"], [None, None, None]])
def test_features_that_only_the_weights_give(dims: list[Any]) -> None:
    from models.onnx_models import answer, gru

    made = maker()
    x = made.input("x", dims)
    y = made.add("Sub", x, made.weight(3))
    y = gru(made, y, 3, 4, linear_before_reset=1)[0]
    proto = made.model(made.add("Squeeze", y, made.axes(1)))
    frames = np.random.default_rng(1).standard_normal((9, 1, 3)).astype(np.float32)
    wanted = answer(proto, {"x": frames})[0]
    found = grucore.from_onnx(proto)
    assert found.inputs[0].features == 3
    assert np.abs(found.run(frames, time_first=True) - wanted).max() < 1e-5
