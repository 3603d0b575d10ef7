# SPDX-License-Identifier: Apache-2.0
"""The warnings of a quantization report, and its one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.storage import SCALES
from grucore.graph.tensors import Array, Dtype
from grucore.graph.weights import kind_text

__all__ = ["input_scales", "verdict", "warnings"]

UNEQUAL = 16.0  # times: from there weights of the loudest feature have lost half of their 8 bits
TIE = 1.03  # times within which two speeds are the same

Figures = dict[str, Any]


def input_scales(graph: Graph, inputs: Sequence[Array]) -> dict[str, Figures]:
    """The loudest and the quietest feature of each input that int8 or int4 weights multiply."""
    read = {
        name
        for node in graph.nodes
        for name in node.inputs
        if any(
            role in SCALES and kind_text(weight).startswith(("int8", "int4"))
            for role, weight in node.tensors().items()
        )
    }
    found = {}
    for name, x in zip(graph.inputs, inputs, strict=True):
        if name not in read or graph.value(name).dtype is not Dtype.FLOAT32:
            continue
        rms = np.sqrt(np.square(x.reshape(-1, x.shape[-1]).astype(np.float64)).mean(axis=0))
        heard = np.flatnonzero(rms > 0)
        if heard.size > 1:
            loud, quiet = (int(heard[place(rms[heard])]) for place in (np.argmax, np.argmin))
            found[name] = {
                "loudest": {"feature": loud, "rms": float(f"{rms[loud]:.4g}")},
                "quietest": {"feature": quiet, "rms": float(f"{rms[quiet]:.4g}")},
                "ratio": float(f"{rms[loud] / rms[quiet]:.4g}"),
            }
    return found


def warnings(figures: Figures) -> list[str]:
    """Sentences, the one that matters most first."""
    found = []
    entry, signals = figures["quantization"] or {}, figures["signals"]
    kind = entry.get("kind", "quantized")
    if signals["source"] == "generated":
        found.append(
            "These figures are for generated signals (noise of several sizes), and say little of "
            "your data: give frames that the model is used on as calibration."
        )
    elif kind in ("int8", "int4") and not entry.get("calibration_frames"):
        found.append(
            "The weights were rounded without calibration data: calibrated, trained models have "
            "about half of the error."
        )
    for name, scales in figures["input_scales"].items():
        if signals["source"] == "given" and scales["ratio"] >= UNEQUAL:
            loud, quiet = scales["loudest"], scales["quietest"]
            found.append(
                f"Features of input {name!r} have unequal scales: feature {loud['feature']} is "
                f"{scales['ratio']:.3g} times as large as feature {quiet['feature']} (RMS "
                f"{loud['rms']:.3g} and {quiet['rms']:.3g}). A row of weights has one scale, so "
                "the small weights of loud features lose their digits: train on features of one "
                "scale, or take float16."
            )
    sizes, speed = figures["bytes"]["file"], figures["speed"]
    if sizes["after"] >= sizes["before"]:
        found.append(
            f"The file is larger: {sizes['after']:,} bytes instead of {sizes['before']:,}. Padded "
            "rows and scales take more than smaller weights save at this size."
        )
    if speed is not None and speed["after"]["us_min"] > TIE * speed["before"]["us_min"]:
        found.append(
            f"{kind} is slower than float32 at this size on {figures['isa']}: "
            f"{speed['after']['us_min']:.3g} microseconds instead of "
            f"{speed['before']['us_min']:.3g}. It saves memory alone."
        )
    return found


def verdict(figures: Figures) -> str:
    """A sentence on what changed: decisions, numbers, size, speed."""
    parts = []
    for name, found in figures["decisions"].items():
        of = f"of output {name} " if len(figures["decisions"]) > 1 else ""
        if found["accuracy"] is not None:
            both = found["accuracy"]
            points = 100 * (both["after"] - both["before"])
            parts.append(
                f"accuracy {both['after']:.2%} instead of {both['before']:.2%} "
                f"({points:+.2f} points)"
            )
        if found["agreement"] is not None:
            parts.append(f"{found['agreement']:.2%} of {found['decisions']:,} decisions {of}alike")
    for name, error in figures["outputs"].items():
        if error["rms"] is not None and error["scale"]:
            of = f" of output {name}" if len(figures["outputs"]) > 1 else ""
            parts.append(f"RMS difference{of} {error['rms'] / error['scale']:.2%} of its scale")
    sizes, speed = figures["bytes"]["file"], figures["speed"]
    parts.append(f"{sizes['after'] / sizes['before']:.0%} of the size")
    if speed is not None:
        times = speed["before"]["us_min"] / speed["after"]["us_min"]
        parts.append(
            "as fast"
            if 1 / TIE <= times <= TIE
            else f"{times:.2g} times as fast"
            if times > 1
            else f"{1 / times:.2g} times slower"
        )
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."
