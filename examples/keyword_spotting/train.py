# SPDX-License-Identifier: Apache-2.0
"""Trains the keyword spotter, measures it on held-out voices and writes what the demo ships.

    python examples/keyword_spotting/generate.py --cache build/keywords
    python examples/keyword_spotting/train.py --cache build/keywords

writes ``keywords.pt`` (a plain state dict), ``keywords.json`` (labels, settings, figures) and
``clips.npz`` into ``python/grucore/demo/data``, or elsewhere with ``--output``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from evaluate import (
    KeywordSpotter,
    evaluate,
    false_alarms_per_hour,
    shipped_clips,
    through_mu_law,
)
from mixing import IGNORED, NO_KEYWORD, Corpus, training_track
from shared import DEMO, HOP_SAMPLES, SAMPLE_RATE, WINDOW_SAMPLES, clips, decisions, features
from voices import LABELS, VARIANTS

ARCHITECTURE = "gru > linear"
HIDDEN_SIZE = 64
TRACK_SAMPLES = 28_000  # 3.5 s
BATCH = 64
PEAK_RATE = 6e-3
TEST_SEED = 1  # the same noise whatever was trained


def progress(text: str) -> None:
    print(f"\r{text}", end="", file=sys.stderr, flush=True)


def tracks(corpus: Corpus, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (count, frames, 40) and targets (count, frames) of random training tracks."""
    rng = np.random.default_rng([seed, 7])
    inputs, wanted = [], []
    for index in range(count):
        track, target = training_track(corpus, TRACK_SAMPLES, rng)
        inputs.append(features.log_mel(through_mu_law(track)))
        wanted.append(target)
        if index % 100 == 99:
            progress(f"mixing: {index + 1} of {count} tracks")
    print(file=sys.stderr)
    return torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(wanted))


def noisier(frames: torch.Tensor) -> torch.Tensor:
    """Adds steady noise of random level and slope, one per track, as far as features allow."""
    tracks = len(frames)
    level = torch.empty(tracks, 1, 1).uniform_(-9.0, 0.0)  # ln of the power in a band
    slope = torch.empty(tracks, 1, 1).uniform_(-1.5, 1.5) * torch.linspace(
        -1.0, 1.0, features.BANDS
    )
    noise = level + slope + 0.7 * torch.randn_like(frames)
    return (
        torch.logaddexp(frames * features.LOG_SCALE, noise - features.LOG_CENTRE)
        / features.LOG_SCALE
    )


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy per frame; NO_KEYWORD accepts silence and unknown alike."""
    log_probabilities = logits.log_softmax(-1)
    silence, unknown = LABELS.index("silence"), LABELS.index("unknown")
    background = torch.logaddexp(log_probabilities[..., silence], log_probabilities[..., unknown])
    named = log_probabilities.gather(-1, target.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    chosen = torch.where(target == NO_KEYWORD, background, named)
    # Silence is most of the time, and easy.
    weight = torch.where(target > silence, 1.0, 0.5) * (target != IGNORED)
    return -(chosen * weight).sum() / weight.sum()


def train(
    model: KeywordSpotter, inputs: torch.Tensor, wanted: torch.Tensor, epochs: int, peak_rate: float
) -> KeywordSpotter:
    """Adam under a one-cycle rate."""
    steps = epochs * (len(inputs) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, peak_rate, total_steps=steps, pct_start=0.15
    )
    started, average = time.monotonic(), 0.0
    for epoch in range(epochs):
        order = torch.randperm(len(inputs))
        for batch in order[: len(order) // BATCH * BATCH].split(BATCH):
            frames = inputs[batch]
            frames[: BATCH // 4] = noisier(frames[: BATCH // 4])
            loss = loss_of(model(frames), wanted[batch])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average += 0.02 * (loss.item() - average)
        seconds = time.monotonic() - started
        progress(f"training: epoch {epoch + 1} of {epochs}, loss {average:.4f}, {seconds:.0f} s")
    print(file=sys.stderr)
    return model.eval()


def configuration(training: list[dict[str, object]]) -> dict[str, object]:
    """Everything needed to use the checkpoint, besides the measured figures."""
    return {
        "architecture": ARCHITECTURE,
        "hidden_size": HIDDEN_SIZE,
        "labels": list(LABELS),
        "features": {
            "kind": "log-mel",
            "sample_rate": SAMPLE_RATE,
            "window_samples": WINDOW_SAMPLES,
            "hop_samples": HOP_SAMPLES,
            "bands": features.BANDS,
        },
        "detector": {
            "threshold": decisions.THRESHOLD,
            "smoothing_frames": decisions.SMOOTHING_FRAMES,
            "refractory_frames": decisions.REFRACTORY_FRAMES,
        },
        "training": training,
        "held_out_voices": list(VARIANTS["test"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path("build/keywords"))
    parser.add_argument("--output", type=Path, default=DEMO / "data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--tracks", type=int, default=24_000)
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="at its highest")
    parser.add_argument(
        "--go-on", action="store_true", help="train the checkpoint in --output further"
    )
    parser.add_argument(
        "--measure", action="store_true", help="keep the checkpoint in --output, do not train"
    )
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)

    checkpoint, settings = (arguments.output / f"keywords.{suffix}" for suffix in ("pt", "json"))
    model, training = KeywordSpotter(HIDDEN_SIZE), []
    if arguments.measure or arguments.go_on:
        model.load_state_dict(torch.load(checkpoint, weights_only=True))
        training = json.loads(settings.read_text(encoding="utf-8"))["training"]
    if not arguments.measure:
        corpus = Corpus(arguments.cache / "train.npz")
        inputs, wanted = tracks(corpus, arguments.tracks, arguments.seed)
        train(model.train(), inputs, wanted, arguments.epochs, arguments.rate)
        names = ("seed", "epochs", "tracks", "rate")
        training.append(
            {name: getattr(arguments, name) for name in names}
            | {"points": features.FFT_SAMPLES, "torch": torch.__version__.partition("+")[0]}
        )
        arguments.output.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), checkpoint)
    model.eval()

    held_out = Corpus(arguments.cache / f"{arguments.split}.npz")
    config = configuration(training)
    config["accuracy"] = evaluate(model, held_out, TEST_SEED)
    config["false_alarms_per_hour"] = false_alarms_per_hour(model, held_out, TEST_SEED)
    print(f"false alarms per hour of other speech: {config['false_alarms_per_hour']}")
    text = json.dumps(config, indent=1) + "\n"
    settings.write_text(text, encoding="utf-8")
    clips.save_clips(arguments.output / "clips.npz", shipped_clips(held_out, TEST_SEED))
    for path in sorted(arguments.output.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
