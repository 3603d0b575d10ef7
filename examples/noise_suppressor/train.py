# SPDX-License-Identifier: Apache-2.0
"""Trains the noise suppressor, measures it and writes suppressor.gru, before.wav and after.wav.

    python examples/noise_suppressor/train.py

needs grucore, PyTorch and espeak-ng. ``--quick`` does little of each, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from sounds import (
    SAMPLE_RATE,
    SENTENCES,
    TEST_SENTENCES,
    TEST_VOICES,
    TRAINING_VOICES,
    Samples,
    speak,
    track,
)
from torch import nn

import grucore
from grucore.audio import erb_filters, masked, write_wav

HERE = Path(__file__).parent
N_FFT, HOP, BANDS, HIDDEN = 320, 160, 32, 64
FLOOR, MEAN, STD = 1e-6, -7.0, 4.0
SECONDS = 4
LEVELS = (0.0, 5.0, 10.0)  # decibels of speech above noise in the test


class Gains(nn.Module):
    """Logarithms of energies in, a factor for each band out."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(BANDS, HIDDEN, batch_first=True)
        self.linear = nn.Linear(HIDDEN, BANDS)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.linear(self.gru(frames)[0]))


def energies(samples: Samples) -> np.ndarray:
    """The energy of each band and frame, (frames, BANDS), as `grucore.audio.masked` has them."""
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT))
    padded = np.concatenate([np.zeros(N_FFT - HOP), samples])
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return power @ erb_filters(sample_rate=SAMPLE_RATE, n_fft=N_FFT, bands=BANDS).T


def utterances(texts: tuple[str, ...], voices: tuple[str, ...], seed: int) -> list[Samples]:
    """Every text in every voice, each at its own speed and pitch."""
    rng = np.random.default_rng(seed)
    return [
        speak(text, voice, int(rng.integers(130, 200)), int(rng.integers(30, 70)))
        for voice in voices
        for text in texts
    ]


def train(speech: list[Samples], count: int, epochs: int) -> Gains:
    """The network that comes nearest to the clean magnitudes, compressed as ears do."""
    rng = np.random.default_rng(1)
    pairs = [track(speech, SECONDS * SAMPLE_RATE, rng.uniform(-5, 20), rng) for _ in range(count)]
    clean, noisy = (
        torch.from_numpy(np.stack([energies(pair[i]) for pair in pairs]).astype(np.float32))
        for i in range(2)
    )
    inputs = (torch.log(noisy + FLOOR) - MEAN) / STD
    model, batch = Gains(), 20
    steps = epochs * (count // batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    started = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(count)[: count // batch * batch].split(batch):
            found = (model(inputs[rows]) ** 2 * noisy[rows] + 1e-9) ** 0.15
            loss = ((found - (clean[rows] + 1e-9) ** 0.15) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() / (count // batch)
        print(f"epoch {epoch + 1} of {epochs}: {total:.5f}, {time.monotonic() - started:.0f} s")
    return model.eval()


def si_sdr(clean: Samples, found: Samples) -> float:
    """Scale-invariant ratio of signal to distortion, in decibels."""
    target = clean * (found @ clean) / (clean @ clean)
    return float(10 * np.log10((target @ target) / np.sum((found - target) ** 2)))


def suppressed(model: grucore.Model, noisy: Samples) -> Samples:
    """A recording as the engine gives it back, without its delay."""
    late = N_FFT - HOP
    padded = np.concatenate([noisy, np.zeros(late)]).astype(np.float32)
    return model.run(padded.reshape(-1, HOP)).reshape(-1)[late:].astype(np.float64)


def measure(model: grucore.Model, speech: list[Samples], count: int) -> list[dict[str, float]]:
    """SI-SDR before and after, the mean of so many recordings of held-out voices."""
    rows = []
    for decibels in LEVELS:
        rng = np.random.default_rng(7)
        both = []
        for _ in range(count):
            clean, noisy = track(speech, SECONDS * SAMPLE_RATE, decibels, rng)
            both.append((si_sdr(clean, noisy), si_sdr(clean, suppressed(model, noisy))))
        before, after = np.mean(both, axis=0)
        rows.append({"decibels": decibels, "before": round(before, 2), "after": round(after, 2)})
        print(f"{decibels:3.0f} dB of noise: SI-SDR {before:5.2f} dB before, {after:5.2f} dB after")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    some = 1 if arguments.quick else None
    speech = utterances(SENTENCES[:some], TRAINING_VOICES[: some and 3], 1)
    network = train(speech, *((20, 2) if arguments.quick else (400, 30)))
    example = (torch.zeros(1, 10, BANDS),)
    converted = grucore.from_torch(network, example_inputs=example)
    settings = {"floor": FLOOR, "mean": MEAN, "std": STD}
    model = masked(converted, sample_rate=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, **settings)
    arguments.output.mkdir(parents=True, exist_ok=True)
    model.save(arguments.output / "suppressor.gru")
    held_out = utterances(TEST_SENTENCES[:some], TEST_VOICES[: some and 2], 2)
    rows = measure(model, held_out, 1 if arguments.quick else 30)
    (arguments.output / "figures.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    _, noisy = track(held_out, SECONDS * SAMPLE_RATE, 5.0, np.random.default_rng(11))
    write_wav(arguments.output / "before.wav", noisy, SAMPLE_RATE)
    write_wav(arguments.output / "after.wav", suppressed(model, noisy), SAMPLE_RATE)


if __name__ == "__main__":
    main()
