# SPDX-License-Identifier: Apache-2.0
"""Float32 models to smaller ones: int8, float16 or int4 weights, each as wide as it has to be.

docs/numerics.md defines the arithmetic of quantized weights. Biases, norms and slopes stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grucore.fileformat import write
from grucore.graph.graph import Graph
from grucore.graph.tensors import Array, Dtype, Role
from grucore.proof import proof
from grucore.quantize.calibration import FEWEST, Calibration
from grucore.quantize.candidates import FLOAT16, FLOAT32, Candidates, Choice, Part
from grucore.runtime.loaded import Loaded
from grucore.runtime.run import run

__all__ = ["KINDS", "quantize"]

KINDS = ("int8", "float16", "int4")
SCHEMES = {
    "int8": "symmetric, a scale per row; inputs scaled by frame",
    "float16": "rounded to nearest",
    "int4": "a scale per row and 32 inputs; inputs scaled by frame",
}
# Blocks of a matrix, by bits of the activations: where a GRU of 256 x 256 on AVX-512 gains nothing.
# Larger ones, and AVX2, gain up to more of them.
MOST_FILLED = {8: 0.6, 16: 0.4}
COMPENSATED = "; rounding errors compensated for on calibration data"

Ladders = dict[Part, list[Choice]]


def quantize(
    graph: Graph,
    kind: str,
    *,
    calibration: Any = None,
    activations: int = 16,
    max_error: float | None = None,
    sparse: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> proof.Finished:
    """The file of a graph with smaller weights, as `Model.quantize` describes it.

    ``progress`` is told each share of the rounding when it is done; they sum to 1.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(map(repr, KINDS))}")
    if activations not in (8, 16):
        raise ValueError(f"activations={activations!r}: expected 8 or 16 (bits)")
    if max_error is not None and not 0 <= max_error < math.inf:
        raise ValueError(f"max_error={max_error!r}: expected a number of at least 0")
    data = None if calibration is None else Calibration(graph, calibration)
    candidates = Candidates(graph, data)
    wider: dict[Part, str] = {}
    ladders = _ladders(candidates, kind, activations, wider)
    if sparse:
        _take_blocks(candidates, kind, activations, ladders, wider)
    total = sum(candidates.matrix(part).size for part in ladders)
    for part, ladder in ladders.items():
        candidates.rounded(part, ladder[0])
        progress(candidates.matrix(part).size / total)
    is_compensated = data is not None and data.frames >= FEWEST and kind != "float16"
    entry: dict[str, Any] = {
        "kind": kind,
        "scheme": SCHEMES[kind] + (COMPENSATED if is_compensated else ""),
    }
    if kind != "float16":
        entry["activations"] = int(activations)
    if data is not None:
        entry["calibration_frames"] = data.frames
    if max_error is not None:
        largest = _widen(candidates, ladders, max_error, wider)
        over = "generated signals" if data is None else "the calibration data"
        entry |= {"max_error": float(max_error), "largest_error": largest, "measured_on": over}
    chosen = {part: ladder[0] for part, ladder in ladders.items()}
    entry["weights"] = {str(part): str(choice) for part, choice in chosen.items()}
    entry["wider"] = {str(part): f"{chosen[part]}: {why}" for part, why in wider.items()}
    return proof.finish(candidates.graph(chosen).with_metadata(quantization=entry))


def _ladders(
    candidates: Candidates, kind: str, activations: int, wider: dict[Part, str]
) -> Ladders:
    """For each weight its choices from the one asked for to float32."""
    ladders: Ladders = {}
    for part in candidates.parts:
        ladder: list[Choice] = []
        for choice in _choices(part, kind, activations):
            why = candidates.misfit(part, choice.dtype)
            if why is None:
                ladder.append(choice)
            elif not ladder:
                wider.setdefault(part, why)
        ladders[part] = _worthwhile(candidates, part, ladder, wider)
    return ladders


def _take_blocks(
    candidates: Candidates, kind: str, activations: int, ladders: Ladders, wider: dict[Part, str]
) -> None:
    """Puts blocks in the place of whole int8 matrices where few enough of them are not all 0."""
    if kind != "int8":
        raise ValueError(f"sparse=True goes with int8 weights, not with {kind}")
    filled = {part: candidates.filled(part) for part in ladders}
    shares = {part: share for part, share in filled.items() if share is not None}
    if not shares:
        message = "sparse=True: no weight is a matrix of whole blocks"
        raise ValueError(f"{message} of 8 rows (of one gate) and 4 inputs")
    least, most = min(shares, key=lambda part: shares[part]), MOST_FILLED[activations]
    if shares[least] > most:
        raise ValueError(
            f"sparse=True: of {least}, the sparsest weight, {shares[least]:.0%} of the blocks of 8 "
            f"rows and 4 inputs are not all 0, expected at most {most:.0%}: set whole blocks to 0 "
            "in training, or leave `sparse` out"
        )
    for part, share in shares.items():
        if share > most:
            wider[part] = f"{share:.0%} of its blocks are not all 0, too many to gain by"
            continue
        ladders[part] = [
            choice._replace(in_blocks=choice.dtype is Dtype.INT8) for choice in ladders[part]
        ]


def _choices(part: Part, kind: str, activations: int) -> list[Choice]:
    if kind == "float16":
        return [FLOAT16, FLOAT32]
    if part.role is Role.TABLE:
        # Rows are looked up, not multiplied.
        int4, int8 = [Choice(Dtype.INT4)], [Choice(Dtype.INT8)]
    else:
        int4 = [Choice(Dtype.INT4, activations)]
        int8 = [Choice(Dtype.INT8, bits) for bits in (8, 16) if bits >= activations]
    return [*(int4 if kind == "int4" else []), *int8, FLOAT16, FLOAT32]


def _worthwhile(
    candidates: Candidates, part: Part, ladder: list[Choice], wider: dict[Part, str]
) -> list[Choice]:
    """Drops choices that padding makes no smaller than a wider format."""
    if candidates.matrix(part).ndim < 3:  # only the taps of a convolution are padded each
        return ladder
    sizes = {choice.dtype: candidates.stored_bytes(part, choice.dtype) for choice in ladder}
    kept = [
        choice
        for place, choice in enumerate(ladder)
        if all(
            sizes[choice.dtype] < sizes[other.dtype] or other.dtype is choice.dtype
            for other in ladder[place + 1 :]
        )
    ]
    if kept[0] != ladder[0]:
        dtype = ladder[0].dtype
        wider[part] = f"{dtype.name.lower()} would take {sizes[dtype]} bytes"
    return kept


def _widen(
    candidates: Candidates, ladders: Ladders, max_error: float, wider: dict[Part, str]
) -> float:
    """Take weights up their ladders, always the worst of them, until the error is small enough.

    Gives the error that is left. It ends: with float32 everywhere there is none.
    """
    judge = _Judge(candidates)
    alone: dict[Part, float] = {}
    while True:
        largest = judge.error({part: ladder[0] for part, ladder in ladders.items()})
        if largest <= max_error:
            return largest
        movable = [part for part, ladder in ladders.items() if len(ladder) > 1]
        for part in movable:
            if part not in alone:
                alone[part] = judge.error({part: ladders[part][0]})
        worst = max(movable, key=lambda part: alone[part])
        left = ladders[worst].pop(0)
        wider[worst] = f"alone, {left} gave an error of {alone.pop(worst):.3g}"


class _Judge:
    """Compares with the float32 model, on calibration data or else generated signals."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        graph, data = candidates.base, candidates.data
        if data is None:
            self._signals = list(proof.sequences(graph))
        else:
            self._signals = [data.inputs]
        self._expected = self._outputs({})

    def _outputs(self, choices: dict[Part, Choice]) -> list[Array]:
        model = Loaded(write(self._candidates.graph(choices)))
        found: list[Array] = []
        for signal in self._signals:
            found += run(model, signal)
        return found

    def error(self, choices: dict[Part, Choice]) -> float:
        """The largest difference of any number of any output; infinite where one is not finite."""
        largest = 0.0
        for found, expected in zip(self._outputs(choices), self._expected, strict=True):
            same = (found == expected) | (np.isnan(found) & np.isnan(expected))
            with np.errstate(invalid="ignore"):
                difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
            difference = np.where(same, 0.0, np.nan_to_num(difference, nan=np.inf, posinf=np.inf))
            largest = max(largest, float(difference.max(initial=0.0)))
        return largest
