# SPDX-License-Identifier: Apache-2.0
"""Front ends by themselves, and before a model: timing, streams, names, proof, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from grucore import audio, fileformat
from grucore.graph.layers import KINDS, Conv1d
from grucore.graph.node import Value
from models.chain import Chain, add_conv1d, add_dense, add_gru

RATE = 16000
MEL: dict[str, Any] = {"sample_rate": RATE, "n_fft": 400, "hop_length": 160, "n_mels": 20}


def noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    return rng.normal(0, 0.3, samples).astype(np.float32)


def test_frames_lie_where_they_should(rng: np.random.Generator) -> None:
    """A click is in those frames alone whose samples it is one of."""
    for center, causal, hop, win in (
        (False, False, 160, 400),
        (False, False, 100, 400),
        (False, False, 500, 300),
        (True, False, 160, 400),
        (True, False, 100, 250),
        (False, True, 160, 400),
        (False, True, 500, 400),
    ):
        front = audio.spectrogram(
            sample_rate=RATE,
            n_fft=400,
            hop_length=hop,
            win_length=win,
            window="ones",
            center=center,
            causal=causal,
        )
        offset = (400 - win) // 2
        for place in rng.integers(0, 3000, 8):
            click = np.zeros(3000, np.float32)
            click[place] = 1
            heard = front.run(click)[:, 0] > 0.5
            starts = np.arange(len(heard)) * hop + offset
            if center:
                starts -= 200
            if causal:
                starts = (np.arange(len(heard)) + 1) * hop - win
            assert heard.tolist() == ((starts <= place) & (place < starts + win)).tolist()


@pytest.mark.parametrize(
    ("samples", "valid", "centred", "causal"),
    [(0, 0, 1, 0), (159, 0, 1, 0), (399, 0, 3, 2), (400, 1, 3, 2), (559, 1, 4, 3), (560, 2, 4, 3)],
)
def test_number_of_frames(samples: int, valid: int, centred: int, causal: int) -> None:
    signal = np.zeros(samples, np.float32)
    for settings, count in (({}, valid), ({"center": True}, centred), ({"causal": True}, causal)):
        assert audio.log_mel(**MEL, **settings).run(signal).shape == (count, 20)


@pytest.mark.parametrize("settings", [{}, {"center": True}, {"causal": True}, {"emphasis": 0.97}])
def test_a_stream_gives_the_bits_of_the_recording(
    settings: dict[str, Any], rng: np.random.Generator
) -> None:
    front = audio.mfcc(**MEL, n_mfcc=13, **settings)
    signal = noise(rng, 160 * 50)
    whole = front.run(signal)
    for isa in grucore.supported_isas():
        model = grucore.load(bytes(front.model), isa=isa)
        stream = model.stream()
        frames = [stream.step(hop) for hop in signal.reshape(-1, 160)]
        found = np.array([frame for frame in frames if frame is not None])
        count = min(len(found), len(whole))
        assert count > 45
        if model.numerics == front.model.numerics:
            assert found[:count].tobytes() == whole[:count].tobytes()
        assert np.abs(found[:count] - whole[:count]).max() < 1e-4


def test_every_table_has_the_same_features(rng: np.random.Generator) -> None:
    front = audio.log_mel(**MEL)
    assert front.model.numerics == "exact"
    signal = noise(rng, 160 * 20).reshape(2, 10, 160)
    results = [
        grucore.load(bytes(front.model), isa=isa).run(signal).tobytes()
        for isa in grucore.supported_isas()
    ]
    assert len(set(results)) == 1


def network(rng: np.random.Generator, features: int) -> grucore.Model:
    chain = Chain(Value("features", features))
    add_conv1d(rng, chain)
    add_gru(rng, chain)
    add_dense(rng, chain)
    graph = chain.graph().with_metadata(labels=["yes", "no"], proof={"against": "a witness"})
    return grucore.load(fileformat.write(graph))


def test_a_model_with_a_front_end_is_both(rng: np.random.Generator) -> None:
    for _ in range(5):
        front = audio.log_mel(**MEL, center=bool(rng.integers(2)), mean=-3.0, std=2.5)
        model = network(rng, 20)
        joined = model.with_front_end(front)
        signal = noise(rng, 160 * 40)
        lost = front.timing.lost
        features = front.model.run(signal.reshape(-1, 160))
        expected, states = model.run(features, return_state=True)
        found, all_states = joined.run(signal.reshape(-1, 160), return_state=True)
        assert found.tobytes() == expected.tobytes()
        for name, state in states.items():
            assert all_states[name].tobytes() == state.tobytes()
        assert set(joined.states) == {*model.states, "front.window.history"}
        (port,), (before,) = joined.outputs, model.outputs
        assert port.name == before.name
        assert joined.inputs[0].features == 160
        assert lost == (1 if front.settings["center"] else 2)
        joined.selftest()
        stream = joined.stream()
        steps = [stream.step(hop) for hop in signal.reshape(-1, 160)]
        heard = [step for step in steps if step is not None]
        assert np.array(heard).tobytes() == expected.tobytes()


def test_metadata_and_proof_are_carried_over(rng: np.random.Generator) -> None:
    model = network(rng, 20)
    front = audio.log_mel(**MEL, window=np.hanning(400))
    joined = model.with_front_end(front)
    assert joined.metadata["labels"] == ["yes", "no"]
    assert joined.metadata["proof"] == model.metadata["proof"]
    settings = joined.metadata["front_end"]
    assert (settings["kind"], settings["n_mels"], settings["fmax"]) == ("log_mel", 20, None)
    assert settings["window"] == np.hanning(400).tolist()


def test_a_front_end_that_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    model = network(rng, 24)
    front = audio.log_mel(**MEL)
    with pytest.raises(ValueError, match="gives 20 features, and the model's input 'features' has"):
        model.with_front_end(front)
    joined = network(rng, 20).with_front_end(front)
    small = audio.log_mel(**{**MEL, "n_mels": 160})
    with pytest.raises(ValueError, match="the model has a front end already"):
        joined.with_front_end(small)
    two = Chain(Value("a", 20), Value("b", 20))
    two.add({cls.layer: cls for cls in KINDS.values()}["concat"], *two.values.values())
    with pytest.raises(ValueError, match="has the inputs 'a', 'b', expected one"):
        grucore.load(fileformat.write(two.graph())).with_front_end(front)


REFUSED = {
    "a range": ({"fmin": 5000.0, "fmax": 4000.0}, "fmin=5000.0, fmax=4000.0: expected 0 <= fmin"),
    "beyond half the rate": ({"fmax": 9000.0}, r"fmax <= 8000.0 \(Hz\)"),
    "a scale": ({"mel_scale": "bark"}, "mel_scale='bark': expected 'htk' or 'slaney'"),
    "a norm": ({"norm": "l2"}, "norm='l2': expected 'slaney' or None"),
    "triangles": ({"triangles": "square"}, "triangles='square': expected"),
    "a window": ({"window": "hanning"}, "window='hanning': expected one of 'hann', 'hamming'"),
    "a short window": ({"window": np.ones(7)}, r"shape \(7,\), expected \(400,\)"),
    "a logarithm": ({"log": "log2"}, "log='log2': expected None or one of 'ln', 'log10'"),
    "a power": ({"power": 3}, "power=3: expected 2 or 1"),
    "a hop": ({"hop_length": 0}, "hop_length=0: expected at least 1"),
    "a long window": ({"win_length": 401}, "win_length=401: expected at most n_fft, 400"),
    "both": ({"center": True, "causal": True}, "center and causal: expected at most one"),
    "a floor": ({"floor": -1.0}, "floor=-1.0, offset=0.0"),
    "means": ({"mean": [1.0, 2.0]}, r"mean has shape \(2,\), expected \(\) or \(20,\)"),
    "a deviation": ({"std": 0.0}, "std has 0.0, expected numbers above 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    settings, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        audio.log_mel(**{**MEL, **settings})


def test_lengths_and_samples_that_are_refused() -> None:
    with pytest.raises(grucore.ConversionError, match="length 401, expected no factors but 2, 3"):
        audio.spectrogram(sample_rate=RATE, n_fft=401, hop_length=160)
    with pytest.raises(ValueError, match="real and imaginary parts: expected power=1 or 2"):
        audio.spectrogram(sample_rate=RATE, n_fft=400, hop_length=160, power=None, log="ln")
    with pytest.raises(ValueError, match=r"shape \(2, 400\), expected one channel"):
        audio.log_mel(**MEL).run(np.zeros((2, 400)))
    with pytest.raises(ValueError, match="21 coefficients of 20 bands"):
        audio.mfcc(**MEL, n_mfcc=21)


def test_phases_are_those_of_the_whole_window(rng: np.random.Generator) -> None:
    front = audio.spectrogram(
        sample_rate=RATE, n_fft=256, hop_length=64, win_length=200, power=None
    )
    signal = noise(rng, 2000)
    found = front.run(signal)
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 200), 28)
    frames = np.lib.stride_tricks.sliding_window_view(signal, 256)[::64] * window
    expected = np.fft.rfft(frames)
    assert found.shape == (len(frames), 258)
    assert np.abs(found[:, :129] + 1j * found[:, 129:] - expected).max() < 1e-5


def test_values_count_later_when_they_are_made_of_late_ones(rng: np.random.Generator) -> None:
    """A stride over a front end whose first frame comes with the third hop."""
    chain = Chain(Value("features", 20))
    weight = rng.normal(size=(4, 3, 20)).astype(np.float32)
    chain.add(Conv1d, weight=weight, bias=np.zeros(4, np.float32), stride=2)
    model = grucore.load(fileformat.write(chain.graph()))
    joined = model.with_front_end(audio.log_mel(**MEL))
    (port,) = joined.outputs
    assert fileformat.read(bytes(joined)).value(port.name).clock[1:] == (2, 4)
