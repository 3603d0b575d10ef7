# SPDX-License-Identifier: Apache-2.0
"""The examples of texts: the data falls into parts, the stored model knows the languages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grucore
from models.examples import scripts_of
from oracle.oracles import oracle

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER, CELLS = EXAMPLES / "languages", EXAMPLES / "gru_lstm_rnn"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree")


@pytest.fixture
def report() -> dict:
    return json.loads((FOLDER / "languages.json").read_text("utf-8"))


def test_no_name_is_in_two_parts() -> None:
    oracle("pycountry")
    with scripts_of(FOLDER):
        import data

    names = data.read()
    texts = [text for part in names.values() for language in part.values() for text in language]
    assert len(texts) == len(set(texts)) > 20_000
    for language in data.LANGUAGES:
        counts = [len(names[part][language]) for part in ("train", "validation", "test")]
        assert counts[0] > 5 * counts[1] > 100
        assert counts[2] > 50


def test_the_stored_model_has_the_figures_of_its_page(report: dict) -> None:
    oracle("pycountry")
    with scripts_of(FOLDER):
        import data

    model = grucore.load(FOLDER / "languages.gru")
    assert model.nbytes == report["int8"]["bytes"]
    made, labels = data.texts(data.read()["test"], report["texts"], np.random.default_rng(99))
    right = 0
    for start in range(0, len(made), 100):
        ids, lengths = data.batch(made[start : start + 100], report["alphabet"])
        answers = model.run(ids, lengths=lengths).argmax(1)
        right += int((answers == labels[start : start + 100]).sum())
    # Another release of pycountry may have other names.
    assert abs(right / len(made) - report["int8"]["accuracy"]) < 0.02


def test_identify_reads_arguments_and_lines() -> None:
    texts = {
        "de": "Vereinigtes Königreich, Österreich und die Schweiz",
        "fr": "le royaume de Belgique, la République française",
        "fi": "Suomen tasavalta, yhdistynyt kuningaskunta",
        "hu": "Magyarország, az egyesült királyság",
        "pl": "Rzeczpospolita Polska, zjednoczone królestwo",
    }
    command = [sys.executable, str(FOLDER / "identify.py")]
    done = subprocess.run([*command, *texts.values()], capture_output=True, text=True, check=True)
    assert [line[:2] for line in done.stdout.splitlines()] == list(texts)
    lines = "\n".join(texts.values())
    piped = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    assert piped.stdout == done.stdout


def test_figures_of_three_cells() -> None:
    cells = json.loads((CELLS / "figures.json").read_text("utf-8"))["cells"]
    page = (CELLS / "README.md").read_text("utf-8")
    parameters = cells["GRU 48"]["parameters"]
    for name in ("LSTM 40", "RNN 91"):
        assert abs(cells[name]["parameters"] / parameters - 1) < 0.02
    for name, cell in cells.items():
        right = f"{sum(cell['right']) / len(cell['right']):.1%}".replace("%", " %")
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} "))
        for text in (right, f"{cell['parameters']:,}", f"{cell['int8']['bytes']:,}"):
            assert text in row, (text, row)
