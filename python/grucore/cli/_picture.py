# SPDX-License-Identifier: Apache-2.0
"""The graph of a model as a picture, from top to bottom; needs matplotlib."""

from __future__ import annotations

import io
import warnings
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from grucore.cli.console import printable
from grucore.summary.tables import number, value_text

__all__ = ["SUFFIXES", "picture"]

SUFFIXES = (".png", ".svg", ".pdf")
COSTS = {"multiply_adds": "multiply-adds", "bytes": "bytes"}
MOST_LAYERS = 1000  # more than anyone looks at, and than an image has pixels for
MOST_LETTERS = 36  # of a name
SWEEPS = 12

# Inches, and points of type.
ROW_GAP, COLUMN_GAP, MARGIN = 0.34, 0.3, 0.25
HEIGHT, PADDING, LINE_WIDTH, SWATCH = 0.5, 0.14, 0.12, 0.13
LARGE, SMALL = 9.0, 7.5
DPI, MOST_PIXELS = 150, 60000  # Agg draws 65535 at most

INK, PALE, ARROW, FUTURE = "#1c2733", "#5b6875", "#7c8894", "#b3541e"
RECURRENT, WEIGHTS, OTHERS, PORT = "#d5e5f7", "#dcefdc", "#eceff2", "#ffffff"
COLORS = {
    **dict.fromkeys(("gru", "lstm", "rnn"), RECURRENT),
    **dict.fromkeys(("dense", "conv1d", "embedding"), WEIGHTS),
}
LEGEND = {RECURRENT: "recurrent", WEIGHTS: "other weights", OTHERS: "all else", PORT: "in, out"}
UNDATED = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}  # what changes by itself


@dataclass(eq=False)
class _Box:
    """A layer, an input or an output; without a kind the place where a line passes a row."""

    kind: str = ""
    name: str = ""
    text: str = ""
    color: str = PORT
    future: bool = False
    row: int = 0
    width: float = LINE_WIDTH
    x: float = 0.0
    above: list[_Box] = field(default_factory=list)
    below: list[_Box] = field(default_factory=list)


def picture(description: dict[str, Any], suffix: str) -> bytes:
    """The bytes of a .png, .svg or .pdf file of what `summary.describe` says.

    Raises ValueError where matplotlib is missing or the graph is too large.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError('--plot needs matplotlib: pip install "grucore[plot]"') from None
    layers = len(description["nodes"])
    if layers > MOST_LAYERS:
        raise ValueError(f"--plot: {layers} layers, a picture has room for {MOST_LAYERS}")
    # The defaults, whatever the user's own settings are: the same picture everywhere.
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "grucore"
        warnings.simplefilter("ignore")  # letters that the font lacks
        return _draw(_rows(_boxes(description)), suffix)


def _short(name: str) -> str:
    name = printable(name)
    return (
        name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def _boxes(description: dict[str, Any]) -> list[_Box]:
    """Inputs, layers and outputs with their rows; lines still run past whole rows."""
    inputs = [_port("input", value) for value in description["inputs"]]
    writers = dict(zip([value["name"] for value in description["inputs"]], inputs, strict=True))
    boxes = list(inputs)
    totals = {key: sum(node[key] for node in description["nodes"]) for key in COSTS}
    for node in description["nodes"]:
        box = _layer(node, totals)
        for name in dict.fromkeys(node["inputs"]):
            if name in writers:
                _join(writers[name], box)
            else:  # a value of the frame before: a line back to its writer would cross all others
                box.text = f"{box.text}, of {_short(name)} before"
        box.row = 1 + max((above.row for above in box.above), default=0)
        writers[node["output"]] = box
        boxes.append(box)
    for box in [box for box in boxes if not box.above]:  # next to what reads them first
        box.row = min((below.row for below in box.below), default=1) - 1
    for value in description["outputs"]:
        box = _port("output", value)
        _join(writers[value["name"]], box)
        box.row = box.above[0].row + 1
        boxes.append(box)
    return boxes


def _port(kind: str, value: dict[str, Any]) -> _Box:
    words = value_text(value).removeprefix(f"{value['name']}: ")
    return _Box(kind, _short(value["name"]), words)


def _layer(node: dict[str, Any], totals: dict[str, int]) -> _Box:
    """A box with its sizes, and its shares of the work and of the bytes of the weights."""
    joint = " + " if node["kind"] == "concat" else ", "
    shape = joint.join(str(features) for features in node["input_features"])
    words = [f"{shape} \N{RIGHTWARDS ARROW} {node['output_features']}"]
    for key, unit in COSTS.items():
        if node[key]:
            words.append(f"{number(node[key])} {unit} ({node[key] / totals[key]:.0%})")
    if node["rate"] != "frame":
        words.append(f"per {node['rate']}")
    if not node["streamable"]:
        words.append("reads the future")
    color = COLORS.get(node["kind"], OTHERS)
    text = ", ".join(words)
    return _Box(node["kind"], _short(node["name"]), text, color, not node["streamable"])


def _join(above: _Box, below: _Box) -> None:
    above.below.append(below)
    below.above.append(above)


def _rows(boxes: Sequence[_Box]) -> list[list[_Box]]:
    """The boxes by row, ordered so that few lines cross; a line has a box in each row it passes."""
    rows: list[list[_Box]] = [[] for _ in range(1 + max(box.row for box in boxes))]
    for box in boxes:
        rows[box.row].append(box)
    for box in boxes:
        # The lines of one value run together for as long as they can.
        passing = {box.row: box}
        readers, box.below = box.below, []
        for reader in sorted(readers, key=lambda reader: reader.row):
            for row in range(box.row + 1, reader.row):
                if row not in passing:
                    passing[row] = _Box(row=row)
                    _join(passing[row - 1], passing[row])
                    rows[row].append(passing[row])
            last = passing[reader.row - 1]
            last.below.append(reader)
            reader.above[reader.above.index(box)] = last
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for before, line in pairwise(rows if down else rows[::-1]):
            places = {id(box): place for place, box in enumerate(before)}
            means = {}
            for place, box in enumerate(line):
                around = [places[id(other)] for other in (box.above if down else box.below)]
                means[id(box)] = sum(around) / len(around) if around else float(place)
            line.sort(key=lambda box: means[id(box)])
        found = _crossings(rows)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
    return [row for row in best if row]


def _crossings(rows: Sequence[Sequence[_Box]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        places = {id(box): place for place, box in enumerate(lower)}
        seen: list[int] = []
        for box in upper:
            ends = [places[id(other)] for other in box.below]
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _set_x(rows: Sequence[Sequence[_Box]]) -> None:
    """Each box near what it is joined to, and clear of its neighbours."""
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(SWEEPS + 1):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wanted = [_middle(box, box.above if down else box.below) for box in row]
            _spread(row, wanted)


def _middle(box: _Box, others: Sequence[_Box]) -> float:
    """The weighted median: layers stay in line, and so do lines that pass."""
    if not others:
        return box.x
    pairs = sorted((other.x, 1 + 3 * (bool(other.kind) == bool(box.kind))) for other in others)
    half = sum(weight for _, weight in pairs) / 2
    total = 0.0
    for i, (x, weight) in enumerate(pairs):
        total += weight
        if total == half:
            return (x + pairs[i + 1][0]) / 2
        if total > half:
            return x
    return box.x


def _spread(row: Sequence[_Box], wanted: Sequence[float]) -> None:
    """Nearest to what is wanted, in the sum of squares, in this order and without overlaps."""
    starts = [0.0]
    for left, right in pairwise(row):
        starts.append(starts[-1] + (left.width + right.width) / 2 + COLUMN_GAP)
    groups: list[tuple[float, float, int]] = []  # that touch: sum of shifts, weight, boxes
    for box, want, start in zip(row, wanted, starts, strict=True):
        weight = 64.0 if box.kind else 1.0  # lines give way to layers
        total, count = weight * (want - start), 1
        while groups and groups[-1][0] / groups[-1][1] > total / weight:
            before = groups.pop()
            total, weight, count = total + before[0], weight + before[1], count + before[2]
        groups.append((total, weight, count))
    shifts = [total / weight for total, weight, count in groups for _ in range(count)]
    for box, start, shift in zip(row, starts, shifts, strict=True):
        box.x = start + shift


def _draw(rows: Sequence[Sequence[_Box]], suffix: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import Rectangle

    figure = Figure(dpi=72)
    canvas: Any = FigureCanvasAgg(figure)
    measure = canvas.get_renderer().get_text_width_height_descent
    bold, plain = FontProperties(size=LARGE, weight="bold"), FontProperties(size=LARGE)
    small = FontProperties(size=SMALL)

    def wide(text: str, font: Any) -> float:
        return float(measure(text, font, False)[0]) / 72

    for row in rows:
        for box in filter(lambda box: box.kind, row):
            title = wide(f"{box.kind}  ", bold) + wide(box.name, plain)
            box.width = max(title, wide(box.text, small)) + 2 * PADDING
    _set_x(rows)
    left = min(box.x - box.width / 2 for row in rows for box in row) - MARGIN
    right = max(box.x + box.width / 2 for row in rows for box in row) + MARGIN
    legend = [(color, text) for color, text in LEGEND.items()
              if any(box.color == color and box.kind for row in rows for box in row)]  # fmt: skip
    lengths = [SWATCH + wide(text, small) + 2 * PADDING for _, text in legend]
    right = max(right, left + sum(lengths) + 2 * MARGIN)
    bottom = 2 * MARGIN + len(rows) * (HEIGHT + ROW_GAP) - ROW_GAP
    size = right - left, bottom + SWATCH + PADDING
    figure.set_size_inches(*size)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(size[1], 0))
    axes.set_axis_off()
    at = (left + right - sum(lengths)) / 2
    for (color, text), length in zip(legend, lengths, strict=True):
        swatch: dict[str, Any] = {"facecolor": color, "edgecolor": ARROW, "linewidth": 0.9}
        axes.add_patch(Rectangle((at, bottom), SWATCH, SWATCH, **swatch))
        place = at + SWATCH + PADDING / 2, bottom + SWATCH / 2
        axes.text(*place, text, font=small, color=PALE, va="center_baseline")
        at += length
    for box in (box for row in rows for box in row):
        _draw_lines(axes, box)
        if box.kind:
            _draw_frame(axes, box)
            kind, name = wide(f"{box.kind}  ", bold), wide(box.name, plain)
            left, y = box.x - (kind + name) / 2, _top(box) + HEIGHT / 2
            color = FUTURE if box.future else PALE
            style: dict[str, Any] = {"va": "baseline", "parse_math": False}
            axes.text(left, y - 0.04, box.kind, font=bold, color=INK, **style)
            axes.text(left + kind, y - 0.04, box.name, font=plain, color=INK, **style)
            axes.text(box.x, y + 0.15, box.text, font=small, color=color, ha="center", **style)
    buffer = io.BytesIO()
    dpi = min(DPI, MOST_PIXELS / max(size))
    metadata = {UNDATED[suffix]: None}
    figure.savefig(buffer, format=suffix[1:], dpi=dpi, facecolor="white", metadata=metadata)
    return buffer.getvalue()


def _top(box: _Box) -> float:
    return MARGIN + box.row * (HEIGHT + ROW_GAP)


def _draw_frame(axes: Any, box: _Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    is_port = box.kind in ("input", "output")
    corner = HEIGHT / 2 if is_port else 0.07
    style = f"round,pad=0,rounding_size={corner}"
    corner_at = (box.x - box.width / 2, _top(box))
    edge = FUTURE if box.future else ARROW
    frame = FancyBboxPatch(corner_at, box.width, HEIGHT, boxstyle=style, zorder=2)
    frame.set(facecolor=box.color, edgecolor=edge, linewidth=0.9)
    axes.add_patch(frame)


def _draw_lines(axes: Any, box: _Box) -> None:
    """The lines to the row below, with a head where they end; a line goes through its row."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    style: dict[str, Any] = {
        "color": ARROW,
        "linewidth": 1.1,
        "zorder": 1,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    start = _top(box) + HEIGHT
    for other in box.below:
        end = _top(other)
        middle = (start + end) / 2
        points = [(box.x, start), (box.x, middle), (other.x, middle), (other.x, end)]
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        head = "-|>,head_length=4,head_width=2.2" if other.kind else "-"
        axes.add_patch(FancyArrowPatch(path=Path(points, codes), arrowstyle=head, **style))
    if not box.kind:
        axes.plot([box.x, box.x], [_top(box), start], color=ARROW, linewidth=1.1, zorder=1)
