# SPDX-License-Identifier: Apache-2.0
"""Features inside a module: samples in frames and spectra become layers, against the module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore:.*:UserWarning")]
torch = oracle("torch")
F = torch.nn.functional
SIZE, HOP, BANDS = 60, 16, 8
FRONT = ["window", "rfft", "filterbank"]


class Net(torch.nn.Module):
    """A GRU over what a function makes of samples, which has a window and mel-like filters."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("window", torch.hann_window(SIZE))
        bands = torch.zeros(33, BANDS)
        for band in range(BANDS):
            bands[3 * band : 3 * band + 5, band] = torch.rand(5)
        self.register_buffer("bands", bands)
        turned = 2 * np.pi * torch.arange(33)[:, None] * torch.arange(64) / 64
        kernels = torch.stack([torch.cos(turned), -torch.sin(turned)]) * torch.hann_window(64)
        self.register_buffer("kernels", kernels.reshape(66, 1, 64))
        self.dct = torch.nn.Linear(BANDS, BANDS, bias=False)
        self.gru = torch.nn.GRU(BANDS, 6, batch_first=True)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self, x)

    def heard(self, power: Any) -> Any:
        """Powers (batch, bins, time) as logarithms of bands, through the network."""
        return self.gru(self.dct(torch.log(power.transpose(1, 2) @ self.bands + 1e-4)))[0]


def short(net: Any, x: Any, **given: Any) -> Any:
    given = {"window": net.window, "center": False, "return_complex": True} | given
    return torch.stft(x, 64, HOP, SIZE, **given)


def frames(net: Any, x: Any) -> Any:
    return torch.fft.rfft(x.unfold(-1, SIZE, HOP) * net.window, n=64).transpose(1, 2)


def by_parts(spectrum: Any) -> Any:
    return spectrum.real**2 + spectrum.imag**2


def convolved(net: Any, x: Any) -> Any:
    real, imaginary = F.conv1d(x[:, None], net.kernels, stride=HOP).chunk(2, 1)
    return real**2 + imaginary**2


def decibels(net: Any, x: Any) -> Any:
    mel = short(net, x).abs().pow(2).transpose(1, 2) @ net.bands
    return net.gru(10 * torch.log10(torch.clamp(mel, min=1e-5)))[0]


def packed(net: Any, x: Any) -> Any:
    """As torchaudio has it: all rows as one axis, and back."""
    spectrum = short(net, x.reshape(-1, x.shape[-1]))
    return net.heard(spectrum.reshape(x.shape[:-1] + spectrum.shape[-2:]).abs().pow(2.0))


KNOWN: dict[str, tuple[Callable[[Any, Any], Any], list[str]]] = {
    "power": (lambda net, x: net.heard(short(net, x).abs() ** 2), FRONT),
    "magnitude": (lambda net, x: net.heard(short(net, x).abs()), FRONT),
    "square of parts": (lambda net, x: net.heard(by_parts(short(net, x))), FRONT),
    "root of parts": (lambda net, x: net.heard(by_parts(short(net, x)).sqrt()), FRONT),
    "view_as_real": (
        lambda net, x: net.heard(torch.view_as_real(short(net, x)).pow(2).sum(-1)),
        FRONT,
    ),
    "two real numbers": (
        lambda net, x: net.heard(torch.view_as_real(short(net, x)).norm(dim=-1)),
        FRONT,
    ),
    "normalized": (lambda net, x: net.heard(short(net, x, normalized=True).abs() ** 2), FRONT),
    "divided": (
        lambda net, x: net.heard((short(net, x) / net.window.pow(2).sum().sqrt()).abs() ** 2),
        FRONT,
    ),
    "of 16 bits": (lambda net, x: net.heard(short(net, x / 32768 * 8).abs() ** 2), ["affine"]),
    "frames by hand": (lambda net, x: net.heard(frames(net, x).abs().square()), FRONT),
    "orthonormal": (
        lambda net, x: net.heard(
            torch.fft.rfft(x.unfold(1, 64, HOP), norm="ortho").transpose(1, 2).abs() ** 2
        ),
        FRONT,
    ),
    "zeros before": (
        lambda net, x: net.heard(short(net, F.pad(x, (64 - HOP, 0))).abs() ** 2),
        FRONT,
    ),
    "all but the last frame": (
        lambda net, x: net.heard(short(net, F.pad(x, (40, 24)))[..., :-1].abs() ** 2),
        FRONT,
    ),
    "of torchaudio": (packed, FRONT),
    "decibels": (decibels, FRONT),
    "of the whole": (lambda net, x: net.heard(short(net, x).abs() ** 2)[:, -1], FRONT),
    "a convolution": (lambda net, x: net.heard(convolved(net, x)), ["conv1d"]),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_features_in_a_module(kind: str) -> None:
    function, layers = KNOWN[kind]
    net = Net(function).eval()
    model = grucore.from_torch(net, example_inputs=(torch.randn(3, 40 * HOP),))
    assert [layer.kind for layer in model.layers][: len(layers)] == layers
    hop = model.inputs[0].features
    assert hop == (1 if kind == "a convolution" else HOP)
    for count in (5, 30):
        x = torch.randn(2, count * HOP)
        with torch.no_grad():
            wanted = net(x).numpy()
        zeros = model.metadata["source"].get("zeros_after", 0)
        heard = np.pad(x.numpy().reshape(2, -1, hop), ((0, 0), (0, zeros), (0, 0)))
        found = model.run(heard)
        assert np.abs(found - wanted).max() < 3e-6 * np.abs(wanted).max()
        stream = model.stream(batch=2)
        if model.outputs[0].rate == "frame":
            steps = [stream.step(frame) for frame in heard.swapaxes(0, 1)]
            there = np.stack([step for step in steps if step is not None], 1)
            assert (there == found).all()


def test_zeros_around_a_recording() -> None:
    """torch's center=True is frames that reach beyond; the model reads zeros for them."""
    net = Net(lambda net, x: net.heard(short(net, x, center=True, pad_mode="constant").abs() ** 2))
    model = grucore.from_torch(net.eval(), example_inputs=(torch.randn(3, 40 * HOP),))
    zeros = model.metadata["source"]["zeros_after"]
    assert zeros == 2
    x = torch.randn(1, 25 * HOP)
    with torch.no_grad():
        wanted = net(x)[0].numpy()
    found = model.run(np.pad(x.numpy().reshape(-1, HOP), ((0, zeros), (0, 0))))
    assert found.shape == wanted.shape == (26, 6)
    assert np.abs(found - wanted).max() < 3e-6 * np.abs(wanted).max()


def test_a_file_of_samples(tmp_path: Path) -> None:
    net = Net(KNOWN["frames by hand"][0]).eval()
    x = torch.randn(3, 40 * HOP)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "net.pt2")
    model = grucore.convert(tmp_path / "net.pt2")
    assert "operations of torch" in str(model.proof)
    with torch.no_grad():
        wanted = net(x).numpy()
    assert np.abs(model.run(x.numpy().reshape(3, -1, HOP)) - wanted).max() < 3e-6


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "mirrored": (lambda net, x: net.heard(short(net, x, center=True).abs()), "center=False"),
    "both sides": (lambda net, x: short(net, x, onesided=False).abs(), "onesided is False"),
    "a length": (
        lambda net, x: torch.fft.rfft(x.unfold(-1, 49, HOP)).abs(),
        "a transform of 49 numbers",
    ),
    "two hops": (
        lambda net, x: (x.unfold(-1, 64, HOP).abs(), x.unfold(-1, 64, 2 * HOP).abs()),
        "in a model with hops of",
    ),
    "phases": (lambda net, x: short(net, x).angle(), "cannot be converted"),
    "a spectrum": (lambda net, x: short(net, x).exp(), "complex numbers of a spectrum"),
    "a mask": (
        lambda net, x: torch.istft(
            short(net, x) * torch.sigmoid(short(net, x).abs()), 64, HOP, SIZE, net.window
        ),
        "grucore.audio.masked",
    ),
    "the loudest": (
        lambda net, x: net.heard(
            torch.maximum(short(net, x).abs(), short(net, x).abs().amax((0, 1, 2)) - 80)
        ),
        "top_db",
    ),
    "no whole hop": (lambda net, x: x.unfold(-1, 64, HOP + 1).abs(), "629 or 646 samples"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_features_that_no_stream_has(kind: str) -> None:
    function, message = REFUSED[kind]
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.from_torch(Net(function).eval(), example_inputs=(torch.randn(3, 40 * HOP),))
