# SPDX-License-Identifier: Apache-2.0
"""The proof of a conversion: engine and source on the same inputs, and the largest difference.

The bound is 2e-6 of the output's scale where the source was run in float64, and 1e-5 where it was
run in float32, some of whose functions in the frameworks are no better. The scale is the largest
number that the output has in the sequence. Where float32 cannot keep to that, because the model
amplifies whatever is a little off, the bound is 8 times what rounding alone makes of this model on
this sequence (`sensitivity`), or 8 times the distance of the source in float32 from the source in
float64; and since a wrong conversion could hide under a loose bound, some
sequence must do with 1e-4 of the scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import numpy as np

from grucore._core import ConversionError
from grucore.fileformat import Draft
from grucore.graph.graph import Graph, TestVector
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence
from grucore.proof.recorded import Recorded, check_recorded
from grucore.proof.sensitivity import Rounding
from grucore.proof.signals import sequences, test_inputs
from grucore.proof.states import check_from_states, given_state
from grucore.runtime.loaded import Loaded
from grucore.runtime.proof_record import Proof
from grucore.runtime.run import run

__all__ = [
    "BOUND",
    "BOUND_FLOAT32",
    "Finished",
    "finish",
    "prove",
    "sequences",
]

BOUND = 2e-6
BOUND_FLOAT32 = 1e-5
# A float32 source beside one in float64 may be off by this whatever the scale: onnxruntime's
# sigmoid is exact to 6e-8 absolutely, so that small probabilities differ in all digits.
ABSOLUTE_FLOAT32 = 2.4e-7
TEST_FRAMES, MOST_TEST_FRAMES = 16, 4096
ROUNDINGS = 8
LOOSEST = 1e-4
LOOSEST_OF_OWN = 1e-2  # where the source's own float32 is that far from its float64
TELLING_FRAMES = 3  # fewer say little about what a state does
# The part of the largest number in all sequences that one of small numbers is measured by.
LEAST_SCALE = 1e-3


@dataclass(slots=True)
class _Comparison:
    """An output on one sequence: the difference, and what it may be, as parts of the scale."""

    name: str
    difference: float
    bound: float
    frames: int
    rounding: float = 0.0
    own: float = 0.0
    is_finite: bool = True

    @property
    def is_telling(self) -> bool:
        """True if there are numbers, and the bound is tight enough to tell a wrong conversion."""
        if not self.is_finite:
            return False
        is_own = self.bound <= ROUNDINGS * self.own
        return self.bound <= (LOOSEST_OF_OWN if is_own else LOOSEST)

    @property
    def nearness(self) -> float:
        return self.difference / self.bound


@dataclass(slots=True)
class _Trial:
    """A sequence, and what the engine and each witness made of it."""

    xs: tuple[Array, ...]
    ours: tuple[Array, ...]
    state: Mapping[str, Array] | None  # that it started from; None: the model's own
    theirs: list[tuple[Array, ...]] = field(default_factory=list)


class Finished(NamedTuple):
    """A file that is ready, the graph in it, and the proof if there was one."""

    data: bytes
    graph: Graph
    proof: Proof | None


def prove(
    graph: Graph, evidence: Evidence, recorded: Recorded | None = None, note: str = ""
) -> Finished:
    """Compare a graph with its source; the file has the proof and a test vector in it.

    The sequences are generated ones within [-4, 4] and the examples of the evidence, and what a
    user ``recorded``. ``note`` says in the proof what it does not cover. Raises
    `ConversionError` if a difference is above the bound, or if rounding moves the model so much
    that no comparison says anything.
    """
    draft = Draft(graph)
    model = Loaded(draft.file())
    trials: list[_Trial] = []
    for xs in (*sequences(graph, evidence.lengths), *evidence.examples):
        xs = evidence.ended(xs)
        state = given_state(graph, model, evidence, len(xs[0]))
        trial = _Trial(xs, run(model, xs, state=state), state)
        witnesses = (evidence.witness, evidence.exact)
        trial.theirs = [witness(*xs) for witness in witnesses if witness is not None]
        trials.append(trial)
    found = list(_comparisons(graph, trials, evidence.bound or BOUND))
    frames = sum(len(trial.xs[0]) for trial in trials)
    proof = _summary(evidence.against, found, frames)
    if any(not each.difference <= each.bound for each in found):
        raise ConversionError(f"the converted model does not agree with its source: {proof}")
    longest = max(len(trial.xs[0]) for trial in trials)
    for name in graph.outputs:
        long_enough = [
            each
            for each in found
            if each.name == name and each.frames >= min(TELLING_FRAMES, longest)
        ]
        if not any(each.is_telling for each in long_enough):
            loosest = min(each.bound for each in long_enough)
            moved, most = loosest / ROUNDINGS, LOOSEST / ROUNDINGS
            raise ConversionError(
                f"nothing can be proved of output {name!r}: rounding alone moves it by "
                f"{moved:.2g} of its scale, expected at most {most:g}: "
                "verify=False (--no-verify) converts without a proof"
            )
    check_from_states(graph, model, evidence, max(proof.bound, BOUND_FLOAT32))
    if recorded is not None:
        difference, count = check_recorded(graph, model, recorded)
        proof = replace(proof, recorded_difference=difference, recorded_frames=count)
    return _finished(draft, model, replace(proof, note=note))


def finish(graph: Graph, recorded: Recorded | None = None) -> Finished:
    """The file of a graph with a test vector of the engine's own outputs, and no proof.

    Without a vector if its outputs begin so late that it would be large.
    """
    draft = Draft(replace(graph, test=None))
    model = Loaded(draft.file())
    if recorded is not None:
        check_recorded(graph, model, recorded)
    return _finished(draft, model, None)


def _finished(draft: Draft, model: Loaded, proof: Proof | None) -> Finished:
    graph = draft.graph
    frames = TEST_FRAMES + max(graph.value(name).skip for name in graph.outputs)
    test = None
    if frames <= MOST_TEST_FRAMES:
        if model.numerics == "muladd":
            model = Loaded(bytes(model), isa="scalar")  # fused on every machine
        inputs = test_inputs(graph, frames)
        test = TestVector(inputs, run(model, inputs))
    data = draft.complete({} if proof is None else {"proof": asdict(proof)}, test)
    return Finished(data, draft.graph, proof)


def _comparisons(graph: Graph, trials: Sequence[_Trial], exact: float) -> list[_Comparison]:
    rounding = Rounding(graph)
    found: list[_Comparison] = []
    for place, name in enumerate(graph.outputs):
        sizes = [max(_size(theirs[place]) for theirs in trial.theirs) for trial in trials]
        least = max(sizes) * LEAST_SCALE
        for trial, size in zip(trials, sizes, strict=True):
            scale = max(size, least) or 1.0
            own = _own_error(name, [theirs[place] for theirs in trial.theirs]) / scale
            for theirs in trial.theirs:
                difference = _difference(name, trial.ours[place], theirs[place]) / scale
                bound = exact if theirs[place].dtype == np.float64 else BOUND_FLOAT32
                if theirs[place].dtype != np.float64 and len(trial.theirs) > 1:
                    bound = max(bound, ABSOLUTE_FLOAT32 / scale)
                one = _Comparison(name, difference, bound, len(trial.xs[0]))
                one.is_finite = bool(np.isfinite(theirs[place]).any())
                if not difference <= bound:
                    # Two runs of a source that differ by more are not two roundings of one.
                    one.own = own if own <= LOOSEST_OF_OWN else 0.0
                    one.rounding = max(rounding(trial.xs, trial.state)[place] / scale, one.own)
                    one.bound = max(bound, ROUNDINGS * one.rounding)
                found.append(one)
    return found


def _own_error(name: str, theirs: Sequence[Array]) -> float:
    """How far the source in float32 is from itself in float64: 0.0 where it ran in one of them.

    An update gate near 1 is rounded to a multiple of 6e-8, which a slow state adds up over many
    frames: no shaken weight shows that, the source's own float32 does.
    """
    kinds = {array.dtype == np.float64: array for array in theirs}
    return _difference(name, kinds[False], kinds[True]) if len(kinds) == 2 else 0.0


def _summary(against: str, found: Sequence[_Comparison], frames: int) -> Proof:
    failed = [each for each in found if not each.difference <= each.bound]
    telling = [each for each in found if each.is_telling]
    nearest = sorted(failed or telling or found, key=lambda each: each.nearness)
    return Proof(
        against,
        nearest[-1].difference,
        nearest[-1].bound,
        frames,
        {each.name: each.difference for each in nearest},  # of each name the last one stays
        max(each.rounding for each in found),
    )


def _size(array: Array) -> float:
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def _difference(name: str, mine: Array, other: Array) -> float:
    if mine.shape != other.shape:
        message = f"output {name!r} has shape {mine.shape}, the source gives {other.shape}"
        raise ConversionError(f"the converted model does not agree with its source: {message}")
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(mine.astype(np.float64) - other.astype(np.float64))
        # Numbers too large for float32 are infinite in both; a quotient of zeros is none in both.
        same = (mine == other.astype(np.float32)) | (np.isnan(mine) & np.isnan(other))
        difference = np.where(same, 0.0, difference)
    largest = float(difference.max(initial=0.0))
    return float("inf") if np.isnan(largest) else largest
