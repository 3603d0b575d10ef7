# SPDX-License-Identifier: Apache-2.0
"""docs/quantization.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from claims.files import figure, markdown, result

__all__ = ["TABLES", "sentences", "share"]

PAGE = "docs/quantization.md"


def share(model: str, kind: str, of: str = "weights") -> float:
    """Bytes of a kind of weights, as a part of those of float32."""
    found = result("sizes")[model]
    return float(found[kind][of] / found["float32"][of])


def kinds() -> str:
    """The part of float32 that each kind takes, biases, scales and padding counted."""
    models = {"S1": "1 → 16", "demo": "40 → 64 → 12", "S4": "128 → 128", "S5": "256 → 256"}
    table = [["weights, of float32", *models.values()]]
    for kind in ("float16", "int8", "int4"):
        table.append([kind, *(f"{share(name, kind):.3f}" for name in models)])
    return markdown(table, 1)


def spotter() -> str:
    """Accuracy of the keyword spotter."""
    head = ["weights", "bytes", "accuracy", "points lost", "decisions changed"]
    table = [[*head, "RMS of the scores' error", "demo's clips"]]
    for one in result("quantized_examples")["keyword_spotting"]:
        cells = [one["weights"], f"{one['bytes']:,}", f"{100 * one['accuracy']:.2f} %"]
        if one["weights"] == "float32":
            cells += ["", "", ""]
        else:
            cells += [f"{-one['points']:.2f}", f"{one['other decisions']:,}"]
            cells.append(f"{one['RMS of scores']:.2g}")
        table.append([*cells, str(one["shipped clips"])])
    return markdown(table, 1)


def sunspots() -> str:
    """Errors of the forecast."""
    table = [["weights", "bytes", "MAE", "RMSE", "largest change of an output"]]
    for one in result("quantized_examples")["sunspots"]:
        change = one["largest difference"]
        cells = f"{one['bytes']:,}", f"{one['MAE']:.2f}", f"{one['RMSE']:.2f}"
        table.append([one["weights"], *cells, f"{change:.2g}" if change else ""])
    return markdown(table, 1)


def reversed_strings() -> str:
    """Strings that come back reversed."""
    table = [["weights", "bytes", "right", "of"]]
    for one in result("quantized_examples")["encoder_decoder"]:
        table.append([one["weights"], *(f"{one[key]:,}" for key in ("bytes", "reversed", "of"))])
    return markdown(table, 1)


def arithmetic() -> str:
    """Errors beside the same scheme in float64."""
    head = ["weights", "size", "largest", "RMS", "largest / plain scheme", "RMS / plain scheme"]
    table = [[*head, "largest / same integers", "RMS / same integers"]]
    for one in result("quantized_errors"):
        numbers = [f"{one['max']:.2g}", f"{one['RMS']:.2g}"]
        numbers += [f"{one['max / scheme']:.2f}", f"{one['RMS / scheme']:.3f}"]
        numbers += [f"{one['max / same weights']:.3f}", f"{one['RMS / same weights']:.4f}"]
        table.append([one["weights"], one["size"], *numbers])
    return markdown(table, 2)


def peers() -> str:
    """Errors at 256 inputs and units, beside those of peers."""
    table = [["", "largest", "RMS"]]
    found = result("compare")["workloads"]["S5"]["contenders"]
    for title, one in found.items():
        if one["weights"] != "float32" and "C++" not in title and len(title.split()) < 3:
            table.append([title, f"{one['error']:.1e}", f"{one['error_rms']:.1e}"])
    return markdown(table, 1)


def speed(name: str = "quantized_speed") -> str:
    """Microseconds of a step."""
    report = result(name)
    names = list(report[0]["kinds"])
    table = [["inputs x units", "table", *names]]
    for one in report:
        cells = [figure(cost["us_min"]) for cost in one["kinds"].values()]
        table.append([one["size"].replace("x", " x "), one["isa"], *cells])
    return markdown(table, 2)


def calibration() -> str:
    """How long calibration takes."""
    report = result("calibration")["rows"]
    counts = list(dict.fromkeys(one["frames"] for one in report))
    table = [["runs of the same frames", *(f"{count:,} frames" for count in counts)]]
    # What calibration adds, of all that it takes.
    for name in dict.fromkeys(one["workload"] for one in report):
        for kind in ("int8", "int4"):
            found = [o for o in report if (o["workload"], o["kind"]) == (name, kind)]
            cells = [
                f"{one['added']:.0f} of {one['runs']:.0f} ({1000 * one['quantize']:,.0f} ms)"
                for one in found
            ]
            table.append([f"{name}, {kind}", *cells])
    return markdown(table, 1)


def _of(weights: str) -> dict[str, Any]:
    rows = result("quantized_examples")["keyword_spotting"]
    return next(one for one in rows if one["weights"] == weights)


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    clips = _of("float16")["clips"]
    plain, calibrated = (_of(f"int8/16{word}")["RMS of scores"] for word in ("", ", calibrated"))
    int4 = [-_of(f"int4/16{word}")["points"] for word in ("", ", calibrated")]
    timed = result("calibration")["rows"]
    most = {count: max(o["added"] for o in timed if o["frames"] >= count) for count in (1, 10_000)}
    large = max(o["runs"] for o in timed if o["frames"] >= 10_000)
    rows = result("quantized_errors")
    gains = {
        kind: [100 * (1 - one["RMS / scheme"]) for one in rows if one["weights"].startswith(kind)]
        for kind in ("int8", "int4")
    }
    return {
        PAGE: [
            f"of {clips:,} decisions {_of('float16')['other decisions']} changed",
            f"{clips:,} held-out clips, clean to 0 dB",
            f"from {plain:.2g} to {calibrated:.2g} in int8, and int4's loss from {int4[0]:.1f} "
            "points "
            f"to {int4[1]:.1f}",
            f"calibration adds at most {most[1]:.0f} `run`s of the same frames to what `quantize` "
            f"takes, and at most {most[10_000]:.0f} of 10,000 frames or more, where all of it is "
            f"at most {large:.0f}",
            f"gains {min(gains['int8']):.1f} to {max(gains['int8']):.1f} % of RMS for int8 and "
            f"{min(gains['int4']):.1f} to {max(gains['int4']):.1f} % for int4",
        ],
    }


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    (PAGE, "kinds"): kinds,
    (PAGE, "spotter"): spotter,
    (PAGE, "sunspots"): sunspots,
    (PAGE, "reversed"): reversed_strings,
    (PAGE, "arithmetic"): arithmetic,
    (PAGE, "peers"): peers,
    (PAGE, "speed"): speed,
    (PAGE, "sparse"): lambda: speed("sparse_speed"),
    (PAGE, "calibration"): calibration,
}
