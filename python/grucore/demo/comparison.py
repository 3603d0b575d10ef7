# SPDX-License-Identifier: Apache-2.0
"""The demo with two models side by side: what each hears, where they agree, and what each costs."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from typing import Any, TextIO

from grucore.demo.clips import Clip, load_clips, microphone
from grucore.demo.display import Display, make_display
from grucore.demo.features import SAMPLE_RATE
from grucore.demo.runner import (
    MICROPHONE_SEEDS,
    Listener,
    blocks,
    configuration,
    match,
    microseconds,
)

__all__ = ["run_comparison"]

WIDTH = 9  # of a word
SAME_SECONDS = 0.1  # between two reports of one word

Words = list[tuple[str, float]]


class Side:
    """One of the models, and what it has heard."""

    def __init__(self, name: str, model: Any, settings: dict[str, Any]) -> None:
        self.name = name
        self.model = model
        self.listener = Listener(model, settings["labels"], settings["detector"])
        self.heard = {"words": 0, "recognised": 0, "false_alarms": 0}
        self.tally: dict[str, list[int]] = {}

    def report(self) -> dict[str, Any]:
        """Decisions and costs."""
        listener = self.listener
        correct = sum(entry[0] for entry in self.tally.values())
        seconds = listener.samples / SAMPLE_RATE
        return {
            "name": self.name,
            "bytes": self.model.nbytes,
            "correct": correct,
            "accuracy": correct / sum(entry[1] for entry in self.tally.values()),
            "by_condition": self.tally,
            "microphone": self.heard,
            "step_us": microseconds(listener.step_nanoseconds),
            "frame_us": microseconds(listener.frame_nanoseconds),
            "real_time_factor": sum(listener.frame_nanoseconds) / 1e9 / seconds,
        }


def listen(sides: Sequence[Side], samples: Any, *, realtime: bool) -> list[Words]:
    """Each block of sound goes to one model after the other: (word, seconds) of each."""
    words: list[Words] = [[] for _ in sides]
    for side in sides:
        side.listener.reset()
    heard = 0
    for block in blocks(samples, realtime=realtime):
        heard += len(block)
        for side, found in zip(sides, words, strict=True):
            word = side.listener.push(block)
            if word is not None:
                found.append((word.word, heard / SAMPLE_RATE))
    return words


def pair_up(words: Sequence[Words]) -> list[tuple[str, list[float | None]]]:
    """Each word that was reported, and when by which model; None where one did not."""
    rows: list[tuple[str, list[float | None]]] = []
    for number, found in enumerate(words):
        for word, at in found:
            for other, times in rows:
                near = any(time is not None and abs(time - at) <= SAME_SECONDS for time in times)
                if other == word and near and times[number] is None:
                    times[number] = at
                    break
            else:
                rows.append((word, [None] * len(words)))
                rows[-1][1][number] = at
    return sorted(rows, key=lambda row: min(time for time in row[1] if time is not None))


def hear_recordings(
    sides: Sequence[Side], clips: Sequence[Clip], display: Display, *, realtime: bool
) -> list[bool]:
    """Both microphone recordings: for each word reported, whether all models did."""
    agreed = []
    keywords = [clip for clip in clips if clip.label != "unknown"]
    for number, seed in enumerate(MICROPHONE_SEEDS, 1):
        recording = microphone(keywords, seed=seed, name=f"microphone {number}")
        display.line(f"{recording.name}: {' '.join(word.label for word in recording.spoken)}")
        words = listen(sides, recording.samples, realtime=realtime)
        for side, found in zip(sides, words, strict=True):
            hits = match(recording, found)
            side.heard["words"] += len(recording.spoken)
            side.heard["recognised"] += hits
            side.heard["false_alarms"] += len(found) - hits
        display.line(" " * WIDTH + "".join(f"{side.name:>{WIDTH}}" for side in sides))
        for word, times in pair_up(words):
            agreed.append(None not in times)
            at = ("-" if time is None else f"{time:.2f} s" for time in times)
            display.line(f"{word:{WIDTH}}" + "".join(f"{text:>{WIDTH}}" for text in at))
        display.line()
    return agreed


def hear_clips(
    sides: Sequence[Side], clips: Sequence[Clip], display: Display, *, realtime: bool
) -> list[bool]:
    """Every test clip, each decided as a whole: whether all models decided the same."""
    agreed = []
    names = " ".join(f"{side.name:{WIDTH}}" for side in sides)
    display.line(f"{'test clips (voices that training never heard)':48}{names}")
    for clip in clips:
        listen(sides, clip.samples, realtime=realtime)
        decisions = [side.listener.detector.decision() for side in sides]
        agreed.append(len(set(decisions)) == 1)
        for side, decision in zip(sides, decisions, strict=True):
            entry = side.tally.setdefault(clip.condition, [0, 0])
            entry[0] += decision == clip.label
            entry[1] += 1
        title = f"  {clip.text:9.9} {clip.noise:6} {clip.condition:5}"
        said = " ".join(f"{decision:{WIDTH}}" for decision in decisions)
        wrong = f"expected {clip.label}" if set(decisions) != {clip.label} else ""
        display.line(f"{title:48}{said} {wrong}".rstrip())
    display.line()
    return agreed


def summarise(report: dict[str, Any], display: Display) -> None:
    """The closing table, a column for each model."""
    models, agreement = report["models"], report["agreement"]
    rows = [
        ("", [model["name"] for model in models]),
        ("file", [f"{model['bytes']:,} bytes" for model in models]),
        (
            "microphone",
            [
                f"{heard['recognised']} of {heard['words']}, {heard['false_alarms']} false"
                for heard in (model["microphone"] for model in models)
            ],
        ),
        (
            "test clips",
            [
                f"{model['correct']} of {report['clips']}, {model['accuracy']:.1%}"
                for model in models
            ],
        ),
    ]
    for name, key in (("model, a frame", "step_us"), ("all, a frame", "frame_us")):
        times = (model[key] for model in models)
        rows.append((name, [f"{time['median']} us, p99 {time['p99']}" for time in times]))
    rows.append(("real-time factor", [f"{model['real_time_factor']:.5f}" for model in models]))
    for name, cells in rows:
        display.line((f"{name:18}" + "".join(f"{cell:26}" for cell in cells)).rstrip())
    display.line()
    display.line(
        f"agreement: {agreement['clips']} of {report['clips']} clips, {agreement['reports']} of "
        f"{agreement['of_reports']} words at the microphone"
    )


def run_comparison(
    models: dict[str, Any],
    *,
    json: bool = False,
    realtime: bool = False,
    stream_output: TextIO | None = None,
) -> dict[str, Any]:
    """Plays the shipped sound to models by name, block by block, and answers with what each did."""
    output = make_display(stream_output).output
    # Columns, not the moving bar of a single model.
    display = make_display(output, silent=True) if json else Display(output)
    settings, clips = configuration(), load_clips()
    sides = [Side(name, model, settings) for name, model in models.items()]
    reports = hear_recordings(sides, clips, display, realtime=realtime)
    decisions = hear_clips(sides, clips, display, realtime=realtime)
    report: dict[str, Any] = {
        "isa": next(iter(models.values())).isa,
        "clips": len(clips),
        "models": [side.report() for side in sides],
        "agreement": {
            "clips": sum(decisions),
            "reports": sum(reports),
            "of_reports": len(reports),
        },
    }
    summarise(report, display)
    if json:
        output.write(json_format.dumps(report) + "\n")
    return report
