# SPDX-License-Identifier: Apache-2.0
"""Draws spectrogram.png of before.wav and after.wav, with the spectra of grucore.audio."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from grucore.audio import read_wav, spectrogram

mpl.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    figure, axes = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    for axis, name in zip(axes, ("before", "after"), strict=True):
        samples, rate = read_wav(HERE / f"{name}.wav")
        front = spectrogram(sample_rate=rate, n_fft=480, hop_length=160, log="db", floor=1e-7)
        decibels = front.run(samples)
        extent = (0, len(samples) / rate, 0, rate / 2000)
        image = axis.imshow(
            decibels.T, origin="lower", aspect="auto", extent=extent, vmin=-60, vmax=20
        )
        axis.set(title=name, ylabel="kHz")
        print(f"{name}: {np.median(decibels):.1f} dB in the median")
    axes[1].set_xlabel("seconds")
    figure.colorbar(image, ax=axes, label="dB")
    figure.savefig(HERE / "spectrogram.png", dpi=80)


if __name__ == "__main__":
    main()
