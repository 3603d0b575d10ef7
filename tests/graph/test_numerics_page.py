# SPDX-License-Identifier: Apache-2.0
"""The formulas of docs/numerics.md, evaluated as they stand there, against `oracle.exact`; and its
constants against those of the C++ headers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grucore.graph.layers import Activation
from oracle.exact import functions
from oracle.exact.activations import activate

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/numerics.md"
KERNELS = ROOT / "cpp/src/kernels/bodies"

pytestmark = pytest.mark.skipif(
    not (PAGE.exists() and KERNELS.exists()), reason="away from the source tree"
)

FUNCTIONS = ("exp", "sigmoid", "tanh", "expm1", "log", "log1p", "erf")
ALPHA, BETA = 0.7, 1.3
ACTIVATIONS = {
    "elu": Activation.elu(ALPHA),
    "softplus": Activation.SOFTPLUS,
    "gelu": Activation.GELU,
    "gelu_tanh": Activation.GELU_TANH,
    "silu": Activation.SILU,
    "hard_swish": Activation.HARD_SWISH,
    "log": Activation.log(ALPHA, BETA),
    "log1p": Activation.log1p(ALPHA, BETA),
}
NUMBER = re.compile(r"(?<![\w.])(0x[0-9a-f.]+p[+-]?\d+|0x[0-9a-f]+|\d+\.\d+|\d+)(?![\w.])")


def cut(text: str, mark: str) -> tuple[str, str] | None:
    """The texts before and after the first mark outside of parentheses."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and text.startswith(mark, place):
            return text[:place], text[place + len(mark) :]
    return None


def python(text: str) -> str:
    """Python for an expression of the page: choices become calls, numbers have 32 bits."""
    if (parts := cut(text, ", ")) is not None:
        return f"{python(parts[0])}, {python(parts[1])}"
    if (parts := cut(text, " ? ")) is not None:
        choice = cut(parts[1], " : ")
        assert choice is not None, text
        return f"where({python(parts[0])}, {python(choice[0])}, {python(choice[1])})"
    opened = text.find("(")
    if opened < 0:
        text = NUMBER.sub(lambda found: f"number('{found[1]}')", text)
        return re.sub(r"(<<|>>) number\('(\d+)'\)", r"\1 \2", text)
    depth, closed = 1, opened
    while depth:
        closed += 1
        depth += (text[closed] == "(") - (text[closed] == ")")
    inner = python(text[opened + 1 : closed])
    return f"{python(text[:opened])}({inner}){python(text[closed + 1 :])}"


def number(text: str) -> Any:
    """A float32, or a word where the page has a hexadecimal integer."""
    if text.startswith("0x"):
        is_word = "p" not in text
        return np.uint32(int(text, 16)) if is_word else np.float32(float.fromhex(text))
    return np.float32(text)


NAMES: dict[str, Any] = {
    "number": number,
    "where": np.where,
    "abs": np.abs,
    "bits": lambda x: x.view(np.uint32),
    "float": lambda words: words.view(np.float32),
    "flush": lambda y: np.where(np.abs(y) < np.float32(2.0**-126), np.float32(0), y),
    "signed": np.copysign,
    "infinity": np.float32(np.inf),
    "NaN": np.float32(np.nan),
}


class Formulas:
    """Every definition of the page and, by name, what the blocks and rows under a name compute."""

    def __init__(self) -> None:
        self.names = dict(NAMES)
        self.blocks: dict[str, list[str]] = {}
        self.activations: dict[str, list[str]] = {}  # which share names with the functions
        text = PAGE.read_text(encoding="utf-8")
        for section in text.split("### Operation by operation\n")[1:]:
            self._read(section.partition("\n#")[0])
        rows = text.partition("### Activations\n")[2].partition("\n#")[0]
        for name, formula in re.findall(r"^    (\w+) +(.*)$", rows, re.MULTILINE):
            self.activations[name] = [formula]

    def _read(self, section: str) -> None:
        block = ""
        for line in section.splitlines():
            if line.startswith("    "):
                if block:
                    self.blocks[block].append(line.strip())
                else:
                    for definition in re.split(r" {2,}", line.strip()):
                        self.define(definition, self.names)
            elif line:
                block = line[:-1] if re.fullmatch(r"\w+:", line) else ""
                if block:
                    self.blocks[block] = []

    def define(self, definition: str, names: dict[str, Any]) -> None:
        """Add ``name = expression`` or ``name(arguments) = expression`` to names."""
        name, expression = definition.split(" = ", 1)
        function = re.fullmatch(r"(\w+)\((.*)\)", name)
        code = f"{name} = {python(expression)}"
        if function is not None:
            code = f"def {name}: return {python(expression)}"
        exec(code, names)

    def evaluate(self, block: list[str], x: Any) -> Any:
        """A block at x."""
        names = {**self.names, "x": x, "alpha": np.float32(ALPHA), "beta": np.float32(BETA)}
        *definitions, result = block
        for definition in definitions:
            self.define(definition, names)
        return eval(python(result), names)


def sample() -> Any:
    """Floats of all sizes, each power of two, and many between -20 and 20."""
    rng = np.random.default_rng(3)
    words = rng.integers(0, 1 << 32, 200_000, dtype=np.uint32)
    powers = np.arange(0, 1 << 32, 1 << 22, dtype=np.uint64).astype(np.uint32)
    middle = rng.uniform(-20, 20, 200_000).astype(np.float32)
    near_one = np.float32(1) + rng.normal(0, 1e-3, 50_000).astype(np.float32)
    return np.concatenate([words.view(np.float32), powers.view(np.float32), middle, near_one])


def same(found: Any, expected: Any) -> bool:
    """To the bit, but for the sign and payload of NaN."""
    assert found.dtype == expected.dtype == np.float32
    both_nan = np.isnan(found) & np.isnan(expected)
    return bool((both_nan | (found.view(np.uint32) == expected.view(np.uint32))).all())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_as_the_page_says(name: str) -> None:
    x = sample()
    with np.errstate(all="ignore"):
        page = Formulas()
        assert same(getattr(functions, name)(x), page.evaluate(page.blocks[name], x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_as_the_page_says(name: str) -> None:
    x = sample()
    page = Formulas()
    page.names |= {function: getattr(functions, function) for function in FUNCTIONS}
    page.names["clip"] = lambda y, least, most: np.where(
        np.where(y < least, least, y) > most, most, np.where(y < least, least, y)
    )
    with np.errstate(all="ignore"):
        assert same(activate(ACTIVATIONS[name], x), page.evaluate(page.activations[name], x))


def test_the_headers_have_the_constants_of_the_page() -> None:
    pattern = r"(-?0x1\.[0-9a-f]{4,}p[+-]\d+)"
    page = set(re.findall(pattern, PAGE.read_text(encoding="utf-8")))
    headers = [KERNELS / f"{name}-inl.h" for name in ("activations", "functions", "apply", "rfft")]
    found = {word for header in headers for word in re.findall(pattern, header.read_text("utf-8"))}
    assert len(found) > 40
    assert found == page
