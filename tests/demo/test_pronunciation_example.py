# SPDX-License-Identifier: Apache-2.0
"""The example that attends: stored models say known words, and new ones what torch says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import grucore
from models.examples import scripts_of
from oracle.oracles import oracle

FOLDER = Path(__file__).parents[2] / "examples" / "pronunciation"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree")


@pytest.fixture(autouse=True)
def scripts() -> Iterator[None]:
    with scripts_of(FOLDER):
        yield


WORDS = {
    "attention": "AH T EH N SH AH N",
    "recurrent": "R IY K ER AH N T",
    "gate": "G EY T",
    "memory": "M EH M ER IY",
}


def test_stored_models_say_what_they_said() -> None:
    import pronounce

    models = [grucore.load(FOLDER / f"{name}.gru") for name in ("encoder", "decoder")]
    for word, sounds in WORDS.items():
        assert " ".join(pronounce.pronounce(*models, word)) == sounds
    figures = json.loads((FOLDER / "figures.json").read_text("utf-8"))
    assert sum(model.nbytes for model in models) == figures["bytes"]["int8"]
    assert f"{figures['measured']:,} words" in (FOLDER / "README.md").read_text("utf-8")
    with pytest.raises(ValueError, match="letters from a to z"):
        pronounce.pronounce(*models, "na\u00efve")


@pytest.mark.oracle
def test_sounds_are_those_of_torch() -> None:
    oracle("torch")
    import convert
    import pronounce
    import train

    words: dict[str, Any] = {word: [sounds.split()] for word, sounds in WORDS.items()}
    networks = train.train(words, 4)
    models = convert.convert(*networks)
    for word in ("memory", "a", "attention"):
        expected = [pronounce.PHONEMES[i] for i in convert.of_torch(*networks, word)]
        assert pronounce.pronounce(*models, word) == expected
    said = {"gate": ["G", "EH", "T"], "memory": ["M", "EH", "M", "ER", "IY"]}
    assert convert.errors(said, words) == {"words": 0.5, "sounds": 0.125}
