# SPDX-License-Identifier: Apache-2.0
"""The one-line language that says how the layers of a state dict follow each other.

    gru > last > linear > sigmoid
    conv1d(front, padding=causal, stride=1, dilation=2) > relu > gru > linear(head)

Steps stand in order, joined by ``>``. Layers with weights may say the prefix of their keys, and
must say what no state dict holds: ``eps`` of a norm, padding, stride and dilation of a convolution
(``padding`` is a number, ``valid``, ``same``, or ``causal``: all of it before the sequence).
``nonlinearity`` of an rnn (tanh or relu). ``last``, ``first``, ``mean`` and ``max`` keep one frame
of the sequence; ``final``, right after a gru, lstm or rnn, its states at the end, h_n[-1], those of
both directions joined. The rest are functions of a
frame. Nothing has a default.

Tensors of the file that belong to no layer: ``subtract``, ``divide``, ``multiply`` and ``add`` one
to each frame (``subtract(mean) > divide(std, eps=0.01)`` in front normalizes the input), and
``h_0=`` of a gru, lstm or rnn, ``c_0=`` of an lstm, is its learned initial state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grucore._core import ConversionError

__all__ = [
    "DEFAULTS",
    "LOOSE",
    "NAMED",
    "ONE_FRAME",
    "STARTS",
    "Step",
    "describe",
    "option_text",
    "parse",
]


def _whole(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 20:
        raise ValueError
    return number


def _positive(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise ValueError
    return number


def _padding(text: str) -> str | int:
    return text if text in ("valid", "same", "causal") else _whole(text)


def _nonlinearity(text: str) -> str:
    if text not in ("tanh", "relu"):
        raise ValueError
    return text


def _approximation(text: str) -> str:
    if text not in ("none", "tanh"):
        raise ValueError
    return text


def _tensor(text: str) -> str:
    if not text:
        raise ValueError
    return text


Options = Mapping[str, Callable[[str], Any]]

_EPS: Options = {"eps": float}
# Layers with weights, and what else must be known of them.
NAMED: dict[str, Options] = {
    "gru": {},
    "lstm": {},
    "rnn": {"nonlinearity": _nonlinearity},
    "linear": {},
    "embedding": {},
    "conv1d": {"padding": _padding, "stride": _positive, "dilation": _positive},
    "layer_norm": _EPS,
    "batch_norm": _EPS,
    "prelu": {},
}
# Steps with a tensor of the file that belongs to no layer.
LOOSE = ("add", "subtract", "multiply", "divide")
STARTS = ("h_0", "c_0")  # options that name such a tensor
# Words that a step may have, and need not.
_OPTIONAL: dict[str, Options] = {
    **{kind: {"h_0": _tensor} for kind in ("gru", "rnn")},
    "lstm": dict.fromkeys(STARTS, _tensor),
    "conv1d": {"groups": _positive},
    "divide": {"eps": float},
}
# Defaults of PyTorch's layers: for messages and candidates, never assumed.
DEFAULTS: dict[str, Any] = {
    **{"eps": 1e-5, "padding": 0, "stride": 1, "dilation": 1},
    "nonlinearity": "tanh",
}
RECURRENT = ("gru", "lstm", "rnn")
ONE_FRAME = ("last", "first", "mean", "max", "final")
_FUNCTIONS: dict[str, Options] = {
    **{name: {} for name in ("relu", "sigmoid", "tanh", "silu", "softplus", "softsign")},
    **{name: {} for name in ("hardsigmoid", "hardswish", "relu6", "selu", "logsigmoid")},
    "gelu": {"approximate": _approximation},
    "elu": {"alpha": float},
    "leaky_relu": {"negative_slope": float},
    **{name: {} for name in ("glu", "softmax", "log_softmax")},
}
_NOTHING: Options = {}
STEPS: dict[str, Options] = {
    **NAMED,
    **dict.fromkeys((*ONE_FRAME, *LOOSE), _NOTHING),
    **_FUNCTIONS,
}
STEP = re.compile(r"(?P<kind>[A-Za-z_0-9]*)\s*(?:\((?P<inner>[^()]*)\))?")


@dataclass(frozen=True)
class Step:
    """A layer or function: its kind, the prefix of its tensors, what else is said of it."""

    kind: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def option_text(options: Mapping[str, Any]) -> str:
    """``eps=1e-05, ...``"""
    return ", ".join(f"{name}={value}" for name, value in options.items())


def describe(steps: Sequence[Step]) -> str:
    """The text that `parse` makes these steps of."""
    parts = []
    for step in steps:
        inner = [] if step.name is None else [step.name]
        if step.options:
            inner.append(option_text(step.options))
        parts.append(f"{step.kind}({', '.join(inner)})" if inner else step.kind)
    return " > ".join(parts)


def parse(text: str) -> tuple[Step, ...]:
    """The steps of an architecture; raises `ConversionError` that names the wrong one."""
    steps: list[Step] = []
    reduced: str | None = None
    for place, part in enumerate(text.split(">"), 1):
        where = f"architecture {text!r}, step {place}"
        match = STEP.fullmatch(part.strip())
        if match is None or match["kind"] not in STEPS:
            message = f"{part.strip()!r} is no step, expected {', '.join(STEPS)}"
            raise ConversionError(f"{where}: {message}")
        step = _step(match["kind"], match["inner"], where)
        if reduced is not None and step.kind in (*ONE_FRAME, *RECURRENT, "conv1d"):
            message = f"{step.kind} needs a sequence, but {reduced} leaves one frame only"
            raise ConversionError(f"{where}: {message}")
        if step.kind == "final" and (not steps or steps[-1].kind not in RECURRENT):
            message = "final needs a gru, lstm or rnn right before it, whose states it is"
            raise ConversionError(f"{where}: {message}")
        if step.kind in ONE_FRAME:
            reduced = step.kind
        steps.append(step)
    names = [step.name for step in steps if step.kind in NAMED and step.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ConversionError(f"architecture {text!r} uses {name!r} twice")
    return tuple(steps)


def _step(kind: str, inner: str | None, where: str) -> Step:
    known, name = {**STEPS[kind], **_OPTIONAL.get(kind, _NOTHING)}, None
    options: dict[str, Any] = {}
    for place, part in enumerate([] if inner is None else inner.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            if kind not in (*NAMED, *LOOSE) and key:
                raise ConversionError(f"{where}: {kind} has no weights to name")
            if not key or place:
                raise ConversionError(f"{where}: {'an empty name' if not key else 'two names'}")
            name = key
            continue
        if key not in known or key in options:
            expected = f"expected {', '.join(known)}" if known else "expected none"
            raise ConversionError(f"{where}: {kind} has an argument {key!r}, {expected}")
        try:
            options[key] = known[key](value)
        except ValueError:
            raise ConversionError(f"{where}: {key} of {kind} cannot be {value!r}") from None
    missing = [key for key in STEPS[kind] if key not in options]
    if missing and kind not in NAMED:
        raise ConversionError(f"{where}: {kind} needs {', '.join(missing)}")
    if kind in LOOSE and name is None:
        raise ConversionError(f"{where}: {kind} needs the name of a tensor, as in {kind}(scale)")
    return Step(kind, name, options)
