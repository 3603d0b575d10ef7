# SPDX-License-Identifier: Apache-2.0
"""The keyword spotting demo: samples -> model -> words, and what each frame cost."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import numpy as np
import numpy.typing as npt

from grucore.demo.clips import DATA, Clip, Recording, load_clips, microphone
from grucore.demo.decisions import Detection, Detector
from grucore.demo.display import Display, make_display
from grucore.demo.features import (
    BANDS,
    FFT_SAMPLES,
    FLOOR,
    HIGHEST_HZ,
    HOP_SAMPLES,
    LOG_CENTRE,
    LOG_SCALE,
    LOWEST_HZ,
    SAMPLE_RATE,
    WINDOW_SAMPLES,
)

if TYPE_CHECKING:
    from grucore.audio import FrontEnd
    from grucore.model import Model

__all__ = ["front_end", "load_model", "load_network", "run_demo"]

KEYWORDS_FILE = DATA / "keywords.pt"
MICROPHONE_SEEDS = (1, 2)
LATE_SECONDS = 0.15  # a word may be reported this long after the end of its clip
WARM_UP_FRAMES = 20

Array = npt.NDArray[np.float32]


class StreamLike(Protocol):
    """The part of ``grucore.Stream`` that the demo needs."""

    def step(self, x: Array, out: Array) -> Any: ...
    def reset(self) -> None: ...


class ModelLike(Protocol):
    """The part of ``grucore.Model`` that the demo needs."""

    def stream(self) -> StreamLike: ...


def configuration() -> dict[str, Any]:
    """Labels, architecture, settings and measured figures of the shipped checkpoint."""
    loaded: dict[str, Any] = json_format.loads((DATA / "keywords.json").read_text("utf-8"))
    return loaded


def front_end() -> FrontEnd:
    """The features of `grucore.demo.features`, which the network was trained on, as layers."""
    from grucore.audio import log_mel

    return log_mel(
        sample_rate=SAMPLE_RATE,
        n_fft=FFT_SAMPLES,
        win_length=WINDOW_SAMPLES,
        window_at="start",
        hop_length=HOP_SAMPLES,
        n_mels=BANDS,
        fmin=LOWEST_HZ,
        fmax=HIGHEST_HZ,
        offset=FLOOR,
        floor=0.0,
        mean=LOG_CENTRE,
        std=LOG_SCALE,
    )


def load_network() -> Model:
    """The shipped checkpoint, converted as ``grucore convert`` would: from features to scores."""
    import grucore

    return grucore.convert(KEYWORDS_FILE, architecture=configuration()["architecture"])


def load_model(isa: str | None = None) -> Model:
    """The demo's model, from samples to scores: the features as layers before the network.

    Its metadata have the labels, and the settings of the detector.
    """
    import grucore

    settings, network = configuration(), load_network()
    front = front_end()
    known = {name: settings[name] for name in ("labels", "detector")}
    model = network.with_front_end(replace(front, graph=front.graph.with_metadata(**known)))
    return model if isa is None else grucore.load(bytes(model), isa=isa)


class Listener:
    """Stream and detector in a row, with a stopwatch on every frame."""

    def __init__(self, model: ModelLike, labels: Sequence[str], settings: dict[str, Any]) -> None:
        self._pending = np.zeros(0, np.float32)
        self._stream = model.stream()
        self.detector = Detector(labels, **settings)
        self._scores = np.empty(len(labels), np.float32)
        self.step_nanoseconds: list[int] = []  # the model from samples to scores, per frame
        self.frame_nanoseconds: list[int] = []  # model and detector, per frame
        self.samples = 0
        self._warm_up()

    def _warm_up(self) -> None:
        self.push(np.zeros(WINDOW_SAMPLES + WARM_UP_FRAMES * HOP_SAMPLES, np.float32))
        self.step_nanoseconds.clear()
        self.frame_nanoseconds.clear()
        self.samples = 0

    def reset(self) -> None:
        """Forgets the sound heard so far; the stopwatch keeps its readings."""
        self._pending = np.zeros(0, np.float32)
        self._stream.reset()
        self.detector.reset()

    def push(self, samples: Array) -> Detection | None:
        """Takes a block of samples; answers with the word that it completed, if any."""
        word: Detection | None = None
        started = time.perf_counter_ns()
        pending = np.concatenate([self._pending, samples]) if len(self._pending) else samples
        hops = len(pending) // HOP_SAMPLES
        for start in range(0, hops * HOP_SAMPLES, HOP_SAMPLES):
            before = time.perf_counter_ns()
            scores = self._stream.step(pending[start : start + HOP_SAMPLES], out=self._scores)
            self.step_nanoseconds.append(time.perf_counter_ns() - before)
            if scores is not None:  # the first window is full
                word = self.detector.push(scores) or word
        elapsed = time.perf_counter_ns() - started
        self.frame_nanoseconds += [elapsed // hops] * hops if hops else []
        self._pending = pending[hops * HOP_SAMPLES :]
        self.samples += len(samples)
        return word


def blocks(samples: Array, *, realtime: bool) -> Iterator[Array]:
    """10 ms at a time, as a sound card would; with ``realtime`` also no sooner than it would."""
    started = time.monotonic()
    for start in range(0, len(samples), HOP_SAMPLES):
        block = samples[start : start + HOP_SAMPLES]
        if realtime:
            due = started + (start + len(block)) / SAMPLE_RATE
            time.sleep(max(0.0, due - time.monotonic()))
        yield block


def listen(
    listener: Listener, samples: Array, display: Display, *, realtime: bool, announce: bool
) -> list[tuple[str, float]]:
    """Streams a recording from a fresh state: (word, seconds) as they are recognised."""
    listener.reset()
    words = []
    heard = 0
    for block in blocks(samples, realtime=realtime):
        word = listener.push(block)
        heard += len(block)
        display.sound(block)
        if word is not None:
            words.append((word.word, heard / SAMPLE_RATE))
            if announce:
                display.heard(word, heard / SAMPLE_RATE)
    return words


def match(recording: Recording, words: Sequence[tuple[str, float]]) -> int:
    """How many of the words spoken were reported, once each, while or just after they sounded."""
    left = list(words)
    hits = 0
    for spoken in recording.spoken:
        for found in left:
            word, at = found
            if word == spoken.label and spoken.start <= at <= spoken.end + LATE_SECONDS:
                left.remove(found)
                hits += 1
                break
    return hits


def hear_recordings(
    listener: Listener, clips: Sequence[Clip], display: Display, *, realtime: bool
) -> dict[str, int]:
    """Both microphone recordings: words spoken, words recognised, reports without such a word."""
    totals = {"words": 0, "recognised": 0, "false_alarms": 0}
    keywords = [clip for clip in clips if clip.label != "unknown"]
    for number, seed in enumerate(MICROPHONE_SEEDS, 1):
        recording = microphone(keywords, seed=seed, name=f"microphone {number}")
        display.line(f"{recording.name}: {' '.join(word.label for word in recording.spoken)}")
        display.start("  listening")
        words = listen(listener, recording.samples, display, realtime=realtime, announce=True)
        display.finish(None)
        hits = match(recording, words)
        totals["words"] += len(recording.spoken)
        totals["recognised"] += hits
        totals["false_alarms"] += len(words) - hits
        display.line()
    return totals


def hear_clips(
    listener: Listener, clips: Sequence[Clip], display: Display, *, realtime: bool
) -> dict[str, list[int]]:
    """Every test clip, each decided as a whole: condition -> [correct, clips]."""
    tally: dict[str, list[int]] = {}
    display.line("test clips (voices that training never heard)")
    for clip in clips:
        display.start(f"  {clip.text:9.9} {clip.noise:6} {clip.condition:5}")
        listen(listener, clip.samples, display, realtime=realtime, announce=False)
        decision = listener.detector.decision()
        correct = decision == clip.label
        entry = tally.setdefault(clip.condition, [0, 0])
        entry[0] += correct
        entry[1] += 1
        display.finish(f"{decision:8}" + ("" if correct else f"expected {clip.label}"))
    display.line()
    return tally


def microseconds(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Median and 99th percentile."""
    median, p99 = np.percentile(np.asarray(nanoseconds) / 1000.0, (50, 99))
    return {"median": round(float(median), 2), "p99": round(float(p99), 2)}


def summarise(report: dict[str, Any], display: Display) -> None:
    """The closing lines."""
    heard, step, frame = report["microphone"], report["step_us"], report["frame_us"]
    by_condition = ", ".join(
        f"{condition} {correct}/{total}"
        for condition, (correct, total) in report["by_condition"].items()
    )
    display.line(
        f"microphone       {heard['recognised']} of {heard['words']} words, "
        f"{heard['false_alarms']} false alarms"
    )
    display.line(
        f"test clips       {report['correct']} of {report['clips']} correct, "
        f"{report['accuracy']:.1%} ({by_condition})"
    )
    display.line(f"model, a frame   {step['median']} microseconds median, {step['p99']} p99")
    display.line(f"all, a frame     {frame['median']} microseconds median, {frame['p99']} p99")
    display.line(
        f"real-time factor {report['real_time_factor']:.5f} "
        f"({report['audio_seconds']:.0f} s of sound, {report['frames']} frames of 10 ms)"
    )


def resolve(model: ModelLike | Callable[[], ModelLike] | None, isa: str | None) -> ModelLike:
    """A loaded model as it is, the answer of a callable, or the shipped checkpoint."""
    if model is None:
        return load_model(isa)
    return model() if callable(model) else model


def run_demo(
    *,
    model: ModelLike | Callable[[], ModelLike] | None = None,
    isa: str | None = None,
    json: bool = False,
    fast: bool = False,
    realtime: bool = False,
    stream_output: TextIO | None = None,
) -> dict[str, Any]:
    """Plays the shipped sound to the shipped model and answers with what it heard and what it cost.

    ``model`` is a loaded model or a callable that gives one; without it the shipped checkpoint is
    converted, for ``isa`` if that is given. ``json`` writes the answer alone, as one JSON object.
    ``realtime`` paces the sound as a microphone would; ``fast``, the default, does not.
    """
    if fast and realtime:
        raise ValueError("fast and realtime exclude each other")
    output = make_display(stream_output).output
    display = make_display(output, silent=json)
    loaded = resolve(model, isa)
    settings = configuration()
    clips = load_clips()
    listener = Listener(loaded, settings["labels"], settings["detector"])
    heard = hear_recordings(listener, clips, display, realtime=realtime)
    tally = hear_clips(listener, clips, display, realtime=realtime)
    correct = sum(entry[0] for entry in tally.values())
    audio_seconds = listener.samples / SAMPLE_RATE
    report: dict[str, Any] = {
        "isa": getattr(loaded, "isa", isa),
        "clips": len(clips),
        "correct": correct,
        "accuracy": correct / len(clips),
        "by_condition": tally,
        "microphone": heard,
        "frames": len(listener.step_nanoseconds),
        "audio_seconds": audio_seconds,
        "step_us": microseconds(listener.step_nanoseconds),
        "frame_us": microseconds(listener.frame_nanoseconds),
        "real_time_factor": sum(listener.frame_nanoseconds) / 1e9 / audio_seconds,
    }
    summarise(report, display)
    if json:
        output.write(json_format.dumps(report) + "\n")
    return report
