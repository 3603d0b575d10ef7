# SPDX-License-Identifier: Apache-2.0
"""`grucore inspect --plot`: the graph as a picture."""

from __future__ import annotations

import itertools
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.cli_calls import as_json, save_models
from grucore.cli import _picture, main
from grucore.cli._picture import COLUMN_GAP, MOST_LAYERS, _boxes, _rows, _set_x, picture
from grucore.summary.describe import describe
from models.layer_models import KIND_NAMES, make
from models.small_models import GRAPHS
from oracle.oracles import oracle

oracle("matplotlib")

STARTS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


def chain(names: list[str], **settings: Any) -> dict[str, Any]:
    """A description of layers one after the other."""
    ports = [{"name": name, "features": 4, "dtype": "float32", "rate": "frame"} for name in names]
    nodes = [
        {
            "name": f"layer {after}",
            "kind": "gru",
            "inputs": [before],
            "output": after,
            "input_features": [4],
            "output_features": 4,
            "rate": "frame",
            "multiply_adds": 12345,
            "bytes": 4000,
            "streamable": True,
            **settings,
        }
        for before, after in itertools.pairwise(names)
    ]
    return {"inputs": ports[:1], "outputs": ports[-1:], "nodes": nodes}


@pytest.mark.parametrize("suffix", STARTS)
@pytest.mark.parametrize("name", GRAPHS)
def test_a_picture_of_every_small_model(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_models(tmp_path)[name]
    path = tmp_path / f"out{suffix.upper()}"
    assert main(["inspect", model, "--plot", str(path)]) == 0
    assert str(path) in "".join(capsys.readouterr().out.split())  # a long path is broken
    first = path.read_bytes()
    assert first.startswith(STARTS[suffix])
    assert as_json(capsys, "inspect", model, "--plot", str(path))["plot"] == str(path)
    assert path.read_bytes() == first


def test_the_picture_names_layers_shapes_and_work() -> None:
    text = picture(chain(["x", "y"], streamable=False, rate="sequence"), ".svg").decode()
    for words in ("input", "gru", "layer y", "12,345 multiply-adds", "per sequence", "output"):
        assert words in text
    assert "4 \N{RIGHTWARDS ARROW} 4" in text
    assert "reads the future" in text


def test_the_picture_has_shares_and_a_legend() -> None:
    description = chain(["x", "y", "z"])
    description["nodes"][1] |= {"kind": "dense", "multiply_adds": 3 * 12345, "bytes": 0}
    text = picture(description, ".svg").decode()
    assert "12,345 multiply-adds (25%), 4,000 bytes (100%)" in text
    assert "37,035 multiply-adds (75%)" in text
    for words in ("recurrent", "other weights", "in, out"):
        assert words in text
    assert "all else" not in text


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_picture_of_every_kind(kind: str) -> None:
    for seed in range(3):
        assert picture(describe(make(kind, seed)), ".svg").startswith(STARTS[".svg"])


@pytest.mark.parametrize(
    "name", ["$x_1$", "$", "\\frac", "a\n\x1b[31mb", "\u5c42\U0001f600", "n" * 255]
)
def test_a_name_is_no_more_than_letters(name: str) -> None:
    assert picture(chain(["x", name]), ".png").startswith(STARTS[".png"])


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_a_row_do_not_touch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    description = chain([f"v{i}" for i in range(30)])
    for i, node in enumerate(description["nodes"]):
        node["inputs"] = [f"v{j}" for j in rng.integers(0, i + 1, rng.integers(1, 4))]
    rows = _rows(_boxes(description))
    for row in rows:
        for box in row:
            box.width = float(rng.uniform(0.5, 2)) if box.kind else box.width
    _set_x(rows)
    assert sum(bool(box.kind) for row in rows for box in row) == 31
    for row in rows:
        for left, right in itertools.pairwise(row):
            assert right.x - left.x >= (left.width + right.width) / 2 + COLUMN_GAP - 1e-9
    for number, row in enumerate(rows):
        for box in row:
            assert box.row == number
            assert all(other.row == number - 1 for other in box.above)
            assert all(other.row == number + 1 for other in box.below)
            assert all(box in other.above for other in box.below)


def test_a_chain_is_straight() -> None:
    rows = _rows(_boxes(chain([f"v{i}" for i in range(25)])))
    _set_x(rows)
    assert {box.x for row in rows for box in row} == {0.0}


def test_a_long_image_stays_within_what_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    long = chain([f"v{i}" for i in range(70)])
    assert struct.unpack(">I", picture(long, ".png")[20:24])[0] > 6001
    monkeypatch.setattr(_picture, "MOST_PIXELS", 6000)
    assert 5990 <= struct.unpack(">I", picture(long, ".png")[20:24])[0] <= 6001


def test_too_many_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=f"{MOST_LAYERS + 1} layers"):
        picture(chain([f"v{i}" for i in range(MOST_LAYERS + 2)]), ".png")


def test_another_suffix_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_models(tmp_path)["frames"]
    assert main(["inspect", model, "--plot", str(tmp_path / "out.jpg")]) == 2
    assert ".png, .svg or .pdf" in capsys.readouterr().err
    assert not (tmp_path / "out.jpg").exists()


def test_without_matplotlib_the_error_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    model = save_models(tmp_path)["frames"]
    assert main(["inspect", model]) == 0
    assert main(["inspect", model, "--plot", str(tmp_path / "out.png")]) == 1
    assert "grucore[plot]" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()
