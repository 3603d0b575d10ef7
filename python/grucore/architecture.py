# SPDX-License-Identifier: Apache-2.0
"""The one-line language that says how the layers of a state dict follow each other.

    gru > last > linear > sigmoid
    gru(encoder) > linear(head.0) > relu > linear(head.2)

Steps stand in order, joined by ``>``. ``gru`` (all layers and directions of one module) and
``linear`` have weights; a name in brackets is the prefix of their keys. ``last`` keeps the last
frame only. ``relu``, ``sigmoid`` and ``tanh`` follow a ``linear``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grucore._core import ConversionError
from grucore.layers import Activation

__all__ = ["Step", "describe", "parse"]

ACTIVATIONS = {
    activation.name: activation
    for activation in (Activation.RELU, Activation.SIGMOID, Activation.TANH)
}
NAMED = ("gru", "linear")
STEPS = (*NAMED, "last", *ACTIVATIONS)
STEP = re.compile(r"(?P<kind>[A-Za-z_0-9]*)\s*(?:\((?P<name>[^()]*)\))?")


@dataclass(frozen=True, slots=True)
class Step:
    """A layer: ``gru``, ``linear`` (with the activation that follows it) or ``last``."""

    kind: str
    name: str | None = None
    activation: Activation = Activation.LINEAR


def describe(steps: Sequence[Step]) -> str:
    """The text that `parse` makes these steps of."""
    parts = []
    for step in steps:
        parts.append(step.kind if step.name is None else f"{step.kind}({step.name})")
        if step.activation != Activation.LINEAR:
            parts.append(step.activation.name)
    return " > ".join(parts)


def parse(text: str) -> tuple[Step, ...]:
    """The steps of an architecture; raises `ConversionError` that names the wrong one."""
    steps: list[Step] = []
    for place, part in enumerate(text.split(">"), 1):
        where = f"architecture {text!r}, step {place}"
        match = STEP.fullmatch(part.strip())
        if match is None or match["kind"] not in STEPS:
            raise ConversionError(
                f"{where}: {part.strip()!r} is no step, expected {', '.join(STEPS)}"
            )
        kind, name = match["kind"], match["name"]
        if name is not None and (kind not in NAMED or not name.strip()):
            reason = "an empty name" if kind in NAMED else f"{kind} has no weights to name"
            raise ConversionError(f"{where}: {reason}")
        if kind in ACTIVATIONS:
            _fold(steps, kind, where)
            continue
        if any(step.kind == "last" for step in steps) and kind in ("gru", "last"):
            raise ConversionError(f"{where}: {kind} needs a sequence, but only one frame is left")
        steps.append(Step(kind, None if name is None else name.strip()))
    names = [step.name for step in steps if step.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ConversionError(f"architecture {text!r} uses {name!r} twice")
    return tuple(steps)


def _fold(steps: list[Step], kind: str, where: str) -> None:
    """Give the activation to the linear layer before it."""
    if not steps or steps[-1].kind != "linear":
        before = steps[-1].kind if steps else "nothing"
        raise ConversionError(f"{where}: {kind} follows {before}, expected it after linear")
    if steps[-1].activation != Activation.LINEAR:
        had = steps[-1].activation.name
        raise ConversionError(f"{where}: {kind} follows {had}, expected one activation per linear")
    steps[-1] = replace(steps[-1], activation=ACTIVATIONS[kind])
