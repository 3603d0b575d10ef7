# SPDX-License-Identifier: Apache-2.0
"""How far the features of each preset of grucore.audio are from those of its library, as JSON.

    python benchmarks/presets.py --out benchmarks/results/presets.json

The largest difference of any number, as a part of the largest number, on a second of a voice with
noise. TensorFlow and torchaudio themselves are asked where they are installed; the tests have their
documented formulas in float64.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from oracle.feature_libraries import LIBRARIES, Library, voice

PACKAGES = {"pymicro_features": "pymicro-features", "kaldi_native_fbank": "kaldi-native-fbank"}


def torchaudio_mel(x: np.ndarray) -> np.ndarray:
    """MelSpectrogram and AmplitudeToDB, with zeros around the signal."""
    import torch
    from torchaudio import transforms

    settings: dict[str, Any] = {"hop_length": 200, "pad_mode": "constant"}
    power = transforms.MelSpectrogram(**settings).double()(torch.from_numpy(x.astype(np.float64)))
    return transforms.AmplitudeToDB()(power).numpy().T


def torchaudio_mfcc(x: np.ndarray) -> np.ndarray:
    """MFCC, whose top_db is out of reach."""
    import torch
    from torchaudio import transforms

    settings: dict[str, Any] = {"hop_length": 200, "pad_mode": "constant"}
    made = transforms.MFCC(melkwargs=settings)
    made.amplitude_to_DB.top_db = None
    return made.double()(torch.from_numpy(x.astype(np.float64))).numpy().T


def tensorflow_mel(x: np.ndarray) -> np.ndarray:
    """As its documentation has it, in float64."""
    import tensorflow as tf

    spectra = tf.abs(tf.signal.stft(x.astype(np.float64), 1024, 256, 1024))
    limits = (80.0, 7600.0)
    filters = tf.signal.linear_to_mel_weight_matrix(80, 513, 16000, *limits, dtype=tf.float64)
    return tf.math.log(tf.tensordot(spectra, filters, 1) + 1e-6).numpy()


def tensorflow_mfcc(x: np.ndarray) -> np.ndarray:
    """13 of `mfccs_from_log_mel_spectrograms`."""
    import tensorflow as tf

    return tf.signal.mfccs_from_log_mel_spectrograms(tensorflow_mel(x))[..., :13].numpy()


THEMSELVES = {
    "torchaudio.MelSpectrogram": ("torchaudio", torchaudio_mel),
    "torchaudio.MFCC": ("torchaudio", torchaudio_mfcc),
    "tensorflow.log_mel": ("tensorflow", tensorflow_mel),
    "tensorflow.mfcc": ("tensorflow", tensorflow_mfcc),
}


def asked(name: str) -> Library:
    """The library itself where it is installed, else the formula that the tests have."""
    library = LIBRARIES[name]
    module, compute = THEMSELVES.get(name, ("", library.compute))
    if module and importlib.util.find_spec(module):
        return replace(library, module=module, compute=compute)
    return library


def measured(name: str, x: np.ndarray) -> dict[str, Any]:
    """The difference, and of whom."""
    library = asked(name)
    package = PACKAGES.get(library.module, library.module)
    if package == "tensorflow":  # its wheel without a GPU has a name of its own
        package = next(one for one in ("tensorflow", "tensorflow-cpu") if _version(one))
    found, expected = library.both(name, x)
    rest = replace(library, least=-np.inf)
    return {
        "package": package,
        "version": _version(package),
        "is_itself": name not in THEMSELVES or library.module != "torch",
        "difference": library.difference(found, expected),
        "of_all_numbers": rest.difference(found, expected),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    x = voice(np.random.default_rng(1))
    report = {name: measured(name, x) for name in LIBRARIES}
    for name, one in report.items():
        print(f"{name:33}{one['package']:24}{one['version']:12}{one['difference']:.1e}")
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
