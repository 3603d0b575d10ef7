# SPDX-License-Identifier: Apache-2.0
"""Faults of a JSON file of weights: each refusal names what was found and where."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import grucore
from grucore.cli import main
from models.plugin_files import amplifier, written


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """The document with one entry replaced."""
    document = amplifier()
    inside: Any = document
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = to
    return document


GRU, DENSE = ("layers", 0), ("layers", 1)
STATE = {"model_data": {}, "state_dict": {}}
NET = {"model": "SimpleRNN", "unit_type": "LSTM", "skip": 0, "bias_fl": True}
NET |= dict.fromkeys(("input_size", "output_size", "hidden_size", "num_layers"), 1)
REFUSALS: dict[str, tuple[Any, str]] = {
    "an axis too many": (changed("in_shape", to=[None, 4, 4, 1]), "4 axes"),
    "no width": (changed("in_shape", to=[None, None]), "in_shape is"),
    "a wide skip": (changed("in_skip", to=2), "in_skip is 2"),
    "a word for a gain": (changed("out_gain", to=True), "'out_gain' of the model is True"),
    "an unknown entry": (changed("blend", to=0.5), "'blend' = 0.5"),
    "no layers": (changed("layers", to=[]), "0 layers"),
    "a layer that is a number": (changed("layers", 0, to=3), "layer 1 is 3"),
    "an unknown layer": (changed(*GRU, "type", to="unknown"), "layer 1 (unknown): expected one"),
    "a layer of images": (changed(*GRU, "type", to="conv2d"), "layer 1 (conv2d)"),
    "another activation": (changed(*GRU, "activation", to="relu"), "'relu', not tanh"),
    "an unknown activation": (changed(*DENSE, "activation", to="swish"), "'swish', expected tanh"),
    "an unknown attribute": (changed(*GRU, "go_backwards", to=True), "'go_backwards' = True"),
    "another width": (
        changed(*DENSE, "shape", to=[None, None, 2]),
        "shape (4, 1), expected (4, 2)",
    ),
    "no bias": (changed(*DENSE, "weights", to=[[[1.0]] * 4]), "1 arrays of weights, expected 2"),
    "reset before": (changed(*GRU, "weights", 2, to=[0.0] * 12), "(12,), expected (2, 12)"),
    "ragged weights": (changed(*DENSE, "weights", 0, to=[[1], [1, 2], [1], [1]]), "not of numbers"),
    "words for weights": (changed(*DENSE, "weights", 1, to=["1.5"]), "is not of numbers"),
    "a huge number": (changed(*DENSE, "weights", 1, to=[10**400]), "is not of numbers"),
    "too large for float32": (changed(*DENSE, "weights", 1, to=[1e39]), "finite"),
    "a huge layer": (changed(*DENSE, "shape", to=[1 << 40]), "expected a number from 1 to"),
    "an endless layer": ('{"in_shape": [1e999], "layers": []}', "in_shape is [inf]"),
    "an endless gain": (changed("out_gain", to=10**400), "expected a finite number"),
    "half a unit": (changed(*DENSE, "shape", to=[1.5]), "is [1.5]"),
    "not JSON": ("{'layers': []}", "not JSON"),
    "not a number": ('{"in_shape": [NaN], "layers": []}', "NaN"),
    "the same name twice": ('{"in_shape": [1], "in_shape": [2], "layers": []}', "'in_shape' twice"),
    "deep lists": ('{"layers": ' + "[" * 100_000, "not JSON"),
    "many lists": ('{"layers": [' + "[]," * 600_000 + "[]]}", "lists and objects"),
    "a Keras config": ('{"class_name": "Sequential", "config": {}}', "without weights"),
    "another program's": ('{"architecture": "WaveNet", "config": {}}', "Neural Amp Modeler"),
    "anything": ('{"a": 1}', "JSON with 'a', expected the layout"),
    "an empty module": (STATE, "model_data has no 'model'"),
    "another module": ({**STATE, "model_data": NET | {"model": "RecNet"}}, "'RecNet'"),
    "no tensors": ({**STATE, "model_data": NET}, "no 'rec.weight_ih_l0'"),
    "a huge module": ({**STATE, "model_data": NET | {"hidden_size": 1 << 40}}, "hidden_size is"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_and_where(name: str, tmp_path: Path) -> None:
    document, words = REFUSALS[name]
    with pytest.raises(grucore.ConversionError) as caught:
        grucore.convert(written(document, tmp_path / "amp.json"))
    said = str(caught.value)
    assert words in said
    assert said.startswith("amp.json: ")
    assert len(said) < 500


def test_a_tensor_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    state: dict[str, Any] = {"rec.weight_ih_l0": [[0.5]] * 4, "rec.weight_hh_l0": [[0.5]] * 4}
    state |= {"rec.bias_ih_l0": [0.5] * 4, "rec.bias_hh_l0": [0.5] * 4}
    state |= {"lin.weight": [[0.5]], "lin.bias": [0.5], "conv.weight": [0.5]}
    path = written({"model_data": NET, "state_dict": state}, tmp_path / "pedal.json")
    with pytest.raises(grucore.ConversionError, match=r"conv\.weight"):
        grucore.convert(path)


def test_damaged_files_are_models_or_refused(tmp_path: Path) -> None:
    """Digits, brackets and names exchanged: no error but ours."""
    whole = json.dumps(amplifier())
    dice = random.Random(4)
    refused = 0
    for _ in range(400):
        text = list(whole)
        for _ in range(dice.randint(1, 3)):
            text[dice.randrange(len(text))] = dice.choice('[]{},:."0189-eE ntf')
        if dice.random() < 0.3:
            del text[dice.randrange(len(text)) :]
        try:
            grucore.convert(written("".join(text), tmp_path / "amp.json"), verify=False)
        except grucore.ConversionError:
            refused += 1
    assert 100 < refused < 400


@pytest.mark.parametrize("command", ["inspect", "export"])
def test_other_commands_say_what_the_file_is(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(amplifier(), tmp_path / "amp.json")
    more = ["-o", str(tmp_path)] if command == "export" else []
    assert main([command, str(path), *more]) == 1
    said = capsys.readouterr().err
    assert "weights in JSON: RTNeural's layout, gru > dense" in said
    assert f"grucore convert {path} -o OUT.gru" in said


def test_a_keras_config_is_not_called_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written('{"class_name": "Sequential", "config": {}}', tmp_path / "config.json")
    assert main(["inspect", str(path)]) == 1
    assert "is no .gru file" in capsys.readouterr().err
