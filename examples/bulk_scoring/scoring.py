# SPDX-License-Identifier: Apache-2.0
"""The work of a process of the cluster: one part of the set, with a model that stays mapped."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import grucore


@lru_cache(maxsize=4)
def opened(path: str, changed: int) -> grucore.Model:
    """The model, mapped when a process first asks for it; again if the file has changed since."""
    return grucore.load(path, mmap=True)


def score_part(model: str, part: str, folder: str) -> dict[str, Any]:
    """Score one part: an .npz with `frames` (all sequences end to end) and `lengths`.

    The scores of each sequence's last frame go to `folder`, under the part's name.
    """
    began = time.perf_counter()
    loaded = opened(model, Path(model).stat().st_mtime_ns)
    with np.load(part) as data:
        frames, lengths = data["frames"], data["lengths"]
    ends = np.cumsum(lengths)
    order = np.argsort(lengths, kind="stable")
    scores = np.empty((len(lengths), loaded.outputs[0].features), np.float32)
    # Sequences of like length share a batch, so that little of it is padding.
    for chosen in np.array_split(order, max(1, len(order) // 32)):
        batch = np.zeros((len(chosen), int(lengths[chosen].max()), frames.shape[1]), np.float32)
        for row, place in enumerate(chosen):
            batch[row, : lengths[place]] = frames[ends[place] - lengths[place] : ends[place]]
        y = loaded.run(batch, lengths=lengths[chosen])
        if y.ndim == 3:
            y = y[np.arange(len(chosen)), lengths[chosen] - 1]
        scores[chosen] = y
    target = Path(folder, Path(part).name)
    unfinished = target.with_suffix(f".{os.getpid()}.tmp")
    with unfinished.open("wb") as file:
        np.savez(file, scores=scores)
    unfinished.replace(target)  # a part is there as a whole, or not at all
    return {
        "process": f"{os.uname().nodename}:{os.getpid()}",
        "sequences": len(lengths),
        "frames": int(ends[-1]) if len(ends) else 0,
        "seconds": time.perf_counter() - began,
        "mapped": opened.cache_info().misses,
        "scored": sum(opened.cache_info()[:2]),
    }
