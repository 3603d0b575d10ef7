# SPDX-License-Identifier: Apache-2.0
"""The quantization report: its figures by hand, and what it says where they are unusual."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore.fileformat import read, write
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation, Cell, Dense, Gru
from grucore.graph.node import Rate
from grucore.graph.weights import as_float64
from grucore.quantize.report import FEWEST_FRAMES, Report, compare
from models.layer_models import KIND_NAMES, make
from models.small_models import GRAPHS, frames_graph, parameter_bytes


@pytest.fixture(scope="module")
def pair() -> tuple[grucore.Model, grucore.Model]:
    model = grucore.load(write(frames_graph(features=24, hidden_size=40, out=6, layers=2)))
    return model, model.quantize("int8")


@pytest.fixture(scope="module")
def report(pair: tuple[grucore.Model, grucore.Model]) -> Report:
    return compare(*pair, seconds=0.05)


def outputs_of(model: grucore.Model, names: tuple[str, ...], x: np.ndarray) -> list[np.ndarray]:
    graph = replace(read(bytes(model)), outputs=names, test=None)
    found = grucore.load(write(graph)).run(x)
    return list(found) if isinstance(found, tuple) else [found]


def test_errors_are_those_of_the_layers(pair: tuple[grucore.Model, grucore.Model]) -> None:
    x = np.random.default_rng(3).normal(size=(FEWEST_FRAMES, 24)).astype(np.float32)
    figures = compare(*pair, x, seconds=0).figures
    assert figures["signals"] == {
        "source": "given", "frames": FEWEST_FRAMES, "sequences": 1, "compared_frames": FEWEST_FRAMES
    }  # fmt: skip
    names = tuple(node.output for node in read(bytes(pair[0])).nodes)
    before, after = (outputs_of(model, names, x) for model in pair)
    for layer, old, new in zip(figures["layers"], before, after, strict=True):
        difference = new.astype(np.float64) - old
        error = layer["error"]
        assert error["max"] == pytest.approx(np.abs(difference).max(), rel=1e-5)
        assert error["rms"] == pytest.approx(np.sqrt(np.square(difference).mean()), rel=1e-5)
        tenths = np.split(difference, 10)
        assert [window["max"] for window in error["drift"]] == pytest.approx(
            [np.abs(tenth).max() for tenth in tenths], rel=1e-5
        )
        by_feature = np.sqrt(np.square(difference).mean(axis=0))
        assert error["worst_features"][0]["feature"] == by_feature.argmax()
    assert figures["outputs"]["y"]["max"] == figures["layers"][-1]["error"]["max"]
    assert figures["speed"] is None


def test_sizes_and_rows(pair: tuple[grucore.Model, grucore.Model], report: Report) -> None:
    figures = report.figures
    before, after = (read(bytes(model)) for model in pair)
    for when, graph in (("before", before), ("after", after)):
        sizes = [layer["bytes"][when] for layer in figures["layers"]]
        assert sum(sizes) == figures["bytes"]["weights"][when] >= parameter_bytes(graph)
    assert figures["bytes"]["file"] == {"before": pair[0].nbytes, "after": pair[1].nbytes}
    gru = next(node for node in before.nodes if node.name == "gru.l1")
    twin = next(node for node in after.nodes if node.name == "gru.l1")
    assert isinstance(gru, Gru)
    assert isinstance(twin, Gru)
    lost = as_float64(twin.weight_hh) - as_float64(gru.weight_hh)
    share = np.sqrt(np.square(lost).sum(axis=1) / np.square(gru.weight_hh).sum(axis=1))
    (row,) = (
        matrix
        for matrix in figures["matrices"]
        if (matrix["layer"], matrix["weight"]) == ("gru.l1", "weight_hh")
    )
    worst = int(share.argmax())
    assert row["worst_rows"][0] == {
        "row": worst, "gate": "rzn"[worst // 40], "error": pytest.approx(share[worst], rel=1e-5)
    }  # fmt: skip
    assert (row["before"], row["after"]) == ("float32", "int8/16")


@pytest.mark.parametrize("cell", list(Cell))
def test_gates_are_counted(cell: Cell) -> None:
    rng = np.random.default_rng(5)
    graph = frames_graph(features=3, hidden_size=8, out=2)
    gru = graph.nodes[0]
    assert isinstance(gru, Gru)
    # Biases alone decide: r is near 1 everywhere, z near 0 in half of the units, n never near 1.
    bias = np.zeros(32 if cell is Cell.RESET_AFTER else 24, np.float32)
    bias[:8], bias[8:12] = 30, -30
    quiet = {
        "weight_ih": (gru.weight_ih * np.float32(0.1)).astype(np.float32),
        "weight_hh": (gru.weight_hh * np.float32(0.1)).astype(np.float32),
    }
    graph = replace(graph, nodes=(replace(gru, bias=bias, cell=cell, **quiet), graph.nodes[1]))
    model = grucore.load(write(graph))
    x = rng.normal(size=(2, 50, 3)).astype(np.float32)
    gates = compare(model, model.quantize("int8"), x, seconds=0).figures["layers"][0]["gates"]
    for when in ("before", "after"):
        assert gates[when] == {
            "r_near_0": 0, "r_near_1": 1, "z_near_0": 0.5, "z_near_1": 0, "n_near_1": 0
        }  # fmt: skip


def test_speed(report: Report) -> None:
    for when in ("before", "after"):
        speed = report.figures["speed"][when]
        assert speed["what"] == "step"
        assert 0 < speed["us_min"] <= speed["us_median"]


def test_few_frames_are_repeated(pair: tuple[grucore.Model, grucore.Model]) -> None:
    x = np.random.default_rng(1).normal(size=(4, 33, 24))
    signals = compare(*pair, x, seconds=0).figures["signals"]
    assert signals["frames"] == 4 * 33
    assert signals["sequences"] == 4
    assert FEWEST_FRAMES <= signals["compared_frames"] < FEWEST_FRAMES + 4 * 33
    text = str(compare(*pair, x, seconds=0))
    assert "132 frames repeated 76 times" in text


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_every_rate_and_direction(name: str) -> None:
    model = grucore.load(write(GRAPHS[name]()))
    report = compare(model, model.quantize("int8"), seconds=0.02)
    figures = report.figures
    assert figures["signals"]["compared_frames"] >= FEWEST_FRAMES
    graph = read(bytes(model))
    is_whole = any(graph.value(output).rate is Rate.SEQUENCE for output in graph.outputs)
    assert (figures["signals"]["sequences"] > 1) == is_whole
    assert set(figures["outputs"]) == set(graph.outputs)
    assert figures["speed"]["before"]["what"] == ("step" if graph.streamable else "frame of run")
    assert json.loads(report.json()) == figures


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_layer_kind(kind: str) -> None:
    for seed in range(3):
        model = grucore.load(write(make(kind, seed)))
        report = compare(model, model.quantize("int8"), seconds=0)
        for layer in report.figures["layers"]:
            # A mask and ids have nothing that could differ a little.
            assert (layer["name"] in str(report)) == (layer["kind"] not in ("mask", "arg_max"))
        assert "not finite" not in str(report)


def test_more_values_than_outputs() -> None:
    graph = frames_graph(layers=1)
    nodes, values = list(graph.nodes), list(graph.values)
    rng = np.random.default_rng(0)
    for i in range(150):
        weight = (rng.normal(size=(3, 3)) / np.sqrt(3)).astype(np.float32)
        bias = np.zeros(3, np.float32)
        reads = values[-1].name
        nodes.append(
            Dense(
                name=f"d{i}",
                inputs=(reads,),
                output=f"v{i}",
                weight=weight,
                bias=bias,
                activation=Activation.TANH,
            )
        )
        values.append(replace(values[-1], name=f"v{i}"))
    deep = Graph(values=tuple(values), inputs=graph.inputs, outputs=("v149",), nodes=tuple(nodes))
    model = grucore.load(write(deep))
    done: list[float] = []
    report = compare(model, model.quantize("float16"), seconds=0, progress=done.append)
    assert len(report.figures["layers"]) == 152
    assert all(layer["error"]["max"] < 0.1 for layer in report.figures["layers"])
    assert sum(done) == pytest.approx(1)
    assert re.search(r"\d+ layers that differ less are not drawn", report.html())


def test_what_is_not_finite_is_said() -> None:
    graph = frames_graph(hidden_size=4, out=2)
    gru, dense = graph.nodes
    assert isinstance(gru, Gru)
    assert isinstance(dense, Dense)
    bias = np.zeros(16, np.float32)
    bias[4:8], bias[8:12] = -99, 99  # every state is 1

    def model(weight: float) -> grucore.Model:
        head = replace(dense, weight=np.full((2, 4), weight, np.float32))
        return grucore.load(write(replace(graph, nodes=(replace(gru, bias=bias), head))))

    report = compare(model(8e37), model(9e37), seconds=0)
    assert report.figures["layers"][1]["error"]["max"] is None
    assert "not finite" in str(report)
    json.loads(report.json())
    report.html()


class Checker(HTMLParser):
    """Tags that need closing are closed, and nothing is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img")
        assert not {"src", "href"} & {name for name, _ in attributes}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_files(report: Report, tmp_path: Path) -> None:
    paths = report.save(tmp_path / "a" / "b")
    assert [path.name for path in paths] == ["report.txt", "report.json", "report.html"]
    assert paths[0].read_text() == str(report)
    assert json.loads(paths[1].read_text()) == report.figures
    checker = Checker()
    checker.feed(paths[2].read_text("utf-8"))
    text = " ".join(checker.texts)
    for word in ("gru.l0", "linear", "Drift", "Saturated gates", "int8/16", "output y"):
        assert word in text


def test_names_do_not_become_tags() -> None:
    graph = frames_graph()
    renamed = tuple(replace(node, name=f"<b>{node.name}") for node in graph.nodes)
    model = grucore.load(write(replace(graph, nodes=renamed)))
    assert "<b>gru" not in compare(model, model.quantize("int8"), seconds=0).html()


def test_refusals(pair: tuple[grucore.Model, grucore.Model]) -> None:
    other = grucore.load(write(frames_graph()))
    with pytest.raises(ValueError, match="expected a quantized twin"):
        compare(pair[0], other)
    with pytest.raises(ValueError, match=r"expected .*24"):
        compare(*pair, np.zeros((100, 5), np.float32))
    with pytest.raises(ValueError, match="no frames"):
        compare(*pair, np.zeros((0, 24), np.float32))
    with pytest.raises(grucore.NonFiniteError):
        compare(*pair, np.full((100, 24), np.nan, np.float32))


def test_wider_weights_are_named(pair: tuple[grucore.Model, grucore.Model]) -> None:
    quantized = pair[0].quantize("int4", max_error=0.02)
    wider = quantized.metadata["quantization"]["wider"]
    assert wider
    report = compare(pair[0], quantized, seconds=0)
    for name, why in wider.items():
        assert name in str(report)
        assert why in str(report)
        assert name in report.html()
