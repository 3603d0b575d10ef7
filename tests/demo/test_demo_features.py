# SPDX-License-Identifier: Apache-2.0
"""The demo's features, mu-law, word detection and shipped data."""

import json
from itertools import pairwise

import numpy as np
import pytest

from grucore.demo.clips import DATA, load_clips, microphone, mu_law_decode, mu_law_encode
from grucore.demo.decisions import Detector, softmax
from grucore.demo.features import (
    BANDS,
    FFT_SAMPLES,
    HOP_SAMPLES,
    SAMPLE_RATE,
    WINDOW_SAMPLES,
    LogMel,
    log_mel,
    mel_filters,
)

LABELS = ("silence", "unknown", "yes", "no")
MAXIMUM_DATA_BYTES = 300_000
MAXIMUM_CLIP_BYTES = 200_000


def sure_of(label: str) -> np.ndarray:
    """Scores that leave no doubt."""
    return np.where(np.array(LABELS) == label, 9.0, 0.0).astype(np.float32)


def feed(detector: Detector, label: str, frames: int) -> list[str]:
    found = [detector.push(sure_of(label)) for _ in range(frames)]
    return [detection.word for detection in found if detection is not None]


class TestLogMel:
    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize("largest", [3, 80, 500, 4000])
    def test_streaming_gives_the_bits_of_the_whole_clip(self, seed: int, largest: int) -> None:
        rng = np.random.default_rng(seed)
        samples = (0.3 * rng.standard_normal(4001 + seed)).astype(np.float32)
        stream, frames, at = LogMel(), [], 0
        while at < len(samples):
            size = int(rng.integers(0, largest + 1))
            frames.append(stream.push(samples[at : at + size]))
            at += size
        assert np.concatenate(frames).tobytes() == log_mel(samples).tobytes(), f"seed {seed}"

    def test_a_frame_depends_on_its_own_window_alone(self) -> None:
        samples = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
        frames = log_mel(samples)
        for index in (0, 7, len(frames) - 1):
            start = index * HOP_SAMPLES
            alone = log_mel(samples[start : start + WINDOW_SAMPLES])
            assert alone.tobytes() == frames[index].tobytes()

    @pytest.mark.parametrize(
        ("length", "count"), [(0, 0), (199, 0), (200, 1), (279, 1), (280, 2), (8000, 98)]
    )
    def test_number_of_frames(self, length: int, count: int) -> None:
        frames = log_mel(np.zeros(length, np.float32))
        assert frames.shape == (count, BANDS)
        assert frames.dtype == np.float32

    def test_reset_forgets_every_sample(self) -> None:
        samples = np.random.default_rng(1).standard_normal(1000)
        stream = LogMel()
        stream.push(np.ones(150))
        stream.reset()
        assert np.array_equal(stream.push(samples), log_mel(samples))

    def test_a_tone_is_loudest_in_the_band_around_it(self) -> None:
        filters = mel_filters()
        hertz = np.fft.rfftfreq(FFT_SAMPLES, 1 / SAMPLE_RATE)
        for band in (5, 20, 35):
            tone = hertz[filters[band].argmax()]
            samples = 0.5 * np.sin(2 * np.pi * tone * np.arange(WINDOW_SAMPLES) / SAMPLE_RATE)
            assert abs(int(log_mel(samples)[0].argmax()) - band) <= 1

    def test_every_band_holds_a_bin(self) -> None:
        assert (mel_filters().sum(axis=1) > 0.5).all()

    def test_refuses_integers_and_several_channels(self) -> None:
        with pytest.raises(TypeError, match="int16"):
            LogMel().push(np.zeros(10, np.int16))
        with pytest.raises(ValueError, match=r"\(10, 2\)"):
            LogMel().push(np.zeros((10, 2)))


class TestMuLaw:
    def test_every_code_survives_a_round_trip(self) -> None:
        codes = np.arange(1, 256).astype(np.uint8)
        assert np.array_equal(mu_law_encode(mu_law_decode(codes)), codes)

    def test_error_is_relative(self) -> None:
        samples = np.linspace(-1.0, 1.0, 20_001)
        error = np.abs(mu_law_decode(mu_law_encode(samples)) - samples)
        assert (error <= 1e-4 + 0.023 * np.abs(samples)).all()

    def test_silence_full_scale_and_beyond(self) -> None:
        decoded = mu_law_decode(mu_law_encode([0.0, 1.0, -1.0, 3.0]))
        assert decoded.tolist() == [0.0, 1.0, -1.0, 1.0]
        assert decoded.dtype == np.float32


class TestDetector:
    def test_reports_a_word_once(self) -> None:
        detector = Detector(LABELS)
        assert feed(detector, "silence", 20) == []
        assert feed(detector, "yes", 60) == ["yes"]
        assert detector.decision() == "yes"

    def test_reports_the_next_word_after_a_pause(self) -> None:
        detector = Detector(LABELS)
        heard = [
            word
            for label in ("yes", "silence", "no", "silence", "no")
            for word in feed(detector, label, 30)
        ]
        assert heard == ["yes", "no", "no"]

    def test_says_when(self) -> None:
        detector = Detector(LABELS, smoothing_frames=10, threshold=0.55)
        feed(detector, "silence", 7)
        found = [detector.push(sure_of("no")) for _ in range(10)]
        (detection,) = [item for item in found if item is not None]
        assert detection.frame == 12  # the sixth of ten frames
        assert 0.55 <= detection.score < 0.65

    def test_ignores_the_background_and_short_bursts(self) -> None:
        detector = Detector(LABELS, smoothing_frames=10, threshold=0.5)
        assert feed(detector, "unknown", 30) == []
        assert feed(detector, "yes", 4) == []
        assert feed(detector, "silence", 30) == []
        assert detector.decision() == "unknown"

    def test_reset_starts_anew(self) -> None:
        detector = Detector(LABELS)
        feed(detector, "yes", 12)
        detector.reset()
        assert detector.decision() == "unknown"
        assert feed(detector, "yes", 20) == ["yes"]

    def test_survives_scores_that_are_not_finite(self) -> None:
        detector = Detector(LABELS)
        for _ in range(5):
            assert detector.push(np.full(4, np.nan)) is None
        assert feed(detector, "silence", 20) == []
        assert feed(detector, "no", 20) == ["no"]
        assert detector.push(np.full(4, np.inf)) is None
        assert detector.decision() == "no"

    def test_refuses_settings_that_cannot_work(self) -> None:
        with pytest.raises(ValueError, match="nothing to detect"):
            Detector(("silence", "unknown"))
        with pytest.raises(ValueError, match="threshold"):
            Detector(LABELS, threshold=1.0)

    def test_softmax_of_large_scores(self) -> None:
        assert softmax([1000.0, 0.0]).tolist() == [1.0, 0.0]


class TestData:
    def test_stays_small(self) -> None:
        assert sum(path.stat().st_size for path in DATA.iterdir()) < MAXIMUM_DATA_BYTES
        assert (DATA / "clips.npz").stat().st_size <= MAXIMUM_CLIP_BYTES

    def test_clips_hold_every_label_clean_and_noisy(self) -> None:
        labels = json.loads((DATA / "keywords.json").read_text("utf-8"))["labels"]
        clips = load_clips()
        assert len(clips) >= 60
        for label in labels[2:]:
            conditions = {clip.condition for clip in clips if clip.label == label}
            assert conditions == {"clean", "20 dB", "10 dB"}, label
        for clip in clips:
            assert clip.label in labels
            assert clip.sample_rate == SAMPLE_RATE
            assert 0.4 < clip.seconds < 2.5
            assert 0.05 < np.abs(clip.samples).max() <= 1.0

    def test_clips_come_from_held_out_voices(self) -> None:
        held_out = json.loads((DATA / "keywords.json").read_text("utf-8"))["held_out_voices"]
        assert {clip.voice.partition("+")[2] for clip in load_clips()} <= set(held_out)

    def test_microphone_is_reproducible_and_says_what_was_spoken(self) -> None:
        clips = load_clips()
        first, again = (microphone(clips, seed=3, length_words=5) for _ in range(2))
        assert np.array_equal(first.samples, again.samples)
        assert len(first.spoken) == 5
        assert not np.array_equal(first.samples[:999], microphone(clips, seed=4).samples[:999])
        for before, after in pairwise(first.spoken):
            assert before.start < before.end < after.start
        assert first.spoken[-1].end < len(first.samples) / SAMPLE_RATE
