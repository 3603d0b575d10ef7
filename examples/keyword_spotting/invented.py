# SPDX-License-Identifier: Apache-2.0
"""Invented espeak-ng variants: random vocal tracts, so that training hears more than 71 voices."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

INVENTED_VARIANTS = 160


def variant(name: str, rng: np.random.Generator) -> str:
    """A variant file: pitch in Hz, formants as frequency, strength and width in percent."""
    tract = rng.uniform(0.78, 1.32)
    lowest = rng.uniform(65.0, 200.0)
    lines = ["language variant", f"name {name}"]
    lines.append(f"pitch {lowest:.0f} {lowest * rng.uniform(1.2, 1.8):.0f}")
    for formant in range(9):
        spread = 0.14 if formant < 3 else 0.3
        frequency = 100.0 * tract * rng.uniform(1.0 - spread, 1.0 + spread)
        strength, width = rng.uniform(60.0, 150.0), rng.uniform(60.0, 140.0)
        lines.append(f"formant {formant} {frequency:.0f} {strength:.0f} {width:.0f}")
    lines.append(f"flutter {rng.integers(0, 12)}")
    lines.append(f"roughness {rng.integers(0, 5)}")
    lines.append(f"voicing {rng.uniform(35.0, 160.0):.0f}")
    lines.append(f"consonants {rng.uniform(70.0, 130.0):.0f} {rng.uniform(70.0, 130.0):.0f}")
    if rng.random() < 0.3:
        lines.append(f"echo {rng.integers(20, 150)} {rng.integers(5, 60)}")
    return "\n".join(lines) + "\n"


def invent_variants(cache: Path, seed: int) -> tuple[Path, list[str]]:
    """espeak-ng's data, by links, with other variants: (the directory it lies in, their names).

    espeak-ng lists 349 voices at most, so the installed variants and MBROLA voices stay out.
    """
    version = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True)
    found = re.search(r"Data at: (.*)", version.stdout)
    if found is None:
        raise RuntimeError(f"espeak-ng does not say where its data is: {version.stdout!r}")
    installed, own = Path(found[1].strip()), cache.resolve() / "espeak-ng-data"
    variants = own / "voices" / "!v"
    variants.mkdir(parents=True, exist_ok=True)
    for entry in installed.iterdir():
        if entry.name != "voices" and not (own / entry.name).is_symlink():
            (own / entry.name).symlink_to(entry)
    rng = np.random.default_rng([seed, 31])
    names = [f"invented{index}" for index in range(INVENTED_VARIANTS)]
    for name in names:
        (variants / name).write_text(variant(name, rng), encoding="utf-8")
    return own.parent, names
