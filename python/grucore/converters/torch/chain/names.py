# SPDX-License-Identifier: Apache-2.0
"""Names of a state dict without the marks of wrappers and parametrizations."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.pickle import Inert
from grucore.converters.ignored import Ignored
from grucore.graph.tensors import Array

__all__ = ["HABITS", "QUANTIZED", "Tensors", "effective_tensors", "kept", "plain_name"]

Tensors = dict[str, Array]

# Wrappers of torch itself put these anywhere into a name; habits of users stand in front.
WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")
HABITS = ("model.", "net.")
QUANTIZED = re.compile(r"(.*\.)?(_all_weight_values\.\d+\.param|_packed_params.*)")
PARAMETRIZED = re.compile(r"(?P<prefix>.*\.)?parametrizations\.(?P<name>[^.]+)\.(?P<part>.+)")


def plain_name(name: str) -> str:
    """The name without the wrappers of DataParallel, torch.compile and FSDP."""
    for wrapper in WRAPPERS:
        name = re.sub(rf"(^|(?<=\.)){re.escape(wrapper)}", "", name)
    return name


def kept(state: Mapping[str, object], ignored: Ignored) -> dict[str, object]:
    """The state dict without the tensors to ignore, by any spelling of their names."""
    if not ignored:
        return dict(state)
    left: dict[str, object] = {}
    for name, content in state.items():
        spellings = [plain_name(name)]
        for habit in HABITS:
            spellings.append(spellings[-1].removeprefix(habit))
        if not ignored.takes(name, *spellings):
            left[name] = content
    return left


def effective_tensors(state: Mapping[str, object]) -> tuple[Tensors, dict[str, str]]:
    """Float tensors as the model uses them, by plain name; and what is no tensor, described.

    Weight normalization and pruning are computed as torch does; other parametrizations, quantized
    weights, and two names that become one raise `ConversionError`.
    """
    tensors: Tensors = {}
    strangers: dict[str, str] = {}
    origin: dict[str, str] = {}
    for name, content in state.items():
        if QUANTIZED.fullmatch(name):
            raise ConversionError(f"{name}: quantized weights, expected the float checkpoint")
        plain = plain_name(name)
        if plain in origin:
            raise ConversionError(f"{name} and {origin[plain]} are both {plain} without wrappers")
        origin[plain] = name
        if isinstance(content, np.ndarray) and content.dtype.kind in "fiub":
            tensors[plain] = content
        else:
            what = repr(content) if isinstance(content, Inert) else type(content).__name__
            strangers[plain] = f"{what}, not a tensor of numbers"
    tensors = _resolved(tensors)
    for habit in HABITS:
        if tensors and all(name.startswith(habit) for name in (*tensors, *strangers)):
            tensors = {name.removeprefix(habit): array for name, array in tensors.items()}
            strangers = {name.removeprefix(habit): what for name, what in strangers.items()}
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            raise ConversionError(f"{name} has {bad} infinite or not-a-number weights")
    return tensors, strangers


def _resolved(tensors: Tensors) -> Tensors:
    """The same names in the same order, with each parametrized weight in place of its parts."""
    resolved: Tensors = {}
    used: set[str] = set()
    known = set(tensors)

    def part(name: str) -> Array:
        if name not in tensors:
            raise ConversionError(f"{name} is missing: half of a parametrized weight")
        used.add(name)
        return tensors[name]

    for name, array in tensors.items():
        match = PARAMETRIZED.fullmatch(name)
        if name in used:
            continue
        if match:
            base = (match["prefix"] or "") + match["name"]
            stem = f"{match['prefix'] or ''}parametrizations.{match['name']}"
            if match["part"] not in ("original0", "original1"):
                raise ConversionError(f"{name}: a parametrization other than weight_norm")
            base_array = _weight_norm(stem, part(f"{stem}.original0"), part(f"{stem}.original1"))
        elif _are_parts(name, "_g", "_v", known):
            base = name[:-2]
            base_array = _weight_norm(base, part(f"{base}_g"), part(f"{base}_v"))
        elif _are_parts(name, "_orig", "_mask", known):
            base = name[:-5]
            base_array = part(f"{base}_orig") * part(f"{base}_mask")
        else:
            base, base_array = name, array
        if base in resolved or (base != name and base in tensors):
            raise ConversionError(f"{base} is there both as it is and in parts")
        resolved[base] = base_array
    return resolved


def _are_parts(name: str, one: str, other: str, known: set[str]) -> bool:
    base = name[: -len(one)]
    return name in (base + one, base + other) and {base + one, base + other} <= known


def _weight_norm(name: str, g: Array, v: Array) -> Array:
    """``g * v / |v|``: the norm runs over the axes on which ``g`` has one element."""
    if g.ndim not in (0, v.ndim) or any(
        extent not in (1, v.shape[axis]) for axis, extent in enumerate(g.shape)
    ):
        raise ConversionError(f"{name}: {g.shape} and {v.shape} are not the parts of weight_norm")
    axes = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
    precise = v.astype(np.float64)
    norm = np.sqrt((precise**2).sum(axis=axes, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = g.astype(np.float64) * precise / norm
    return np.asarray(effective, v.dtype)
