# SPDX-License-Identifier: Apache-2.0
"""docs/audio.md: presets beside the libraries whose names they have."""

from __future__ import annotations

from claims.files import markdown, result

__all__ = ["TABLES", "sentences"]

PAGE = "docs/audio.md"
# What is compared, and what differs by design.
PRESETS = {
    "librosa.melspectrogram": ("`power_to_db(melspectrogram(...), top_db=None)`", "`top_db`"),
    "librosa.mfcc": ("`feature.mfcc` of it", "`top_db`"),
    "torchaudio.MelSpectrogram": ("`AmplitudeToDB` of it", "`top_db`; reflection"),
    "torchaudio.MFCC": ("in dB", "`top_db`; reflection"),
    "python_speech_features.logfbank": ("`nfft=512`", "the last frame"),
    "python_speech_features.mfcc": ("`nfft=512`", "the last frame"),
    "kaldi.fbank": ("`FbankOptions()`", "dither"),
    "kaldi.mfcc": ("`MfccOptions()`, with the raw energy", "dither"),
    "tensorflow.log_mel": ("`log(abs(stft) @ mel + 1e-6)`, as documented", ""),
    "tensorflow.mfcc": ("`mfccs_from_log_mel_spectrograms` of it", ""),
    "litert.micro": ("the front end of `micro_speech`, a hop of 160", "integers"),
    "keras.MelSpectrogram": ("in float64", "`top_db`; reflection"),
    "keras.STFTSpectrogram": ('in float64, `mode="log"`, `frame_step=128`', ""),
}


def _power(number: float) -> str:
    return f"{number:.0e}".replace("e-0", "e-")


def presets() -> str:
    """Each preset, its library, and how far they are apart."""
    table = [["name", "library", "what is compared", "difference", "by design"]]
    for name, one in result("presets").items():
        what, design = PRESETS[name]
        package = one["package"].removesuffix("-cpu")
        cells = f"{package} {one['version']}", what, _power(one["difference"]), design
        table.append([f"`{name}`", *cells])
    return markdown(table)


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    micro = result("presets")["litert.micro"]
    largest = _power(micro["difference"])
    return {
        PAGE: [
            f"the largest difference is {largest} where the original's number is "
            f"350 or more (of 700), and {micro['of_all_numbers']:.2f} where",
        ]
    }


TABLES = {(PAGE, "presets"): presets}
