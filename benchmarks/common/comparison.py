# SPDX-License-Identifier: Apache-2.0
"""Tables of the figures that compare.py wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from common.markdown import as_markdown, as_text, figure

__all__ = ["as_markdown", "figure", "lead", "show", "side_by_side"]

FORMS = {
    "S": "Streaming, microseconds a step",
    "Q": "Sequences of 100 frames, microseconds each",
    "B": "Batches of sequences of 100 frames, microseconds each",
    "L": "48,000 frames, microseconds",
}
OURS = "grucore"
IN_CPP = "C++ "


def _forms(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The workloads of each form."""
    for form in FORMS:
        found = {name: one for name, one in report["workloads"].items() if name[0] == form}
        if found:
            yield form, found


def _titles(workloads: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for one in workloads.values() for name in one["contenders"]))


def _is_ours(title: str) -> bool:
    return title.removeprefix(IN_CPP).split()[0] == OURS


def header(workloads: dict[str, Any]) -> list[str]:
    """The workloads with their sizes: "S3: 40 -> 64"."""
    cells = [""]
    for name, one in workloads.items():
        deep = f", {one['layers']} layers" if one["layers"] > 1 else ""
        cells.append(f"{name}: {one['input_size']} -> {one['hidden_size']}{deep}")
    return cells


def _cells(workloads: dict[str, Any], title: str) -> list[str]:
    cells = []
    for one in workloads.values():
        found = one["contenders"].get(title)
        both = found and (figure(found["us_min"]), figure(found["us_median"]))
        cells.append(" / ".join(both) if both else "-")
    return cells


def tables(report: dict[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    """From Python, then in C++: a caption and rows, the first one the header, for each form."""
    for prefix, whence in (("", "from Python"), (IN_CPP, "in C++")):
        for form, workloads in _forms(report):
            found = [one for one in _titles(workloads) if one.startswith(IN_CPP) == bool(prefix)]
            if not found:
                continue
            rows = [header(workloads)]
            for title in found:
                rows.append([title.removeprefix(prefix), *_cells(workloads, title)])
            for kind in ("float32", "int8"):
                leads = [lead(one, kind, prefix) for one in workloads.values()]
                if set(leads) != {"-"}:
                    rows.append([f"best {kind} peer / grucore", *leads])
            yield f"{FORMS[form]}, {whence}", rows


def engines(report: dict[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    """In C++: microseconds, the limit, and one over the other."""
    workloads = report["workloads"]
    found = {
        title: [one["contenders"].get(title, {}).get("engine") for one in workloads.values()]
        for title in _titles(workloads)
        if title.startswith(OURS)
    }
    found = {title.removeprefix(f"{OURS} "): row for title, row in found.items() if any(row)}
    if not found:
        return
    cells: dict[str, Callable[[dict[str, Any]], str]] = {
        "The engine, microseconds": lambda one: figure(one["us"]),
        "The limit, microseconds": lambda one: figure(one["limit_us"]),
        "Times the limit": lambda one: f"{one['us'] / one['limit_us']:.2f}",
    }
    for caption, cell in cells.items():
        rows = [
            [title, *("-" if e is None else cell(e) for e in row)] for title, row in found.items()
        ]
        yield caption, [header(workloads), *rows]


def lead(workload: dict[str, Any], kind: str, prefix: str = "") -> str:
    """How many times the time of grucore the best peer takes, with weights of the same kind."""
    ours, peers = [], []
    for title, found in workload["contenders"].items():
        name = title.removeprefix(prefix)
        is_forced = _is_ours(title) and len(name.split()) > 2  # another instruction set
        is_other = title.startswith(IN_CPP) != bool(prefix)
        if found["weights"] == kind and not is_forced and not is_other:
            (ours if _is_ours(title) else peers).append(found["us_min"])
    return f"{min(peers) / min(ours):.2f}" if ours and peers else "-"


def side_by_side(reports: list[dict[str, Any]]) -> Iterator[tuple[str, list[list[str]]]]:
    """The leads of several machines: a caption and rows for each form."""
    for form, workloads in _forms(reports[0]):
        rows = [header(workloads)]
        for prefix, whence in (("", "Python"), (IN_CPP, "C++")):
            for kind in ("float32", "int8"):
                for report in reports:
                    there = report["workloads"]
                    cells = [
                        lead(there[one], kind, prefix) if one in there else "-" for one in workloads
                    ]
                    machine = report["machine"]["processor"].split(",")[0]
                    if set(cells) != {"-"}:
                        rows.append([f"{whence}, {kind}, {machine}", *cells])
        yield f"{FORMS[form].split(',')[0]}: best peer / grucore", rows


def errors(report: dict[str, Any]) -> list[list[str]]:
    """Largest differences from float64."""
    workloads = report["workloads"]
    rows = [header(workloads)]
    for title in _titles(workloads):
        cells = [one["contenders"].get(title) for one in workloads.values()]
        rows.append([title, *("-" if cell is None else f"{cell['error']:.0e}" for cell in cells)])
    return rows


def not_timed(report: dict[str, Any]) -> list[str]:
    """Lines that name who was left out, and why."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, one in report["workloads"].items():
        for title, why in one["not_timed"].items():
            found.setdefault((title, why), []).append(name)
    return [f"{title} ({', '.join(names)}): {why}" for (title, why), names in found.items()]


def show(report: dict[str, Any], *, markdown: bool = False) -> None:
    """Print everything."""
    form = as_markdown if markdown else as_text
    described = report["machine"]
    loads = [at[0] for one in report["workloads"].values() for at in one.get("load", []) if at]
    busy = f", load {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    print(f"{described['processor']}{busy}; the least / the median of the rounds")
    for caption, rows in (*tables(report), *engines(report)):
        print(f"\n{caption}\n", *form(rows), sep="\n")
    print("\nLargest difference from float64\n", *form(errors(report)), sep="\n")
    for line in not_timed(report):
        print(f"not timed: {line}")
