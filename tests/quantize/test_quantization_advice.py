# SPDX-License-Identifier: Apache-2.0
"""The quantization report on decisions, and its warnings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import grucore
from grucore.fileformat import write
from grucore.graph.layers import Gru
from grucore.quantize.report import Report, compare
from models.small_models import GRAPHS, frames_graph


@pytest.fixture(scope="module")
def pair() -> tuple[grucore.Model, grucore.Model]:
    model = grucore.load(write(frames_graph(features=24, hidden_size=40, out=6)))
    return model, model.quantize("int4")


def scaled(factor: float) -> tuple[grucore.Model, np.ndarray]:
    """A model, and inputs whose feature 3 is `factor` times as large: it computes the same."""
    graph = frames_graph(features=24, hidden_size=40, out=6)
    gru = graph.nodes[0]
    assert isinstance(gru, Gru)
    scale = np.ones(24, np.float32)
    scale[3] = factor
    x = np.random.default_rng(4).normal(size=(2000, 24)).astype(np.float32)
    weight = (gru.weight_ih / scale).astype(np.float32)
    graph = replace(graph, nodes=(replace(gru, weight_ih=weight), graph.nodes[1]))
    return grucore.load(write(graph)), x * scale


def says(report: Report, words: str) -> bool:
    return any(words in text for text in report.figures["warnings"])


def test_decisions_and_accuracy_are_those_of_numpy(
    pair: tuple[grucore.Model, grucore.Model],
) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 700, 24)).astype(np.float32)
    labels = rng.integers(-1, 6, size=(3, 700))
    report = compare(*pair, x, labels=labels, seconds=0)
    before, after = (model.run(x).argmax(axis=-1) for model in pair)
    found = report.figures["decisions"]["y"]
    assert found["decisions"] == before.size
    assert found["agreement"] == pytest.approx((before == after).mean(), abs=1e-6)
    counted = labels >= 0
    assert found["accuracy"] == {
        "labels": counted.sum(),
        "before": pytest.approx((before == labels)[counted].mean(), abs=1e-6),
        "after": pytest.approx((after == labels)[counted].mean(), abs=1e-6),
    }
    assert report.figures["verdict"].startswith(f"Accuracy {found['accuracy']['after']:.2%} inst")
    assert f"{found['agreement']:.2%} of 2,100 decisions alike" in " ".join(str(report).split())
    assert f"{found['accuracy']['after']:.2%}" in report.html()
    pairs = np.array(found["pairs"])
    assert np.isin(pairs[:, 0].round(3), model_numbers(pair[0], x)).all()


def model_numbers(model: grucore.Model, x: np.ndarray) -> np.ndarray:
    return model.run(x).astype(np.float64).round(3)


def test_labels_of_sequences_and_columns() -> None:
    model = grucore.load(write(GRAPHS["last"]()))
    x = np.random.default_rng(0).normal(size=(40, 9, 5)).astype(np.float32)
    labels = model.run(x).argmax(axis=-1)
    for given in (labels, labels[:, None].astype(np.float64)):
        report = compare(model, model.quantize("float16"), x, labels=given, seconds=0)
        (found,) = report.figures["decisions"].values()
        assert found["accuracy"]["before"] == 1.0


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(99, int), r"shape \(99,\), expected \(100,\)"),
        (np.full(100, 0.5), "float64, expected integers"),
        (np.full(100, 6), "go up to 6, and there are 6 scores"),
        (np.full(100, -1), "nothing is counted"),
    ],
)
def test_labels_that_do_not_fit(
    pair: tuple[grucore.Model, grucore.Model], labels: np.ndarray, words: str
) -> None:
    x = np.zeros((100, 24), np.float32)
    with pytest.raises(ValueError, match=words):
        compare(*pair, x, labels=labels, seconds=0)
    with pytest.raises(ValueError, match="need the signals"):
        compare(*pair, labels=labels, seconds=0)


def test_generated_signals_are_said(pair: tuple[grucore.Model, grucore.Model]) -> None:
    assert says(compare(*pair, seconds=0), "for generated signals")
    given = compare(*pair, np.ones((100, 24), np.float32), seconds=0)
    assert not says(given, "generated signals")
    assert says(given, "without calibration data")


def test_unequal_scales_are_named_and_cost_accuracy() -> None:
    def errors(factor: float, kind: str) -> tuple[float, Report]:
        model, x = scaled(factor)
        report = compare(model, model.quantize(kind, calibration=x), x, seconds=0)
        return report.figures["outputs"]["y"]["rms"], report

    equal, quiet = errors(1.0, "int8")
    unequal, warned = errors(300.0, "int8")
    assert unequal > 5 * equal  # why there is a warning
    assert not says(quiet, "unequal scales")
    assert says(warned, "Features of input 'x' have unequal scales: feature 3 is")
    assert not says(errors(300.0, "float16")[1], "unequal scales")


def test_larger_and_slower_are_said(pair: tuple[grucore.Model, grucore.Model]) -> None:
    small = grucore.load(write(frames_graph(features=1, hidden_size=1, out=1)))
    report = compare(small, small.quantize("int8"), seconds=0)
    sizes = report.figures["bytes"]["file"]
    assert says(report, "The file is larger") == (sizes["after"] >= sizes["before"])
    assert sizes["after"] >= sizes["before"]
    timed = compare(*pair, seconds=0.05)
    before, after = (timed.figures["speed"][when]["us_min"] for when in ("before", "after"))
    assert says(timed, "slower than float32 at this size") == (after > 1.03 * before)
    assert ("slower" in timed.figures["verdict"]) == (after > 1.03 * before)
