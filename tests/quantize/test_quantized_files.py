# SPDX-License-Identifier: Apache-2.0
"""Files with float16, int8 and int4 weights: written, read back, and what cannot be written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grucore
from cli.cli_calls import as_json
from format.test_fileformat import same_graph
from grucore import fileformat
from grucore.cli import main
from grucore.graph.graph import Graph
from grucore.graph.layers import Cell, Conv1d, Dense, Embedding, Gru
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype, Role
from grucore.graph.weights import Quantized, as_float64
from models.chain import Chain, uniform
from models.layer_models import make
from models.quantized_models import FLOATS, INTEGERS, Kind, requantized, weights_of_kind
from models.small_models import parameter_bytes

WEIGHTED = ("gru", "dense", "conv1d", "embedding")
INT8, INT4 = (Dtype.INT8, 16), (Dtype.INT4, 8)


def survives(graph: Graph) -> bytes:
    """The file, once it is read back and found in order by reader and engine."""
    data = fileformat.write(graph)
    again = fileformat.read(data)
    assert same_graph(again, graph)
    assert fileformat.write(again) == data
    for one, other in zip(graph.nodes, again.nodes, strict=True):
        for name in ("weight", "weight_ih", "weight_hh", "table"):
            before, after = getattr(one, name, None), getattr(other, name, None)
            assert type(before) is type(after)
            if isinstance(before, Quantized) and isinstance(after, Quantized):
                assert (after.dtype, after.activations) == (before.dtype, before.activations)
                assert after.values.dtype == np.int8
                assert after.scale.dtype == before.scale.dtype
        assert getattr(one, "input_range", None) == getattr(other, "input_range", None)
    assert grucore.load(data).nbytes == len(data)
    return data


@settings(deadline=None, max_examples=200)
@given(kind=st.sampled_from(WEIGHTED), seed=st.integers(0, 2**32 - 1))
def test_any_layer_survives(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    survives(requantized(rng, make(kind, seed), FLOATS + INTEGERS))


@pytest.mark.parametrize("weights", [*FLOATS, *INTEGERS], ids=str)
def test_sizes(weights: Kind, rng: np.random.Generator) -> None:
    for rows in range(1, 34):
        for columns in {int(rng.integers(1, 71)), rows, *((1025, 2100) if rows < 4 else ())}:
            chain = Chain(Value("x", columns))
            chain.add(Dense, weight=uniform(rng, rows, columns), bias=uniform(rng, rows))
            hidden = int(rng.integers(1, 40))
            cell = Cell(rows % 2)
            chain.add(
                Gru,
                weight_ih=uniform(rng, 3 * hidden, rows),
                weight_hh=uniform(rng, 3 * hidden, hidden),
                bias=uniform(rng, (4 if cell is Cell.RESET_AFTER else 3) * hidden),
                cell=cell,
            )
            survives(requantized(rng, chain.graph(), (weights,)))


@pytest.mark.parametrize("weights", [*FLOATS, *INTEGERS], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 7])
def test_convolutions(weights: Kind, groups: int, rng: np.random.Generator) -> None:
    for inner in (1, 3, 4, 8, 9, 33, 40):
        for taps in (1, 2, 5):
            for outputs in (1, 5, 17):
                chain = Chain(Value("x", groups * inner))
                chain.add(
                    Conv1d,
                    weight=uniform(rng, groups * outputs, taps, inner),
                    bias=uniform(rng, groups * outputs),
                    groups=groups,
                )
                survives(requantized(rng, chain.graph(), (weights,)))


def dense_graph(weight: Any, **settings: Any) -> Graph:
    chain = Chain(Value("x", weight.shape[1]))
    chain.add(Dense, weight=weight, bias=np.zeros(len(weight), np.float32), **settings)
    return chain.graph()


def embedding_graph(table: Any) -> Graph:
    chain = Chain(Value("ids", 1, Dtype.INT32))
    chain.add(Embedding, table=table)
    return chain.graph()


def test_bytes_and_parameters(rng: np.random.Generator) -> None:
    weight = uniform(rng, 20, 70)
    expected = {
        (Dtype.FLOAT32, 0): 4 * 1400,
        (Dtype.FLOAT16, 0): 2 * 1400,
        (Dtype.INT8, 8): 1400 + 4 * 20,
        (Dtype.INT4, 16): 700 + 2 * 20 * 3,
    }
    for kind, size in expected.items():
        graph = dense_graph(weights_of_kind(rng, weight, kind))
        assert graph.parameter_count == 20 * 70 + 20
        assert parameter_bytes(graph) == size + 4 * 20
        assert graph.multiply_adds_per_frame == 20 * 70


@pytest.mark.parametrize("kind", [INT8, INT4])
def test_numbers_that_weights_stand_for(kind: Kind, rng: np.random.Generator) -> None:
    for shape in ((6, 70), (4, 3, 33)):
        weight = weights_of_kind(rng, uniform(rng, *shape), kind)
        assert isinstance(weight, Quantized)
        found = as_float64(weight)
        assert found.shape == shape
        rows = found.reshape(shape[0], -1, shape[-1])
        values = weight.values.reshape(rows.shape)
        groups = -(-shape[-1] // 32)
        for (row, tap, k), number in np.ndenumerate(rows):
            scale = weight.scale[row]
            if kind[0] is Dtype.INT4:
                scale = weight.scale[row, tap * groups + k // 32]
            assert number == float(values[row, tap, k]) * float(scale)


def test_inspect_names_the_kinds(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    gru = Gru(
        name="gru",
        inputs=("x",),
        output="y",
        weight_ih=weights_of_kind(rng, uniform(rng, 12, 9), (Dtype.FLOAT16, 0)),
        weight_hh=weights_of_kind(rng, uniform(rng, 12, 4), INT8),
        bias=uniform(rng, 16),
    )
    values = (Value("x", 9), Value("y", 4))
    graph = Graph(values=values, inputs=("x",), outputs=("y",), nodes=(gru,))
    path = tmp_path / "model.gru"
    path.write_bytes(fileformat.write(graph))
    (node,) = as_json(capsys, "inspect", str(path))["nodes"]
    assert node["weights"] == "float16 + int8/16"
    assert node["parameters"] == 12 * 13 + 16
    assert main(["inspect", str(path)]) == 0
    assert "float16 + int8/16" in capsys.readouterr().out


def broken() -> dict[str, tuple[Any, str]]:
    """Weights of a dense layer (4, 40), or a table, and what is said about them."""
    rng = np.random.default_rng(3)
    int8 = weights_of_kind(rng, uniform(rng, 4, 40), INT8)
    int4 = weights_of_kind(rng, uniform(rng, 4, 40), INT4)
    assert isinstance(int8, Quantized)
    assert isinstance(int4, Quantized)

    def spoilt(weight: Quantized, part: str, number: float) -> Quantized:
        array = getattr(weight, part).copy()
        array[1, ...] = number
        return replace(weight, **{part: array})

    return {
        "values of another dtype": (
            replace(int8, values=int8.values.astype(np.int16)),
            "weight has dtype int16, expected int8",
        ),
        "-128": (
            spoilt(int8, "values", -128),
            r"weight has 40 numbers that are -128, the first at \(1, 0\)",
        ),
        "8": (spoilt(int4, "values", 8), "weight has 40 numbers that are outside of -8 to 7"),
        "scale of another dtype": (
            replace(int8, scale=int8.scale.astype(np.float16)),
            "weight_scale has dtype float16, expected float32",
        ),
        "too few scales": (
            replace(int4, scale=int4.scale[:, :1]),
            r"weight_scale has shape \(4, 1\), expected \(4, 2\)",
        ),
        "a scale for each column": (
            replace(int8, scale=np.ones(40, np.float32)),
            r"weight_scale has shape \(40,\), expected \(4,\)",
        ),
        "a negative scale": (
            spoilt(int8, "scale", -1),
            "weight_scale has 1 numbers that are negative",
        ),
        "a denormal scale": (
            spoilt(int8, "scale", 1e-40),
            "weight_scale has 1 numbers that are denormal",
        ),
        "an infinite scale": (spoilt(int8, "scale", np.inf), "weight_scale has 1 infinite"),
        "an int4 scale that is none": (
            spoilt(int4, "scale", np.nan),
            "weight_scale has 2 infinite",
        ),
        "no activations": (replace(int8, activations=0), "weight goes with activations of 0 bits"),
    }


@pytest.mark.parametrize("name", sorted(broken()))
def test_broken_weights_are_not_written(name: str) -> None:
    weight, message = broken()[name]
    with pytest.raises(grucore.ConversionError, match=rf"dense\.0\.{message}"):
        fileformat.write(dense_graph(weight))


def test_what_quantized_is_not() -> None:
    values, scale = np.zeros((2, 3), np.int8), np.ones(2, np.float32)
    with pytest.raises(ValueError, match="INT8 or INT4"):
        Quantized(values, scale, Dtype.INT32, 16)
    with pytest.raises(ValueError, match="8 or 16 bits, not 12"):
        Quantized(values, scale, Dtype.INT8, 12)


def test_an_embedding_has_no_int4_and_no_activations(rng: np.random.Generator) -> None:
    table = uniform(rng, 5, 6)
    with pytest.raises(grucore.ConversionError, match="table has dtype int8, expected float32"):
        embedding_graph(weights_of_kind(rng, table, (Dtype.INT4, 0)))
    with pytest.raises(grucore.ConversionError, match="activations of 8 bits, expected 0"):
        embedding_graph(weights_of_kind(rng, table, (Dtype.INT8, 8)))


@pytest.mark.parametrize("number", [0.0, -1.0, 1e-40, np.inf, np.nan])
def test_input_ranges_that_are_none(number: float, rng: np.random.Generator) -> None:
    weight = weights_of_kind(rng, uniform(rng, 4, 5), INT8)
    with pytest.raises(grucore.ConversionError, match=r"dense\.0\.input_range has 1 "):
        dense_graph(weight, input_range=number)


def test_an_input_range_needs_integer_weights(rng: np.random.Generator) -> None:
    for kind in FLOATS:
        weight = weights_of_kind(rng, uniform(rng, 4, 5), kind)
        with pytest.raises(grucore.ConversionError, match="no use for input_range"):
            dense_graph(weight, input_range=1.0)


def test_biases_stay_float32(rng: np.random.Generator) -> None:
    graph = dense_graph(uniform(rng, 4, 5))
    (node,) = graph.nodes
    bias = node.tensors()[Role.BIAS]
    assert isinstance(bias, np.ndarray)
    changed = replace(graph, nodes=(replace(node, bias=bias.astype(np.float16)),))  # type: ignore[call-arg]
    with pytest.raises(grucore.ConversionError, match="bias has dtype float16, expected float32"):
        fileformat.write(changed)
