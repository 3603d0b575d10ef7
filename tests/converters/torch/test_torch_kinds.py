# SPDX-License-Identifier: Apache-2.0
"""Kinds of live modules: constants that forward computes, limits, states, arguments of any form."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn
functional = nn.functional

BOUND = 1e-5
SIZE = 4
X = torch.linspace(-3, 3, 2 * 7 * SIZE).sin().reshape(2, 7, SIZE)


class Net(nn.Module):
    """A GRU, parameters of several shapes, and a forward that is given."""

    def __init__(self, function: Callable[..., Any], layers: int = 1) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.gru = nn.GRU(SIZE, SIZE, layers, batch_first=True)
        self.other = nn.GRU(SIZE, SIZE, batch_first=True)
        self.head = nn.Linear(SIZE, 2)
        self.gain = nn.Parameter(torch.randn(SIZE))
        self.start = nn.Parameter(torch.randn(1, 1, SIZE))
        self.square = nn.Parameter(torch.randn(SIZE, SIZE))
        self.function = function

    def forward(self, *given: Any, **named: Any) -> Any:
        return self.function(self, *given, **named)


def converted(function: Callable[..., Any], *examples: Any, layers: int = 1) -> grucore.Model:
    module = Net(function, layers).eval()
    return grucore.from_torch(module, example_inputs=examples or (X,))


def check(function: Callable[..., Any], *examples: Any) -> None:
    wanted = Net(function).eval()(*(examples or (X,)))
    got = converted(function, *examples).run(X.numpy())
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    got = got[0] if isinstance(got, tuple) else got
    assert np.abs(got - wanted.detach().numpy()).max() < BOUND


CONSTANTS: dict[str, Callable[[Any, Any], Any]] = {
    "softplus of a gain": lambda m, x: m.gru(x)[0] * functional.softplus(m.gain),
    "triangle": lambda m, x: m.gru(x)[0] @ torch.tril(m.square),
    "norm of a weight": lambda m, x: functional.linear(
        m.gru(x)[0], m.head.weight / m.head.weight.norm()
    ),
    "rounded weight": lambda m, x: functional.linear(m.gru(x)[0], (m.square * 127).round() / 127),
    "linear of a parameter": lambda m, x: m.gru(x)[0][..., :2] + m.head(m.gain),
    "orthogonal": lambda m, x: m.gru(x)[0] @ torch.linalg.qr(m.square).Q,
    "in place": lambda m, x: m.gru(x)[0] * torch.ones(SIZE).mul_(m.gain.exp()),
    "learned state": lambda m, x: m.gru(x, m.start.tanh().expand(-1, x.shape[0], -1).clone())[0],
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_computed(name: str) -> None:
    check(CONSTANTS[name])


def test_spectral_norm() -> None:
    module = Net(lambda m, x: m.head(m.gru(x)[0]))
    nn.utils.parametrizations.spectral_norm(module.head)
    wanted = module.eval()(X).detach().numpy()
    got = grucore.from_torch(module, example_inputs=X).run(X.numpy())
    assert np.abs(got - wanted).max() < BOUND


def test_all_frames_as_one_window() -> None:
    check(lambda m, x: functional.max_pool1d(m.gru(x)[0].transpose(1, 2), x.shape[1]).squeeze(2))


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "random state": (
        lambda m, x: m.gru(x, torch.randn(1, x.shape[0], SIZE))[0],
        "aten.randn.default in the module (Net): it draws random numbers",
    ),
    "first frames": (lambda m, x: m.gru(x[:, :700])[0], "a limit on the frames"),
    "last frames": (lambda m, x: m.gru(x[:, -700:])[0], "takes the last 700 frames"),
    "branch far away": (
        lambda m, x: m.gru(x)[0] * (2 if x.shape[1] > 2000 else 1),
        "does not agree with its source",
    ),
    "failure far away": (
        lambda m, x: m.gru(x + torch.zeros(800, SIZE)[: x.shape[1]])[0],
        "the module fails on",
    ),
    "parts of the sequence": (
        lambda m, x: torch.cat([m.gru(part)[0] for part in x.split(900, 1)], 1),
        "does not agree with its source",
    ),
    "length as a factor": (
        lambda m, x: m.gru(x)[0].mean(1) * x.shape[1],
        "something else at another number of frames",
    ),
    "frames and features on one axis": (
        lambda m, x: m.gru(x)[0].reshape(2, -1, 2),
        "frames and features on one axis",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    function, words = REFUSED[name]
    with pytest.raises(grucore.ConversionError) as caught:
        converted(function)
    assert words in str(caught.value)


def test_a_loop_without_a_cell_is_no_frame_of_many_features() -> None:
    def decayed(m: Any, x: Any) -> Any:
        h, rows = x[:, 0] * 0, []
        for frame in x.unbind(1):
            h = h * 0.5 + frame
            rows.append(h)
        return torch.stack(rows, 1)

    with pytest.raises(grucore.ConversionError):
        converted(decayed)


STATES: dict[str, tuple[Callable[..., Any], str | None]] = {
    "as it is": (lambda y, h: (y, h), None),
    "none": (lambda y, h: y, None),
    "clamped": (lambda y, h: (y, h.clamp(-0.1, 0.1)), "is something else"),
    "decayed": (lambda y, h: (y, h * 0.9), "is something else"),
    "layers exchanged": (lambda y, h: (y, h.flip(0)), "is something else"),
}


@pytest.mark.parametrize("name", STATES)
def test_what_comes_back_is_the_state(name: str) -> None:
    function, words = STATES[name]
    start = torch.zeros(2, 2, SIZE)

    def forward(m: Any, x: Any, h: Any) -> Any:
        return function(*m.gru(x, h))

    if words is None:
        model = converted(forward, X, start, layers=2)
        wanted = Net(forward, 2).eval()(X, start)
        y = wanted[0] if isinstance(wanted, tuple) else wanted
        assert np.abs(model.run(X.numpy()) - y.detach().numpy()).max() < BOUND
        return
    with pytest.raises(grucore.ConversionError, match=words):
        converted(forward, X, start, layers=2)


def test_states_in_another_order_are_refused() -> None:
    start = torch.zeros(1, 2, SIZE)

    def forward(m: Any, x: Any, one: Any, other: Any) -> Any:
        y, first = m.gru(x, one)
        y, second = m.other(y, other)
        return y, second, first

    with pytest.raises(grucore.ConversionError, match="come back in another order"):
        converted(forward, X, start, start)


@dataclasses.dataclass
class Scores:
    logits: Any


FORMS: dict[str, tuple[Callable[..., Any], Any]] = {
    "by name": (lambda m, *, x: m.gru(x)[0], {"x": X}),
    "a dict": (lambda m, batch: m.gru(batch["x"])[0], ({"x": X},)),
    "a list of states": (lambda m, x, hs: m.gru(x, hs[0])[0], (X, [torch.zeros(1, 2, SIZE)])),
    "a flag": (lambda m, x, flag: m.gru(x)[0] if flag else x, (X, True)),
    "nothing given": (lambda m, x, mask=None: m.gru(x if mask is None else x * mask)[0], (X, None)),
    "numpy": (lambda m, x: m.gru(x)[0], X.numpy()),
    "a dataclass": (lambda m, x: Scores(m.gru(x)[0]), X),
    "None beside it": (lambda m, x: (m.gru(x)[0], None), X),
}


@pytest.mark.parametrize("name", FORMS)
def test_arguments_of_any_form(name: str) -> None:
    function, example = FORMS[name]
    module = Net(function).eval()
    got = grucore.from_torch(module, example_inputs=example).run(X.numpy())
    assert np.abs(got - module.gru(X)[0].detach().numpy()).max() < BOUND


@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_in_memory() -> None:
    module = Net(lambda m, x: m.head(m.gru(x)[0])).eval()
    program = torch.export.export(module, (X,))
    got = grucore.from_torch(program).run(X.numpy())
    assert np.abs(got - module(X).detach().numpy()).max() < BOUND


@pytest.mark.parametrize("bias", [4.0, 7.0, 8.0])
def test_slow_update_gates_are_proved(bias: float) -> None:
    module = nn.GRU(6, 32, batch_first=True)
    with torch.no_grad():
        module.bias_ih_l0[32:64] = bias
    model = grucore.from_torch(module.state_dict())
    assert model.proof is not None
    assert model.proof.largest_difference <= model.proof.bound
