# SPDX-License-Identifier: Apache-2.0
"""Pages of the examples; most of their figures lie beside them, written by the scripts there."""

from __future__ import annotations

from collections.abc import Callable

from claims.files import kilobytes, markdown, result, written

__all__ = ["TABLES", "sentences"]

SPOTTER = "examples/keyword_spotting/README.md"
SPOTTER_FILE = "python/grucore/demo/data/keywords.json"
PRONUNCIATION = "examples/pronunciation/README.md"
SUNSPOTS = "examples/sunspots/README.md"
CELLS = "examples/gru_lstm_rnn/README.md"
SUPPRESSOR = "examples/noise_suppressor/README.md"
LANGUAGES = "examples/languages/README.md"
WEB = "examples/web/README.md"


def spotter() -> str:
    """Accuracy in noise."""
    table = [["noise", "keywords named", "other words rejected", "both"]]
    for one in written(SPOTTER_FILE)["accuracy"]:
        level = one["decibels"]
        name = one["noise"] if level is None else f"{one['noise']}, {level:.0f} dB"
        table.append([name, *(f"{100 * one[key]:.1f} %" for key in ("keywords", "unknown", "all"))])
    return markdown(table, 1)


def pronunciation() -> str:
    """Wrong words and sounds."""
    figures = written("examples/pronunciation/figures.json")
    table = [["", "wrong words", "wrong sounds", "other answers than PyTorch's", "a word"]]
    for name in ("PyTorch", "grucore, float32", "grucore, int8"):
        one = figures[name]
        shares = f"{100 * one['words']:.1f} %", f"{100 * one['sounds']:.1f} %"
        table.append([name, *shares, str(figures["differ"][name]), f"{one['microseconds']} us"])
    return markdown(table, 1)


def sunspots() -> str:
    """Errors of the forecasts."""
    table = [["forecast", "MAE", "RMSE"]]
    for name, found in result("examples")["sunspots"]["errors"].items():
        table.append([name, *(f"{value:.2f}" for value in found)])
    return markdown(table, 1)


def cells() -> str:
    """Three cells on one task."""
    head = ["cell, units", "parameters of the layer", "right, of both seeds", "first seed", "int8"]
    table = [[*head, "us a letter", "int8", "bytes", "int8"]]
    for name, one in written("examples/gru_lstm_rnn/figures.json")["cells"].items():
        kinds = one["float32"], one["int8"]
        rights = [sum(one["right"]) / len(one["right"]), *(kind["right"] for kind in kinds)]
        row = [name, f"{one['parameters']:,}", *(f"{100 * right:.1f} %" for right in rights)]
        row += [f"{kind['us a letter']:.2f}" for kind in kinds]
        table.append([*row, *(f"{kind['bytes']:,}" for kind in kinds)])
    return markdown(table, 1)


def suppressor() -> str:
    """Signal over distortion, before and after."""
    table = [["speech above noise", "SI-SDR before", "after", "gain"]]
    for one in written("examples/noise_suppressor/figures.json"):
        values = one["before"], one["after"], one["after"] - one["before"]
        numbers = [f"{value:.1f} dB".replace("-", "\N{MINUS SIGN}") for value in values]
        table.append([f"{one['decibels']:.0f} dB", *numbers])
    return markdown(table, 0)


def languages() -> str:
    """Texts named right."""
    figures = written("examples/languages/languages.json")
    table = [["", "right", "the same answer as PyTorch", "bytes"]]
    table.append(["PyTorch", f"{100 * figures['torch']['accuracy']:.1f} %", "", ""])
    for kind in ("float32", "int8", "int4"):
        one = figures[kind]
        alike = 100 * one["same answer as torch"]
        cells = f"{100 * one['accuracy']:.1f} %", f"{alike:.4g} %", f"{one['bytes']:,}"
        table.append([kind, *cells])
    return markdown(table, 1)


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    sizes, examples = result("sizes"), result("examples")
    pronounced = written("examples/pronunciation/figures.json")
    spotted = written(SPOTTER_FILE)
    cells_of = written("examples/gru_lstm_rnn/figures.json")["cells"].values()
    changes = [abs(one["int8"]["right"] - one["float32"]["right"]) for one in cells_of]
    shares = [one["int8"]["bytes"] / one["float32"]["bytes"] for one in cells_of]
    names = written("examples/languages/languages.json")
    clips, clip_bytes = sizes["demo"]["clips"]
    module = examples["web"]
    return {
        SPOTTER: [
            f"{spotted['false_alarms_per_hour']:.0f} words an hour",
            f"mu-law at 8 kHz, {clip_bytes / 1000:.0f} kB)",
            f"Of the {clips} shipped clips",
            f"{sizes['demo']['checkpoint']:,} parameters",
        ],
        PRONUNCIATION: [
            f"{pronounced['measured']:,} words that no training has seen",
            f"The two files take {pronounced['bytes']['float32']:,} bytes in float32 and "
            f"{pronounced['bytes']['int8']:,} in int8",
        ],
        SUNSPOTS: [
            f"{sizes['sunspots']['checkpoint']} parameters: "
            f"{kilobytes(sizes['sunspots']['keras'])} as "
            f"`sunspots.keras`, {kilobytes(sizes['sunspots']['gru'])} as a `.gru` file",
            f"over the {examples['sunspots']['held out']} held-out years",
            f"differ by at most {examples['sunspots']['from Keras']:.1e} in what the model "
            "says, over "
            f"all {examples['sunspots']['years']} years",
        ],
        CELLS: [
            f"changes no accuracy by more than {100 * max(changes):.1f} points, and takes "
            f"{min(shares):.2f} to {max(shares):.2f} of the bytes",
        ],
        SUPPRESSOR: [f"the file takes {kilobytes(sizes['suppressor']['file'])} in float32"],
        LANGUAGES: [
            f"{names['texts']:,} texts of the test's names",
            f"within {names['float32']['largest difference from torch']:.1e} of PyTorch's",
        ],
        "examples/amplifier/README.md": [
            f"The error is {100 * examples['amplifier']['error']:.2f} % of the energy of notes",
        ],
        WEB: [
            f"one WebAssembly module: {module['bytes'] / 1000:.0f} kB, "
            f"{module['compressed'] / 1000:.0f} "
            "kB as a server compresses it",
        ],
    }


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    (SPOTTER, "accuracy"): spotter,
    (PRONUNCIATION, "errors"): pronunciation,
    (SUNSPOTS, "errors"): sunspots,
    (CELLS, "cells"): cells,
    (SUPPRESSOR, "gains"): suppressor,
    (LANGUAGES, "answers"): languages,
}
